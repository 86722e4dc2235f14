"""connect: client protocol 3.3, its table row by row, and server-side subscriptions (8.1)."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from msgspec import Raw

from centrifast import __version__, control, errors
from centrifast.client.commands.refresh import token_channels
from centrifast.config.schema import ChannelOptions, ClientConfig, Namespace
from centrifast.errors import DisconnectCode
from centrifast.model import PresenceStats
from centrifast.protocol.wire import (
    Command,
    ConnectRequest,
    ConnectResult,
    Encoding,
    Info,
    Join,
    Push,
    RefreshRequest,
    Reply,
    RPCRequest,
    SubscribeRequest,
    SubscribeResult,
)
from tests.client.conftest import Serve
from tests.client.fakes import (
    NOW,
    OPEN,
    Far,
    Server,
    SlowBroker,
    config,
    done,
    error,
    publication,
    settle,
    subscribe,
    token,
    with_slow_broker,
)
from tests.client.streams import (
    CACHE,
    EPOCH,
    POSITIONED,
    RECOVERABLE,
    SEEN,
    LateBroker,
    SlowPresence,
    add,
    let_all_go,
    offsets_of,
    pub,
    recovery,
    subs_of,
)

BOTH = pytest.mark.parametrize("encoding", Encoding)
VERSION = f"centrifast {__version__}"
CHAT = Namespace(name="chat", allow_subscribe_for_client=True)


def connect(id_: int = 1, **fields: Any) -> Command:
    return Command(id=id_, connect=ConnectRequest(**fields))


def result_of(client: Far, **fields: Any) -> ConnectResult:
    (reply,) = client.ask(connect(**fields))
    assert reply.connect is not None, reply
    return reply.connect


def subs(*channels: str) -> dict[str, SubscribeRequest]:
    return {channel: SubscribeRequest() for channel in channels}


# ------------------------------------------------------------------ result


@BOTH
def test_the_result_names_client_version_and_pings(serve: Serve, encoding: Encoding) -> None:
    server = serve(config({"ping_interval": 25.0, "pong_timeout": 8.0}))
    client = server.open(encoding)
    assert result_of(client) == ConnectResult(client=client.id, version=VERSION, ping=25, pong=True)


@pytest.mark.parametrize(
    ("interval", "timeout", "ping", "pong"),
    [(25.0, -1.0, 25, False), (-1.0, 8.0, 0, False), (30.9, 8.0, 30, True)],
)
def test_pings_and_pongs_are_announced_only_when_they_come(
    serve: Serve, interval: float, timeout: float, ping: int, pong: bool
) -> None:
    server = serve(config({"ping_interval": interval, "pong_timeout": timeout}))
    result = result_of(server.open())
    assert (result.ping, result.pong) == (ping, pong)


def test_server_time_in_milliseconds_on_request(serve: Serve) -> None:
    server = serve(config({"connect_include_server_time": True}))
    assert result_of(server.open()).time == NOW * 1000


def test_clients_have_different_ids(server: Server) -> None:
    assert server.connect().id != server.connect().id


# ------------------------------------------------------------------ credentials


@BOTH
def test_a_token_names_the_user(server: Server, encoding: Encoding) -> None:
    client = server.open(encoding)
    assert not result_of(client, token=token(sub="42", info={"name": "Ann"})).expires
    assert (client.session.user, client.session.conn_info) == ("42", b'{"name":"Ann"}')
    assert server.hub.sessions_of("42") == [client.session]


def test_without_token_the_user_is_anonymous_if_that_is_allowed(serve: Serve) -> None:
    for option in ("allow_anonymous_connect_without_token", "insecure"):
        server = serve(config({"allow_anonymous_connect_without_token": False, option: True}))
        assert server.connect().session.user == ""


def test_a_trusted_header_names_the_user_of_a_client_without_token(serve: Serve) -> None:
    server = serve(config({"allow_anonymous_connect_without_token": False}))
    client, other = server.open(), server.open()
    client.session.header_user = other.session.header_user = "42"
    assert not result_of(client).expires
    assert client.session.user == "42"
    result_of(other, token=token(sub="43"))
    assert other.session.user == "43"


@pytest.mark.parametrize(
    ("options", "claims", "expected"),
    [
        ({"allow_anonymous_connect_without_token": False}, None, errors.BAD_REQUEST_DISCONNECT),
        ({}, {"sub": "42", "channel": "news"}, errors.INVALID_TOKEN),
        ({"insecure": True}, {"sub": "42", "channel": "news"}, errors.INVALID_TOKEN),
        ({"disallow_anonymous_connection_tokens": True}, {"sub": ""}, errors.PERMISSION_DENIED_DISCONNECT),
        (
            {"disallow_anonymous_connection_tokens": True},
            {"exp": NOW + 9},
            errors.PERMISSION_DENIED_DISCONNECT,
        ),
        ({"channel_limit": 1}, {"sub": "42", "channels": ["a", "b"]}, errors.CHANNEL_LIMIT),
    ],
)
@BOTH
def test_refusals_that_disconnect(
    serve: Serve,
    options: dict[str, object],
    claims: dict[str, object] | None,
    expected: DisconnectCode,
    encoding: Encoding,
) -> None:
    client = serve(config(options)).open(encoding)
    assert client.ask(connect(token=token(**claims) if claims else "")) == []
    assert client.closed_with == expected


@pytest.mark.parametrize("text", ["x", "a.b.c", token(sub="42") + "x"])
def test_a_token_that_is_none_disconnects_for_good(server: Server, text: str) -> None:
    client = server.open()
    assert client.ask(connect(token=text)) == []
    assert client.closed_with == errors.INVALID_TOKEN


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"exp": NOW}, errors.TOKEN_EXPIRED),
        ({"nbf": NOW + 1}, errors.TOKEN_EXPIRED),
        ({"expire_at": NOW - 1}, errors.EXPIRED),
        ({"channels": ["nowhere:1"]}, errors.UNKNOWN_CHANNEL),
        ({"subs": {"nowhere:1": {}}}, errors.UNKNOWN_CHANNEL),
        ({"b64info": "%"}, errors.INTERNAL),
    ],
)
@BOTH
def test_refusals_that_are_answered(
    server: Server, claims: dict[str, object], expected: errors.ErrorCode, encoding: Encoding
) -> None:
    client = server.open(encoding)
    assert client.ask(connect(7, token=token(sub="42", **claims))) == [error(7, expected)]
    assert client.closed_with is None
    assert not server.hub.clients


def test_insecure_mode_still_refuses_an_expired_token_but_lets_none_expire_later(serve: Serve) -> None:
    server = serve(config({"insecure": True}))
    assert server.open().ask(connect(token=token(exp=NOW))) == [error(1, errors.TOKEN_EXPIRED)]
    client = server.connect(exp=NOW + 1)
    server.advance(60)
    assert client.closed_with is None


def test_no_user_has_more_connections_than_allowed(serve: Serve) -> None:
    server = serve(config({"user_connection_limit": 2}))
    first, _, other = server.connect(sub="42"), server.connect(sub="42"), server.connect(sub="43")
    third = server.open()
    assert third.ask(connect(token=token(sub="42"))) == []
    assert third.closed_with == errors.CONNECTION_LIMIT
    assert other.closed_with is None
    for _ in range(3):
        server.connect()  # the anonymous user has no limit
    first.vanish()
    server.connect(sub="42")


# ------------------------------------------------------------------ expiration


@pytest.mark.parametrize(
    ("claims", "ttl"),
    [
        ({"exp": NOW + 300}, 300),
        ({"exp": NOW + 300, "expire_at": NOW + 30}, 30),
        ({"exp": NOW + 0.5, "expire_at": NOW + 2}, 2),
        ({"exp": NOW + 10 * 365 * 24 * 3600}, 365 * 24 * 3600),
    ],
)
def test_the_time_to_the_refresh_is_told(server: Server, claims: dict[str, object], ttl: int) -> None:
    result = result_of(server.open(), token=token(**claims))
    assert (result.expires, result.ttl) == (True, ttl)


@pytest.mark.parametrize("expire_at", [0, -1])
def test_expire_at_zero_means_never(server: Server, expire_at: int) -> None:
    client = server.open()
    assert not result_of(client, token=token(exp=NOW + 1, expire_at=expire_at)).expires
    server.advance(60)
    assert client.closed_with is None


def test_a_connection_that_is_not_refreshed_ends_after_its_grace(serve: Serve) -> None:
    server = serve(config({"expired_close_delay": 5.0}))
    client = server.connect(exp=NOW + 10)
    server.advance(14)
    assert client.closed_with is None
    server.advance(1)
    assert client.closed_with == errors.CONNECTION_EXPIRED


# ------------------------------------------------------------------ server-side subscriptions


@BOTH
def test_channels_of_the_token_are_subscribed_without_permission(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=ChannelOptions()))
    client = server.open(encoding)
    result = result_of(client, token=token(sub="42", channels=["news", "$private", ""]))
    assert result.subs == {"news": SubscribeResult(), "$private": SubscribeResult()}
    server.publish("news", b"1")
    assert client.received() == [publication("news", b"1")]


@BOTH
def test_subs_of_the_token_win_and_carry_info_and_data(server: Server, encoding: Encoding) -> None:
    client = server.open(encoding)
    claim = {"chat#42": {"info": {"role": "op"}, "data": {"hello": 1}}}
    result = result_of(client, token=token(sub="42", subs=claim, channels=["news"]))
    assert result.subs == {"chat#42": SubscribeResult(data=Raw(b'{"hello":1}'))}
    assert client.session.info("chat#42").chan_info == b'{"role":"op"}'


def test_a_server_side_subscription_has_no_expiration(server: Server) -> None:
    result = result_of(server.open(), token=token(sub="42", exp=NOW + 9, channels=["news"]))
    assert result.subs == {"news": SubscribeResult()}


def test_channels_of_the_clients_own_list_need_permission(serve: Serve) -> None:
    options = ChannelOptions(allow_user_limited_channels=True)
    server = serve(config(options=options, namespaces=(CHAT,)))
    wanted = subs("chat:1", "news", "$chat:2", "dialog#42,7", "dialog#7", "chat:é", "")
    result = result_of(server.open(), token=token(sub="42"), subs=wanted)
    assert result.subs is not None
    assert set(result.subs) == {"chat:1", "dialog#42,7"}


def test_there_is_no_channel_without_a_name(server: Server) -> None:
    assert result_of(server.open(), subs=subs("", "news")).subs == {"news": SubscribeResult()}


def test_a_channel_in_both_lists_comes_from_the_token(server: Server) -> None:
    client = server.open()
    assert (
        result_of(client, token=token(sub="42", channels=["news"]), subs=subs("news", "own")).subs is not None
    )
    assert token_channels(client.session) == {"news"}


def test_an_unknown_namespace_in_the_clients_own_list_disconnects(server: Server) -> None:
    client = server.open()
    assert client.ask(connect(subs=subs("nowhere:1"))) == []
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT


def test_what_is_listed_beyond_the_channel_limit_is_not_looked_at(serve: Serve) -> None:
    client = serve(config({"channel_limit": 2})).open()
    client.send(connect(subs=subs("a", "b", "c", "nowhere:1")))
    assert client.closed_with == errors.CHANNEL_LIMIT


def test_the_channel_limit_holds_for_both_lists_together(serve: Serve) -> None:
    client = serve(config({"channel_limit": 2})).open()
    client.send(connect(token=token(channels=["a"]), subs=subs("b", "c")))
    assert client.closed_with == errors.CHANNEL_LIMIT


def test_no_subscriptions_no_field(server: Server) -> None:
    assert result_of(server.open()).subs is None


# ------------------------------------------------------------------ after the answer


@pytest.mark.parametrize("second", [connect(2), connect(2, token="x"), connect(2, token=token(exp=NOW - 1))])
def test_a_second_connect_disconnects(server: Server, second: Command) -> None:
    client = server.connect()
    assert client.ask(second) == []
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT


@BOTH
def test_after_an_error_nothing_more_is_handled(server: Server, encoding: Encoding) -> None:
    client = server.open(encoding)
    failing = connect(token=token(exp=NOW - 1))
    replies = client.ask(failing, connect(2), subscribe(3, "news"), Command(id=4, rpc=RPCRequest()))
    assert replies == [error(1, errors.TOKEN_EXPIRED)]
    assert client.ask(connect(5)) == []
    client.write(b"\xff\xff")
    assert client.received() == []
    assert client.closed_with is None


def test_after_an_error_the_socket_is_dropped_soon_without_a_word(server: Server) -> None:
    client = server.open()
    client.send(connect(token=token(exp=NOW - 1)))
    server.advance(4)
    assert not client.transport.aborted
    server.advance(1)
    assert client.transport.aborted
    assert client.closed_with is None


def test_pings_begin_within_the_second_half_of_the_first_interval(serve: Serve) -> None:
    server = serve(config({"ping_interval": 20.0, "pong_timeout": -1.0}))
    server.clock.chance = 0.5
    client = server.connect()
    server.advance(14)
    assert client.received() == []
    server.advance(2)
    assert len(client.received()) == 1


def test_a_refused_client_gets_no_pings(serve: Serve) -> None:
    server = serve(config({"ping_interval": 2.0, "pong_timeout": -1.0}))
    client = server.open()
    client.ask(connect(token=token(exp=NOW - 1)))
    server.advance(4)
    assert client.received() == []


def test_refresh_is_not_a_way_around_connect(server: Server) -> None:
    client = server.open()
    assert client.ask(Command(id=1, refresh=RefreshRequest(token=token(sub="42")))) == []
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT


# ------------------------------------------------------------------ recovery of server-side subscriptions


PERSONAL = replace(ClientConfig().subscribe_to_user_personal_channel, enabled=True)


def back(offset: int, epoch: str = EPOCH, **fields: Any) -> SubscribeRequest:
    """What a client says of a channel that it had."""
    return SubscribeRequest(recover=True, offset=offset, epoch=epoch, **fields)


@pytest.mark.parametrize("source", ["token", "personal", "own"])
@BOTH
def test_positions_of_the_client_count_for_every_source(
    serve: Serve, source: str, encoding: Encoding
) -> None:
    options = replace(RECOVERABLE, allow_user_limited_channels=True)
    personal = {"subscribe_to_user_personal_channel": PERSONAL} if source == "personal" else {}
    server = serve(config(personal, options=options))
    channel = "#42" if source == "personal" else "news"
    for number in (1, 2, 3):
        server.publish(channel, b"%d" % number)
    claims: dict[str, Any] = {"channels": [channel]} if source == "token" else {}
    client = server.open(encoding)
    result = result_of(client, token=token(sub="42", **claims), subs={channel: back(1)})
    assert result.subs == {channel: SubscribeResult(**recovery(1, pub(b"2", 2), pub(b"3", 3)))}
    assert token_channels(client.session) == ({channel} if source == "token" else set())
    server.publish(channel, b"4")
    assert offsets_of(client.received()) == [4]


@BOTH
def test_what_can_not_be_recovered_starts_at_the_top(serve: Serve, encoding: Encoding) -> None:
    plain = Namespace(name="plain", allow_subscribe_for_client=True)
    server = serve(config(options=RECOVERABLE, namespaces=(plain,)))
    server.publish("news", b"1")
    wanted = {"news": back(0, "other", flag=2), "plain:1": back(7), "fresh": SubscribeRequest()}
    result = result_of(server.open(encoding), token=token(sub="42"), subs=wanted)
    fresh = SubscribeResult(recoverable=True, positioned=True, epoch="aaaaaaac")
    assert result.subs == {
        "news": SubscribeResult(**recovery(1, recovered=False)),
        "plain:1": SubscribeResult(was_recovering=True),
        "fresh": fresh,
    }


@BOTH
def test_the_cache_is_given_at_connect_as_well(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=replace(CACHE, auto_cache_recover=True)))
    server.publish("news", b"1")
    server.publish("news", b"2")
    result = result_of(server.open(encoding), token=token(sub="42", channels=["news"]))
    assert result.subs == {"news": SubscribeResult(**recovery(0, pub(b"2", 2)))}


@BOTH
def test_of_the_clients_own_list_only_position_and_delta_count(serve: Serve, encoding: Encoding) -> None:
    options = replace(
        RECOVERABLE,
        force_recovery=False,
        allow_recovery=True,
        allow_positioning=True,
        join_leave=True,
        presence=True,
        allow_presence_for_client=True,
        allowed_delta_types=("fossil",),
    )
    server = serve(config(options=options))
    wishes: dict[str, Any] = {"positioned": True, "recoverable": True, "join_leave": True, "flag": 3}
    wanted = {"news": SubscribeRequest(**wishes, delta="fossil"), "other": SubscribeRequest(delta="xdelta")}
    client = server.open(encoding)
    result = result_of(client, token=token(sub="42", channels=["news"]), subs=wanted)
    assert result.subs == {"news": SubscribeResult(delta=True), "other": SubscribeResult()}
    assert client.received() == []


@BOTH
def test_overrides_of_the_token_stand_in_place_of_options(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=replace(POSITIONED, presence=True)))
    on, off = {"value": True}, {"value": False}
    override = {"presence": off, "force_recovery": on, "force_push_join_leave": on, "join_leave": on}
    client = server.open(encoding)
    claims = {"news": {"override": override}, "other": {"override": {"force_positioning": off}}}
    (reply, push) = client.ask(connect(token=token(sub="42", subs=claims)))
    assert subs_of(reply) == {
        "news": SubscribeResult(recoverable=True, positioned=True, epoch=EPOCH),
        "other": SubscribeResult(),
    }
    assert push == Reply(push=Push(channel="news", join=Join(Info(user="42", client=client.id))))
    assert done(server.node.presence("news")) == {}
    assert set(done(server.node.presence("other"))) == {client.id}


@BOTH
def test_joins_follow_the_answer(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=replace(SEEN, force_push_join_leave=True)))
    client, other = server.open(encoding), server.connect(encoding, sub="42")
    other.ask(subscribe(2, "b"))
    other.received()
    replies = client.ask(connect(token=token(sub="42", channels=["a", "b"])))
    info = Info(user="42", client=client.id)
    joins = [Reply(push=Push(channel=channel, join=Join(info))) for channel in ("a", "b")]
    assert replies[0].connect is not None
    assert sorted(replies[1:], key=str) == joins
    assert other.received() == joins[1:]


@BOTH
def test_what_comes_by_while_a_client_connects_is_in_the_answer_or_follows_it(encoding: Encoding) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        add(broker, b"1", channel="a")
        client = server.open(encoding)
        client.send(
            connect(token=token(sub="42", channels=["a", "b"]), subs={"a": back(0), "b": back(0, "")})
        )
        assert broker.asked == ["subscribe a", "subscribe b"]
        await broker.let_go("subscribe a")
        await broker.let_go("subscribe b")
        await broker.let_go("answer a")
        add(broker, b"2", channel="a")
        assert client.received() == []
        await broker.let_go("answer b")
        add(broker, b"3", channel="a")
        reply, *pushes = client.received()
        assert subs_of(reply)["a"] == SubscribeResult(**recovery(0, pub(b"1", 1), pub(b"2", 2)))
        assert subs_of(reply)["b"].recovered
        assert pushes == [publication("a", b"3", offset=3)]
        assert server.node.subscriptions._catch_ups.count == 0

    with_slow_broker(test, LateBroker, options=RECOVERABLE)


STEPS = ["subscribe b", "history b"]


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError()])
@pytest.mark.parametrize("step", STEPS)
@BOTH
def test_one_subscription_that_fails_fails_the_connect(
    failure: Exception, step: str, encoding: Encoding
) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.open(encoding)
        client.send(connect(token=token(sub="42", channels=["a", "b"])))
        await broker.let_go("subscribe a")
        await broker.let_go("history a")
        while step not in broker.asked:
            await broker.let_go(broker.asked[0])
        await broker.let_go(step, failure)
        assert client.received() == []
        assert client.closed_with == errors.INTERNAL_SERVER_ERROR
        assert (server.is_empty, server.node.subscriptions._catch_ups.count) == (True, 0)
        await let_all_go(broker)
        assert done(server.presence.presence("a")) == {}

    options = replace(SEEN, history_size=5, history_ttl=60.0, force_recovery=True)
    with_slow_broker(test, options=options)


@BOTH
def test_one_subscription_with_a_hole_fails_the_connect(encoding: Encoding) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.open(encoding)
        client.send(connect(token=token(sub="42", channels=["a", "b"])))
        await broker.let_go("subscribe a")
        await broker.let_go("subscribe b")
        await broker.inner.unsubscribe("b")
        add(broker, b"1", channel="b")
        await broker.inner.subscribe("b")
        add(broker, b"2", channel="b")
        await let_all_go(broker)
        assert client.received() == []
        assert client.closed_with == errors.INSUFFICIENT_STATE
        assert (server.is_empty, server.node.subscriptions._catch_ups.count) == (True, 0)

    with_slow_broker(test, LateBroker, options=RECOVERABLE)


@pytest.mark.parametrize("step", STEPS)
def test_who_vanishes_while_it_connects_leaves_nothing_behind(step: str) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.open()
        client.send(connect(token=token(sub="42", channels=["a", "b"])))
        while step not in broker.asked:
            await broker.let_go(broker.asked[0])
        client.vanish()
        assert (server.is_empty, server.node.subscriptions._catch_ups.count) == (True, 0)
        await let_all_go(broker)
        assert done(server.presence.presence("a")) == {}

    options = replace(SEEN, history_size=5, history_ttl=60.0, force_recovery=True)
    with_slow_broker(test, options=options)


def test_a_client_is_present_in_all_its_channels_before_the_answer() -> None:
    presence = SlowPresence()

    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.open()
        client.send(connect(token=token(sub="42", channels=["a", "b"])))
        await let_all_go(broker)
        assert presence.asked == ["add", "add"]
        await presence.let_go("add")
        assert client.received() == []
        await presence.let_go("add")
        assert client.received()[0].connect is not None

    with_slow_broker(test, presence=presence, options=SEEN)


def test_the_apis_unsubscribe_does_not_reach_who_is_not_connected_yet() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.open()
        client.send(connect(token=token(sub="42", channels=["a"])))
        await server.node.unsubscribe("42", "a")
        await broker.let_go("subscribe a")
        (reply,) = client.received()
        assert set(subs_of(reply)) == {"a"}

    with_slow_broker(test, options=OPEN)


# ------------------------------------------------------------------ personal channel


@BOTH
def test_every_connection_of_a_user_has_its_personal_channel(serve: Serve, encoding: Encoding) -> None:
    server = serve(config({"subscribe_to_user_personal_channel": PERSONAL}, options=ChannelOptions()))
    client, anonymous = server.open(encoding), server.open(encoding)
    assert result_of(client, token=token(sub="42")).subs == {"#42": SubscribeResult()}
    assert result_of(anonymous, token=token()).subs is None
    server.publish("#42", b"1")
    assert client.received() == [publication("#42", b"1")]


def test_a_personal_channel_may_have_a_namespace_and_be_in_the_token_too(serve: Serve) -> None:
    personal = replace(PERSONAL, personal_channel_namespace="chat")
    server = serve(config({"subscribe_to_user_personal_channel": personal}, namespaces=(CHAT,)))
    client = server.open()
    claims = {"chat:#42": {"data": 1}}
    assert result_of(client, token=token(sub="42", subs=claims)).subs == {
        "chat:#42": SubscribeResult(data=Raw(b"1"))
    }
    assert token_channels(client.session) == {"chat:#42"}


SINGLE = {"subscribe_to_user_personal_channel": replace(PERSONAL, single_connection=True)}


@BOTH
def test_of_a_user_with_one_connection_the_older_one_goes(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(SINGLE, options=ChannelOptions(presence=True)))
    first, other, anonymous = server.connect(encoding, sub="42"), server.connect(sub="43"), server.connect()
    second = server.connect(encoding, sub="42")
    assert first.closed_with == errors.CONNECTION_LIMIT
    assert server.hub.sessions_of("42") == [second.session]
    server.connect()
    assert {client.closed_with for client in (second, other, anonymous)} == {None}
    assert set(done(server.node.presence("#42"))) == {second.id}


def test_one_connection_needs_presence(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(config(SINGLE, options=ChannelOptions()))
    client = server.open()
    assert client.ask(connect(token=token(sub="42"))) == []
    assert client.closed_with == errors.INTERNAL_SERVER_ERROR
    assert "single connection can not be enforced" in caplog.text


class SlowStats(SlowPresence):
    """Counts only when the test says so."""

    async def stats(self, channel: str) -> PresenceStats:
        await self._wait("stats")
        return await super().stats(channel)

    async def _wait(self, name: str) -> None:
        if name == "stats":
            await super()._wait(name)


def test_one_connection_survives_an_engine_that_is_away_or_a_client_that_goes() -> None:
    presence = SlowStats()

    async def test(server: Server, broker: SlowBroker) -> None:
        first, fails, goes = server.open(), server.open(), server.open()
        first.send(connect(token=token(sub="42")))
        await presence.let_go("stats")
        await let_all_go(broker)
        assert first.received()[0].connect is not None
        for client in (fails, goes):
            client.send(connect(token=token(sub="42")))
        await settle()
        await presence.let_go("stats", ConnectionError("away"))
        assert fails.closed_with == errors.INTERNAL_SERVER_ERROR
        goes.session.on_closed()
        await settle()
        assert first.closed_with is None
        assert asyncio.all_tasks() == {asyncio.current_task()}

    options = ChannelOptions(presence=True)
    with_slow_broker(test, presence=presence, options=options, client=SINGLE)


def test_who_goes_while_the_users_many_others_are_disconnected_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control, "CLIENTS_AT_ONCE", 1)

    async def run() -> None:
        server = Server(config(SINGLE, options=ChannelOptions(presence=True)))
        others = [server.connect(sub="42", channels=["news"]) for _ in range(3)]
        monkeypatch.setattr(server.node.hub, "sessions_of", lambda *_: [other.session for other in others])
        client = server.open()
        client.send(connect(token=token(sub="42")))
        assert client.session.queue is not None, "it waits"
        client.session.on_closed()
        await settle()
        assert client.received() == []
        server.close()

    asyncio.run(run())
