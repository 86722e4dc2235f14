"""Calls between nodes over Redis, in Centrifugo's format, so that nodes of both may share one (engines 3.11).

Every node listens on every shard, to what is said to all (``P.control``) and to itself (``P.node.UID``); what it has to
say goes to one shard, to the next one each time. A message that is lost is lost: whoever told is not answered, and
whoever asked waits until ``Surveys`` says that it is over.

    tell   ──▶ P.control                     carried out by every other node
    ask    ──▶ P.control ──▶ P.node.ASKER    answered by every other node that is known
    node   ──▶ P.control                     each 3 s; to who was not known it is said at once, on P.node.NEW
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from centrifast import log
from centrifast._metrics import now
from centrifast.background import Background
from centrifast.calls import InfoCall, Instruction, NodeQuestion
from centrifast.clock import Clock, TimerHandle
from centrifast.engine.contract import NodeCalls
from centrifast.engine.redis import control_pb2 as pb
from centrifast.engine.redis.commands import (
    INSTRUCTIONS,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    NO_SUCH_OP,
    OK,
    SURVEYS,
    SURVEYS_BY_OP,
    MalformedError,
    Slices,
    decode,
    encode_answer,
    encode_instruction,
    encode_node,
    encode_shutdown,
    encode_survey,
    instruction_of,
)
from centrifast.engine.redis.contract import PubSub, Shard
from centrifast.engine.redis.keys import PROBE_END, Keys
from centrifast.engine.redis.refusal import answer_of
from centrifast.engine.redis.registry import Registry
from centrifast.engine.redis.surveys import Answer, Surveys
from centrifast.errors import BAD_REQUEST, INTERNAL, ClientError
from centrifast.limits import (
    CONTROL_CALLS,
    CONTROL_MESSAGE_SIZE,
    KIB,
    NODE_FAREWELL,
    NODE_INFO_SIZE,
    NODE_PERIOD,
)

T_co = TypeVar("T_co", covariant=True)


class RedisController:
    """``Controller`` over *shards*, which are started and closed by others; also ``PubSubOwner`` on each of them."""

    def __init__(self, shards: Sequence[Shard], prefix: str, clock: Clock) -> None:
        self._shards = shards
        self._clock = clock
        self._keys = Keys(prefix)
        self._next = 0  # shard to be used
        self._node: NodeCalls | None = None
        self._uid = ""
        self._own_channels: tuple[bytes, ...] = ()
        self._pubsubs: list[PubSub] = []
        self._surveys = Surveys(clock)
        self._registry = Registry(clock, self._surveys.on_gone)
        self._background = Background()
        self._timer: TimerHandle | None = None
        self._metrics_due = clock.monotonic()

    @property
    def other_nodes(self) -> int:
        """See ``Controller.other_nodes``."""
        return len(self._registry)

    async def start(self, node: NodeCalls) -> None:
        """Listen on every shard and be known. Raises ``ConnectionError`` or ``TimeoutError``."""
        self._node = node
        self._uid = node.describe(metrics=False).uid
        own = self._keys.node + self._uid.encode()
        self._own_channels = self._keys.control, own
        self._pubsubs = [shard.pubsub(self, own + PROBE_END) for shard in self._shards]
        try:
            for pubsub in self._pubsubs:
                await pubsub.start()
        except BaseException:
            self._node = None
            await self.close()
            raise
        self._announce()

    async def close(self) -> None:
        """Say goodbye, if that can be said at once, and hear nothing more."""
        node, self._node = self._node, None
        if self._timer is not None:
            self._timer.cancel()
        self._surveys.close()
        self._registry.close()
        await self._background.close()
        if node is not None:
            await self._say_goodbye(node)
        pubsubs, self._pubsubs = self._pubsubs, []
        for pubsub in pubsubs:
            await pubsub.close()

    async def tell(self, call: Instruction) -> None:
        """See ``Controller.tell``: nobody answers, and what is lost is lost."""
        await self._publish(self._keys.control, encode_instruction(self._uid, call))

    async def ask(self, call: NodeQuestion[T_co]) -> Sequence[T_co]:
        """See ``Controller.ask``; nodes that do not know the question are left out."""
        if isinstance(call, InfoCall):
            infos: Sequence[Any] = self._registry.infos
            return infos
        survey = SURVEYS[type(call)]
        data = survey.encode_call(call)

        async def send(number: int) -> None:
            await self._publish(self._keys.control, encode_survey(self._uid, number, survey.op, data))

        started = now()
        try:
            answers = await self._surveys.ask(self._registry.uids, send)
        finally:
            if self._node is not None:
                self._node.metrics.survey_ended(survey.op, started)
        values: list[T_co] = []
        for answer in answers:
            if answer.code == NO_SUCH_OP:
                continue
            if answer.code != OK:
                log.error("another node failed to answer", call=call.name, uid=answer.uid, code=answer.code)
                raise ClientError(INTERNAL)
            try:
                values.append(await in_slices(survey.decode_answer(answer.data)))
            except MalformedError as error:
                log.error("an answer can not be read", call=call.name, uid=answer.uid, error=str(error))
                raise ClientError(INTERNAL) from error
        return values

    # --------------------------------------------- called by the connections

    def wanted(self) -> Iterable[bytes]:
        """See ``PubSubOwner.wanted``."""
        return self._own_channels

    def on_restored(self) -> None:
        """Others may have forgotten this node meanwhile."""
        if self._node is not None:
            self._announce()

    def on_message(self, channel: bytes, message: bytes) -> None:
        """What another node says; what is not understood costs that message only."""
        node = self._node
        if node is None or channel not in self._own_channels:  # or it is the probe, which says nothing
            return
        try:
            if len(message) > CONTROL_MESSAGE_SIZE:
                raise MalformedError(f"it has {len(message)} bytes")
            command = decode(message)
            if command.uid != self._uid:  # done here already
                node.metrics.received["control"].add()
                self._handle(node, command, len(message))
        except MalformedError as error:
            self._count_dropped(node)
            log.error("a message of another node can not be read", error=str(error))
        except Exception:  # noqa: BLE001 - the boundary where a bug costs one message, not the connection
            self._count_dropped(node)
            log.exception("a message of another node can not be handled")

    # -------------------------------------------------------------- inside

    def _handle(self, node: NodeCalls, command: pb.Command, size: int) -> None:
        """Do what a message says. Raises ``MalformedError``."""
        kind, uid = command.WhichOneof("body"), command.uid
        if kind == "node":
            if size > NODE_INFO_SIZE:
                raise MalformedError(f"what a node says of itself has {size} bytes")
            if self._registry.heard(uid, command.node):
                self._run(node, "a node could not be told of this one", self._introduce(node, uid))
        elif kind == "shutdown":
            self._registry.left(uid)
        elif kind == "survey_request":
            self._run(node, "an answer could not be sent", self._answer(node, uid, command.survey_request))
        elif kind == "survey_response":
            said = command.survey_response
            self._surveys.on_answer(said.id, Answer(uid, said.code, said.data))
        elif kind in INSTRUCTIONS:
            call = instruction_of(getattr(command, kind))
            if call is None:
                node.metrics.control_ignored.add()
            else:
                self._run(node, "a call of another node failed", self._carry_out(node, call))
        else:
            node.metrics.control_ignored.add()

    def _run(self, node: NodeCalls, failure: str, work: Coroutine[Any, Any, None]) -> None:
        """Do something that may wait, unless too much of it does already."""
        if len(self._background) >= CONTROL_CALLS:
            work.close()
            self._count_dropped(node)
            return
        self._background.run(failure, work)

    async def _carry_out(self, node: NodeCalls, call: Instruction) -> None:
        try:
            await node.on_instruction(call)
        except ClientError as failed:  # nobody is there to be answered
            log.warn("a call of another node failed", call=call.name, code=failed.error.code)

    async def _answer(self, node: NodeCalls, asker: str, request: pb.SurveyRequest) -> None:
        """Answer a question of another node. Raises ``ConnectionError``, ``TimeoutError``."""
        code, data = await self._find(node, request)
        if len(data) > CONTROL_MESSAGE_SIZE - KIB:
            log.error("an answer to another node is too large", op=request.op, size=len(data))
            code, data = INTERNAL_ERROR, b""
        await self._publish_to(asker, encode_answer(self._uid, request.id, code, data))

    async def _find(self, node: NodeCalls, request: pb.SurveyRequest) -> tuple[int, bytes]:
        survey = SURVEYS_BY_OP.get(request.op)
        if survey is None:
            return NO_SUCH_OP, b""
        try:
            answer = await node.on_question(survey.decode_call(request.data))
            return OK, await in_slices(survey.encode_answer(answer))
        except MalformedError:
            return INVALID_REQUEST, b""
        except ClientError as failed:
            return INVALID_REQUEST if failed.error is BAD_REQUEST else INTERNAL_ERROR, b""

    # ------------------------------------------------------------- this node

    def _announce(self) -> None:
        """Say what this node is, now and every ``NODE_PERIOD``; with metrics once per interval of theirs."""
        node = self._node
        if node is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_later(NODE_PERIOD, self._announce)
        with_metrics = self._clock.monotonic() >= self._metrics_due
        info = node.describe(metrics=with_metrics)
        if with_metrics:
            self._metrics_due = self._clock.monotonic() + info.metrics.interval
        message = encode_node(info, metrics=with_metrics)
        self._run(
            node, "other nodes could not be told of this one", self._publish(self._keys.control, message)
        )

    async def _introduce(self, node: NodeCalls, uid: str) -> None:
        """Say what this node is to one that has come. Raises ``ConnectionError``, ``TimeoutError``."""
        await self._publish_to(uid, encode_node(node.describe(metrics=False), metrics=False))

    async def _say_goodbye(self, node: NodeCalls) -> None:
        try:
            async with asyncio.timeout(NODE_FAREWELL):
                await self._publish(self._keys.control, encode_shutdown(self._uid))
        except (ConnectionError, TimeoutError) as away:
            log.debug("other nodes could not be told that this one stops", error=str(away))

    # ----------------------------------------------------------- to a shard

    async def _publish_to(self, uid: str, message: bytes) -> None:
        """Say something to one node."""
        await self._publish(self._keys.node + uid.encode(), message)

    async def _publish(self, channel: bytes, message: bytes) -> None:
        """Say something on one of the shards that are there. Raises ``ConnectionError``, ``TimeoutError``."""
        if len(message) > CONTROL_MESSAGE_SIZE:
            raise ConnectionError(f"{len(message)} bytes are too many for other nodes")
        count = len(self._shards)
        for turn in range(count):
            shard = self._shards[(self._next + turn) % count]
            if shard.is_usable:
                self._next = (self._next + turn + 1) % count
                if self._node is not None:
                    self._node.metrics.sent["control"].add()
                await answer_of(shard, shard.call(channel, (b"PUBLISH", channel, message)))
                return
        raise ConnectionError("Redis is away")

    def _count_dropped(self, node: NodeCalls) -> None:
        node.metrics.pub_sub_errors.of("handle_control_message").add()
        node.metrics.pub_sub_dropped.of("control").add()


async def in_slices(work: Slices[T_co]) -> T_co:
    """The value of *work*, done in several turns of the loop."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            value: T_co = done.value
            return value
        await asyncio.sleep(0)
