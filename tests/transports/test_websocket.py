"""The WebSocket endpoints: who is let in, in which encoding, and that commands find their way."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from centrifast import errors
from centrifast.protocol.http1 import Request
from centrifast.protocol.wire import Command, ConnectRequest, Encoding, Reply
from centrifast.server.routes import UpgradeRefusal
from centrifast.transports._connection import Settings
from centrifast.transports.origin import OriginPolicy
from centrifast.transports.websocket import EchoEndpoint, WebSocketEndpoint
from tests.client.fakes import (
    CODECS,
    VARIANTS,
    Server,
    config,
    frames_of,
    messages_of,
    settle,
    subscribe,
    subscribed,
)
from tests.core_fakes import JSON
from tests.in_process_server import InProcessServer
from tests.protocol.client_side import json_line, protobuf_frame
from tests.raw_websocket import ACCEPT, BINARY, CLOSE, KEY, TEXT, frame

CONNECT = Command(id=1, connect=ConnectRequest())


class Caller:
    """The far end of an upgrade request."""

    def __init__(self, server: Server, far: socket.socket, refusal: UpgradeRefusal | None) -> None:
        self._server = server
        self._far = far
        self.refusal = refusal

    async def received(self) -> bytes:
        """What has come since the last look."""
        data = b""
        for _ in range(3):
            await settle()
            self._server.turns.run()
            try:
                data += self._far.recv(1 << 20)
            except BlockingIOError:
                pass
        return data

    async def head(self) -> list[bytes]:
        """Lines of the response's head; nothing may follow it."""
        head, separator, rest = (await self.received()).partition(b"\r\n\r\n")
        assert (separator, rest) == (b"\r\n\r\n", b"")
        return head.split(b"\r\n")

    async def write(self, data: bytes) -> None:
        self._far.sendall(data)
        await settle()


