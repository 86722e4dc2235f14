"""What one node says and does, beside another that is not ours (engines specification 3.11 to 3.13).

What holds between two of our own is in tests/contract.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import pytest
from google.protobuf.message import DecodeError

from centrifast import errors, log
from centrifast.calls import (
    ChannelsCall,
    DisconnectCall,
    InfoCall,
    Instruction,
    Question,
    RefreshCall,
    StatsCall,
)
from centrifast.engine.redis import control_pb2 as pb
from centrifast.engine.redis import controller as module
from centrifast.engine.redis.contract import RedisError, Shard
from centrifast.engine.redis.controller import RedisController
from centrifast.engine.redis.registry import SWEEP
from centrifast.errors import ClientError
from centrifast.limits import NODE_FAREWELL, NODE_LIFETIME, NODE_PERIOD, SURVEY_TIMEOUT
from tests.client.fakes import settle
from tests.contract.test_controller import REPORTED, RecordingNode
from tests.engine.redis.bus import Bus, BusShard
from tests.engine.redis.nodes import KEYS, PREFIX, RedisNodes, until
from tests.engine.redis.shards import shard_at
from tests.fakes import FakeClock
from tests.redis_servers import RedisServer

T_co = TypeVar("T_co", covariant=True)

STRANGER = "5f0c"
REFRESH = RefreshCall(user="42")


class Stranger:
    """A node of the other kind: it says what a test has it say, and notes what it hears."""

    def __init__(self, buses: Sequence[Bus]) -> None:
        self.uid = STRANGER
        self.heard: list[pb.Command] = []
        self.heard_alone: list[pb.Command] = []
        self._bus = buses[0]
        self._pubsubs = [BusShard(bus).pubsub(self, b"") for bus in buses]

    async def listen(self) -> None:
        for pubsub in self._pubsubs:
            await pubsub.start()

    def wanted(self) -> Iterable[bytes]:
        return KEYS.control, self.own

    @property
    def own(self) -> bytes:
        return KEYS.node + self.uid.encode()

    def on_restored(self) -> None:
        raise AssertionError("this one never goes")

    def on_message(self, channel: bytes, message: bytes) -> None:
        try:
            command = pb.Command.FromString(message)
        except DecodeError:
            return
        if command.uid != self.uid:
            (self.heard_alone if channel == self.own else self.heard).append(command)

    async def say(self, channel: bytes = KEYS.control, **body: Any) -> None:
        """One message, which has been heard and handled."""
        self._bus.publish(channel, pb.Command(uid=self.uid, **body).SerializeToString())
        await settle()

    async def join(self, **fields: Any) -> None:
        await self.say(node=pb.Node(uid=self.uid, name="stranger", version="6.9.1", **fields))

    async def asked(self) -> pb.SurveyRequest:
        """The question that it was asked last."""
        await settle()
        return self.heard[-1].survey_request

    async def ask(self, op: str, data: bytes = b"", number: int = 1) -> pb.SurveyResponse:
        """What it is answered."""
        await self.say(survey_request=pb.SurveyRequest(id=number, op=op, data=data))
        answer = self.heard_alone.pop()
        assert answer.WhichOneof("body") == "survey_response"
        return answer.survey_response


class Bench:
    """One node of ours on two shards, and a stranger."""

    def __init__(self, node: RecordingNode | None = None) -> None:
        self.buses = [Bus(), Bus()]
        self.shards = [BusShard(bus) for bus in self.buses]
        self.clock = FakeClock()
        self.node = node or RecordingNode("one", {"a": 1})
        self.controller = RedisController(self.shards, PREFIX, self.clock)
        self.stranger = Stranger(self.buses)
        self.uid = self.node.describe().uid

    async def __aenter__(self) -> "Bench":
        await self.stranger.listen()
        await self.controller.start(self.node)
        await settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.controller.close()
        assert self.clock.timers == 0

    def said(self) -> list[pb.Command]:
        """What this node has said since the last look."""
        said = [pb.Command.FromString(message) for bus in self.buses for _, message in bus.published]
        for bus in self.buses:
            bus.published.clear()
        return [command for command in said if command.uid == self.uid]

    def kinds(self) -> list[str | None]:
        return [command.WhichOneof("body") for command in self.said()]

    async def publish(self, message: bytes, channel: bytes = KEYS.control) -> None:
        """Any bytes, which have been heard."""
        self.buses[0].publish(channel, message)
        await settle()

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await settle()


def run(test: Callable[[Bench], Coroutine[Any, Any, None]], node: RecordingNode | None = None) -> None:
    async def main() -> None:
        async with Bench(node) as bench:
            await test(bench)

    asyncio.run(main())


# ------------------------------------------------------------------ who there is


def test_a_node_says_what_it_is_every_three_seconds() -> None:
    async def test(bench: Bench) -> None:
        assert bench.kinds() == ["node"]
        for _ in range(3):
            await bench.pass_time(NODE_PERIOD - 0.001)
            assert bench.said() == []
            await bench.pass_time(0.001)
            [command] = bench.said()
            node = command.node
            assert (command.uid, node.uid, node.name) == (bench.uid, bench.uid, "one")
            assert (node.version, node.uptime, node.num_subs) == ("1", 4, 5)
            assert (node.num_clients, node.num_users, node.num_channels) == (1, 2, 3)

    run(test)


def test_metrics_are_in_the_first_message_and_then_once_per_interval() -> None:
    async def test(bench: Bench) -> None:
        told = [command.node for command in bench.said()]
        for _ in range(41):
            await bench.pass_time(NODE_PERIOD)
            told += [command.node for command in bench.said()]
        with_metrics = [number for number, node in enumerate(told) if node.HasField("metrics")]
        assert with_metrics == [0, 20, 40]
        assert (told[0].metrics.interval, dict(told[0].metrics.items)) == (60.0, REPORTED.items)

    run(test)


def test_who_was_not_known_is_told_at_once_and_alone() -> None:
    async def test(bench: Bench) -> None:
        bench.said()
        await bench.stranger.join()
        await bench.stranger.join()
        [command] = bench.stranger.heard_alone
        assert (command.node.uid, command.node.HasField("metrics")) == (bench.uid, False)
        assert bench.kinds() == ["node"]

    run(test)


def test_nodes_are_shown_as_they_said() -> None:
    async def test(bench: Bench) -> None:
        assert await bench.controller.ask(InfoCall()) == []
        metrics = pb.Metrics(interval=60.0, items={"x": 1.5})
        await bench.stranger.join(num_clients=7, metrics=metrics)
        await bench.stranger.join(num_clients=8, num_subs=9, uptime=10)
        [info] = await bench.controller.ask(InfoCall())
        assert (info.uid, info.name, info.version) == (STRANGER, "stranger", "6.9.1")
        assert (info.num_clients, info.num_subs, info.uptime, info.metrics.items) == (8, 9, 10, {"x": 1.5})
        assert bench.controller.other_nodes == 1

    run(test)


def test_who_goes_or_falls_silent_is_not_known() -> None:
    async def test(bench: Bench) -> None:
        await bench.stranger.join()
        await bench.stranger.say(shutdown=pb.Shutdown())
        assert bench.controller.other_nodes == 0
        await bench.stranger.join()
        await bench.pass_time(NODE_LIFETIME)
        assert bench.controller.other_nodes == 1
        await bench.pass_time(SWEEP)
        assert bench.controller.other_nodes == 0

    run(test)


def test_a_node_that_closes_says_so_last_and_hears_nothing_more() -> None:
    async def test(bench: Bench) -> None:
        bench.said()
        await bench.controller.close()
        assert bench.kinds() == ["shutdown"]
        await bench.stranger.say(refresh=pb.Refresh(user="42"))
        await bench.controller.close()
        assert (bench.node.carried_out, bench.said(), bench.clock.timers) == ([], [], 0)

    run(test)


def test_a_node_that_can_not_say_goodbye_goes_without() -> None:
    async def test(bench: Bench) -> None:
        for bus in bench.buses:
            bus.is_away = True
        await bench.controller.close()
        assert not any(shard.pubsubs[0].is_usable for shard in bench.shards)

    run(test)


def test_a_goodbye_that_nobody_takes_holds_up_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    class Frozen(BusShard):
        def call(self, key: bytes, command: Sequence[bytes | str | int]) -> Any:
            return asyncio.get_running_loop().create_future()

    async def main() -> None:
        controller = RedisController([Frozen(Bus())], PREFIX, FakeClock())
        await controller.start(RecordingNode("one"))
        await controller.close()

    monkeypatch.setattr(module, "NODE_FAREWELL", NODE_FAREWELL / 1000)
    asyncio.run(main())


def test_a_node_is_known_again_after_its_connection_was_lost() -> None:
    async def test(bench: Bench) -> None:
        [pubsub] = bench.shards[0].pubsubs
        pubsub.cut()
        bench.said()
        await pubsub.restore()
        await settle()
        assert bench.kinds() == ["node"]
        await bench.pass_time(NODE_PERIOD)
        assert bench.kinds() == ["node"]

    run(test)


def test_a_node_that_can_not_listen_everywhere_does_not_start() -> None:
    async def main() -> None:
        buses = [Bus(), Bus()]
        buses[1].is_away = True
        clock = FakeClock()
        controller = RedisController([BusShard(bus) for bus in buses], PREFIX, clock)
        with pytest.raises(ConnectionError):
            await controller.start(RecordingNode("one"))
        assert (buses[0].listeners, buses[0].published, clock.timers) == ([], [], 0)

    asyncio.run(main())


# ------------------------------------------------------------------ telling


def test_shards_take_turns_and_those_away_are_left_out() -> None:
    async def test(bench: Bench) -> None:
        def counts() -> list[int]:
            found = [len(bus.published) for bus in bench.buses]
            bench.said()
            return found

        bench.said()
        for _ in range(4):
            await bench.controller.tell(REFRESH)
        assert counts() == [2, 2]
        bench.buses[0].is_away = True
        for _ in range(4):
            await bench.controller.tell(REFRESH)
        assert counts() == [0, 4]

    run(test)


def test_without_any_shard_nothing_can_be_told_or_asked() -> None:
    async def test(bench: Bench) -> None:
        await bench.stranger.join()
        for bus in bench.buses:
            bus.is_away = True
        with pytest.raises(ConnectionError):
            await bench.controller.tell(REFRESH)
        with pytest.raises(ConnectionError):
            await bench.controller.ask(ChannelsCall(""))
        assert [info.uid for info in await bench.controller.ask(InfoCall())] == [STRANGER]
        await bench.pass_time(NODE_PERIOD)

    run(test)


def test_what_redis_refuses_is_an_outage() -> None:
    async def test(bench: Bench) -> None:
        for bus in bench.buses:
            bus.refusal = RedisError("NOPERM no")
        with pytest.raises(ConnectionError, match="NOPERM"):
            await bench.controller.tell(REFRESH)

    run(test)


def test_what_is_too_large_for_redis_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONTROL_MESSAGE_SIZE", 2000)

    async def test(bench: Bench) -> None:
        bench.said()
        with pytest.raises(ConnectionError):
            await bench.controller.tell(RefreshCall(user="4" * 2000))
        assert bench.said() == []

    run(test)


# ------------------------------------------------------------------ being told


@pytest.mark.parametrize("to_all", [True, False])
def test_what_another_node_tells_is_carried_out(to_all: bool) -> None:
    async def test(bench: Bench) -> None:
        channel = KEYS.control if to_all else KEYS.node + bench.uid.encode()
        said = pb.Disconnect(user="42", code=3503, reason="force disconnect")
        await bench.stranger.say(channel, disconnect=said)
        told = DisconnectCall(user="42", code=3503, reason="force disconnect", whitelist=[])
        assert bench.node.carried_out == [told]

    run(test)


def test_what_this_node_said_is_not_heard() -> None:
    async def test(bench: Bench) -> None:
        await bench.stranger.join()
        before = bench.node.metrics.received["control"].value
        await bench.controller.tell(REFRESH)
        await settle()
        assert bench.node.carried_out == []
        assert bench.node.metrics.received["control"].value == before

    run(test)


def test_messages_are_counted() -> None:
    async def test(bench: Bench) -> None:
        metrics = bench.node.metrics
        sent = metrics.sent["control"].value
        await bench.controller.tell(REFRESH)
        await bench.stranger.say(refresh=pb.Refresh(user="42"))
        assert metrics.sent["control"].value == sent + 1
        assert metrics.received["control"].value == 1

    run(test)


def test_what_is_not_known_is_ignored_and_counted() -> None:
    async def test(bench: Bench) -> None:
        await bench.stranger.say(notification=pb.Notification(op="usage", data=b"1"))
        await bench.stranger.say(refresh=pb.Refresh(label_filter=pb.FilterNode(op="not")))
        await bench.publish(b"\x0a\x01x" + b"\x9a\x06\x03new")
        assert bench.node.metrics.control_ignored.value == 3
        assert (bench.node.carried_out, dropped(bench)) == ([], 0)

    run(test)


def dropped(bench: Bench) -> int:
    count = bench.node.metrics.pub_sub_dropped.of("control").value
    assert bench.node.metrics.pub_sub_errors.of("handle_control_message").value == count
    return count


@pytest.mark.parametrize("message", [b"\xff\xff", b"", b"\x0a\x00", b"\x0a\x01x\x2a\x09"])
def test_what_is_malformed_is_dropped_logged_and_counted(
    message: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(bench: Bench) -> None:
        await bench.publish(message)
        await bench.stranger.say(refresh=pb.Refresh(user="42"))
        assert (dropped(bench), bench.node.carried_out) == (1, [REFRESH])

    run(test)
    assert [record.message for record in caplog.records if record.levelno >= log.WARN] == [
        "a message of another node can not be read"
    ]


def test_what_is_too_large_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONTROL_MESSAGE_SIZE", 2000)
    monkeypatch.setattr(module, "NODE_INFO_SIZE", 1000)

    async def test(bench: Bench) -> None:
        await bench.stranger.say(refresh=pb.Refresh(user="4" * 2000))
        await bench.stranger.join(data=bytes(1000))
        assert (dropped(bench), bench.node.carried_out, bench.controller.other_nodes) == (2, [], 0)

    run(test)


def test_a_bug_costs_one_message() -> None:
    class Buggy(RecordingNode):
        def describe(self, *, metrics: bool = True) -> Any:
            if self.metrics.received["control"].value:
                raise ZeroDivisionError
            return super().describe(metrics=metrics)

        async def on_instruction(self, call: Instruction) -> None:
            if call.user == "bug":
                raise ZeroDivisionError
            await super().on_instruction(call)

    async def test(bench: Bench) -> None:
        await bench.stranger.say(refresh=pb.Refresh(user="bug"))
        await bench.stranger.join()
        await bench.stranger.say(refresh=pb.Refresh(user="42"))
        assert bench.node.carried_out == [REFRESH]

    run(test, Buggy("one"))


def test_what_fails_here_is_logged_because_nobody_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(RecordingNode):
        async def on_instruction(self, call: Instruction) -> None:
            raise ClientError(errors.UNKNOWN_CHANNEL)

    async def test(bench: Bench) -> None:
        await bench.stranger.say(subscribe=pb.Subscribe(user="42", channel="nowhere:1"))

    run(test, Failing("one"))
    assert [record.levelno for record in caplog.records if record.levelno >= log.WARN] == [log.WARN]


def test_only_so_much_is_carried_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONTROL_CALLS", 2)

    class Slow(RecordingNode):
        async def on_instruction(self, call: Instruction) -> None:
            await super().on_instruction(call)
            await asyncio.Event().wait()

    async def test(bench: Bench) -> None:
        for _ in range(3):
            await bench.stranger.say(refresh=pb.Refresh(user="42"))
        assert (len(bench.node.carried_out), dropped(bench)) == (2, 1)

    run(test, Slow("one"))


# ------------------------------------------------------------------ being asked


def test_a_survey_of_channels_is_answered() -> None:
    async def test(bench: Bench) -> None:
        request = pb.ChannelsRequest(pattern="a*").SerializeToString()
        answer = await bench.stranger.ask("channels", request, 7)
        assert (answer.id, answer.code) == (7, 0)
        assert (
            answer.data
            == pb.ChannelsResult(channels={"a": pb.ChannelInfo(num_clients=1)}).SerializeToString()
        )
        assert bench.node.asked == [ChannelsCall("a*")]

    run(test)


@pytest.mark.parametrize("op", ["centrifuge_emulation", "", "whatever"])
def test_every_other_survey_is_answered_that_it_is_not_known(op: str) -> None:
    async def test(bench: Bench) -> None:
        answer = await bench.stranger.ask(op, b"data", 7)
        assert (answer.id, answer.code, answer.data) == (7, 3, b"")

    run(test)


@pytest.mark.parametrize("data", [b"\xff", pb.ChannelsRequest(pattern="[").SerializeToString()])
def test_a_question_that_makes_no_sense_is_answered_so(data: bytes) -> None:
    async def test(bench: Bench) -> None:
        assert (await bench.stranger.ask("channels", data)).code == 2

    run(test)


def test_a_question_that_fails_here_is_answered_so() -> None:
    class Failing(RecordingNode):
        async def on_question(self, call: Question[T_co]) -> T_co:
            raise ClientError(errors.INTERNAL)

    async def test(bench: Bench) -> None:
        assert (await bench.stranger.ask("channels")).code == 1

    run(test, Failing("one"))


def test_an_answer_that_is_too_large_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONTROL_MESSAGE_SIZE", 2000)

    async def test(bench: Bench) -> None:
        answer = await bench.stranger.ask("channels")
        assert (answer.code, answer.data) == (1, b"")

    run(test, RecordingNode("one", {"a" * 2000: 1}))


def test_an_answer_that_can_not_be_sent_costs_nothing_else() -> None:
    async def test(bench: Bench) -> None:
        await bench.stranger.say(survey_request=pb.SurveyRequest(id=1, op="channels"))
        bench.stranger.heard_alone.clear()
        bench.buses[0].publish(
            KEYS.control,
            pb.Command(
                uid=STRANGER, survey_request=pb.SurveyRequest(id=2, op="channels")
            ).SerializeToString(),
        )
        bench.buses[0].is_away = bench.buses[1].is_away = True
        await settle()
        bench.buses[0].is_away = bench.buses[1].is_away = False
        assert bench.stranger.heard_alone == []
        assert (await bench.stranger.ask("channels", number=3)).id == 3

    run(test)


# ------------------------------------------------------------------ asking


async def asking(bench: Bench, call: Any) -> "asyncio.Future[Any]":
    """A question that the stranger has heard."""
    asked = asyncio.ensure_future(bench.controller.ask(call))
    await settle()
    return asked


def test_the_stranger_is_asked_in_its_own_words() -> None:
    async def test(bench: Bench) -> None:
        await bench.stranger.join()
        asked = await asking(bench, ChannelsCall("a*"))
        request = await bench.stranger.asked()
        assert (request.op, request.data) == (
            "channels",
            pb.ChannelsRequest(pattern="a*").SerializeToString(),
        )
        data = pb.ChannelsResult(channels={"b": pb.ChannelInfo(num_clients=2)}).SerializeToString()
        answer = pb.SurveyResponse(id=request.id, data=data)
        await bench.stranger.say(KEYS.node + bench.uid.encode(), survey_response=answer)
        assert await asked == [{"b": 2}]
        assert bench.node.asked == []
        assert bench.node.metrics.actions["survey"].value == 1
        assert bench.node.metrics.surveys["channels"].cumulative()[-1] == 1

    run(test)


def test_with_nobody_there_nothing_is_said() -> None:
    async def test(bench: Bench) -> None:
        bench.said()
        for bus in bench.buses:
            bus.is_away = True
        assert await bench.controller.ask(ChannelsCall("")) == []
        assert bench.said() == []

    run(test)


def test_who_does_not_know_a_question_is_left_out() -> None:
    async def test(bench: Bench) -> None:
        await bench.stranger.join()
        asked = await asking(bench, StatsCall(1))
        request = await bench.stranger.asked()
        assert request.op == "centrifast_stats"
        await bench.stranger.say(
            KEYS.node + bench.uid.encode(), survey_response=pb.SurveyResponse(id=request.id, code=3)
        )
        assert await asked == []

    run(test)


@pytest.mark.parametrize(("code", "data"), [(1, b""), (2, b""), (77, b""), (0, b"\xff")])
def test_who_fails_to_answer_is_an_error(code: int, data: bytes) -> None:
    async def test(bench: Bench) -> None:
        await bench.stranger.join()
        asked = await asking(bench, ChannelsCall(""))
        answer = pb.SurveyResponse(id=(await bench.stranger.asked()).id, code=code, data=data)
        await bench.stranger.say(KEYS.node + bench.uid.encode(), survey_response=answer)
        with pytest.raises(ClientError) as raised:
            await asked
        assert raised.value.error is errors.INTERNAL

    run(test)


def test_a_dead_node_costs_a_survey_the_time_until_it_is_forgotten() -> None:
    async def test(bench: Bench) -> None:
        await bench.stranger.join()
        asked = await asking(bench, ChannelsCall(""))
        await bench.pass_time(NODE_LIFETIME)
        assert not asked.done()
        await bench.pass_time(SWEEP)
        assert await asked == []

    run(test)
    assert NODE_LIFETIME + SWEEP < SURVEY_TIMEOUT


def test_a_node_that_lives_and_is_silent_costs_the_deadline() -> None:
    async def test(bench: Bench) -> None:
        await bench.stranger.join()
        asked = await asking(bench, ChannelsCall(""))
        for _ in range(int(SURVEY_TIMEOUT / NODE_PERIOD)):
            assert not asked.done()
            await bench.stranger.join()
            await bench.pass_time(NODE_PERIOD)
        with pytest.raises(TimeoutError):
            await asked

    run(test)


def test_a_node_that_stops_does_not_leave_its_questions_waiting() -> None:
    async def test(bench: Bench) -> None:
        await bench.stranger.join()
        asked = await asking(bench, ChannelsCall(""))
        await bench.controller.close()
        with pytest.raises(ConnectionError):
            await asked

    run(test)


# ------------------------------------------------------------------ a real server


def test_nodes_find_each_other_again_when_redis_comes_back() -> None:
    async def main(server: RedisServer) -> None:
        async def shards() -> Sequence[Shard]:
            shard = shard_at(server)
            await shard.start()
            return [shard]

        nodes = [RecordingNode("one", {"a": 1}), RecordingNode("two", {"b": 2})]
        async with RedisNodes(nodes, shards) as cluster:
            one = cluster.controllers[0]
            server.kill()
            await until(lambda: not any(node.shards[0].is_usable for node in cluster.nodes))
            with pytest.raises(ConnectionError):
                await one.tell(REFRESH)
            for node in cluster.nodes:
                node.clock.advance(NODE_LIFETIME + SWEEP)
            assert one.other_nodes == 0
            assert await one.ask(ChannelsCall("")) == []
            server.start()
            await until(lambda: all(controller.other_nodes == 1 for controller in cluster.controllers))
            await one.tell(REFRESH)
            assert await one.ask(ChannelsCall("")) == [{"b": 2}]
            await cluster.settle()
            assert nodes[1].carried_out == [REFRESH]

    with RedisServer() as server:
        asyncio.run(main(server))
