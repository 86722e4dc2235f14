"""What the server API asks of clients: of those here, and of those of other nodes."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from msgspec import Raw

from centrifast import __version__, control, errors
from centrifast.auth.claims import SubscriptionOverride
from centrifast.calls import (
    ChannelsCall,
    DisconnectCall,
    Instruction,
    Question,
    SubscribeCall,
    UnsubscribeCall,
)
from centrifast.config.schema import Config
from centrifast.engine.contract import NodeCalls
from centrifast.errors import ClientError, DisconnectCode, UnsubscribeCode
from centrifast.hub import Client
from centrifast.metrics import registry
from centrifast.model import Publication, StreamPosition
from centrifast.protocol.wire import (
    NO_DATA,
    Command,
    ConnectRequest,
    Encoding,
    Info,
    Join,
    Push,
    Refresh,
    Reply,
    Subscribe,
)
from tests.client import conftest
from tests.client.conftest import Serve
from tests.client.fakes import (
    NOW,
    Server,
    SlowBroker,
    config,
    done,
    publication,
    refusal,
    settle,
    subscribe,
    subscribed,
    token,
    unsubscribed,
    with_slow_broker,
)
from tests.client.streams import EPOCH, POSITIONED, RECOVERABLE, SEEN, STREAM, LateBroker, add, offsets_of

T_co = TypeVar("T_co", covariant=True)

BOTH = pytest.mark.parametrize("encoding", Encoding)

serve, server = conftest.serve, conftest.server


def pushed(channel: str, data: bytes = b"") -> Reply:
    """The push that tells of a server-side subscription."""
    return Reply(push=Push(channel=channel, subscribe=Subscribe(data=Raw(data) if data else NO_DATA)))


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
    monkeypatch.setattr(control, "CLIENTS_AT_ONCE", 2)

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


# ------------------------------------------------------------------ clients of other nodes


class Joined:
    """A controller between nodes of one process. *away*: the others can not be reached."""

    def __init__(self, all_: "list[Joined]") -> None:
        self.all = all_
        self.node: NodeCalls | None = None
        self.away: Exception | None = None
        all_.append(self)

    @property
    def other_nodes(self) -> int:
        return len(self._others())

    async def start(self, node: NodeCalls) -> None:
        self.node = node

    async def tell(self, call: Instruction) -> None:
        failure = None
        for node in self._others():
            try:
                await node.on_instruction(call)
            except ClientError as failed:
                failure = failed
        if failure is not None:
            raise failure

    async def ask(self, call: Question[T_co]) -> Sequence[T_co]:
        return [await node.on_question(call) for node in self._others()]

    async def close(self) -> None:
        self.node = None

    def _others(self) -> list[NodeCalls]:
        if self.away is not None:
            raise self.away
        return [other.node for other in self.all if other is not self and other.node is not None]


class Nodes:
    """Two nodes; calls are made to the first, clients are at the second. *related*: they are one server's processes."""

    def __init__(self, config_: Config | None = None, *, related: bool = True) -> None:
        self.controllers: list[Joined] = []
        self.near = self._server(config_, related)
        self.far = self._server(config_, related)

    def _server(self, config_: Config | None, related: bool) -> Server:
        controller = Joined(self.controllers)
        return Server(config_, controller=controller, siblings=controller if related else None)

    def close(self) -> None:
        self.near.close()
        self.far.close()

    def cut(self, error: Exception) -> None:
        for controller in self.controllers:
            controller.away = error


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    joined = Nodes()
    yield joined
    joined.close()


def test_clients_are_subscribed_wherever_they_are(nodes: Nodes) -> None:
    here, there = nodes.near.connect(sub="42"), nodes.far.connect(sub="42")
    done(nodes.near.node.subscribe("42", "news", data=b"1"))
    assert here.received() == there.received() == [pushed("news", b"1")]


def test_clients_are_unsubscribed_wherever_they_are(nodes: Nodes) -> None:
    there = nodes.far.subscriber("news", sub="42")
    done(nodes.near.node.unsubscribe("42", "news"))
    assert there.received() == [unsubscribed("news", errors.SERVER_UNSUBSCRIBE)]


