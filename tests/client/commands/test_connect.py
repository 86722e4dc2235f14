"""connect: client protocol 3.3, its table row by row, and server-side subscriptions (8.1)."""

from typing import Any

import pytest
from msgspec import Raw

from centrifast import __version__, errors
from centrifast.client.commands.refresh import token_channels
from centrifast.config.schema import ChannelOptions, Namespace
from centrifast.errors import DisconnectCode
from centrifast.protocol.wire import (
    Command,
    ConnectRequest,
    ConnectResult,
    Encoding,
    RefreshRequest,
    RPCRequest,
    SubscribeRequest,
    SubscribeResult,
)
from tests.client.conftest import Serve
from tests.client.fakes import NOW, Far, Server, config, error, publication, subscribe, token

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
    wanted = subs("chat:1", "news", "$chat:2", "dialog#42,7", "dialog#7", "chat:é")
    result = result_of(server.open(), token=token(sub="42"), subs=wanted)
    assert result.subs is not None
    assert set(result.subs) == {"chat:1", "dialog#42,7"}


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
