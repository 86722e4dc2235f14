"""Nodes that know of each other over Redis, or over something that is like it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from centrifast.engine.contract import NodeCalls
from centrifast.engine.redis import control_pb2 as pb
from centrifast.engine.redis.contract import Shard
from centrifast.engine.redis.controller import RedisController
from centrifast.engine.redis.keys import Keys
from centrifast.engine.redis.registry import SWEEP
from centrifast.limits import NODE_LIFETIME
from tests.fakes import FakeClock

PREFIX = "app"
KEYS = Keys(PREFIX)

NOTHING = pb.Command(uid="nobody", notification=pb.Notification()).SerializeToString()
"""A message that every node counts and ignores."""

MakeShards = Callable[[], Awaitable[Sequence[Shard]]]


class RedisNode:
    """One controller with connections and a clock of its own."""

    def __init__(self, calls: NodeCalls, shards: Sequence[Shard]) -> None:
        self.calls = calls
        self.shards = shards
        self.clock = FakeClock()
        self.controller = RedisController(shards, PREFIX, self.clock)

    @property
    def ignored(self) -> int:
        return self.calls.metrics.control_ignored.value

    async def close(self) -> None:
        await self.controller.close()
        for shard in self.shards:
            await shard.close()


class RedisNodes:
    """A node for each of *calls*, started; all of them know each other."""

    def __init__(self, calls: Sequence[NodeCalls], make_shards: MakeShards) -> None:
        self._calls = calls
        self._make_shards = make_shards
        self._living: list[RedisNode] = []
        self.nodes: list[RedisNode] = []

    @property
    def controllers(self) -> Sequence[RedisController]:
        return [node.controller for node in self.nodes]

    async def __aenter__(self) -> "RedisNodes":
        for calls in self._calls:
            node = RedisNode(calls, await self._make_shards())
            await node.controller.start(calls)
            self.nodes.append(node)
            self._living.append(node)
        await until(
            lambda: all(controller.other_nodes == len(self.nodes) - 1 for controller in self.controllers)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        for node in self.nodes:
            await node.close()

    async def settle(self) -> None:
        """Return when everything that was said has been heard: every node says nothing after it, on all connections."""
        listening = [node for node in self._living if node.controller._pubsubs]
        messages = sum(len(node.shards) for node in listening)
        expected = {node: node.ignored + messages for node in listening}
        for node in listening:
            for shard in node.shards:
                await shard.call(KEYS.control, (b"PUBLISH", KEYS.control, NOTHING))
        await until(lambda: all(node.ignored >= count for node, count in expected.items()))

    async def kill(self, index: int) -> None:
        """A node's connections end, and its time stands still."""
        dead = self.nodes[index]
        self._living.remove(dead)
        for pubsub in dead.controller._pubsubs:
            await pubsub.close()
        for shard in dead.shards:
            await shard.close()
        for _ in range(int(NODE_LIFETIME / SWEEP) + 1):
            await self.pass_time(SWEEP)
        assert {node.controller.other_nodes for node in self._living} == {len(self._living) - 1}

    async def pass_time(self, seconds: float) -> None:
        """Time of those that live; what they say in it has been heard."""
        for node in self._living:
            node.clock.advance(seconds)
        await self.settle()


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until *condition* holds; the test's timeout ends it otherwise."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0)
