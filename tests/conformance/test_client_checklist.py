"""Section 15 of the client protocol, item by item: wire and transports."""

import json
from collections.abc import Iterator

import pytest
from msgspec import Raw
from msgspec.structs import replace

from centrifast import errors
from centrifast.config.schema import ChannelOptions, RpcConfig, RpcPingConfig
from centrifast.errors import DisconnectCode
from centrifast.limits import CLOSE_REASON_SIZE
from centrifast.protocol.wire import (
    Command,
    ConnectRequest,
    ConnectResult,
    Encoding,
    HistoryRequest,
    PresenceRequest,
    PresenceStatsRequest,
    Pub,
    Push,
    Reply,
    RPCRequest,
    SubRefreshRequest,
)
from tests.client.conftest import Serve
from tests.client.fakes import (
    Server,
    config,
    done,
    messages_of,
    publish,
    subscribe,
    subscribed,
    token,
    unsubscribe,
)
from tests.conformance.connection_rows import CONNECTION_ROWS
from tests.conformance.situations import Row, both, play, written
from tests.in_process_server import InProcessServer
from tests.raw_websocket import BINARY, CLOSE, PING, PONG, TEXT, Frame, RawWebSocket

BOTH = pytest.mark.parametrize("encoding", Encoding)
QUERY = {Encoding.JSON: "", Encoding.PROTOBUF: "?format=protobuf"}
OPCODES = {Encoding.JSON: TEXT, Encoding.PROTOBUF: BINARY}
CONNECT = Command(id=1, connect=ConnectRequest())


@pytest.fixture(scope="module")
def running() -> Iterator[InProcessServer]:
    """A server with sockets, for what is below the messages."""
    with InProcessServer() as server:
        yield server


def dial(running: InProcessServer, encoding: Encoding) -> RawWebSocket:
    return running.client(path=f"/connection/websocket{QUERY[encoding]}")


def replies_of(client: RawWebSocket, encoding: Encoding, count: int) -> list[Reply]:
    """The next messages, in frames of the right opcode."""
    replies: list[Reply] = []
    while len(replies) < count:
        received = client.receive()
        assert received is not None
        assert received.opcode == OPCODES[encoding]
        replies += messages_of(received.payload, encoding)
    return replies


# ------------------------------------------------------------------ wire

BATCH = {
    Encoding.JSON: b'{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"news","flag":1}}',
    Encoding.PROTOBUF: bytes.fromhex("04 08012200 0c 0802 2a08 0a04 6e657773 7001"),
}


@pytest.mark.parametrize("trailing", [b"", b"\n"])
def test_json_batch_in_one_frame(server: Server, trailing: bytes) -> None:
    client = server.open()
    client.write(BATCH[Encoding.JSON] + trailing)
    assert [(reply.id, reply.error) for reply in client.received()] == [(1, None), (2, None)]


def test_protobuf_batch(server: Server) -> None:
    client = server.open(Encoding.PROTOBUF)
    client.write(BATCH[Encoding.PROTOBUF])
    (frame,) = client.frames()
    assert frame.endswith(bytes.fromhex("04 08023200"))
    assert [reply.id for reply in messages_of(frame, Encoding.PROTOBUF)] == [1, 2]


@pytest.mark.parametrize("sent", [TEXT, BINARY])
@BOTH
def test_opcode_follows_encoding(running: InProcessServer, encoding: Encoding, sent: int) -> None:
    with dial(running, encoding) as client:
        client.send_frame(sent, BATCH[encoding])
        connected, second = replies_of(client, encoding, 2)
        assert connected.connect is not None
        assert second == subscribed(2)


