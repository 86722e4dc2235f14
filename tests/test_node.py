"""The node: who is let in, the server's API on local connections, and the engine kept in step with the hub."""

import asyncio
import logging

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from msgspec import Raw

from centrifast import __version__, errors
from centrifast.config.schema import Namespace
from centrifast.engine.contract import NO_HISTORY, HistoryOptions, PublishOptions, PublishResult
from centrifast.engine.memory import MemoryBroker
from centrifast.errors import ClientError, ErrorCode
from centrifast.model import NO_POSITION, ClientInfo, Publication
from centrifast.node import RateLimit, to_wire
from centrifast.protocol.wire import NO_DATA, Encoding, Info, Pub, Push, Reply, Subscribe
from tests.client import conftest
from tests.client.conftest import Serve
from tests.client.fakes import (
    NOW,
    Far,
    Server,
    SlowBroker,
    config,
    done,
    publication,
    settle,
    subscribe,
    subscribed,
    token,
    unsubscribe,
    unsubscribed,
    with_slow_broker,
)
from tests.fakes import FakeClock

BOTH = pytest.mark.parametrize("encoding", Encoding)

serve, server = conftest.serve, conftest.server


def pushed(channel: str, data: bytes = b"") -> Reply:
    """The push that tells of a server-side subscription."""
    return Reply(push=Push(channel=channel, subscribe=Subscribe(data=Raw(data) if data else NO_DATA)))


def refusal(coroutine: object) -> ErrorCode:
    with pytest.raises(ClientError) as raised:
        done(coroutine)
    return raised.value.error


# ------------------------------------------------------------------ connections


def test_the_connection_limit_counts_those_who_have_connected(serve: Serve) -> None:
    server = serve(config({"connection_limit": 2}))
    server.open()
    server.open()
    client = server.connect()
    assert server.node.admits_connection()
    server.connect()
    assert not server.node.admits_connection()
    client.vanish()
    assert server.node.admits_connection()


