"""Calls between workers: what is not known or not understood. What holds of every controller is in tests/contract."""

import asyncio

import msgspec
import pytest

from centrifast.calls import CountCall, DisconnectCall, Instruction, MetricsCall, RefreshCall
from centrifast.engine.shared import EngineLink
from centrifast.engine.shared_control import SharedController
from centrifast.errors import INTERNAL, UNKNOWN_CHANNEL, ClientError, ErrorCode
from tests.contract.test_controller import LinkedControllers, RecordingNode
from tests.fakes import FakeClock

INTERNAL_ANSWER = msgspec.msgpack.encode([INTERNAL.code, None])


def answer_to(name: str, data: bytes) -> bytes | None:
    """What a worker that has a node answers."""

    async def ask() -> bytes | None:
        controller = SharedController(EngineLink(FakeClock(), lambda: None))
        await controller.start(RecordingNode("one"))
        return await controller.on_call(name, data)

    return asyncio.run(ask())


def test_what_is_not_known_is_not_answered() -> None:
    assert answer_to("explode", b"") is None


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\xc0", msgspec.msgpack.encode({"user": 5})])
@pytest.mark.parametrize("name", ["disconnect", "count"])
def test_what_is_not_understood_is_an_internal_error(name: str, data: bytes) -> None:
    assert answer_to(name, data) == INTERNAL_ANSWER


def test_a_closed_controller_answers_nothing() -> None:
    async def test() -> None:
        nodes = [RecordingNode("one"), RecordingNode("two")]
        async with LinkedControllers(nodes) as linked:
            one, two = linked.controllers
            await two.close()
            await one.tell(RefreshCall(user="42"))
            assert await one.ask(CountCall("42")) == []
        assert nodes[1].carried_out == []

    asyncio.run(test())


@pytest.mark.parametrize("error", [UNKNOWN_CHANNEL, INTERNAL])
def test_a_failure_elsewhere_is_reported(error: ErrorCode) -> None:
    class Failing(RecordingNode):
        async def on_instruction(self, call: Instruction) -> None:
            raise ClientError(error)

    async def test() -> None:
        async with LinkedControllers([RecordingNode("one"), Failing("two")]) as linked:
            with pytest.raises(ClientError) as raised:
                await linked.controllers[0].tell(DisconnectCall(user="42", code=3503, reason="gone"))
            assert raised.value.error is error

    asyncio.run(test())


def test_siblings_are_asked_for_what_concerns_one_server() -> None:
    async def test() -> None:
        async with LinkedControllers([RecordingNode("one"), RecordingNode("two")]) as linked:
            assert await linked.controllers[0].ask(CountCall("42")) == [42]
            assert [bytes(answer) for answer in await linked.controllers[0].ask(MetricsCall())] == [b"\x90"]

    asyncio.run(test())
