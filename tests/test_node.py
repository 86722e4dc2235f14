"""The node: what it hands to the engine, and the server's API on local connections."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from msgspec import Raw

from centrifast import __version__, errors, node
from centrifast.auth.claims import SubscriptionOverride
from centrifast.config.schema import Namespace
from centrifast.engine.contract import (
    NO_HISTORY,
    HistoryFilter,
    HistoryOptions,
    PublishOptions,
    PublishResult,
)
from centrifast.engine.memory import MemoryBroker
from centrifast.errors import ClientError, ErrorCode
from centrifast.model import NO_POSITION, ClientInfo, Publication, StreamPosition
from centrifast.protocol.wire import NO_DATA, Encoding, Info, Join, Push, Refresh, Reply, Subscribe
from tests.client import conftest
from tests.client.conftest import Serve
from tests.client.fakes import (
    NOW,
    OPEN,
    Server,
    SlowBroker,
    config,
    done,
    publication,
    settle,
    subscribe,
    subscribed,
    unsubscribe,
    unsubscribed,
    with_slow_broker,
)
from tests.client.streams import EPOCH, POSITIONED, RECOVERABLE, SEEN, STREAM, LateBroker, add, offsets_of
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


def test_a_publication_for_a_channel_nobody_has_is_harmless(server: Server) -> None:
    server.node.subscriptions.on_publication("news", Publication(b"1"), NO_POSITION, None)


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


@BOTH
def test_who_is_told_again_where_a_stream_is_has_been_given_all_up_to_there(
    serve: Serve, encoding: Encoding
) -> None:
    server = serve(config(options=RECOVERABLE))
    client, other = (server.connect(encoding, sub=user, channels=["news"]) for user in ("42", "43"))
    server.publish("news", b"1")
    done(server.node.subscribe("42", "news"))
    server.publish("news", b"2")
    first, again, second = client.received()
    assert again.push is not None
    assert again.push.subscribe is not None
    assert again.push.subscribe.offset == 1
    assert [first, second] == other.received()
    assert offsets_of([first, second]) == [1, 2]


def test_who_has_missed_something_is_not_told_that_it_knows_the_stream(serve: Serve) -> None:
    server = serve(config(options=RECOVERABLE))
    client = server.connect(sub="42", channels=["news"])
    position = StreamPosition(3, server.hub.channels["news"].epoch)
    server.node.subscriptions.on_publication("news", Publication(b"3", 3), position, None)
    done(server.node.subscribe("42", "news"))
    assert client.received() == []
    server.clock.advance(0)
    assert client.closed_with == errors.INSUFFICIENT_STATE


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


Call = Callable[[Server], Coroutine[Any, Any, None]]
CALLS: Mapping[str, Call] = {
    "disconnect": lambda server: server.node.disconnect("42", disconnect=errors.FORCE_DISCONNECT),
    "refresh": lambda server: server.node.refresh("42", expire_at=NOW + 60),
    "subscribe": lambda server: server.node.subscribe("42", "other"),
    "unsubscribe": lambda server: server.node.unsubscribe("42", "news"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_user_with_many_connections_does_not_keep_the_loop(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "CLIENTS_AT_ONCE", 2)

    async def test(server: Server) -> None:
        clients = [server.connect(sub="42", channels=["news"]) for _ in range(5)]
        call = asyncio.ensure_future(CALLS[name](server))
        reached = [0]
        while not call.done():
            await asyncio.sleep(0)
            heard = [client for client in clients if client.received() or client.closed_with]
            reached.append(reached[-1] + len(heard))
            clients = [client for client in clients if client not in heard]
            if reached[-1] == 2:
                for client in clients[:2]:  # they go while others have their turn
                    client.session.on_closed()
        assert call.exception() is None
        assert reached[-1] == 3
        assert max(after - before for before, after in pairwise(reached)) <= 2

    async def run() -> None:
        server = Server()
        await test(server)
        server.close()

    asyncio.run(run())


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
    assert info.metrics.interval == 60.0
    assert info.metrics.items["centrifugo.node.num_clients"] == 3


# ------------------------------------------------------------------ the API's subscribe: positions and overrides


def told(channel: str = "news", **fields: Any) -> Reply:
    """The push that tells of a server-side subscription with a position."""
    known: dict[str, Any] = {"positioned": True, "recoverable": True, "epoch": EPOCH}
    return Reply(push=Push(channel=channel, subscribe=Subscribe(**(known | fields))))


@BOTH
def test_who_is_subscribed_to_a_stream_is_told_its_position(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=RECOVERABLE))
    client = server.connect(encoding, sub="42")
    server.publish("news", b"1")
    done(server.node.subscribe("42", "news"))
    server.publish("news", b"2")
    assert client.received() == [told(offset=1), publication("news", b"2", offset=2)]
    done(server.node.subscribe("42", "news", data=b"7"))
    assert client.received() == [told(offset=2, data=Raw(b"7"))]


@pytest.mark.parametrize(
    ("since", "offset", "missed"),
    [
        (StreamPosition(1, EPOCH), 1, [2, 3]),
        (StreamPosition(3, EPOCH), 3, []),
        (StreamPosition(1, "other"), 3, []),
        (StreamPosition(9, EPOCH), 3, []),
    ],
)
@BOTH
def test_what_was_missed_since_a_position_follows_the_push(
    serve: Serve, since: StreamPosition, offset: int, missed: list[int], encoding: Encoding
) -> None:
    server = serve(config(options=RECOVERABLE))
    client = server.connect(encoding, sub="42")
    for number in (1, 2, 3):
        server.publish("news", b"%d" % number)
    done(server.node.subscribe("42", "news", recover_since=since))
    server.publish("news", b"4")
    expected = [publication("news", b"%d" % number, offset=number) for number in (*missed, 4)]
    assert client.received() == [told(offset=offset), *expected]


def test_a_position_is_no_use_without_recovery(serve: Serve) -> None:
    server = serve(config(options=POSITIONED))
    client = server.connect(sub="42")
    server.publish("news", b"1")
    done(server.node.subscribe("42", "news", recover_since=StreamPosition(0, EPOCH)))
    assert client.received() == [told(offset=1, recoverable=False)]


@BOTH
def test_an_override_of_the_api_stands_in_place_of_options(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=replace(STREAM, presence=True)))
    client = server.connect(encoding, sub="42")
    override = SubscriptionOverride(
        presence=False, join_leave=True, force_push_join_leave=True, force_recovery=True
    )
    done(server.node.subscribe("42", "news", override=override))
    join = Reply(push=Push(channel="news", join=Join(Info(user="42", client=client.id))))
    assert client.received() == [told(), join]
    assert done(server.node.presence("news")) == {}


def test_the_apis_subscription_with_presence_is_refreshed(serve: Serve) -> None:
    server = serve(config({"presence_update_interval": 10.0}, options=SEEN))
    client = server.connect(sub="42")
    done(server.node.subscribe("42", "news"))
    server.advance(100)
    assert set(done(server.node.presence("news"))) == {client.id}


def test_what_a_json_client_has_missed_and_can_not_take_ends_it(serve: Serve) -> None:
    server = serve(config(options=replace(RECOVERABLE, join_leave=True)))
    client = server.connect(sub="42")
    server.publish("news", b"\xff")
    server.publish("news", b"2")
    done(server.node.subscribe("42", "news", recover_since=StreamPosition(0, EPOCH)))
    assert client.closed_with == errors.INAPPROPRIATE_PROTOCOL


def test_who_is_about_to_be_subscribed_is_told_once() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(sub="42")
        first = asyncio.create_task(server.node.subscribe("42", "news"))
        await settle()
        await server.node.subscribe("42", "news")
        assert client.received() == []
        await broker.let_go("subscribe news")
        await first
        assert client.received() == [pushed("news")]

    with_slow_broker(test)


def test_a_hole_is_an_error_of_the_api_and_the_connection_lives() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(sub="42")
        call = asyncio.create_task(server.node.subscribe("42", "news"))
        await settle()
        await broker.let_go("subscribe news")
        await broker.inner.unsubscribe("news")
        add(broker, b"1")
        await broker.inner.subscribe("news")
        add(broker, b"2")
        await broker.let_go("answer news")
        with pytest.raises(ClientError, match="internal"):
            await call
        assert client.received() == []
        assert client.closed_with is None
        assert not client.session.subscriptions

    with_slow_broker(test, LateBroker, options=RECOVERABLE)


# ------------------------------------------------------------------ the API's refresh


@BOTH
def test_a_later_expiration_is_told_and_kept(serve: Serve, encoding: Encoding) -> None:
    server = serve(config({"expired_close_delay": 5.0}))
    client, other = server.connect(encoding, sub="42", exp=NOW + 10), server.connect(sub="43", exp=NOW + 10)
    done(server.node.refresh("42", expire_at=NOW + 30, info=b'{"role":"op"}'))
    assert client.received() == [Reply(push=Push(refresh=Refresh(True, 30)))]
    assert client.session.info().conn_info == b'{"role":"op"}'
    assert other.received() == []
    server.advance(20)
    assert (client.closed_with, other.closed_with) == (None, errors.CONNECTION_EXPIRED)
    server.advance(16)
    assert client.closed_with == errors.CONNECTION_EXPIRED


@BOTH
def test_no_expiration_means_never_and_leaves_the_info(serve: Serve, encoding: Encoding) -> None:
    server = serve(config({"expired_close_delay": 5.0}))
    client = server.connect(encoding, sub="42", exp=NOW + 10, info=1)
    done(server.node.refresh("42", info=b"2"))
    assert client.received() == [Reply(push=Push(refresh=Refresh()))]
    assert client.session.info().conn_info == b"1"
    server.advance(60)
    assert client.closed_with is None


@pytest.mark.parametrize(
    "how", [{"expired": True}, {"expired": True, "expire_at": NOW + 9}, {"expire_at": NOW}, {"expire_at": 1}]
)
@BOTH
def test_an_expiration_that_has_come_disconnects(
    serve: Serve, how: dict[str, Any], encoding: Encoding
) -> None:
    server = serve()
    client, other = server.connect(encoding, sub="42"), server.connect(encoding, sub="43")
    done(server.node.refresh("42", **how))
    assert (client.closed_with, other.closed_with) == (errors.CONNECTION_EXPIRED, None)


def test_without_info_the_old_one_stays(serve: Serve) -> None:
    server = serve()
    client = server.connect(sub="42", info=1)
    done(server.node.refresh("42", expire_at=NOW + 30))
    assert client.session.info().conn_info == b"1"


def test_refresh_reaches_only_the_connection_that_is_named(server: Server) -> None:
    first, second = server.connect(sub="42"), server.connect(sub="42")
    done(server.node.refresh("42", client=first.id, expired=True))
    done(server.node.refresh("43", client=second.id, expired=True))
    done(server.node.refresh("42", session="s", expired=True))
    assert (first.closed_with, second.closed_with) == (errors.CONNECTION_EXPIRED, None)


def test_what_is_told_of_an_expiration_is_a_year_at_most(server: Server) -> None:
    client = server.connect(sub="42")
    done(server.node.refresh("42", expire_at=NOW + 10 * 365 * 24 * 3600))
    assert client.received() == [Reply(push=Push(refresh=Refresh(True, 365 * 24 * 3600)))]


# ------------------------------------------------------------------ history and presence


def test_history_is_read_and_removed(serve: Serve) -> None:
    node = (server := serve(config(options=STREAM))).node
    for _ in range(3):
        server.publish("news", b"1")
    everything = HistoryFilter(limit=-1)
    assert [item.offset for item in done(node.history("news", everything)).publications] == [1, 2, 3]
    done(node.remove_history("news"))
    history = done(node.history("news", everything))
    assert (list(history.publications), history.position) == ([], StreamPosition(3, EPOCH))


def test_what_a_channel_has_not_is_refused(server: Server) -> None:
    node = server.node
    for channel, expected in (("news", errors.NOT_AVAILABLE), ("nowhere:1", errors.UNKNOWN_CHANNEL)):
        assert refusal(node.history(channel, HistoryFilter())) == expected
        assert refusal(node.remove_history(channel)) == expected
        assert refusal(node.presence(channel)) == expected
        assert refusal(node.presence_stats(channel)) == expected


def test_history_that_can_not_be_read_is_refused(serve: Serve) -> None:
    node = serve(config(options=STREAM)).node
    backwards = HistoryFilter(limit=1, since=StreamPosition(0, ""), reverse=True)
    assert refusal(node.history("news", backwards)) == errors.BAD_REQUEST
    other = HistoryFilter(limit=1, since=StreamPosition(0, "other"))
    assert refusal(node.history("news", other)) == errors.UNRECOVERABLE_POSITION


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError()])
@pytest.mark.parametrize("what", ["history", "remove_history", "publish"])
def test_a_broker_that_is_away_is_an_internal_error(
    failure: Exception, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        node = server.node
        calls: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
            "history": lambda: node.history("news", HistoryFilter()),
            "remove_history": lambda: node.remove_history("news"),
            "publish": lambda: node.publish("news", b"1"),
        }
        call = asyncio.create_task(calls[what]())
        await settle()
        await broker.let_go(f"{what} news", failure)
        with pytest.raises(ClientError, match="internal"):
            await call
        assert "engine is away" in caplog.text

    with_slow_broker(test, options=STREAM)


def test_closing_the_node_stops_what_clients_that_left_still_ask() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(sub="42")
        client.send(subscribe(2, "news"))
        await broker.let_go("subscribe news")
        client.vanish()
        await settle()
        assert broker.asked == ["join news", "unsubscribe news", "leave news"]
        await broker.let_go("unsubscribe news")
        await server.node.close()
        assert broker.asked == []

    with_slow_broker(test, options=replace(OPEN, join_leave=True))


# ------------------------------------------------------------------ an engine that takes its time


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