def test_the_connection_limit_is_logged_once_per_interval(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(config({"connection_limit": 1}))
    server.connect()
    with caplog.at_level(logging.WARNING, "centrifast"):
        for _ in range(3):
            assert not server.node.admits_connection()
        server.advance(2.5)
        assert not server.node.admits_connection()
        assert len(caplog.records) == 1
        server.advance(1)
        assert not server.node.admits_connection()
        assert len(caplog.records) == 2


def test_the_connection_rate_is_limited(serve: Serve) -> None:
    server = serve(config({"connection_rate_limit": 2}))
    assert [server.node.admits_connection() for _ in range(3)] == [True, True, False]
    server.clock.advance(0.5)
    assert [server.node.admits_connection() for _ in range(2)] == [True, False]
    server.clock.advance(60)
    assert [server.node.admits_connection() for _ in range(3)] == [True, True, False]


def test_no_rate_no_limit() -> None:
    limit = RateLimit(0, 1000.0)
    assert all(limit.take(1000.0) for _ in range(100))


# ------------------------------------------------------------------ channels


def test_data_is_checked_by_the_channels_own_rules(serve: Serve) -> None:
    objects = Namespace(name="objects", publication_data_format="json_object")
    node = serve(config(namespaces=(objects,))).node
    options = node.channel_options("objects:1")
    assert options is objects
    assert node.check_data(options, b"{}")
    assert not node.check_data(options, b"[]")


# ------------------------------------------------------------------ publications


class RecordingBroker(MemoryBroker):
    """Keeps the options of every publication."""

    def __init__(self) -> None:
        super().__init__(FakeClock(NOW))
        self.options: list[PublishOptions] = []

    async def publish(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        self.options.append(options)
        return await super().publish(channel, data, options)


KEPT = Namespace(name="kept", history_size=10, history_ttl=60.0)
KEPT_LONGER = Namespace(name="longer", history_size=10, history_ttl=60.0, history_meta_ttl=3600.0)


@pytest.mark.parametrize(
    ("channel", "history", "expected"),
    [
        ("news", True, NO_HISTORY),
        ("kept:1", True, HistoryOptions(10, 60.0, 720 * 3600.0)),
        ("kept:1", False, NO_HISTORY),
        ("longer:1", True, HistoryOptions(10, 60.0, 3600.0)),
        ("half:1", True, NO_HISTORY),
        ("nowhere:1", False, NO_HISTORY),
    ],
)
def test_history_is_kept_as_the_namespace_says(channel: str, history: bool, expected: HistoryOptions) -> None:
    broker = RecordingBroker()
    half = Namespace(name="half", history_size=10)
    server = Server(config(namespaces=(KEPT, KEPT_LONGER, half)), broker)
    for _ in range(2):
        done(server.node.publish(channel, b"1", history=history))
    assert [options.history for options in broker.options] == [expected, expected]
    server.close()


def test_publish_passes_everything_on() -> None:
    broker = RecordingBroker()
    server = Server(config(namespaces=(KEPT,)), broker)
    info = ClientInfo("42", "c")
    result = done(
        server.node.publish(
            "kept:1",
            b"1",
            tags={"a": "b"},
            idempotency_key="k",
            version=7,
            version_epoch="e",
            info=info,
        )
    )
    assert result.position.offset == 1
    (options,) = broker.options
    assert options == PublishOptions(
        HistoryOptions(10, 60.0, 720 * 3600.0), info, {"a": "b"}, "k", version=7, version_epoch="e"
    )
    server.close()


def test_publishing_to_an_unknown_namespace_is_refused(server: Server) -> None:
    assert refusal(server.node.publish("nowhere:1", b"1")) == errors.UNKNOWN_CHANNEL


@BOTH
def test_a_publication_reaches_every_subscriber_with_all_it_has(serve: Serve, encoding: Encoding) -> None:
    kept = Namespace(name="kept", history_size=10, history_ttl=60.0, allow_subscribe_for_client=True)
    server = serve(config(namespaces=(kept,)))
    clients = [server.subscriber("kept:1", encoding, sub="42") for _ in range(3)]
    done(server.node.publish("kept:1", b"1", tags={"a": "b"}))
    done(server.node.publish("kept:1", b"2", history=False))
    for client in clients:
        first, second = client.received()
        assert first.push is not None
        assert first.push.pub is not None
        assert (first.push.pub.offset, len(first.push.pub.epoch), first.push.pub.tags) == (1, 8, {"a": "b"})
        assert second == publication("kept:1", b"2")


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (Publication(b"1"), Pub(data=Raw(b"1"))),
        (Publication(b"1", 1, epoch="abc", tags={}), Pub(data=Raw(b"1"), offset=1, epoch="abc")),
        (Publication(b"1", 2, epoch="abc", time_ms=7), Pub(data=Raw(b"1"), offset=2)),
        (
            Publication(b"1", info=ClientInfo("u", "c", b"3", b"4")),
            Pub(data=Raw(b"1"), info=Info("u", "c", Raw(b"3"), Raw(b"4"))),
        ),
    ],
)
def test_the_epoch_is_told_with_the_first_offset_only(given: Publication, seen: Pub) -> None:
    assert to_wire(given) == seen


def test_a_publication_for_a_channel_nobody_has_is_harmless(server: Server) -> None:
    server.node.on_publication("news", Publication(b"1"), NO_POSITION, None)


# ------------------------------------------------------------------ subscribe by the API


@BOTH
def test_every_connection_of_the_user_is_subscribed_and_told(server: Server, encoding: Encoding) -> None:
    clients = [server.connect(encoding, sub="42") for _ in range(2)]
    other = server.connect(encoding, sub="43")
    done(server.node.subscribe("42", "$closed", info=b"1", data=b"2"))
    server.publish("$closed", b"3")
    for client in clients:
        assert client.received() == [pushed("$closed", b"2"), publication("$closed", b"3")]
        assert client.session.info("$closed").chan_info == b"1"
    assert other.received() == []


