"""Connections that agreed on permessage-deflate beside those that did not."""

import json
import random
import zlib
from collections.abc import Iterator

import pytest

from centrifast.config.schema_transport import WebSocketOptions
from centrifast.errors import SERVER_UNSUBSCRIBE
from centrifast.protocol.deflate import WINDOWS
from centrifast.protocol.http1 import Request
from centrifast.transports.compression import NO_COMPRESSION, Compression
from tests.core_fakes import JSON, PROTOBUF
from tests.in_process_server import InProcessServer
from tests.raw_websocket import BINARY, CLOSE, DEFLATE, RSV1, TEXT, Frame, RawWebSocket, deflated

NAME = "Sec-WebSocket-Extensions"
TEXT_DATA = json.dumps({"text": "the same words again and again " * 20}).encode()
MIN_SIZE = 100


def request(offer: str | None) -> Request:
    headers = {} if offer is None else {NAME.lower(): offer}
    return Request("GET", "/", "", headers, is_http_1_1=True, keep_alive=True, is_upgrade=True)


def offering(bits: int) -> dict[str, str]:
    return {NAME: f"permessage-deflate; server_max_window_bits={bits}"}


@pytest.fixture
def server() -> Iterator[InProcessServer]:
    flags = {"websocket.compression": True, "websocket.compression_min_size": MIN_SIZE}
    with InProcessServer(flags) as server:
        yield server


class TestVariants:
    def test_there_is_one_for_each_window(self) -> None:
        compression = Compression(WebSocketOptions(compression=True), (JSON, PROTOBUF))
        known = compression.expanded({JSON: "json", PROTOBUF: "protobuf"})
        assert len(known) == 2 * (1 + len(WINDOWS))
        assert (known[JSON], known[PROTOBUF]) == ("json", "protobuf")
        found = {compression.agree(request(offering(bits)[NAME]), JSON)[0] for bits in range(9, 16)}
        assert {variant for variant, name in known.items() if name == "json"} == {JSON, *found}
        assert {(variant.name, variant.transport, variant.ping) for variant in found} == {
            ("json", "websocket", b"{}")
        }

    def test_who_offers_nothing_stays_plain(self) -> None:
        compression = Compression(WebSocketOptions(compression=True), (JSON,))
        for offer in (None, "", "x-other", "permessage-deflate; server_max_window_bits=8"):
            assert compression.agree(request(offer), JSON) == (JSON, None)

    def test_nobody_is_asked_when_it_is_off(self) -> None:
        for compression in (NO_COMPRESSION, Compression(WebSocketOptions(), (JSON,))):
            assert compression.agree(request("permessage-deflate"), JSON) == (JSON, None)
            assert compression.agree(request("no; = extension"), JSON) == (JSON, None)
            assert compression.expanded({JSON: 1}) == {JSON: 1}

    def test_level_and_smallest_size_are_those_of_the_options(self) -> None:
        text = bytes(random.Random(3).choices(b"abcdef", k=5000))
        sizes = []
        for level in (1, 9):
            options = WebSocketOptions(compression=True, compression_level=level, compression_min_size=200)
            variant, _ = Compression(options, (JSON,)).agree(request("permessage-deflate"), JSON)
            assert variant.encode(0x81, b"a" * 199)[0] == 0x81
            assert variant.encode(0x81, b"a" * 200)[0] == 0xC1
            sizes.append(len(variant.encode(0x81, text)))
        assert sizes[0] > sizes[1]


class TestHandshake:
    def test_the_answer_says_what_is_agreed(self, server: InProcessServer) -> None:
        answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        with server.client(headers=DEFLATE) as client:
            assert client.header(NAME) == answer
        with server.echo(headers=offering(10)) as client:
            assert client.header(NAME) == f"{answer}; server_max_window_bits=9"

    @pytest.mark.parametrize("offer", ["x-other", "permessage-deflate; unknown", ""])
    def test_an_offer_may_be_declined(self, server: InProcessServer, offer: str) -> None:
        for connect in (server.client, server.echo):
            with connect(headers={NAME: offer}) as client:
                assert (client.status, client.header(NAME)) == (101, None)

    def test_a_malformed_one_ends_the_handshake(self, server: InProcessServer) -> None:
        for connect in (server.client, server.echo):
            with connect(headers={NAME: "permessage-deflate; ="}) as client:
                assert client.status == 400

    def test_it_is_off_by_default(self) -> None:
        with InProcessServer() as server:
            for offer in ("permessage-deflate", "permessage-deflate; ="):
                with server.client(headers={NAME: offer}) as client:
                    assert (client.status, client.header(NAME)) == (101, None)
                    client.send_frame(TEXT, deflated(b"{}"), rsv=RSV1)
                    assert client.receive_close().close_code == 1002