def test_clients_are_disconnected_wherever_they_are_but_the_whitelisted(nodes: Nodes) -> None:
    gone, spared = nodes.far.connect(sub="42"), nodes.far.connect(sub="42")
    done(nodes.near.node.disconnect("42", whitelist=[spared.id], disconnect=errors.FORCE_DISCONNECT))
    assert (gone.closed_with, spared.closed_with) == (errors.FORCE_DISCONNECT, None)


def test_clients_are_refreshed_wherever_they_are(nodes: Nodes) -> None:
    there = nodes.far.connect(sub="42")
    done(nodes.near.node.refresh("42", expire_at=NOW + 60))
    assert there.received() == [Reply(push=Push(refresh=Refresh(True, 60)))]
    done(nodes.near.node.refresh("42", expired=True))
    assert there.closed_with == errors.CONNECTION_EXPIRED


def test_subscribers_of_all_nodes_are_counted_together(nodes: Nodes) -> None:
    nodes.near.subscriber("news")
    nodes.far.subscriber("news")
    nodes.far.subscriber("chat")
    assert done(nodes.near.node.channels("")) == {"news": 2, "chat": 1}
    assert done(nodes.near.node.channels("ch*")) == {"chat": 1}


def test_every_node_is_shown_in_numbers(nodes: Nodes) -> None:
    nodes.far.subscriber("news", sub="42")
    infos = done(nodes.near.node.info())
    assert [(info.uid, info.num_clients) for info in infos] == [
        (nodes.near.node.uid, 0),
        (nodes.far.node.uid, 1),
    ]
    stats = done(nodes.near.node.stats(3))
    assert [(node.uid, node.num_subs) for node in stats] == [
        (nodes.near.node.uid, 0),
        (nodes.far.node.uid, 1),
    ]


@BOTH
def test_a_user_has_no_more_connections_than_allowed_on_all_nodes(encoding: Encoding) -> None:
    nodes = Nodes(config({"user_connection_limit": 2}))
    nodes.near.connect(encoding, sub="42")
    nodes.far.connect(encoding, sub="42")
    nodes.far.connect(encoding, sub="43")
    for server in (nodes.near, nodes.far):
        refused = server.open(encoding)
        assert refused.ask(Command(id=1, connect=ConnectRequest(token=token(sub="42")))) == []
        assert refused.closed_with == errors.CONNECTION_LIMIT
        server.connect(encoding)
    nodes.close()


def test_who_can_not_be_counted_may_try_again() -> None:
    limited = Nodes(config({"user_connection_limit": 2}))
    limited.cut(ConnectionError("cut"))
    client = limited.near.open()
    [reply] = client.ask(Command(id=1, connect=ConnectRequest(token=token(sub="42"))))
    assert reply.error is not None
    assert (reply.error.code, reply.error.temporary) == (100, True)
    limited.close()


def test_metrics_of_all_nodes_are_one(nodes: Nodes) -> None:
    nodes.near.subscriber("news")
    nodes.far.subscriber("news", sub="42")
    nodes.far.connect()
    collected = dict(done(nodes.near.node.control.metrics_of_all()))
    assert [row.value for row in collected[registry.CLIENTS]] == [3]
    assert [row.value for row in collected[registry.BUILD]] == [1]


def test_a_failure_elsewhere_is_an_error_of_the_call_after_all_is_done(nodes: Nodes) -> None:
    here, there = nodes.near.connect(sub="42"), nodes.far.connect(sub="42")
    nodes.far.clock.advance(100)
    with pytest.raises(ClientError) as raised:
        done(nodes.near.node.subscribe("42", "news", expire_at=NOW + 60))
    assert raised.value.error is errors.INTERNAL
    assert here.received() == [pushed("news")]
    assert there.received() == []


def test_a_failure_here_does_not_keep_the_call_from_the_others(nodes: Nodes) -> None:
    nodes.near.connect(sub="42")
    there = nodes.far.connect(sub="42")
    nodes.near.clock.advance(100)
    with pytest.raises(ClientError):
        done(nodes.near.node.subscribe("42", "news", expire_at=NOW + 60))
    assert there.received() == [pushed("news")]


