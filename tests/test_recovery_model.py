"""Recovery against a model: a PUB/SUB that loses, repeats and comes late, and clients that believe nothing.

Every client sees its stream without gap, repeat or disorder, or is told the truth: ``recovered: false``, 2500, 3010.
When nothing is lost, nobody is told so. And when all has calmed down, everybody has everything.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from centrifast.config.schema import Namespace
from centrifast.engine.contract import HistoryFilter, HistoryOptions
from centrifast.protocol.wire import Encoding
from tests.client.fakes import Server, config, settle
from tests.fakes import FakeClock
from tests.sdk_client import Kind, SdkClient, Since, Sub
from tests.unreliable_broker import Hold, UnreliableBroker

SIZE, LIMIT = 6, 5
TTL, META_TTL = 10.5, 30.5
CHECK_DELAY = 5.0
LONG_ENOUGH = 15
"""Seconds in which every loss has been noticed: two delays of the check, its pause, some ticks."""

STREAM: dict[str, Any] = {
    "history_size": SIZE,
    "history_ttl": TTL,
    "history_meta_ttl": META_TTL,
    "presence": True,
    "allowed_delta_types": ("fossil",),
    "allow_tags_filter": True,
    "allow_subscribe_for_client": True,
    "allow_subscribe_for_anonymous": True,
}
NAMESPACES = (
    Namespace(name="stream", force_recovery=True, **STREAM),
    Namespace(name="wishes", allow_positioning=True, allow_recovery=True, **STREAM),
    Namespace(name="cache", force_recovery=True, force_recovery_mode="cache", **STREAM),
)
CLIENT: dict[str, Any] = {
    "channel_position_check_delay": CHECK_DELAY,
    "recovery_max_publication_limit": LIMIT,
    "stale_close_delay": 1e9,  # the engine may be held for as long as it likes
}
KINDS = (
    Kind("stream:1"),
    Kind("stream:1", delta=True),
    Kind("stream:1", filtered=True),
    Kind("stream:1", server_side=True),
    Kind("stream:2", server_side=True),
    Kind("stream:2", server_side=True, delta=True),
    Kind("stream:2"),
    Kind("wishes:1"),
    Kind("wishes:1", delta=True),
    Kind("wishes:1", wish="positioned"),
    Kind("wishes:1", wish="recoverable"),
    Kind("wishes:1", wish="recoverable", delta=True),
    Kind("cache:1", newest_only=True),
    Kind("cache:1", newest_only=True, delta=True),
    Kind("cache:1", newest_only=True, filtered=True),
    Kind("cache:1", newest_only=True, server_side=True),
)
CHANNELS = tuple(sorted({kind.channel for kind in KINDS}))
TEXTS = ("league table of the season", "league table of the saison é", "league table è", "x")
INDEX = st.integers(0, 30)
CLIENTS = 5
ROUNDS = 20
KEPT = HistoryOptions(SIZE, TTL, META_TTL)
MANY = 100
UNREAD = 100
"""Publications after which clients read: their sockets hold no more than a few hundred frames."""


Arrival = tuple[Encoding, list[int], bool]
ARRIVAL = st.tuples(st.sampled_from(Encoding), st.lists(INDEX, min_size=1, max_size=3), st.booleans())


@dataclass(frozen=True)
class Post:
    """Publications of one kind."""

    count: int
    text: str
    tag: str
    delta: bool
    history: bool


POST = st.builds(
    Post,
    count=st.integers(1, 3),
    text=st.sampled_from(TEXTS),
    tag=st.sampled_from(["", "a", "b"]),
    delta=st.booleans(),
    history=st.sampled_from([True, True, True, False]),
)


class Mishap(Enum):
    """What happens now and then; only a broker that is not reliable fails and loses its store."""

    HISTORY_IS_REMOVED = auto()
    API_UNSUBSCRIBES = auto()
    CALL_FAILS = auto()
    STORE_IS_LOST = auto()


class RecoveryMachine(RuleBasedStateMachine):
    """Clients come, go and return while publications are under way."""

    @initialize(
        is_reliable=st.booleans(),
        channels=st.sampled_from([*((name,) for name in CHANNELS), CHANNELS]),
        arrivals=st.lists(ARRIVAL, min_size=1, max_size=CLIENTS),
    )
    def start(self, is_reliable: bool, channels: tuple[str, ...], arrivals: list[Arrival]) -> None:
        self.is_reliable = is_reliable  # then PUB/SUB is late at most, and nobody may be told of a loss
        self.channels = channels
        self.kinds = [kind for kind in KINDS if kind.channel in channels]
        self.loop = asyncio.new_event_loop()
        self.number = 0
        self.read_at = 0
        self.broker = UnreliableBroker(FakeClock())
        self.server = Server(config(CLIENT, namespaces=NAMESPACES), self.broker)
        self.clients = [
            SdkClient(
                self.server,
                self.broker,
                encoding,
                [self.kinds[number % len(self.kinds)] for number in numbers],
                pipelines=pipelines,
            )
            for encoding, numbers, pipelines in arrivals
        ]
        self.come_all()

    def run(self, step: Coroutine[Any, Any, None]) -> None:
        """Do one thing on the loop, and everything that follows from it without a wait."""

        async def whole() -> None:
            await step
            await settle()
            if self.number - self.read_at > UNREAD:
                self.read_at = self.number
                for client in self.clients:
                    client.read()
                await settle()

        self.loop.run_until_complete(whole())

    # -------------------------------------------------------------- clients

    @rule()
    def come_all(self) -> None:
        async def step() -> None:
            for client in self.clients:
                if client.far is None:
                    client.connect()

        self.run(step())

    @rule(index=INDEX)
    def come(self, index: int) -> None:
        async def step() -> None:
            away = [client for client in self.clients if client.far is None]
            if away:
                away[index % len(away)].connect()

        self.run(step())

    @rule()
    def read(self) -> None:
        async def step() -> None:
            for client in self.clients:
                client.read()

        self.run(step())

    @rule(index=INDEX, has_read=st.booleans(), returns=st.booleans())
    def drop(self, index: int, has_read: bool, returns: bool) -> None:
        async def step() -> None:
            client = self.client(index)
            if has_read:
                client.read()
            client.drop()
            if returns:
                client.connect()

        self.run(step())

    @rule(index=INDEX, number=INDEX)
    def unsubscribe(self, index: int, number: int) -> None:
        async def step() -> None:
            client = self.client(index)
            client.read()
            client.unsubscribe(self.sub(client, number))

        self.run(step())

    @rule(index=INDEX, number=INDEX, since=st.sampled_from(Since), or_fail=st.booleans())
    def subscribe_again(self, index: int, number: int, since: Since, or_fail: bool) -> None:
        async def step() -> None:
            client = self.client(index)
            client.read()
            sub = self.sub(client, number)
            if sub.is_on or sub.attempt:
                return
            sub.or_fail = or_fail
            sub.choose(since)
            client.subscribe(sub)

        self.run(step())

    # --------------------------------------------------------------- streams

    @rule(number=INDEX, post=POST)
    def publish(self, number: int, post: Post) -> None:
        self.run(self.post(self.channel(number), post))

    @rule(number=INDEX, post=POST)
    def publish_and_deliver(self, number: int, post: Post) -> None:
        async def step() -> None:
            await self.post(self.channel(number), post)
            self.broker.deliver_all()

        self.run(step())

    async def post(self, channel: str, post: Post) -> None:
        for _ in range(post.count):
            self.number += 1
            data = b'{"text":"%s","n":%d}' % (post.text.encode(), self.number)
            tags = {"k": post.tag} if post.tag else None
            await self.server.node.publish(channel, data, history=post.history, tags=tags, delta=post.delta)

    @rule(
        index=INDEX,
        number=INDEX,
        missed=POST,
        meanwhile=POST,
        hold=st.sampled_from([Hold.ANSWERS, Hold.ANSWERS, Hold.NOTHING]),
        lost=st.sampled_from([None, -1, -2, -3]),
        restarts=st.sampled_from([False, False, True]),
    )
    def miss_some_and_come_back(
        self,
        index: int,
        number: int,
        missed: Post,
        meanwhile: Post,
        hold: Hold,
        lost: int | None,
        restarts: bool,
    ) -> None:
        """A client comes back while publications arrive, and some do not; the other rules meet that seldom."""

        async def step() -> None:
            client = self.client(index)
            channel = self.sub(client, number).kind.channel
            client.read()
            client.drop()
            await self.post(channel, missed)
            self.broker.hold = hold
            client.connect()
            await settle()
            client.read()
            await settle()
            await self.let_some_go(MANY, reads=False)
            if restarts and not self.is_reliable:
                await self.broker.lose_store()
            await self.post(channel, meanwhile)
            if lost is not None and not self.is_reliable and len(self.broker.pipe) >= -lost:
                self.broker.lose(lost)
            self.broker.deliver_all()
            await self.catch_up()
            await settle()
            client.read()

        self.run(step())

    @rule(number=INDEX, missed=POST)
    def miss_some_together(self, number: int, missed: Post) -> None:
        async def step() -> None:
            for client in self.clients:
                client.read()
                client.drop()
            await self.post(self.channel(number), missed)
            for client in self.clients:
                client.connect()

        self.run(step())

    @rule(count=st.integers(1, 5))
    def deliver(self, count: int) -> None:
        async def step() -> None:
            for _ in range(min(count, len(self.broker.pipe))):
                self.broker.deliver()

        self.run(step())

    @rule(index=INDEX)
    def repeat(self, index: int) -> None:
        async def step() -> None:
            if self.broker.delivered:
                self.broker.repeat(-1 - index % len(self.broker.delivered))

        self.run(step())

    @precondition(lambda self: not self.is_reliable)
    @rule(index=INDEX)
    def lose(self, index: int) -> None:
        if self.broker.pipe:
            self.broker.lose(index % len(self.broker.pipe))

    # ---------------------------------------------------------------- engine

    @rule(hold=st.sampled_from(Hold))
    def hold(self, hold: Hold) -> None:
        self.broker.hold = hold

    @rule(count=st.integers(1, 3), fails=st.booleans())
    def let_go(self, count: int, fails: bool) -> None:
        self.run(self.let_some_go(count, fails=fails and not self.is_reliable))

    async def let_some_go(self, count: int, *, fails: bool = False, reads: bool = True) -> None:
        """The first *count* calls that wait go on, one after the other."""
        for _ in range(count):
            call = next((call for call in self.broker.waiting if reads or not call.is_read), None)
            if call is None:
                return
            self.broker.let_go(call, fails=fails)
            await settle()

    @rule(index=INDEX, number=INDEX, mishap=st.sampled_from(Mishap))
    def go_wrong(self, index: int, number: int, mishap: Mishap) -> None:
        """What happens now and then."""

        async def step() -> None:
            match mishap:
                case Mishap.HISTORY_IS_REMOVED:
                    await self.server.node.remove_history(self.channel(number))
                case Mishap.API_UNSUBSCRIBES:
                    client = self.client(index)
                    if client.far is not None:
                        channel = self.sub(client, number).kind.channel
                        await self.server.node.unsubscribe("", channel, client=client.far.id)
                case Mishap.CALL_FAILS if not self.is_reliable:
                    self.broker.failures = 1
                case Mishap.STORE_IS_LOST if not self.is_reliable:
                    await self.broker.lose_store()

        self.run(step())

    @rule(seconds=st.sampled_from([0, 0, 0, 1, 6, 12, 35]))
    def wait(self, seconds: int) -> None:
        async def step() -> None:
            if seconds and self.is_reliable:
                await self.catch_up()  # a publication that is under way for so long counts as lost
            await self.pass_time(seconds)

        self.run(step())

    async def pass_time(self, seconds: int) -> None:
        self.server.clock.advance(0)
        if seconds and self.is_reliable:
            self.broker.delivered.clear()  # nothing is repeated after so long that the stream may be another one
        for _ in range(seconds):
            self.broker.clock.advance(1)
            self.server.advance(1)
            await settle()

    async def catch_up(self) -> None:
        """PUB/SUB is no longer late, and no call waits."""
        self.broker.hold, self.broker.failures = Hold.NOTHING, 0
        while self.broker.waiting:
            await self.let_some_go(MANY)
        self.broker.deliver_all()

    # ------------------------------------------------------------ what holds

    @invariant()
    def nobody_is_told_of_a_loss_without_one(self) -> None:
        if hasattr(self, "server") and self.is_reliable:
            assert not any(client.losses for client in self.clients)

    @rule(chance=st.integers(0, 5))
    def everybody_is_level_when_all_is_calm(self, chance: int) -> None:
        if chance == 0:
            self.run(self.settle_down())

    async def settle_down(self) -> None:
        await self.catch_up()
        for _ in range(ROUNDS):
            while await self.exchange():
                pass
            await self.pass_time(LONG_ENOUGH)
            if not await self.exchange():
                break
        else:
            raise AssertionError("it never comes to rest")
        for client in self.clients:
            for sub in client.subs.values():
                if sub.is_wanted:
                    await self.check_level(sub)

    async def exchange(self) -> int:
        """Everybody who is away comes back, and reads; how much there was to do."""
        work = 0
        for client in self.clients:
            if client.lacks_something:
                client.drop()
            if client.far is None:
                client.connect()
                work += 1
            await settle()
            work += client.read()
        await self.pass_time(0)
        await settle()
        return work

    async def check_level(self, sub: Sub) -> None:
        assert sub.is_on
        if not sub.kind.positioned:
            return
        history = await self.broker.history(sub.kind.channel, HistoryFilter(), KEPT)
        assert sub.view is not None
        assert sub.view.epoch == history.position.epoch
        assert list(sub.view.missing(history.position.offset)) == []

    def teardown(self) -> None:
        if not hasattr(self, "server"):
            return
        try:
            self.run(self.settle_down())
            self.nobody_is_told_of_a_loss_without_one()
            self.run(self.leave_nothing())
        finally:
            self.server.lose_everybody()
            self.loop.close()

    async def leave_nothing(self) -> None:
        """Everybody goes, and nothing of them stays."""
        for client in self.clients:
            client.drop()
        self.server.turns.run()
        await settle()
        assert self.server.is_empty
        assert not self.server.node.subscriptions._catch_ups.count
        assert not self.broker.subscribed or self.broker.has_lost_unsubscribe
        for channel in CHANNELS:
            assert not await self.server.presence.presence(channel)
        await self.server.node.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    # ---------------------------------------------------------------- inside

    def channel(self, number: int) -> str:
        return self.channels[number % len(self.channels)]

    def client(self, index: int) -> SdkClient:
        return self.clients[index % len(self.clients)]

    def sub(self, client: SdkClient, number: int) -> Sub:
        return list(client.subs.values())[number % len(client.subs)]


TestRecovery = RecoveryMachine.TestCase
TestRecovery.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