def test_one_connection_can_be_named_but_only_under_its_user(server: Server) -> None:
    first, second = server.connect(sub="42"), server.connect(sub="42")
    done(server.node.subscribe("42", "a", client=first.id))
    done(server.node.subscribe("43", "b", client=first.id))
    done(server.node.subscribe("42", "c", session="some"))
    assert first.received() == [pushed("a")]
    assert second.received() == []


def test_who_is_subscribed_already_is_told_again_and_gets_publications_once(server: Server) -> None:
    client = server.subscriber("news", sub="42")
    done(server.node.subscribe("42", "news"))
    server.publish("news", b"1")
    assert client.received() == [pushed("news"), publication("news", b"1")]


def test_a_connection_at_its_channel_limit_is_closed_and_the_call_succeeds(serve: Serve) -> None:
    server = serve(config({"channel_limit": 1}))
    full, free = server.subscriber("a", sub="42"), server.connect(sub="42")
    done(server.node.subscribe("42", "b"))
    assert full.closed_with == errors.CHANNEL_LIMIT
    assert free.received() == [pushed("b")]


def test_an_unknown_namespace_is_refused_even_if_nobody_is_there(server: Server) -> None:
    assert refusal(server.node.subscribe("42", "nowhere:1")) == errors.UNKNOWN_CHANNEL
    assert refusal(server.node.unsubscribe("42", "nowhere:1")) == errors.UNKNOWN_CHANNEL


@pytest.mark.parametrize("expire_at", [NOW, NOW - 1])
def test_an_expiration_in_the_past_is_an_error_only_if_somebody_is_there(
    server: Server, expire_at: int
) -> None:
    done(server.node.subscribe("42", "news", expire_at=expire_at))
    client = server.connect(sub="42")
    assert refusal(server.node.subscribe("42", "news", expire_at=expire_at)) == errors.INTERNAL
    assert client.received() == []


# ------------------------------------------------------------------ unsubscribe and disconnect by the API


@BOTH
def test_whoever_was_subscribed_is_unsubscribed_and_told(server: Server, encoding: Encoding) -> None:
    own = server.subscriber("news", encoding, sub="42")
    given = server.connect(encoding, sub="42", channels=["news"])
    without = server.connect(encoding, sub="42")
    other = server.subscriber("news", encoding, sub="43")
    server.publish("news", b"1")
    done(server.node.unsubscribe("42", "news"))
    server.publish("news", b"2")
    for client in (own, given):
        assert client.received() == [
            publication("news", b"1"),
            unsubscribed("news", errors.SERVER_UNSUBSCRIBE),
        ]
    assert without.received() == []
    assert other.received() == [publication("news", b"1"), publication("news", b"2")]
    assert own.ask(subscribe(3, "news")) == [subscribed(3)]


def test_unsubscribe_reaches_only_the_connection_that_is_named(server: Server) -> None:
    first, second = (server.subscriber("news", sub="42") for _ in range(2))
    done(server.node.unsubscribe("42", "news", client=first.id))
    done(server.node.unsubscribe("42", "news", session="some"))
    assert first.received() == [unsubscribed("news", errors.SERVER_UNSUBSCRIBE)]
    assert second.received() == []


def test_disconnect_ends_the_users_connections_but_the_whitelisted(server: Server) -> None:
    first, second, third = (server.connect(sub="42") for _ in range(3))
    other = server.connect(sub="43")
    done(server.node.disconnect("42", client=third.id, disconnect=errors.FORCE_RECONNECT))
    done(server.node.disconnect("42", session="some", disconnect=errors.FORCE_DISCONNECT))
    done(server.node.disconnect("42", whitelist=[second.id], disconnect=errors.FORCE_DISCONNECT))
    closed = [client.closed_with for client in (first, second, third, other)]
    assert closed == [errors.FORCE_DISCONNECT, None, errors.FORCE_RECONNECT, None]


def test_all_anonymous_connections_are_one_user(server: Server) -> None:
    clients = [server.connect() for _ in range(2)]
    done(server.node.disconnect("", disconnect=errors.FORCE_DISCONNECT))
    assert [client.closed_with for client in clients] == [errors.FORCE_DISCONNECT] * 2