class Bench:
    """A server with its endpoints, and callers to them."""

    def __init__(self, server: Server, origins: tuple[str, ...] = ()) -> None:
        self.server = server
        self.settings = Settings(server.drain, server.wheel, 65536)
        encodings = {encoding: (VARIANTS[encoding], CODECS[encoding]) for encoding in Encoding}
        self.endpoint = WebSocketEndpoint(server.node, self.settings, OriginPolicy(origins), encodings)
        self.echo = EchoEndpoint(self.settings, JSON)
        self.sockets: list[socket.socket] = []
        self.transports: list[asyncio.Transport] = []

    async def call(
        self,
        headers: Mapping[str, str] | None = None,
        query: str = "",
        rest: bytes = b"",
        endpoint: WebSocketEndpoint | EchoEndpoint | None = None,
    ) -> Caller:
        """Make an upgrade request; its answer is still to be read."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.sockets.append(theirs)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
        self.transports.append(transport)
        request = Request(
            method="GET",
            path="/connection/websocket",
            query=query,
            headers={"sec-websocket-key": KEY, **(headers or {})},
            is_http_1_1=True,
            keep_alive=True,
            is_upgrade=True,
        )
        refusal = (endpoint or self.endpoint).upgrade(transport, request, rest)
        return Caller(self.server, theirs, refusal)

    async def close(self) -> None:
        for transport in self.transports:
            transport.abort()
        await settle()
        for far in self.sockets:
            far.close()
        assert self.settings.open_connections == 0
        self.server.close()


def with_bench(
    test: Callable[[Bench], Awaitable[None]],
    client: dict[str, Any] | None = None,
    origins: tuple[str, ...] = ("https://example.com",),
) -> None:
    """Run *test* on a loop; everybody is gone in the end."""

    async def run() -> None:
        bench = Bench(Server(config(client)), origins)
        try:
            await test(bench)
        finally:
            await bench.close()

    asyncio.run(run())


# ------------------------------------------------------------------ who is let in


@pytest.mark.parametrize("headers", [{}, {"origin": "https://example.com"}])
def test_the_upgrade_is_accepted(headers: dict[str, str]) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.call(headers)
        assert caller.refusal is None
        status, *lines = await caller.head()
        assert status == b"HTTP/1.1 101 Switching Protocols"
        assert f"Sec-WebSocket-Accept: {ACCEPT}".encode() in lines
        assert bench.settings.open_connections == 1

    with_bench(test)


def refused(caller: Caller) -> tuple[int, bytes]:
    assert caller.refusal is not None
    return caller.refusal.status, caller.refusal.body


def test_a_foreign_origin_is_forbidden_and_leaves_no_session() -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.call({"origin": "https://evil.org"})
        assert refused(caller) == (403, b"Forbidden")
        assert bench.server.is_empty

    with_bench(test)


def test_a_full_server_refuses_before_it_looks_at_the_origin() -> None:
    async def test(bench: Bench) -> None:
        bench.server.connect()
        assert refused(await bench.call({"origin": "https://evil.org"})) == (503, b"")
        assert refused(await bench.call()) == (503, b"")

    with_bench(test, {"connection_limit": 1})


def test_too_many_connections_at_once_are_refused() -> None:
    async def test(bench: Bench) -> None:
        assert (await bench.call()).refusal is None
        assert refused(await bench.call()) == (503, b"")

    with_bench(test, {"connection_rate_limit": 1})


# ------------------------------------------------------------------ encodings


@pytest.mark.parametrize(
    ("subprotocol", "query", "encoding", "echoed"),
    [
        (None, "", Encoding.JSON, None),
        ("", "", Encoding.JSON, None),
        ("graphql-ws", "", Encoding.JSON, None),
        ("centrifuge-json", "", Encoding.JSON, b"centrifuge-json"),
        ("x, centrifuge-protobuf", "", Encoding.PROTOBUF, b"centrifuge-protobuf"),
        (None, "format=protobuf", Encoding.PROTOBUF, None),
        (None, "a=b&cf_protocol=protobuf", Encoding.PROTOBUF, None),
        ("centrifuge-json", "format=protobuf", Encoding.PROTOBUF, b"centrifuge-json"),
    ],
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_the_agreed_encoding_is_spoken_whatever_the_opcode(
    subprotocol: str | None, query: str, encoding: Encoding, echoed: bytes | None, opcode: int
) -> None:
    async def test(bench: Bench) -> None:
        headers = {} if subprotocol is None else {"sec-websocket-protocol": subprotocol}
        caller = await bench.call(headers, query)
        lines = await caller.head()
        named = [line for line in lines if line.lower().startswith(b"sec-websocket-protocol")]
        assert named == ([b"Sec-WebSocket-Protocol: " + echoed] if echoed else [])
        encode = json_line if encoding is Encoding.JSON else protobuf_frame
        await caller.write(frame(opcode, encode(CONNECT)))
        data = await caller.received()
        assert data[0] & 15 == (TEXT if encoding is Encoding.JSON else BINARY)
        ((reply,),) = (messages_of(payload, encoding) for payload in frames_of(data))
        assert reply.connect is not None

    with_bench(test)


# ------------------------------------------------------------------ a user id from a header

ONLY_BY_HEADER = {"allow_anonymous_connect_without_token": False, "user_id_http_header": "X-User-Id"}


async def connect_as(bench: Bench, headers: Mapping[str, str]) -> str | None:
    """The user that a connect with these request headers has become, or None if it was refused."""
    caller = await bench.call(headers)
    await caller.head()
    await caller.write(frame(TEXT, json_line(CONNECT)))
    users = [client.user for client in bench.server.hub.clients.values()]
    return users[0] if users else None


@pytest.mark.parametrize(
    ("value", "user"),
    [
        ("42", "42"),
        ("J\u00c3\u00b6rg", "J\u00f6rg"),  # UTF-8, as the parser gives it
        ("", None),
        ("7, 42", None),  # twice: one of them may be the client's own
        ("42,", None),
        ("J\u00f6rg", None),  # no UTF-8
    ],
)
def test_a_trusted_header_names_the_user(value: str, user: str | None) -> None:
    async def test(bench: Bench) -> None:
        assert await connect_as(bench, {"x-user-id": value}) == user

    with_bench(test, ONLY_BY_HEADER)


@pytest.mark.parametrize(
    "client",
    [
        {**ONLY_BY_HEADER, "user_id_http_header": ""},
        {**ONLY_BY_HEADER, "user_id_http_header": "X-Other"},
    ],
)
def test_a_header_that_is_not_trusted_names_nobody(client: dict[str, Any]) -> None:
    async def test(bench: Bench) -> None:
        assert await connect_as(bench, {"x-user-id": "42"}) is None

    with_bench(test, client)


def test_where_anonymous_users_are_allowed_the_header_is_not_asked() -> None:
    async def test(bench: Bench) -> None:
        assert await connect_as(bench, {"x-user-id": "42"}) == ""

    with_bench(test, {"user_id_http_header": "X-User-Id"})


@pytest.mark.parametrize(
    ("sent", "user"),
    [({"X-User-Id": "42"}, "42"), ({"x-USER-id": "42"}, "42"), ({"X-User-Id": "7", "x-user-id": "42"}, None)],
)
def test_the_header_finds_its_way_through_the_front_door(sent: dict[str, str], user: str | None) -> None:
    flags: dict[str, str | bool | int] = {
        "client.allow_anonymous_connect_without_token": False,
        "client.user_id_http_header": "x-user-ID",
    }
    with InProcessServer(flags) as server, server.client(headers=sent) as client:
        client.send_text('{"id":1,"connect":{}}')
        answer = client.receive()
        assert answer is not None
        assert answer.opcode == (TEXT if user else CLOSE)
        clients = server.call(lambda: list(server.node.hub.clients.values()))
        assert [known.user for known in clients] == ([user] if user else [])


# ------------------------------------------------------------------ a connection


def replies_in(data: bytes) -> list[Reply]:
    return [reply for payload in frames_of(data) for reply in messages_of(payload, Encoding.JSON)]


def test_what_came_right_behind_the_request_is_served() -> None:
    async def test(bench: Bench) -> None:
        lines = json_line(CONNECT) + b"\n" + json_line(subscribe(2, "news"))
        caller = await bench.call(rest=frame(TEXT, lines))
        _, _, data = (await caller.received()).partition(b"\r\n\r\n")
        replies = replies_in(data)
        assert replies[0].connect is not None
        assert replies[1:] == [subscribed(2)]

    with_bench(test)


def test_a_connection_that_is_lost_leaves_no_session() -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.call()
        await caller.write(frame(TEXT, json_line(CONNECT) + b"\n" + json_line(subscribe(2, "news"))))
        assert len(bench.server.hub.clients) == 1
        bench.sockets[0].close()
        await settle()
        assert bench.server.is_empty

    with_bench(test)


def test_a_disconnect_becomes_a_close_frame_with_code_and_reason() -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.call()
        await caller.head()
        await caller.write(frame(TEXT, b"nonsense"))
        (payload,) = frames_of(await caller.received())
        assert payload == b"\x0d\xad" + errors.BAD_REQUEST_DISCONNECT.reason.encode()
        assert bench.server.is_empty

    with_bench(test)


# ------------------------------------------------------------------ echo


@pytest.mark.parametrize(("opcode", "payload"), [(TEXT, b"\xc3\xa9"), (BINARY, b"\xff"), (TEXT, b"")])
def test_echo_sends_every_message_back_as_it_came(opcode: int, payload: bytes) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.call(endpoint=bench.echo)
        assert caller.refusal is None
        await caller.head()
        await caller.write(frame(opcode, payload))
        assert await caller.received() == bytes([0x80 | opcode, len(payload)]) + payload

    with_bench(test)


def test_echo_drops_a_peer_that_does_not_read() -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.call(endpoint=bench.echo)
        await caller.head()
        for _ in range(8):
            await caller.write(frame(BINARY, b"x" * 60_000))
        await settle()
        bench.server.turns.run()
        await settle()
        assert bench.settings.open_connections == 0

    with_bench(test, {"queue_max_size": 100_000})