class TestMessages:
    def test_everybody_gets_a_broadcast_in_the_agreed_form(self, server: InProcessServer) -> None:
        forms = [None, None, DEFLATE, DEFLATE, offering(15), offering(12), offering(9)]
        clients = [server.client(headers=form) for form in forms]
        for client in clients:
            client.connect()
            client.subscribe("news")
        assert server.call(lambda: len(server.node.hub.channels["news"].arrays)) == 4
        server.publish("news", TEXT_DATA)
        frames = [client.receive() for client in clients]
        assert all(frame is not None for frame in frames)
        assert [frame.rsv if frame else None for frame in frames] == [0, 0, *[RSV1] * 5]
        assert len({frame.inflated for frame in frames if frame}) == 1
        assert frames[2] == frames[3] == frames[4]
        for frame, bits in zip(frames[2:], (15, 15, 15, 12, 9), strict=True):
            assert frame is not None
            zlib.decompressobj(-bits).decompress(frame.payload)  # a window of that size is enough
        for client in clients:
            client.socket.close()

    def test_what_is_small_or_noise_is_sent_as_it_is(self, server: InProcessServer) -> None:
        with server.client(headers=DEFLATE) as client:
            client.connect()
            client.subscribe("news")
            noise = json.dumps(random.Random(5).randbytes(300).hex()).encode()
            assert len(noise) > MIN_SIZE
            for data, is_deflated in ((b'"small"', False), (TEXT_DATA, True), (noise, True)):
                server.publish("news", data)
                received = client.receive()
                assert received is not None
                assert (received.rsv == RSV1) == is_deflated
                push = json.loads(received.inflated.payload)["push"]
                assert push == {"channel": "news", "pub": {"data": json.loads(data)}}
        with server.echo(headers=DEFLATE) as client:
            noise = random.Random(5).randbytes(3000)
            client.send_frame(BINARY, noise)
            assert client.receive() == Frame(BINARY, noise)

    def test_replies_are_deflated_too(self, server: InProcessServer) -> None:
        with server.client(headers=DEFLATE) as client:
            client.connect()
            client.subscribe("x" * 200)
            client.send_text(
                "\n".join(
                    json.dumps({"id": number, "presence": {"channel": "x" * 200}}) for number in range(10, 20)
                )
            )
            received = client.receive()
            assert received is not None
            assert received.rsv == RSV1
            assert len(received.inflated.payload.split(b"\n")) == 10

    def test_commands_and_pongs_may_be_deflated(self, server: InProcessServer) -> None:
        with server.client(headers=DEFLATE) as client:
            connect = json.dumps({"id": 1, "connect": {"name": "some name " * 20}}).encode()
            client.send_frame(TEXT, deflated(connect), rsv=RSV1)
            assert client.reply(1)["connect"]["ping"] == 25
            for _ in range(3):
                server.advance(25.1)
                assert client.receive() == Frame(TEXT, b"{}")
                client.send_frame(TEXT, deflated(b"{}"), rsv=RSV1)
                client.command(publish={"channel": "other", "data": {}})  # the pong has been read

    def test_many_messages_of_one_turn_share_frames(self, server: InProcessServer) -> None:
        with server.client(headers=DEFLATE) as client, server.client() as plain:
            for each in (client, plain):
                each.connect()
                each.subscribe("news")

            async def publish() -> None:
                for number in range(40):
                    await server.node.publish("news", b'{"number":%d}' % number)

            server.run(publish())
            numbers: dict[RawWebSocket, list[int]] = {client: [], plain: []}
            for each, found in numbers.items():
                while len(found) < 40:
                    found.append(each.push()["pub"]["data"]["number"])
            assert numbers[client] == numbers[plain] == list(range(40))

    def test_who_leaves_gets_what_came_before(self, server: InProcessServer) -> None:
        with server.client(headers=DEFLATE) as client, server.client(headers=DEFLATE) as other:
            for each in (client, other):
                each.connect()
                each.subscribe("news")

            async def publish_and_unsubscribe_one() -> None:
                await server.node.publish("news", TEXT_DATA)
                next(iter(server.node.hub.clients.values())).unsubscribe("news", SERVER_UNSUBSCRIBE)

            server.run(publish_and_unsubscribe_one())
            for each in (client, other):
                assert each.push()["pub"]["data"] == json.loads(TEXT_DATA)

    def test_sizes_are_counted_as_they_are_before(self, server: InProcessServer) -> None:
        with server.client(headers=DEFLATE) as client:
            client.connect()
            client.subscribe("news")
            before = server.call(lambda: server.node.snapshot().bytes_sent)
            server.publish("news", TEXT_DATA)
            received = client.receive()
            assert received is not None
            sent = server.call(lambda: server.node.snapshot().bytes_sent) - before
            assert sent == len(received.inflated.payload) > len(received.payload)


class TestBombs:
    def test_a_bomb_ends_its_own_connection(self, server: InProcessServer) -> None:
        with server.client(headers=DEFLATE) as client, server.client(headers=DEFLATE) as bomber:
            for each in (client, bomber):
                each.connect()
                each.subscribe("news")
            bomb = deflated(bytes(60 << 20))
            assert len(bomb) < 65536
            bomber.send_frame(TEXT, bomb, rsv=RSV1)
            closed = bomber.receive_close()
            assert (closed.close_code, closed.payload[2:]) == (1009, b"inflated message too big")
            bomber.send_frame(CLOSE, closed.payload)
            assert bomber.receive() is None
            server.publish("news", TEXT_DATA)
            assert client.push()["pub"]["data"] == json.loads(TEXT_DATA)

    @pytest.mark.parametrize("limit", [1000, 100_000])
    def test_the_limit_can_be_set(self, limit: int) -> None:
        flags = {"websocket.compression": True, "websocket.decompressed_message_size_limit": limit}
        with InProcessServer(flags) as server, server.echo(headers=DEFLATE) as client:
            client.send_frame(BINARY, deflated(bytes(limit)), rsv=RSV1)
            received = client.receive()
            assert received is not None
            assert received.inflated == Frame(BINARY, bytes(limit))
            client.send_frame(BINARY, deflated(bytes(limit + 1)), rsv=RSV1)
            assert client.receive_close().close_code == 1009

    def test_what_is_not_deflated_has_the_other_limit(self) -> None:
        flags = {"websocket.compression": True, "websocket.decompressed_message_size_limit": 10}
        with InProcessServer(flags) as server, server.echo(headers=DEFLATE) as client:
            client.send_frame(BINARY, bytes(50_000))
            received = client.receive()
            assert received is not None
            assert received.inflated == Frame(BINARY, bytes(50_000))