# ------------------------------------------------------------------ what there is


def test_channels_with_their_subscribers(server: Server) -> None:
    for channel in ("news", "news", "chat-1"):
        server.subscriber(channel)
    server.connect(channels=["chat-2"])
    assert done(server.node.channels("")) == {"news": 2, "chat-1": 1, "chat-2": 1}
    assert done(server.node.channels("chat-*")) == {"chat-1": 1, "chat-2": 1}
    assert done(server.node.channels("*x*")) == {}


def test_the_node_in_numbers(server: Server) -> None:
    server.subscriber("a", sub="42")
    server.subscriber("a", sub="42")
    server.subscriber("b")
    server.open()
    server.clock.advance(7.9)
    (info,) = done(server.node.info())
    assert (info.uid, info.name, info.version) == (server.node.uid, "test", __version__)
    assert (info.num_clients, info.num_users, info.num_subs, info.num_channels) == (3, 2, 3, 2)
    assert info.uptime == 7


# ------------------------------------------------------------------ the engine kept in step with the hub


def test_the_engine_is_asked_for_the_first_and_told_of_the_last_subscriber() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second = server.connect(), server.connect()
        first.send(subscribe(2, "news"))
        await broker.let_go("subscribe news")
        assert second.ask(subscribe(2, "news")) == [subscribed(2)]
        first.ask(unsubscribe(3, "news"))
        assert broker.asked == []
        second.ask(unsubscribe(3, "news"))
        await broker.let_go("unsubscribe news")
        assert broker.done == ["subscribe news", "unsubscribe news"]

    with_slow_broker(test)


async def _subscribe(client: Far, broker: SlowBroker) -> None:
    client.send(subscribe(2, "news"))
    await broker.let_go("subscribe news")
    assert client.received() == [subscribed(2)]


def test_who_comes_while_the_last_one_is_leaving_waits_for_both_requests() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second = server.connect(), server.connect()
        await _subscribe(first, broker)
        first.vanish()
        second.send(subscribe(2, "news"))
        assert broker.asked == ["unsubscribe news"]
        await broker.let_go("unsubscribe news")
        assert broker.asked == ["subscribe news"]
        assert second.received() == []
        await broker.let_go("subscribe news")
        broker.deliver("news", b"1")
        assert second.received() == [subscribed(2), publication("news", b"1")]

    with_slow_broker(test)


def test_who_comes_and_goes_while_the_last_one_is_leaving_costs_no_request() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second = server.connect(), server.connect()
        await _subscribe(first, broker)
        first.vanish()
        second.send(subscribe(2, "news"))
        second.vanish()
        await broker.let_go("unsubscribe news")
        assert broker.done == ["subscribe news", "unsubscribe news"]

    with_slow_broker(test)


def test_requests_about_different_channels_do_not_wait_for_each_other() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second = server.connect(), server.connect()
        first.send(subscribe(2, "a"))
        second.send(subscribe(2, "b"))
        assert broker.asked == ["subscribe a", "subscribe b"]
        await broker.let_go("subscribe b")
        assert second.received() == [subscribed(2)]

    with_slow_broker(test)