@pytest.mark.parametrize(
    ("query", "offered", "echoed", "encoding"),
    [
        ("", "centrifuge-json", "centrifuge-json", Encoding.JSON),
        ("", "centrifuge-protobuf", "centrifuge-protobuf", Encoding.PROTOBUF),
        ("", "mqtt,  centrifuge-protobuf , centrifuge-json", "centrifuge-protobuf", Encoding.PROTOBUF),
        ("", "centrifuge-json, centrifuge-protobuf", "centrifuge-json", Encoding.JSON),
        ("?format=protobuf", "centrifuge-json", "centrifuge-json", Encoding.PROTOBUF),
        ("?cf_protocol=protobuf", None, None, Encoding.PROTOBUF),
        ("?format=protobuf&cf_protocol_version=v2", None, None, Encoding.PROTOBUF),
        ("?cf_protocol_version=v2", None, None, Encoding.JSON),
        ("", "mqtt", None, Encoding.JSON),
        ("", "", None, Encoding.JSON),
    ],
)
def test_subprotocol_echoed_and_empty_header_tolerated(
    running: InProcessServer, query: str, offered: str | None, echoed: str | None, encoding: Encoding
) -> None:
    headers = {} if offered is None else {"Sec-WebSocket-Protocol": offered}
    with running.client(path=f"/connection/websocket{query}", headers=headers) as client:
        assert (client.status, client.header("Sec-WebSocket-Protocol")) == (101, echoed)
        client.send_frame(OPCODES[encoding], written(encoding, CONNECT))
        (reply,) = replies_of(client, encoding, 1)
        assert reply.connect is not None


def test_payload_newlines_stripped(server: Server) -> None:
    payload = b'{\n  "a": "x\\ny",\r\n  "b" : 1.0\n}\n'
    plain, protobuf = (server.subscriber("news", encoding) for encoding in Encoding)
    server.publish("news", payload)
    assert plain.frames() == [b'{"push":{"channel":"news","pub":{"data":%b}}}' % payload.replace(b"\n", b"")]
    (push,) = protobuf.received()
    assert push.push is not None
    assert push.push.pub == Pub(data=Raw(payload))


@pytest.mark.parametrize(
    ("command", "name", "hexadecimal"),
    [
        (subscribe(2, "news"), "subscribe", "04 0802 3200"),
        (publish(3, "news", b"1"), "publish", "04 0803 4200"),
        (unsubscribe(4, "news"), "unsubscribe", "04 0804 3a00"),
        (Command(id=5, rpc=RPCRequest(method="ping")), "rpc", "04 0805 6a00"),
        (
            Command(id=6, sub_refresh=SubRefreshRequest("held", token(sub="42", channel="held"))),
            "sub_refresh",
            None,
        ),
    ],
)
@BOTH
def test_empty_sub_messages_present(
    serve: Serve, command: Command, name: str, hexadecimal: str | None, encoding: Encoding
) -> None:
    server = serve(config(rpc=RpcConfig(ping=RpcPingConfig(enabled=True))))
    client = server.subscriber("held", encoding, sub="42")
    client.send(command)
    (frame,) = client.frames()
    if encoding is Encoding.JSON:
        assert frame == b'{"id":%d,"%b":{}}' % (command.id, name.encode())
    elif hexadecimal is not None:
        assert frame == bytes.fromhex(hexadecimal)
    else:
        (reply,) = messages_of(frame, encoding)
        assert getattr(reply, name) is not None


def test_64_bit_numbers_as_numbers(serve: Serve) -> None:
    client = serve(
        config(options=ChannelOptions(history_size=1, history_ttl=9.0), client={"insecure": True})
    ).connect()
    client.session.push(Push(channel="news", pub=Pub(data=Raw(b"1"), offset=2**64 - 1)))
    assert client.frames() == [b'{"push":{"channel":"news","pub":{"data":1,"offset":18446744073709551615}}}']
    client.write(b'{"id":2,"history":{"channel":"news","limit":-1,"since":{"offset":18446744073709551615}}}')
    assert [reply.error for reply in client.received()] == [None]


