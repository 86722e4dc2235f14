"""Calls between the workers of a supervisor: ``Controller`` and ``Siblings`` over the link of the shared engine.

A call is its name and its struct in MessagePack; so is the answer. All workers run the same code.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from centrifast import log
from centrifast.calls import (
    ChannelsCall,
    CountCall,
    DisconnectCall,
    InfoCall,
    Instruction,
    MetricsCall,
    Question,
    RefreshCall,
    StatsCall,
    SubscribeCall,
    UnsubscribeCall,
)
from centrifast.engine.contract import NodeCalls
from centrifast.engine.messages import Call, Called
from centrifast.engine.shared import EngineLink
from centrifast.errors import CLIENT_ERRORS, INTERNAL, ClientError

T_co = TypeVar("T_co", covariant=True)

_ERRORS = {error.code: error for error in CLIENT_ERRORS}
_INSTRUCTIONS: dict[str, type[Instruction]] = {
    call.name: call for call in (SubscribeCall, UnsubscribeCall, DisconnectCall, RefreshCall)
}
_QUESTIONS = {call.name: call for call in (ChannelsCall, InfoCall, StatsCall, MetricsCall, CountCall)}


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    """What one worker says: the code of an error, or 0 and the answer to a question."""

    error: int = 0
    value: msgspec.Raw = msgspec.Raw(b"\xc0")  # nil


_encode = msgspec.msgpack.Encoder().encode
_decode_answer = msgspec.msgpack.Decoder(_Answer).decode


class SharedController:
    """``Controller`` and ``Siblings`` in one: the workers of a supervisor may be all the nodes there are."""

    other_nodes = 0

    def __init__(self, link: EngineLink) -> None:
        self._link = link
        self._node: NodeCalls | None = None

    async def start(self, node: NodeCalls) -> None:
        """Have *node* asked from here on; the link is open already."""
        self._node = node
        self._link.take_calls(self)

    async def close(self) -> None:
        """Answer nothing more; the broker's half closes the link."""
        self._node = None

    async def tell(self, call: Instruction) -> None:
        """See ``Controller.tell``; failures are reported."""
        await self._call(call.name, call)

    async def ask(self, call: Question[T_co]) -> Sequence[T_co]:
        """See ``Siblings.ask``."""
        answers = await self._call(call.name, call)
        return [msgspec.msgpack.decode(answer.value, type=call.answer) for answer in answers]

    async def on_call(self, name: str, data: bytes) -> bytes | None:
        """Have the node carry out or answer what another worker asks; None if it can not be."""
        try:
            answer = await self._carry_out(name, data)
        except ClientError as failure:
            return _encode(_Answer(failure.error.code))
        except msgspec.DecodeError as malformed:
            log.error("a call of another worker can not be read", call=name, error=str(malformed))
            return _encode(_Answer(INTERNAL.code))
        return None if answer is None else _encode(answer)

    async def _carry_out(self, name: str, data: bytes) -> _Answer | None:
        """Raises ``ClientError``, ``DecodeError``."""
        node = self._node
        if node is None:
            return None
        if name in _INSTRUCTIONS:
            await node.on_instruction(msgspec.msgpack.decode(data, type=_INSTRUCTIONS[name]))
            return _Answer()
        if name in _QUESTIONS:
            value = await node.on_question(msgspec.msgpack.decode(data, type=_QUESTIONS[name]))
            return _Answer(0, msgspec.Raw(_encode(value)))
        log.error("a call of another worker is not known here", call=name)
        return None

    async def _call(self, name: str, call: msgspec.Struct) -> Sequence[_Answer]:
        """What all others answer. Raises the ``ClientError`` of one of them when all have."""
        data = _encode(call)
        called: Called = await self._link.ask(lambda number: Call(number, name, data))
        answers = [_decode_answer(answer) for answer in called.answers]
        for answer in answers:
            if answer.error:
                raise ClientError(_ERRORS.get(answer.error, INTERNAL))
        return answers