def test_a_channel_that_a_connect_holds_is_kept_until_it_is_answered() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        held, other = server.open(), server.connect()
        held.write(b'{"id":1,"connect":{"token":"%s"}}' % token(channels=["news", "b"]).encode())
        await broker.let_go("subscribe news")
        other.send(subscribe(2, "news"))
        while "subscribe news" in broker.asked:  # asked a second time, which is harmless
            await broker.let_go("subscribe news")
        other.vanish()
        await settle()
        assert broker.asked == ["subscribe b"]
        await broker.let_go("subscribe b")
        broker.deliver("news", b"1")
        assert held.received()[1:] == [publication("news", b"1")]

    with_slow_broker(test)


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError()])
def test_an_unsubscribe_that_fails_is_logged_and_the_channel_can_be_had_again(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        await _subscribe(client, broker)
        client.ask(unsubscribe(3, "news"))
        await broker.let_go("unsubscribe news", failure)
        assert "unsubscribe failed" in caplog.text
        broker.subscribed.clear()
        client.send(subscribe(4, "news"))
        await broker.let_go("subscribe news")
        assert client.received() == [subscribed(4)]

    with_slow_broker(test)


def test_after_a_subscribe_that_failed_the_channel_can_be_had() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second, third = (server.connect() for _ in range(3))
        first.send(subscribe(2, "news"))
        second.send(subscribe(2, "news"))
        await broker.let_go("subscribe news", ConnectionError("away"))
        assert (first.closed_with, second.closed_with) == (errors.INTERNAL_SERVER_ERROR,) * 2
        third.send(subscribe(2, "news"))
        await broker.let_go("unsubscribe news")
        await broker.let_go("subscribe news")
        assert third.received() == [subscribed(2)]

    with_slow_broker(test)


def test_a_second_request_that_fails_with_nobody_left_is_taken_back() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        held, other = server.open(), server.connect(sub="42")
        held.write(b'{"id":1,"connect":{"token":"%s"}}' % token(channels=["news", "b"]).encode())
        await broker.let_go("subscribe news")
        other.send(subscribe(2, "news"))
        held.vanish()
        await server.node.unsubscribe("42", "news")
        await broker.let_go("subscribe news", ConnectionError("away"))
        await broker.let_go("unsubscribe news")
        assert "news" not in broker.subscribed

    with_slow_broker(test)


def test_the_apis_subscribe_fails_when_the_engine_is_away_and_the_connection_lives() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(sub="42")
        call = asyncio.create_task(server.node.subscribe("42", "news"))
        await settle()
        await broker.let_go("subscribe news", ConnectionError("away"))
        with pytest.raises(ClientError, match="internal"):
            await call
        assert client.received() == []
        assert client.closed_with is None
        assert not client.session.subscriptions

    with_slow_broker(test)


def test_a_cancelled_call_of_the_api_leaves_nothing_behind() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(sub="42")
        call = asyncio.create_task(server.node.subscribe("42", "news"))
        await settle()
        call.cancel()
        await settle()
        assert not client.session.subscriptions

    with_slow_broker(test)


def test_a_connection_that_goes_while_the_api_subscribes_it_is_passed_over() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second = server.connect(sub="42"), server.connect(sub="42")
        call = asyncio.create_task(server.node.subscribe("42", "news"))
        await settle()
        for client in (first, second):
            if client.session.subscriptions:
                client.vanish()
        await broker.let_go("subscribe news")
        while broker.waiting:
            await broker.let_go(str(broker.waiting[0]))
        await call
        (left,) = server.hub.sessions_of("42")
        assert list(left.subscriptions) == ["news"]
        assert dict(server.hub.subscriber_counts()) == {"news": 1}

    with_slow_broker(test)


def test_a_connection_that_goes_before_its_turn_in_the_apis_subscribe_is_left_alone() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        clients = [server.connect(sub="42") for _ in range(3)]
        call = asyncio.create_task(server.node.subscribe("42", "news"))
        await settle()
        gone = [client for client in clients if not client.session.subscriptions]
        for client in gone:
            client.vanish()
        await broker.let_go("subscribe news")
        await call
        assert not any(client.session.subscriptions for client in gone)

    with_slow_broker(test)


def test_the_apis_unsubscribe_overtakes_its_own_subscribe_that_waits() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(sub="42")
        call = asyncio.create_task(server.node.subscribe("42", "news"))
        await settle()
        await server.node.unsubscribe("42", "news")
        await broker.let_go("subscribe news")
        await broker.let_go("unsubscribe news")
        await call
        assert client.received() == [unsubscribed("news", errors.SERVER_UNSUBSCRIBE)]
        assert not server.hub.channels

    with_slow_broker(test)


def test_closing_the_node_stops_what_it_still_asks() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(subscribe(2, "news"))
        client.vanish()
        await server.node.close()
        assert broker.asked == []

    with_slow_broker(test)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["subscribe", "unsubscribe", "vanish"]), st.integers(0, 2), st.sampled_from("ab")
        ),
        st.tuples(st.sampled_from(["api subscribe", "api unsubscribe"]), st.just(0), st.sampled_from("ab")),
        st.tuples(st.just("publish"), st.just(0), st.sampled_from("ab")),
        st.tuples(st.sampled_from(["let go", "let go", "fail"]), st.integers(0, 3), st.just("")),
    ),
    max_size=40,
)


