"""The server's checklist (server specification 15), line by line: 8, 9, 12, 15, 16 and 29; others stand beside this."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from centrifast import errors
from centrifast.config.error import ConfigError
from centrifast.config.schema import Namespace
from centrifast.config.validate import refuse_unsupported
from centrifast.errors import DisconnectCode
from centrifast.protocol.wire import (
    Command,
    ConnectRequest,
    Encoding,
    HistoryRequest,
    PresenceRequest,
    RefreshRequest,
    RefreshResult,
    Reply,
    SubRefreshRequest,
    SubRefreshResult,
)
from tests.client.conftest import Serve
from tests.client.fakes import (
    NOW,
    OPEN,
    Server,
    config,
    done,
    error,
    messages_of,
    publish,
    subscribe,
    subscribed,
    token,
    unsubscribed,
)
from tests.config.building import config_of
from tests.conformance.situations import written
from tests.in_process_server import InProcessServer
from tests.raw_websocket import BINARY, CLOSE, TEXT, RawWebSocket
from tests.server_process import ServerProcess
from tests.transports.test_websocket import Bench, refused, with_bench

BOTH = pytest.mark.parametrize("encoding", Encoding)
OPCODES = {Encoding.JSON: TEXT, Encoding.PROTOBUF: BINARY}


# ------------------------------------------------------------------ 8: origins


@pytest.mark.parametrize(
    ("patterns", "origin", "allowed"),
    [
        ((), None, True),
        ((), "https://a.example", False),
        (("*",), "https://a.example", True),
        (("*",), None, True),
        (("https://a.example",), "https://a.example", True),
        (("https://a.example",), "HTTPS://A.Example", True),
        (("https://A.example",), "https://a.example", True),
        (("https://a.example",), "https://b.example", False),
        (("https://a.example",), "http://a.example", False),
        (("https://a.example",), "https://a.example:8443", False),
        (("https://*.example",), "https://x.y.example", True),
        (("https://*.example",), "https://example", False),
        (("https://?.example",), "https://a.example", True),
        (("https://[ab].example",), "https://c.example", False),
        (("https://[!ab].example",), "https://c.example", True),
        (("https://{a,b}.example",), "https://b.example", True),
        (("https://a.example", "https://b.example"), "https://b.example", True),
        (("https://a.example",), "null", False),
        (("https://a.example",), None, True),
    ],
)
def test_8_origin_matrix(patterns: tuple[str, ...], origin: str | None, allowed: bool) -> None:
    async def story(bench: Bench) -> None:
        caller = await bench.call({} if origin is None else {"origin": origin})
        if allowed:
            assert caller.refusal is None
        else:
            assert refused(caller) == (403, b"Forbidden")

    with_bench(story, origins=patterns)


# ------------------------------------------------------------------ 9: limits


def test_9_connection_limit_503() -> None:
    with InProcessServer({"client.connection_limit": 1}) as server, server.client() as client:
        client.connect()
        with server.client() as other:
            assert other.status == 503
        assert len(server.take_errors()) == 1  # the warning


@BOTH
def test_9_user_limit_3504_and_channel_limit_106_3505(serve: Serve, encoding: Encoding) -> None:
    server = serve(config({"user_connection_limit": 1, "channel_limit": 1}))
    client = server.connect(encoding, sub="42")
    second = server.open(encoding)
    assert second.ask(Command(id=1, connect=ConnectRequest(token=token(sub="42")))) == []
    assert second.closed_with == errors.CONNECTION_LIMIT
    assert client.ask(subscribe(2, "a"), subscribe(3, "b")) == [
        subscribed(2),
        error(3, errors.LIMIT_EXCEEDED),
    ]
    many = server.open(encoding)
    text = token(sub="7", channels=["a", "b"])
    assert many.ask(Command(id=1, connect=ConnectRequest(token=text))) == []
    assert many.closed_with == errors.CHANNEL_LIMIT


# ------------------------------------------------------------------ 10: proxies, which do not exist yet


@pytest.mark.parametrize(
    "path",
    [
        "channel.without_namespace.subscribe_proxy_enabled",
        "channel.without_namespace.publish_proxy_enabled",
        "channel.without_namespace.sub_refresh_proxy_enabled",
        "channel.without_namespace.subscribe_stream_proxy_enabled",
        "rpc.without_namespace.proxy_enabled",
        "client.proxy.connect.enabled",
        "client.proxy.refresh.enabled",
    ],
)
def test_10_rows_of_proxies_are_refused_at_start(path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        refuse_unsupported(config_of({path: True}))


# ------------------------------------------------------------------ 12: names

NUMBERED = Namespace(
    name="id",
    channel_regex="^[0-9]+$",
    allow_subscribe_for_client=True,
    allow_publish_for_client=True,
    presence=True,
    allow_presence_for_client=True,
    history_size=5,
    history_ttl=60.0,
    allow_history_for_client=True,
)
SOMEWHERE = replace(NUMBERED, name="any", channel_regex="[0-9]")
PLAIN = replace(NUMBERED, name="plain", channel_regex="")
NAMES = {
    "id:7": True,
    "id:7a": False,
    "id:7\n": False,
    "id:": False,
    "id:id:7": False,
    "any:a7b": True,
    "any:ab": False,
    "any:é7": True,
    "any:٣": False,
    "plain:a": True,
    "plain:é": False,
    "$plain:a": True,
}


@pytest.mark.parametrize("channel", NAMES)
@BOTH
def test_12_channel_regex_and_ascii(serve: Serve, channel: str, encoding: Encoding) -> None:
    server = serve(config(options=OPEN, namespaces=(NUMBERED, SOMEWHERE, PLAIN)))
    client = server.connect(encoding, sub="42")
    commands = [
        subscribe(2, channel, token=token(sub="42", channel=channel)),
        publish(3, channel, b"1"),
        Command(id=4, presence=PresenceRequest(channel)),
        Command(id=5, history=HistoryRequest(channel)),
    ]
    for command in commands:
        (reply,) = [reply for reply in client.ask(command) if reply.id == command.id]
        if NAMES[channel]:
            assert reply.error is None
        else:
            assert reply == error(command.id, errors.BAD_REQUEST)
    server.publish(channel, b"1")  # the API is not held to this
    done(server.node.subscribe("42", channel))
    assert channel in client.session.subscriptions


@pytest.mark.parametrize(("pattern", "length"), [("x", 1), ("é", 2), ("€", 3), ("😀", 4)])
@BOTH
def test_12_length_255_and_256_bytes(serve: Serve, pattern: str, length: int, encoding: Encoding) -> None:
    client = serve(config(options=replace(OPEN, channel_regex="."))).connect(encoding)
    fits = pattern * (255 // length) + "x" * (255 % length)
    assert len(fits.encode()) == 255
    assert client.ask(subscribe(2, fits)) == [subscribed(2)]
    assert client.ask(subscribe(3, fits + "x")) == [error(3, errors.BAD_REQUEST)]


# ------------------------------------------------------------------ 15: expiration of connections


def refresh(**claims: object) -> Command:
    return Command(id=9, refresh=RefreshRequest(token=token(**({"sub": "42"} | claims))))


@BOTH
def test_15_without_refresh_3005_after_25_s(server: Server, encoding: Encoding) -> None:
    client = server.connect(encoding, sub="42", exp=NOW + 10)
    server.advance(34)
    assert client.closed_with is None
    server.advance(2)
    assert client.closed_with == errors.CONNECTION_EXPIRED


@BOTH
def test_15_with_refresh(server: Server, encoding: Encoding) -> None:
    client = server.connect(encoding, sub="42", exp=NOW + 10)
    server.advance(30)
    (reply,) = client.ask(refresh(exp=NOW + 60))
    assert reply.refresh == RefreshResult(client=client.id, expires=True, ttl=30)
    server.advance(54)
    assert client.closed_with is None
    server.advance(2)
    assert client.closed_with == errors.CONNECTION_EXPIRED


@BOTH
def test_15_a_token_without_expiry_clears_the_timer(server: Server, encoding: Encoding) -> None:
    client = server.connect(encoding, sub="42", exp=NOW + 10)
    (reply,) = client.ask(refresh())
    assert reply.refresh == RefreshResult(client=client.id)
    server.advance(100)
    assert client.closed_with is None


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"sub": "7"}, errors.INVALID_TOKEN),
        ({"channels": ["b"]}, errors.INSUFFICIENT_STATE),
        ({"channels": ["a", "b"]}, errors.INSUFFICIENT_STATE),
        ({}, errors.INSUFFICIENT_STATE),
        ({"channels": ["a"], "exp": NOW}, errors.CONNECTION_EXPIRED),
        ({"channels": ["a"]}, None),
    ],
)
@BOTH
def test_15_another_user_3500_and_changed_subs_3010(
    server: Server, claims: dict[str, object], expected: DisconnectCode | None, encoding: Encoding
) -> None:
    client = server.connect(encoding, sub="42", channels=["a"])
    client.ask(subscribe(2, "own"))  # which is nothing of the token's
    client.ask(refresh(**claims))
    assert client.closed_with == expected


def test_15_insecure_connections_never_expire(serve: Serve) -> None:
    server = serve(config({"insecure": True}))
    client = server.open()
    (reply,) = client.ask(Command(id=1, connect=ConnectRequest(token=token(sub="42", exp=NOW + 10))))
    assert reply.connect is not None
    assert (reply.connect.expires, reply.connect.ttl) == (False, 0)
    server.advance(100)
    assert client.closed_with is None


# ------------------------------------------------------------------ 16: expiration of subscriptions


def of_channel(**claims: object) -> str:
    return token(**({"sub": "42", "channel": "news"} | claims))


@BOTH
def test_16_2501_and_server_side_3006(serve: Serve, encoding: Encoding) -> None:
    server = serve(config({"presence_update_interval": 1.0}))
    own, given = server.connect(encoding, sub="42"), server.connect(encoding, sub="7")
    own.ask(subscribe(2, "news", token=of_channel(exp=NOW + 10)))
    done(server.node.subscribe("7", "news", expire_at=NOW + 10))
    given.received()
    server.advance(34)
    assert (own.received(), given.closed_with) == ([], None)
    server.advance(3)
    assert own.received() == [unsubscribed("news", errors.UNSUBSCRIBE_EXPIRED)]
    assert given.closed_with == errors.SUBSCRIPTION_EXPIRED
    assert own.closed_with is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", errors.BAD_REQUEST),
        (of_channel(exp=NOW), errors.TOKEN_EXPIRED),
        (of_channel(exp=NOW + 60, expire_at=NOW), errors.EXPIRED),
        ("x", errors.INVALID_TOKEN),
        (of_channel(channel="other"), errors.INVALID_TOKEN),
        (of_channel(sub="7"), errors.INVALID_TOKEN),
        (of_channel(client="x"), errors.INVALID_TOKEN),
    ],
)
@BOTH
def test_16_sub_refresh_rows(
    server: Server, text: str, expected: errors.ErrorCode | DisconnectCode, encoding: Encoding
) -> None:
    client = server.connect(encoding, sub="42")
    client.ask(subscribe(2, "news", token=of_channel(exp=NOW + 10)))
    command = Command(id=9, sub_refresh=SubRefreshRequest("news", text))
    if isinstance(expected, DisconnectCode):
        assert client.ask(command) == []
        assert client.closed_with == expected
    else:
        assert client.ask(command) == [error(9, expected)]
        server.advance(37)  # and the subscription ends when it would have ended
        assert not client.session.subscriptions


@BOTH
def test_16_sub_refresh_extends(serve: Serve, encoding: Encoding) -> None:
    server = serve(config({"expired_sub_close_delay": 1.0, "presence_update_interval": 1.0}))
    client = server.connect(encoding, sub="42")
    client.ask(subscribe(2, "news", token=of_channel(exp=NOW + 10)))
    command = Command(id=9, sub_refresh=SubRefreshRequest("news", of_channel(exp=NOW + 50)))
    assert client.ask(command) == [Reply(id=9, sub_refresh=SubRefreshResult(expires=True, ttl=50))]
    server.advance(50)
    assert client.received() == []
    server.advance(4)
    assert client.received() == [unsubscribed("news", errors.UNSUBSCRIBE_EXPIRED)]


# ------------------------------------------------------------------ 29: stop


def test_29_stop_3001_to_clients_exit_0_pid_file_gone(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with ServerProcess(tmp_path, {"pid_file": str(pid_file)}) as server:
        assert int(pid_file.read_text()) == server.pid
        clients = {
            encoding: RawWebSocket(server.port, f"/connection/websocket?format={encoding.value}")
            for encoding in Encoding
        }
        for encoding, client in clients.items():
            connect = Command(id=1, connect=ConnectRequest())
            client.send_frame(OPCODES[encoding], written(encoding, connect, subscribe(2, "news")))
            count = 0
            while count < 2:
                received = client.receive()
                assert received is not None
                count += len(messages_of(received.payload, encoding))
        server.signal(signal.SIGTERM)
        for client in clients.values():
            received = client.receive_close()
            assert received.payload == (3001).to_bytes(2, "big") + b"shutdown"
            client.send_frame(CLOSE, received.payload[:2])
            assert client.receive() is None
            client.socket.close()
        assert server.wait() == 0
    assert not pid_file.exists()


def test_29_a_client_that_hangs_exit_1_after_the_timeout(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    changes = {"pid_file": str(pid_file), "shutdown": {"timeout": "1s"}}
    with ServerProcess(tmp_path, changes) as server, RawWebSocket(server.port) as client:
        client.connect()
        server.signal(signal.SIGTERM)
        assert server.wait() == 1
        assert "shutdown timeout reached" in server.log()
    assert not pid_file.exists()
