"""Who missed something is told; quiet channels are compared with the engine (client protocol 6.5)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from centrifast import errors, positions
from centrifast.channels import ChannelRules
from centrifast.client.state import State
from centrifast.config.schema import ChannelConfig, ChannelOptions
from centrifast.engine.contract import History, HistoryFilter, HistoryOptions
from centrifast.engine.memory import MemoryBroker
from centrifast.model import Publication, StreamPosition
from centrifast.protocol.wire import Encoding
from tests.client import conftest
from tests.client.conftest import Serve
from tests.client.fakes import NOW, OPEN, Far, Server, config, settle, subscribe, unsubscribe, unsubscribed
from tests.client.streams import EPOCH, POSITIONED, RECOVERABLE, offsets_of, positioned, recover
from tests.fakes import FakeClock

BOTH = pytest.mark.parametrize("encoding", Encoding)
LOST = unsubscribed("news", errors.UNSUBSCRIBE_INSUFFICIENT_STATE)

serve = conftest.serve


class WatchedBroker(MemoryBroker):
    """Notes reads of a position, and can lose streams, hold publications back, fail, or take its time."""

    def __init__(self) -> None:
        super().__init__(FakeClock(NOW))
        self.reads: list[str] = []
        self.failure: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.after_read: Callable[[], object] = lambda: None
        self.at_once = 0  # reads under way
        self.most_at_once = 0

    async def history(self, channel: str, wanted: HistoryFilter, options: HistoryOptions) -> History:
        self.reads.append(channel)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.failure is not None:
                raise self.failure
            history = await super().history(channel, wanted, options)
            self.after_read()
            return history
        finally:
            self.at_once -= 1

    def lose(self, channel: str) -> None:
        """The store forgets a stream."""
        del self._streams[channel]

    def hold_back(self) -> Callable[..., None]:
        """Publications are stored and not delivered; call the result to deliver those of a channel, up to a limit."""
        events, self._events = self._events, None
        assert events is not None

        def deliver(channel: str, limit: int = -1) -> None:
            for publication in self._streams[channel].read(HistoryFilter(limit=limit)):
                events.on_publication(channel, publication, StreamPosition(publication.offset, EPOCH), None)

        return deliver


def watching(test: Callable[[Server, WatchedBroker], Awaitable[None]], **options: Any) -> None:
    """Run *test* on a loop; nothing may be left over."""

    async def run() -> None:
        broker = WatchedBroker()
        server = Server(config(**({"options": POSITIONED} | options)), broker)
        try:
            await test(server, broker)
        finally:
            server.lose_everybody()
        await server.node.close()
        assert server.is_empty
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a task is left over"

    asyncio.run(run())


async def wait(server: Server, seconds: int) -> None:
    """Let time and every task go on."""
    for _ in range(seconds):
        server.advance(1)
        await settle()


def subscribed_to_news(server: Server, encoding: Encoding = Encoding.JSON) -> Far:
    client = server.connect(encoding)
    assert client.ask(subscribe(2, "news")) == [positioned(2, 0)]
    return client


# ------------------------------------------------------------------ quiet channels


@BOTH
def test_who_is_in_a_stream_that_was_lost_is_told_though_nothing_comes(encoding: Encoding) -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server, encoding)
        server_side = server.connect(encoding, sub="42", channels=["news"])
        broker.lose("news")
        await wait(server, 39)
        assert client.received() == []
        await wait(server, 3)
        assert client.received() == [LOST]
        assert server_side.closed_with == errors.INSUFFICIENT_STATE
        assert client.ask(subscribe(3, "news")) == [positioned(3, 0, epoch="aaaaaaac")]
        await wait(server, 100)
        assert client.received() == []

    watching(test)


def test_an_epoch_whose_life_is_over_is_noticed() -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server)
        broker._clock.advance(20)  # type: ignore[attr-defined]
        await wait(server, 42)
        assert client.received() == [LOST]

    watching(test, options=replace(POSITIONED, history_ttl=10.0, history_meta_ttl=20.0))


def test_who_agrees_with_the_engine_is_left_alone_and_looked_at_again() -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server)
        broker.reads.clear()
        await wait(server, 130)
        assert client.received() == []
        assert broker.reads == ["news"] * 3

    watching(test)


def test_after_an_interruption_everybody_is_looked_at_soon() -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server)
        broker.lose("news")
        server.node.subscriptions.on_interrupted(["news", "nobody's"])
        await wait(server, 3)
        assert client.received() == [LOST]

    watching(test)


def test_after_an_interruption_those_who_missed_nothing_are_left_alone() -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server)
        broker.reads.clear()
        for _ in range(3):
            server.node.subscriptions.on_interrupted(["news"])
        await wait(server, 30)
        assert broker.reads == ["news"]
        await wait(server, 12)
        assert broker.reads == ["news"] * 2
        assert client.received() == []

    watching(test)


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError()])
def test_after_an_interruption_looks_are_repeated_until_the_engine_answers(failure: Exception) -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server)
        broker.lose("news")
        broker.failure = failure
        server.node.subscriptions.on_interrupted(["news"])
        await wait(server, 5)
        assert client.received() == []
        broker.failure = None
        await wait(server, 3)
        assert client.received() == [LOST]

    watching(test)


def test_while_the_engine_is_away_few_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        monkeypatch.setattr(positions, "POSITION_CHECKS_AT_ONCE", 2)
        monkeypatch.setattr(positions, "POSITION_LOOKS_AT_ONCE", 3)
        client = server.connect()
        names = [f"news{number}" for number in range(10)]
        for number, name in enumerate(names, 2):
            client.ask(subscribe(number, name))
        broker.reads.clear()
        broker.failure = ConnectionError("away")
        server.node.subscriptions.on_interrupted(names)
        await wait(server, 1)
        assert len(broker.reads) == 4
        await wait(server, 2)
        assert sorted(broker.reads) == names  # each has had its turn before any has another
        broker.failure = None
        broker.reads.clear()
        await wait(server, 2)
        assert sorted(broker.reads) == names

    watching(test)


def test_a_stream_that_has_gone_back_is_lost_even_if_it_catches_up_at_once() -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server)
        server.node.hub.channels["news"].place(1, EPOCH)  # something came by that the store has not kept
        broker.reads.clear()
        server.node.subscriptions.on_interrupted(["news"])
        while not broker.reads:
            await wait(server, 1)
        server.publish("news", b"1")
        server.publish("news", b"2")
        await wait(server, 5)
        assert client.received() == [LOST]

    watching(test)


@BOTH
def test_when_a_stream_goes_back_all_who_follow_it_are_told(encoding: Encoding) -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server, encoding)
        server_side = server.connect(encoding, sub="42", channels=["news"])
        for name in ("nobody's", "news"):
            server.node.subscriptions.on_rewound(name)
        server.publish("news", b"1")
        await settle()
        assert client.received() == [LOST]
        assert server_side.closed_with == errors.INSUFFICIENT_STATE

    watching(test)


def test_who_reads_a_stream_while_it_goes_back_must_come_back() -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        subscribed_to_news(server)
        server.publish("news", b"1")
        client = server.connect()
        broker.gate = asyncio.Event()
        client.send(subscribe(2, "news"))
        await settle()
        events = server.node.subscriptions
        for offset in (2, 3):  # which the store loses
            events.on_publication("news", Publication(b"x", offset), StreamPosition(offset, EPOCH), None)
        events.on_rewound("news")
        broker.gate.set()
        await settle()
        assert client.closed_with == errors.INSUFFICIENT_STATE

    watching(test)


def test_one_look_serves_all_subscribers_of_a_channel() -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        clients = [subscribed_to_news(server) for _ in range(3)]
        broker.reads.clear()
        await wait(server, 42)
        assert broker.reads == ["news"]
        broker.lose("news")
        await wait(server, 43)
        assert [client.received() for client in clients] == [[LOST]] * 3

    watching(test)


def test_a_publication_is_as_good_as_a_look() -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server)
        broker.reads.clear()
        for _ in range(5):
            await wait(server, 30)
            server.publish("news", b"1")
        assert broker.reads == []
        assert offsets_of(client.received()) == [1, 2, 3, 4, 5]

    watching(test)


def test_a_publication_on_its_way_is_no_loss() -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server)
        broker.reads.clear()
        deliver = broker.hold_back()
        server.publish("news", b"1")
        while not broker.reads:
            await wait(server, 1)
        deliver("news")
        await wait(server, 2)
        assert broker.reads == ["news"]
        assert offsets_of(client.received()) == [1]
        assert client.session.subscriptions

    watching(test)


def test_a_publication_that_comes_while_the_engine_answers_is_no_loss() -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server)
        broker.after_read = lambda: server.publish("news", b"1")
        await wait(server, 45)
        assert offsets_of(client.received()) == [1]
        await wait(server, 45)
        assert offsets_of(client.received()) == [2]

    watching(test)


def test_what_comes_between_two_looks_shows_that_nothing_is_missing() -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server)
        broker.reads.clear()
        deliver = broker.hold_back()
        server.publish("news", b"1")
        while not broker.reads:
            await wait(server, 1)
        server.publish("news", b"2")
        deliver("news", limit=1)
        await wait(server, 10)
        assert offsets_of(client.received()) == [1]
        deliver("news")
        assert offsets_of(client.received()) == [2]

    watching(test)


def test_a_publication_that_never_arrives_is_one() -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server)
        broker.hold_back()
        server.publish("news", b"1")
        await wait(server, 42)
        assert client.received() == [LOST]

    watching(test)


@pytest.mark.parametrize("options", [ChannelOptions(), None])
def test_a_reload_that_takes_history_or_namespace_away_is_no_loss(
    options: ChannelOptions | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server)
        broker.lose("news")
        rules = server.node.rules
        server.node.rules = ChannelRules(
            ChannelConfig(without_namespace=options)
            if options is not None
            else ChannelConfig(namespace_boundary="ew")  # so "news" is in a namespace that does not exist
        )
        await wait(server, 60)
        assert client.received() == []
        assert caplog.text == ""
        server.node.rules = rules
        await wait(server, 60)
        assert client.received() == [LOST]

    watching(test)


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError()])
def test_an_engine_that_is_away_is_asked_again_later(failure: Exception) -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server)
        broker.lose("news")
        broker.failure = failure
        await wait(server, 60)
        assert client.received() == []
        broker.failure = None
        await wait(server, 30)
        assert client.received() == [LOST]

    watching(test)


def test_a_bug_of_the_engine_is_logged_and_the_channel_is_looked_at_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client = subscribed_to_news(server)
        broker.lose("news")
        broker.failure = ZeroDivisionError()
        await wait(server, 42)
        assert "position check failed" in caplog.text
        broker.failure = None
        await wait(server, 43)
        assert client.received() == [LOST]

    watching(test)


def test_channels_without_positioned_subscribers_are_not_looked_at() -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        client, plain = server.connect(), server.connect()
        client.ask(subscribe(2, "news", positioned=True), subscribe(3, "gone", positioned=True))
        plain.ask(subscribe(2, "news"))
        client.ask(unsubscribe(4, "news"), unsubscribe(5, "gone"))
        broker.reads.clear()
        await wait(server, 42)
        assert broker.reads == []
        client.ask(subscribe(6, "news", positioned=True))
        broker.reads.clear()
        await wait(server, 42)
        assert broker.reads == ["news"]

    watching(test, options=replace(POSITIONED, force_positioning=False, allow_positioning=True))


@pytest.mark.parametrize("delay", [0.0, -1.0])
def test_looking_can_be_switched_off(serve: Serve, delay: float) -> None:
    server = serve(config({"channel_position_check_delay": delay}, options=POSITIONED))
    client = server.connect()
    timers = server.clock.timers
    client.ask(subscribe(2, "news"))
    server.advance(120)
    assert client.received() == []
    assert server.clock.timers == timers
    assert not server.node._watch._due, "what nobody looks at would be kept for ever"


def test_no_turn_of_the_loop_looks_at_too_many_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "POSITION_LOOKS_AT_ONCE", 2)

    async def test(server: Server, broker: WatchedBroker) -> None:
        client = server.connect()
        names = [f"room{number}" for number in range(9)]
        client.ask(*(subscribe(2, name) for name in names))
        for name in names[:-1]:
            server.publish(name, b"1")  # as good as a look
        broker.reads.clear()
        server.advance(42)
        assert broker.reads == []
        await settle()
        assert broker.reads == names[-1:]

    watching(test)


def test_many_streams_that_were_lost_are_noticed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "POSITION_CHECKS_AT_ONCE", 2)

    async def test(server: Server, broker: WatchedBroker) -> None:
        client = server.connect()
        names = [f"room{number}" for number in range(9)]
        client.ask(*(subscribe(2, name) for name in names))
        for name in names:
            broker.lose(name)
        await wait(server, 44)
        told = [unsubscribed(name, errors.UNSUBSCRIBE_INSUFFICIENT_STATE) for name in names]
        assert client.received() == told

    watching(test)


def test_many_channels_are_looked_at_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "POSITION_CHECKS_AT_ONCE", 2)

    async def test(server: Server, broker: WatchedBroker) -> None:
        client = server.connect()
        client.ask(*(subscribe(2 + number, f"room{number}") for number in range(5)))
        broker.reads.clear()
        broker.most_at_once = 0
        broker.lose("room3")
        broker.gate = asyncio.Event()
        await wait(server, 45)  # the next ticks begin no second look
        assert broker.reads == ["room0", "room1"]
        broker.gate.set()
        await wait(server, 3)
        assert broker.most_at_once == 2
        assert sorted(broker.reads) == ["room0", "room1", "room2", "room3", "room3", "room4"]
        assert client.received() == [unsubscribed("room3", errors.UNSUBSCRIBE_INSUFFICIENT_STATE)]

    watching(test)


def test_closing_ends_a_look() -> None:
    async def test(server: Server, broker: WatchedBroker) -> None:
        subscribed_to_news(server)
        broker.gate = asyncio.Event()
        await wait(server, 42)
        assert broker.at_once == 1
        await server.node.close()
        assert broker.at_once == 0

    watching(test)


# ------------------------------------------------------------------ telling


@BOTH
def test_a_gap_is_told_and_the_client_comes_back_with_recovery(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=RECOVERABLE))
    client, server_side = server.connect(encoding), server.connect(encoding, sub="42", channels=["news"])
    client.ask(subscribe(2, "news"))
    events = server.node.subscriptions
    server.publish("news", b"1")
    server.publish("other", b"2")
    for offset in (3, 4):
        events.on_publication("news", Publication(b"1", offset), StreamPosition(offset, EPOCH), None)
    assert offsets_of(client.received()) == [1]
    server.clock.advance(0)
    assert client.received() == [LOST]
    assert server_side.closed_with == errors.INSUFFICIENT_STATE
    (reply,) = client.ask(recover(3, 0))
    assert reply.subscribe is not None
    assert reply.subscribe.recovered
    server.publish("news", b"2")
    assert offsets_of(client.received()) == [2]


def test_many_are_told_some_at_a_time(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "LOST_BATCH", 2)
    server = serve(config(options=POSITIONED))
    clients = []
    for number in range(5):
        client = server.connect(list(Encoding)[number % 2])
        client.ask(subscribe(2, "news"))
        clients.append(client)
    turns: list[Callable[[], None]] = []
    monkeypatch.setattr(server.clock, "call_later", lambda delay, callback: turns.append(callback))
    positions.lose_all(server.hub.channels["news"])
    server.node._losses.add(server.hub.channels["news"])
    server.node._losses.add(server.hub.channels["news"])
    told = []
    while turns:
        turns.pop(0)()
        told.append(sum("news" not in client.session.subscriptions for client in clients))
    assert told[0] == 2
    assert told[1] == 4
    assert told[-1] == 5
    assert [client.received() for client in clients] == [[LOST]] * 5


def test_many_who_can_not_be_given_what_is_no_json_end_some_at_a_time(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "LOST_BATCH", 2)
    server = serve(config(options=replace(OPEN, join_leave=True)))
    clients = [server.subscriber("news") for _ in range(5)]
    takes_all = server.subscriber("news", Encoding.PROTOBUF)
    turns: list[Callable[[], None]] = []
    monkeypatch.setattr(server.clock, "call_later", lambda delay, callback: turns.append(callback))
    for data in (b"\xff", b"1", b"\xff"):
        server.publish("news", data)
    ended = [sum(client.closed_with is not None for client in clients)]
    while turns:
        turns.pop(0)()
        ended.append(sum(client.closed_with is not None for client in clients))
    assert ended[:2] == [2, 4]
    assert [client.closed_with for client in clients] == [errors.INAPPROPRIATE_PROTOCOL] * 5
    assert [client.received() for client in clients] == [[]] * 5
    assert len(takes_all.received()) == 3


def test_a_bug_at_one_end_keeps_nobody_from_being_told(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "LOST_BATCH", 2)
    server = serve()
    clients = [server.subscriber("news") for _ in range(5)]

    def close(code: int, reason: bytes, flush: bool = True) -> None:
        raise KeyError(code)

    monkeypatch.setattr(clients[0].transport, "close", close)
    with pytest.raises(KeyError):
        server.publish("news", b"\xff")
    server.clock.advance(0)
    assert [client.session.state for client in clients] == [State.CLOSED] * 5


def test_who_has_left_or_come_back_meanwhile_is_not_told(serve: Serve) -> None:
    server = serve(config(options=POSITIONED))
    leaves, returns, stays = server.connect(), server.connect(), server.connect()
    for client in (leaves, returns, stays):
        client.ask(subscribe(2, "news"))
    positions.lose_all(server.hub.channels["news"])
    server.node._losses.add(server.hub.channels["news"])
    leaves.ask(unsubscribe(3, "news"))
    returns.ask(unsubscribe(3, "news"))
    returns.ask(subscribe(4, "news"))
    server.clock.advance(0)
    assert (leaves.received(), returns.received(), stays.received()) == ([], [], [LOST])
    server.publish("news", b"1")
    assert offsets_of(returns.received()) == [1]


def test_after_closing_nobody_is_told(serve: Serve) -> None:
    server = serve(config(options=POSITIONED))
    client = server.connect()
    client.ask(subscribe(2, "news"))
    positions.lose_all(server.hub.channels["news"])
    server.node._losses.add(server.hub.channels["news"])
    server.node._losses.close()
    server.clock.advance(0)
    assert client.received() == []


def test_plain_subscribers_lose_nothing(serve: Serve) -> None:
    server = serve(config(options=OPEN))
    client = server.subscriber("news")
    positions.lose_all(server.hub.channels["news"])
    server.publish("news", b"1")
    assert len(client.received()) == 1


@BOTH
def test_publications_that_were_under_way_for_too_long_are_a_loss(serve: Serve, encoding: Encoding) -> None:
    server = serve(config({"channel_position_max_time_lag": 5.0}, options=POSITIONED))
    client = server.connect(encoding)
    client.ask(subscribe(2, "news"))
    server.publish("news", b"1")
    assert offsets_of(client.received()) == [1]
    late = Publication(b"2", 2, time_ms=(NOW - 6) * 1000)
    server.node.subscriptions.on_publication("news", late, StreamPosition(2, EPOCH), None)
    server.clock.advance(0)
    assert client.received() == [LOST]