class Story:
    """Clients of one user, and calls of the API, in any order, over a broker that answers when it likes."""

    def __init__(self, server: Server, broker: SlowBroker) -> None:
        self.server = server
        self.broker = broker
        self.clients = [server.connect(sub="42") for _ in range(3)]
        self.seen: dict[int, list[Reply]] = {0: [], 1: [], 2: []}
        self.calls: set[asyncio.Task[None]] = set()
        self.channels: dict[int, str] = {}  # by the id of the command that named it
        self.id = 10

    async def act(self, action: str, number: int, channel: str) -> None:
        self.id += 1
        self.channels[self.id] = channel
        client = self.clients[number % 3]
        match action:
            case "subscribe":
                client.send(subscribe(self.id, channel))
            case "unsubscribe":
                client.send(unsubscribe(self.id, channel))
            case "vanish":
                client.vanish()
                self.clients[number % 3] = self.server.connect(sub="42")
                self.seen[number % 3] = []
            case "api subscribe":
                self.calls.add(asyncio.create_task(self.server.node.subscribe("42", channel)))
            case "api unsubscribe":
                self.calls.add(asyncio.create_task(self.server.node.unsubscribe("42", channel)))
            case "publish" if channel in self.broker.subscribed:
                self.broker.deliver(channel, b"1")
            case "let go" | "fail" if self.broker.waiting:
                call = self.broker.asked[number % len(self.broker.asked)]
                fails = action == "fail" and call.startswith("subscribe")
                await self.broker.let_go(call, ConnectionError("away") if fails else None)
        await settle()
        self.check()

    def check(self) -> None:
        """What must hold at any time."""
        for number, client in enumerate(self.clients):
            if client.closed_with is None:
                self.seen[number] += client.received()
        channels = {name for client in self.clients for name in client.session.subscriptions}
        assert set(self.server.hub.channels) <= channels
        for name in self.server.hub.channels:
            assert f"subscribe {name}" in self.broker.asked or name in self.broker.subscribed
        for name in "ab":
            assert len([call for call in self.broker.asked if call.endswith(name)]) <= 1, "requests overlap"

    async def end(self) -> None:
        while self.broker.waiting or not all(call.done() for call in self.calls):
            await self.act("let go", 0, "")
        await asyncio.gather(*self.calls, return_exceptions=True)
        assert set(self.server.hub.channels) == self.broker.subscribed
        for replies in self.seen.values():
            check_order(replies, self.channels)


def check_order(replies: list[Reply], channels: dict[int, str]) -> None:
    """Publications come while the client has been told that it has the channel; replies in the order of commands."""
    held: set[str] = set()
    ids = [reply.id for reply in replies if reply.id]
    assert ids == sorted(ids)
    for reply in replies:
        push = reply.push
        if push is not None and push.pub is not None:
            assert push.channel in held, "a publication came too early or too late"
        elif push is not None and push.subscribe is not None:
            held.add(push.channel)
        elif push is not None:
            held.discard(push.channel)
        elif reply.subscribe is not None:
            held.add(channels[reply.id])
        elif reply.unsubscribe is not None:
            held.discard(channels[reply.id])


@given(actions=ACTIONS)
@settings(max_examples=100, deadline=None)
def test_engine_hub_and_clients_agree_in_the_end_whatever_comes_in_between(
    actions: list[tuple[str, int, str]],
) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        story = Story(server, broker)
        for action in actions:
            await story.act(*action)
        await story.end()

    with_slow_broker(test)
