"""A thousand clients subscribe and come back while publications pour in: no one misses any or gets one twice.

Answers set the pace, not a clock: the next publications are sent when the last ones are answered, and with each round
some clients come, and some lose their connection and return. A client believes nothing: each offset must be the one
after the last, and its payload the one that everybody else got.
"""

import asyncio
import json
import random
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from centrifast.protocol import client_pb2, wire
from centrifast.protocol.wire import Command, ConnectRequest, Encoding, SubscribeRequest
from tests.protocol.client_side import json_line, protobuf_frame
from tests.raw_websocket import BINARY, KEY, TEXT, frame
from tests.server_process import ServerProcess

CHANNELS = tuple(f"stream:{number}" for number in range(4))
CLIENTS, PUBLICATIONS, ROUNDS = 1000, 6000, 100
LAST = PUBLICATIONS // len(CHANNELS)
"""The last offset of each channel."""

COMEBACKS = 5
"""Clients that lose their connection in each round."""

TIME_LIMIT = 30.0
"""Seconds after which something is wrong; it takes a few."""

PINGS = (b"{}", b"\x00")
"""What the server asks, and the answer, which is the same."""

CONFIG = {
    "client": {"recovery_max_publication_limit": LAST},
    "channel": {
        "namespaces": [
            {
                "name": "stream",
                "history_size": LAST,
                "history_ttl": "300s",
                "force_recovery": True,
                "allow_subscribe_for_client": True,
                "allow_subscribe_for_anonymous": True,
            }
        ]
    },
}


class Started(msgspec.Struct, frozen=True):
    """The answer to subscribe, without what was recovered: that follows as a run."""

    epoch: str
    offset: int
    recovered: bool


class Run(msgspec.Struct, frozen=True):
    """Publications with consecutive offsets."""

    first: int
    last: int


class Message(msgspec.Struct, frozen=True):
    """What one message says of the subscription; *publications* as offset and payload."""

    publications: list[tuple[int, bytes]]
    started: Started | None = None


def messages_of(payload: bytes, encoding: Encoding) -> Iterator[Message]:
    """The messages of one frame."""
    if encoding is Encoding.JSON:
        for line in payload.split(b"\n"):
            yield of_json(msgspec.json.decode(line, type=wire.Reply))
        return
    start = 0
    while start < len(payload):
        size, shift = 0, 0
        while True:
            byte = payload[start]
            size |= (byte & 0x7F) << shift
            shift, start = shift + 7, start + 1
            if byte < 0x80:
                break
        yield of_protobuf(client_pb2.Reply.FromString(payload[start : start + size]))
        start += size


def of_json(reply: wire.Reply) -> Message:
    assert reply.error is None, reply
    if reply.subscribe is not None:
        result = reply.subscribe
        found = result.publications or ()
        assert not isinstance(found, wire.EncodedPublications)
        return Message(
            [(pub.offset, bytes(pub.data)) for pub in found],
            Started(result.epoch, result.offset, result.recovered),
        )
    assert reply.push is None or reply.push.pub is not None, reply
    pub = reply.push.pub if reply.push is not None else None
    return Message([(pub.offset, bytes(pub.data))] if pub is not None else [])


def of_protobuf(reply: client_pb2.Reply) -> Message:
    assert not reply.HasField("error"), reply
    if reply.HasField("subscribe"):
        result = reply.subscribe
        return Message(
            [(pub.offset, pub.data) for pub in result.publications],
            Started(result.epoch, result.offset, result.recovered),
        )
    assert not reply.HasField("push") or reply.push.HasField("pub"), reply
    return Message([(reply.push.pub.offset, reply.push.pub.data)] if reply.HasField("push") else [])


class Streams:
    """What has been seen of the channels by anybody."""

    def __init__(self) -> None:
        self._payloads: dict[tuple[str, int], bytes] = {}
        self.read = lru_cache(maxsize=256)(self._read)  # most frames are those of many other clients

    def _read(self, payload: bytes, encoding: Encoding, channel: str) -> tuple[Started | Run, ...]:
        events: list[Started | Run] = []
        for message in messages_of(payload, encoding):
            if message.started is not None:
                events.append(message.started)
            for offset, data in message.publications:
                assert self._payloads.setdefault((channel, offset), data) == data, "payloads differ"
                last = events[-1] if events else None
                if isinstance(last, Run) and offset == last.last + 1:
                    events[-1] = Run(last.first, offset)
                else:
                    events.append(Run(offset, offset))
        return tuple(events)


