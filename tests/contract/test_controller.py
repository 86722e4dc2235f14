"""What every Controller must keep (``engine/contract.py``).

A controller joins by one more line in ``KINDS``. All nodes run in one loop; a node is killed without a word, and others
notice it in the way that their controller has.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
import pytest

from centrifast import errors
from centrifast.auth.claims import SubscriptionOverride
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
from centrifast.engine.contract import Controller
from centrifast.engine.host import EngineHost
from centrifast.engine.redis.contract import Shard
from centrifast.engine.shared import EngineLink
from centrifast.engine.shared_control import SharedController
from centrifast.errors import ClientError
from centrifast.metrics.metrics import Metrics
from centrifast.metrics.snapshot import NodeStats, SlowClient
from centrifast.model import NO_METRICS, NodeInfo, StreamPosition
from centrifast.model import Metrics as Reported
from tests.contract.servers import Servers
from tests.engine.linked import join, memory_engine
from tests.engine.redis.bus import Bus, BusShard
from tests.engine.redis.nodes import RedisNodes
from tests.engine.redis.shards import Store, shard_at
from tests.fakes import FakeClock

T_co = TypeVar("T_co", covariant=True)

REPORTED = Reported(60.0, {"centrifugo.node.num_clients": 1.0})


class RecordingNode:
    """``contract.NodeCalls`` that notes what it was asked for. With *is_silent* it never answers a question."""

    def __init__(self, name: str, channels: dict[str, int] | None = None, *, is_silent: bool = False) -> None:
        self.metrics = Metrics()
        self.name = name
        self.channels = channels or {}
        self.carried_out: list[Instruction] = []
        self.asked: list[Question[Any]] = []
        self.was_asked = asyncio.Event()
        self._is_silent = is_silent

    def describe(self, *, metrics: bool = True) -> NodeInfo:
        return NodeInfo(
            uid=f"uid-{self.name}",
            name=self.name,
            version="1",
            num_clients=1,
            num_users=2,
            num_channels=3,
            uptime=4,
            metrics=REPORTED if metrics else NO_METRICS,
            num_subs=5,
        )

    async def on_instruction(self, call: Instruction) -> None:
        self.carried_out.append(call)

    async def on_question(self, call: Question[T_co]) -> T_co:
        self.asked.append(call)
        self.was_asked.set()
        if self._is_silent:
            await asyncio.Event().wait()
        return self._answer(call)  # type: ignore[no-any-return]

    def _answer(self, call: Question[Any]) -> Any:
        match call:
            case ChannelsCall(pattern):
                if pattern == "[":
                    raise ClientError(errors.BAD_REQUEST)
                return self.channels
            case InfoCall():
                return self.describe()
            case StatsCall(slow):
                return self.stats(slow)
            case CountCall(user):
                return int(user)
            case MetricsCall():
                return [self.name][:0]

    def stats(self, slow: int) -> NodeStats:
        fields = dict.fromkeys(NodeStats.__struct_fields__[: -len(NodeStats.__struct_defaults__)], 1)
        named = [SlowClient("c", "u", 5)][:slow]
        return msgspec.convert(
            fields | {"uid": "u", "name": self.name, "version": "1", "slow": named}, NodeStats
        )


class Cluster(Protocol):
    """Nodes that know of each other."""

    @property
    def controllers(self) -> Sequence[Controller]: ...

    async def __aenter__(self) -> "Cluster": ...

    async def __aexit__(self, *_: object) -> None: ...

    async def settle(self) -> None:
        """Wait until everything told so far has arrived."""

    async def kill(self, index: int) -> None:
        """End a node without a word, and let the others notice."""


class LinkedControllers:
    """Workers and their supervisor."""

    def __init__(self, nodes: Sequence[RecordingNode]) -> None:
        self._nodes = nodes
        self._links = [EngineLink(FakeClock(), lambda: None) for _ in nodes]
        self.controllers = [SharedController(link) for link in self._links]
        self._host = EngineHost(memory_engine(FakeClock()))

    async def __aenter__(self) -> "LinkedControllers":
        await self._host.start()
        for link, controller, node in zip(self._links, self.controllers, self._nodes, strict=True):
            await join(self._host, link)
            await controller.start(node)
        return self

    async def __aexit__(self, *_: object) -> None:
        for controller, link in zip(self.controllers, self._links, strict=True):
            await controller.close()
            link.close()
        await self._host.close()

    async def settle(self) -> None:
        """Whoever told has been answered, so it has arrived."""

    async def kill(self, index: int) -> None:
        link = self._links[index]._link
        assert link is not None
        link.abort()


def over_buses(nodes: Sequence[RecordingNode]) -> Cluster:
    buses = [Bus(), Bus()]

    async def shards() -> Sequence[Shard]:
        return [BusShard(bus) for bus in buses]

    return RedisNodes(nodes, shards)


def over_redis(nodes: Sequence[RecordingNode], *stores: Store) -> Cluster:
    async def shards() -> Sequence[Shard]:
        made = [shard_at(store) for store in stores]
        for shard in made:
            await shard.start()
        return made

    return RedisNodes(nodes, shards)


Kind = Callable[[Sequence[RecordingNode], Servers], Cluster]
KINDS: dict[str, Kind] = {
    "shared": lambda nodes, _: LinkedControllers(nodes),
    "buses": lambda nodes, _: over_buses(nodes),
    "redis": lambda nodes, servers: over_redis(nodes, servers.first),
    "two redis": lambda nodes, servers: over_redis(nodes, servers.first, servers.second),
}
IN_ORDER = {name: kind for name, kind in KINDS.items() if name != "two redis"}
"""What two servers are told may arrive in any order."""

Test = Callable[[Cluster, list[RecordingNode]], Coroutine[Any, Any, None]]
Run = Callable[..., None]


@pytest.fixture(params=KINDS.values(), ids=list(KINDS))
def run(request: pytest.FixtureRequest, servers: Servers) -> Run:
    """Runs a test with three nodes, or those given."""

    def run_(test: Test, nodes: list[RecordingNode] | None = None) -> None:
        async def main() -> None:
            given = nodes or [
                RecordingNode("one", {"a": 1}),
                RecordingNode("two", {"a": 2, "b": 1}),
                RecordingNode("three", {"c": 1}),
            ]
            async with request.param(given, servers) as cluster:
                await test(cluster, given)

        asyncio.run(main())

    return run_


SOME_OPTIONS = SubscriptionOverride(True, False, True, False, True)
NO_OPTIONS = SubscriptionOverride(False, False, False, False, False)

INSTRUCTIONS: list[Instruction] = [
    SubscribeCall(user="", channel="news", override=NO_OPTIONS),
    SubscribeCall(
        user="42",
        client="c1",
        session="s1",
        channel="news",
        info=b'{"a":1}',
        data=b"\x00\xff",
        expire_at=1_700_000_060,
        override=SOME_OPTIONS,
        recover_since=StreamPosition(5, "abcd"),
    ),
    SubscribeCall(user="42", channel="news", override=SOME_OPTIONS, recover_since=StreamPosition()),
    UnsubscribeCall(user="", channel="", code=2000, reason="server unsubscribe"),
    UnsubscribeCall(user="42", client="c1", session="s1", channel="канал", code=2500, reason="x"),
    DisconnectCall(user="", all_users=True, whitelist=[], code=3503, reason="force disconnect"),
    DisconnectCall(
        user="42", client="c1", session="s1", whitelist=["c2", "c3"], code=4000, reason="some reason"
    ),
    RefreshCall(user=""),
    RefreshCall(user="42", client="c1", session="s1", expired=True, expire_at=1_700_000_060, info=b"{}"),
]


@pytest.mark.parametrize("call", INSTRUCTIONS, ids=lambda call: call.name)
def test_an_instruction_reaches_all_others_as_it_is(run: Run, call: Instruction) -> None:
    async def test(cluster: Cluster, nodes: list[RecordingNode]) -> None:
        await cluster.controllers[0].tell(call)
        await cluster.settle()
        assert [node.carried_out for node in nodes] == [[], [call], [call]]

    run(test)


@pytest.mark.parametrize("run", IN_ORDER.values(), ids=list(IN_ORDER), indirect=True)
def test_instructions_of_one_node_arrive_in_their_order(run: Run) -> None:
    async def test(cluster: Cluster, nodes: list[RecordingNode]) -> None:
        for call in INSTRUCTIONS:
            await cluster.controllers[1].tell(call)
        await cluster.settle()
        assert [node.carried_out for node in nodes] == [INSTRUCTIONS, [], INSTRUCTIONS]

    run(test)


def test_a_question_collects_what_all_others_answer(run: Run) -> None:
    async def test(cluster: Cluster, nodes: list[RecordingNode]) -> None:
        controller = cluster.controllers[0]
        channels = await controller.ask(ChannelsCall("*"))
        assert sorted(channels, key=str) == [{"a": 2, "b": 1}, {"c": 1}]
        stats = await controller.ask(StatsCall(1))
        assert sorted(stats, key=lambda found: found.name) == [nodes[2].stats(1), nodes[1].stats(1)]
        assert [node.asked for node in nodes] == [[], *[[ChannelsCall("*"), StatsCall(1)]] * 2]

    run(test)


def test_every_other_node_is_known_in_numbers(run: Run) -> None:
    async def test(cluster: Cluster, nodes: list[RecordingNode]) -> None:
        infos = await cluster.controllers[0].ask(InfoCall())
        assert sorted(infos, key=lambda info: info.uid) == [nodes[2].describe(), nodes[1].describe()]

    run(test)


def test_two_nodes_may_ask_each_other(run: Run) -> None:
    async def test(cluster: Cluster, nodes: list[RecordingNode]) -> None:
        answers = await asyncio.gather(*(one.ask(ChannelsCall("")) for one in cluster.controllers))
        assert [len(answer) for answer in answers] == [2, 2, 2]

    run(test)


def test_a_question_that_one_can_not_answer_is_an_error(run: Run) -> None:
    async def test(cluster: Cluster, nodes: list[RecordingNode]) -> None:
        with pytest.raises(ClientError):
            await cluster.controllers[0].ask(ChannelsCall("["))

    run(test)


def test_who_is_alone_is_answered_by_nobody(run: Run) -> None:
    async def test(cluster: Cluster, nodes: list[RecordingNode]) -> None:
        [controller] = cluster.controllers
        await controller.tell(RefreshCall(user="42"))
        assert await controller.ask(ChannelsCall("")) == []
        assert await controller.ask(InfoCall()) == []

    run(test, [RecordingNode("one", {"a": 1})])


def test_a_node_that_goes_while_it_is_asked_is_not_waited_for(run: Run) -> None:
    async def test(cluster: Cluster, nodes: list[RecordingNode]) -> None:
        asked = asyncio.ensure_future(cluster.controllers[0].ask(ChannelsCall("")))
        await nodes[1].was_asked.wait()
        await cluster.kill(1)
        assert await asked == [{"c": 1}]
        assert [info.name for info in await cluster.controllers[0].ask(InfoCall())] == ["three"]

    run(test, [RecordingNode("one"), RecordingNode("two", is_silent=True), RecordingNode("three", {"c": 1})])


def test_a_closed_controller_is_not_asked_any_more(run: Run) -> None:
    async def test(cluster: Cluster, nodes: list[RecordingNode]) -> None:
        await cluster.controllers[1].close()
        await cluster.settle()
        await cluster.controllers[0].tell(RefreshCall(user="42"))
        assert await cluster.controllers[0].ask(ChannelsCall("")) == [{"c": 1}]
        assert nodes[1].carried_out == []
        assert [info.name for info in await cluster.controllers[0].ask(InfoCall())] == ["three"]

    run(test)