ALWAYS = {
    "presence": (Command(id=2, presence=PresenceRequest("news")), b'"presence":{"presence":{}}'),
    "presence_stats": (
        Command(id=2, presence_stats=PresenceStatsRequest("news")),
        b'"presence_stats":{"num_clients":0,"num_users":0}',
    ),
    "history": (
        Command(id=2, history=HistoryRequest("news")),
        b'"history":{"publications":[],"epoch":"aaaaaaab","offset":0}',
    ),
}


@pytest.mark.parametrize("name", ALWAYS)
def test_always_fields(serve: Serve, name: str) -> None:
    options = ChannelOptions(presence=True, history_size=5, history_ttl=60.0)
    client = serve(config({"insecure": True}, options)).connect()
    command, expected = ALWAYS[name]
    client.send(command)
    assert client.frames() == [b'{"id":2,%b}' % expected]


def test_always_fields_of_client_info(server: Server) -> None:
    client = server.subscriber("news")
    client.send(publish(3, "news", b"1"))
    lines = b"\n".join(client.frames()).split(b"\n")
    push = (
        b'{"push":{"channel":"news","pub":{"data":1,"info":{"user":"","client":"%b"}}}}' % client.id.encode()
    )
    assert sorted(lines) == sorted([push, b'{"id":3,"publish":{}}'])


@both({"1.4": CONNECTION_ROWS["1.4"]})
def test_3501_for_each_malformed_case(row: Row, encoding: Encoding) -> None:
    play(row, encoding)


@BOTH
def test_1009_on_oversize(running: InProcessServer, encoding: Encoding) -> None:
    with dial(running, encoding) as client:
        client.send_frame(TEXT, written(encoding, CONNECT, publish(2, "news", b'"%b"' % (b"x" * 65536))))
        assert client.receive() == Frame(CLOSE, (1009).to_bytes(2, "big"))


@BOTH
def test_websocket_ping_answered(running: InProcessServer, encoding: Encoding) -> None:
    with dial(running, encoding) as client:
        client.send_frame(PING, b"20 s")
        assert client.receive() == Frame(PONG, b"20 s")
        client.send_frame(TEXT, b"", fin=False)
        client.send_frame(PING, b"between fragments")
        assert client.receive() == Frame(PONG, b"between fragments")


def test_the_first_connect_reply_has_what_every_sdk_reads(server: Server) -> None:
    client = server.open()
    (reply,) = client.ask(CONNECT)
    assert reply.connect is not None
    assert replace(reply.connect, version="", client="") == ConnectResult()
    assert reply.connect.version
    assert reply.connect.client == client.id


def test_a_published_message_has_the_bytes_of_the_specification(serve: Serve) -> None:
    server = serve(config(options=ChannelOptions(history_size=5, history_ttl=60.0, allow_subscribe_for_client=True,
                                                 allow_subscribe_for_anonymous=True)))  # fmt: skip
    for _ in range(6):
        server.publish("news", b"1")
    client = server.subscriber("news", Encoding.PROTOBUF)
    server.publish("news", b'{"a":1}')
    assert client.frames() == [bytes.fromhex("15 22 13 12 04 6e657773 22 0b 22 07 7b2261223a317d 30 07")]
    done(server.node.unsubscribe("", "news"))


# ------------------------------------------------------------------ transports


@pytest.mark.parametrize("row", errors.DISCONNECTS, ids=lambda row: str(row.code))
def test_close_reason_plain_and_non_empty(row: DisconnectCode) -> None:
    assert row.reason.isascii()
    assert 0 < len(row.reason) <= CLOSE_REASON_SIZE
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(row.reason)


@BOTH
def test_close_reason_on_the_wire(running: InProcessServer, encoding: Encoding) -> None:
    with dial(running, encoding) as client:
        client.send_frame(TEXT, b"x")
        assert client.receive() == Frame(CLOSE, (3501).to_bytes(2, "big") + b"bad request")
        client.send_frame(CLOSE, (3501).to_bytes(2, "big"))
        assert client.receive() is None