class Listener(asyncio.Protocol):
    """One client on one channel. *from_beginning*: it wants all there is, else what comes from now on."""

    def __init__(
        self, streams: Streams, port: int, channel: str, encoding: Encoding, *, from_beginning: bool
    ) -> None:
        self._streams = streams
        self._port = port
        self._channel = channel
        self._encoding = encoding
        self._from_beginning = from_beginning
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""
        self._is_open = False
        self.epoch = ""
        self.offset = 0
        self.is_at_end = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        """Open a connection; the rest happens as bytes come."""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    def drop(self) -> None:
        """Lose the connection, with all that has not been read."""
        if self._transport is not None:
            self._transport.abort()
        self._transport, self._buffer, self._is_open = None, b"", False

    # --------------------------------------------------- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        protocol = "?cf_protocol=protobuf" if self._encoding is Encoding.PROTOBUF else ""
        transport.write(
            f"GET /connection/websocket{protocol} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        try:
            self._take(data)
        except AssertionError as wrong:
            if not self.is_at_end.done():
                self.is_at_end.set_exception(wrong)
            self.drop()

    # -------------------------------------------------------------- inside

    def _take(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._is_open, self._buffer = True, rest
            self._subscribe()
        for opcode, payload in self._frames():
            self._on_frame(opcode, payload)
        if self.offset == LAST and not self.is_at_end.done():
            self.is_at_end.set_result(None)

    def _on_frame(self, opcode: int, payload: bytes) -> None:
        assert opcode in (TEXT, BINARY), (opcode, payload)
        if payload in PINGS:
            self._send(payload)
            return
        for event in self._streams.read(payload, self._encoding, self._channel):
            self._follow(event)

    def _subscribe(self) -> None:
        recovers = bool(self.epoch) or self._from_beginning
        request = SubscribeRequest(
            channel=self._channel, recover=recovers, offset=self.offset, epoch=self.epoch
        )
        commands = [Command(id=1, connect=ConnectRequest()), Command(id=2, subscribe=request)]
        if self._encoding is Encoding.JSON:
            self._send(b"\n".join(map(json_line, commands)))
        else:
            self._send(b"".join(map(protobuf_frame, commands)))

    def _follow(self, event: Started | Run) -> None:
        if isinstance(event, Run):
            assert event.first == self.offset + 1, f"{event.first} came after {self.offset}"
            self.offset = event.last
        elif self.epoch or self._from_beginning:
            assert event.recovered
            assert event.offset == self.offset
            assert self.epoch in ("", event.epoch)
            self.epoch = event.epoch
        else:
            self.offset, self.epoch = event.offset, event.epoch

    def _send(self, payload: bytes) -> None:
        assert self._transport is not None
        self._transport.write(frame(TEXT if self._encoding is Encoding.JSON else BINARY, payload))

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        buffer, start = self._buffer, 0
        while len(buffer) - start >= 2:
            size, body = buffer[start + 1], start + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, body = int.from_bytes(buffer[body : body + width], "big"), body + width
            if len(buffer) < body + size:
                break
            yield buffer[start] & 0x0F, buffer[body : body + size]
            start = body + size
        self._buffer = buffer[start:]


class Publisher:
    """Publishes over one connection; a request is sent when the last one is answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._published = 0

    async def publish(self, count: int) -> None:
        """Publish *count* to all channels in turn, in one request."""
        numbers = range(self._published, self._published + count)
        self._published += count
        commands = [
            {"publish": {"channel": CHANNELS[number % len(CHANNELS)], "data": {"n": number}}}
            for number in numbers
        ]
        answer = await self.call("batch", commands=commands)
        assert all("publish" in reply for reply in answer["replies"]), answer

    async def call(self, method: str, **parameters: Any) -> Any:
        """A call of the server API; its answer."""
        body = json.dumps(parameters).encode()
        head = (
            f"POST /api/{method} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: key\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"(?i)content-length: (\d+)", answer)
        assert size is not None
        return json.loads(await self._reader.readexactly(int(size[1])))

    def close(self) -> None:
        self._writer.close()


async def burst(server: ServerProcess) -> None:
    """Clients come and come back while it is published; in the end everybody is at the end."""
    chance = random.Random(1)
    streams = Streams()
    publisher = Publisher(*await asyncio.open_connection("127.0.0.1", server.port))
    listeners: list[Listener] = []
    try:
        for _ in range(ROUNDS):
            coming = chance.sample(listeners, min(COMEBACKS, len(listeners)))
            for listener in coming:
                listener.drop()
            for number in range(len(listeners), len(listeners) + CLIENTS // ROUNDS):
                listener = Listener(
                    streams,
                    server.port,
                    CHANNELS[number % 4],
                    Encoding.JSON if number % 8 < 4 else Encoding.PROTOBUF,
                    from_beginning=number % 16 < 8,
                )
                listeners.append(listener)
                coming.append(listener)
            await asyncio.gather(
                publisher.publish(PUBLICATIONS // ROUNDS), *(listener.connect() for listener in coming)
            )
        await asyncio.gather(*(listener.is_at_end for listener in listeners))
        assert len(listeners) == CLIENTS
    finally:
        for listener in listeners:
            listener.drop()
        publisher.close()


def test_nobody_misses_any_or_gets_one_twice(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, CONFIG) as server:
        asyncio.run(asyncio.wait_for(burst(server), TIME_LIMIT))
        assert "Traceback" not in server.log()