@pytest.mark.parametrize("error", [ConnectionError("cut"), TimeoutError("late")])
def test_others_that_can_not_be_reached_are_an_error_after_it_was_done_here(
    nodes: Nodes, error: Exception
) -> None:
    here, there = nodes.near.connect(sub="42"), nodes.far.connect(sub="42")
    nodes.cut(error)
    with pytest.raises(ClientError) as raised:
        done(nodes.near.node.disconnect("42", disconnect=errors.FORCE_DISCONNECT))
    assert raised.value.error is errors.INTERNAL
    assert (here.closed_with, there.closed_with) == (errors.FORCE_DISCONNECT, None)
    with pytest.raises(ClientError):
        done(nodes.near.node.channels(""))


def test_a_bug_in_a_call_costs_that_call_only(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(user: str, client: str = "") -> Sequence[Client]:
        raise ZeroDivisionError

    there = nodes.far.connect(sub="42")
    monkeypatch.setattr(nodes.far.hub, "sessions_of", explode)
    monkeypatch.setattr(nodes.far.hub, "count_of", explode)
    for call in (
        nodes.near.node.disconnect("42", disconnect=errors.FORCE_DISCONNECT),
        nodes.near.node.control.count_elsewhere("42"),
    ):
        assert refusal(call) == errors.INTERNAL
    assert there.closed_with is None


def test_a_pattern_that_is_none_is_refused_by_who_is_asked(nodes: Nodes) -> None:
    assert refusal(nodes.far.node.control.on_question(ChannelsCall("["))) == errors.BAD_REQUEST


def test_other_nodes_are_counted_by_metrics_but_not_asked_for_theirs() -> None:
    nodes = Nodes(config({"user_connection_limit": 1}), related=False)
    nodes.far.connect(sub="42")
    nodes.near.connect(sub="42")
    collected = dict(done(nodes.near.node.control.metrics_of_all()))
    assert [row.value for row in collected[registry.CLIENTS]] == [1]
    assert [row.value for row in collected[registry.NODES]] == [2]
    nodes.close()


def test_an_instruction_may_mean_the_connections_of_all_users(nodes: Nodes) -> None:
    clients = [nodes.near.connect(sub="42"), nodes.near.connect(sub="43"), nodes.near.connect()]
    call = DisconnectCall(user="", all_users=True, client=clients[1].id, code=4000, reason="one")
    done(nodes.near.node.control.on_instruction(call))
    done(
        nodes.near.node.control.on_instruction(
            DisconnectCall(user="", all_users=True, code=4001, reason="all")
        )
    )
    one, all_ = DisconnectCode(4000, "one"), DisconnectCode(4001, "all")
    assert [client.closed_with for client in clients] == [all_, one, all_]


def test_clients_are_told_the_code_and_reason_that_an_instruction_has(nodes: Nodes) -> None:
    client = nodes.near.subscriber("news", sub="42")
    call = UnsubscribeCall(user="42", channel="news", code=2100, reason="moved")
    done(nodes.near.node.control.on_instruction(call))
    assert client.received() == [unsubscribed("news", UnsubscribeCode(2100, "moved"))]


def test_other_nodes_are_told_what_the_options_come_to() -> None:
    nodes = Nodes(config(options=replace(RECOVERABLE, presence=True)))
    told: list[Instruction] = []

    async def note(call: Instruction) -> None:
        told.append(call)

    nodes.controllers[0].tell = note  # type: ignore[method-assign]
    done(nodes.near.node.subscribe("42", "news", override=SubscriptionOverride(presence=False)))
    [call] = told
    assert isinstance(call, SubscribeCall)
    assert call.override == SubscriptionOverride(False, False, False, True, True)
    nodes.close()


def test_a_closed_node_is_not_asked_any_more(nodes: Nodes) -> None:
    done(nodes.far.node.control.close())
    assert [info.uid for info in done(nodes.near.node.info())] == [nodes.near.node.uid]
