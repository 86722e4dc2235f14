"""A small server to load: Centrifugo's connect, subscribe and publish, with faults on request.

Raw asyncio streams and hand-made frames, so that frames can be fragmented and cut anywhere.
"""

import asyncio
import base64
import hashlib
import json
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

CLOSE, TEXT, BINARY = 0x8, 0x1, 0x2
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3


@dataclass
class Behaviour:
    """How the server differs from a good one."""

    fragment: int = 0  # bytes per fragment of a pushed message; 0: one frame
    chop: int = 0  # bytes per write to the socket; 0: whole
    copies: int = 1  # of each delivery: 0 loses it, 2 doubles it
    lose: frozenset[int] = frozenset()  # publications, counted from 1, that nobody gets
    double: frozenset[int] = frozenset()  # that everybody gets twice
    swap: frozenset[int] = frozenset()  # that come after the next one
    history: bool = False  # JSON subscriptions are recoverable
    skip_offset: int = 0  # publication before which an offset is left out
    recover_from: int = 0  # leave out so many of the missed publications, the oldest
    refuse_recovery: bool = False
    joins: bool = False  # are sent to JSON clients
    lose_joins: int = 0  # so many are not
    ignore_connections: int = 0  # so many handshakes are never answered
    refuse_channel: str = ""  # error 103 for it
    refuse_upgrade: bool = False
    drop_upgrade: bool = False  # close the connection instead of an answer
    close_on_publish: bool = False  # close every subscriber with 3008 instead of delivering
    ping_first: bool = False  # a ping in the same frame as each publication
    publish_status: int = 200
    publish_response: bytes = b"{}"
    chunked: bool = False  # API responses
    close_api: bool = False  # after each API response
    raw: bool = False  # not Centrifugo's protocol: everybody gets the bare body of any POST


@dataclass
class Server:
    """A running server and what it has seen."""

    port: int
    published: list[bytes] = field(default_factory=list)
    pongs: int = 0
    texts: list[bytes] = field(default_factory=list)  # messages of clients when raw
    api_connections: int = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"


@contextmanager
def running(behaviour: Behaviour | None = None) -> Iterator[Server]:
    """A server on a free port, in a thread of its own until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    service = _Service(behaviour or Behaviour())
    try:
        yield asyncio.run_coroutine_threadsafe(service.start(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(service.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def encode_frame(payload: bytes, opcode: int, fin: bool = True) -> bytes:
    """An unmasked frame (RFC 6455 section 5.2)."""
    first = opcode | (0x80 if fin else 0)
    if len(payload) < 126:
        return bytes([first, len(payload)]) + payload
    if len(payload) < 65536:
        return struct.pack("!BBH", first, 126, len(payload)) + payload
    return struct.pack("!BBQ", first, 127, len(payload)) + payload


class _Service:
    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._subscribers: dict[str, list[tuple[asyncio.StreamWriter, bool]]] = {}
        self._history: list[bytes] = []  # publications of the only channel, as JSON
        self._offset = 0
        self._held = b""
        self._clients = 0
        self._joins = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> Server:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = Server(self._listener.sockets[0].getsockname()[1])
        return self._server

    async def stop(self) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"Sec-WebSocket-Key: " in head:
                await self._serve_websocket(head, reader, writer)
            else:
                await self._serve_api(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve_api(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        behaviour = self._behaviour
        self._server.api_connections += 1
        while True:
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(size)
            self._server.published.append(body)
            if behaviour.publish_status // 100 == 2 and b"error" not in behaviour.publish_response:
                self._broadcast(body)
            text = behaviour.publish_response
            framing = b"Content-Length: %d\r\n\r\n%s" % (len(text), text)
            if behaviour.chunked:
                framing = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(text), text)
            close = b"Connection: close\r\n" if behaviour.close_api else b""
            self._write(writer, b"HTTP/1.1 %d X\r\n%s%s" % (behaviour.publish_status, close, framing))
            if behaviour.close_api:
                return
            head = await reader.readuntil(b"\r\n\r\n")

    async def _serve_websocket(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._behaviour.ignore_connections:
            self._behaviour.ignore_connections -= 1
            await reader.read()
            return
        if self._behaviour.drop_upgrade:
            return
        if self._behaviour.refuse_upgrade:
            writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
            return
        key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest())
        protobuf = b"centrifuge-protobuf" in head
        self._write(
            writer,
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept,
        )
        if self._behaviour.raw:
            self._subscribers.setdefault("", []).append((writer, False))
        handle: Callable[[bytes, asyncio.StreamWriter], None]
        handle = self._handle_protobuf if protobuf else self._handle_json
        try:
            while (message := await _read_message(reader)) is not None:
                if self._behaviour.raw:
                    self._server.texts.append(message)
                else:
                    handle(message, writer)
        finally:
            for channel, subscribers in self._subscribers.items():
                self._subscribers[channel] = [entry for entry in subscribers if entry[0] is not writer]

    def _handle_json(self, message: bytes, writer: asyncio.StreamWriter) -> None:
        replies = []
        for line in message.split(b"\n"):
            command = json.loads(line)
            if not command:
                self._server.pongs += 1
            elif "connect" in command:
                self._clients += 1
                client = f"c{self._clients}"
                replies.append({"id": command["id"], "connect": {"client": client, "version": "test"}})
            elif (channel := command["subscribe"]["channel"]) == self._behaviour.refuse_channel:
                error = {"code": 103, "message": "permission denied"}
                replies.append({"id": command["id"], "error": error})
            else:
                self._subscribers.setdefault(channel, []).append((writer, False))
                replies.append({"id": command["id"], "subscribe": self._subscribe(command["subscribe"])})
        if replies:
            self._send(writer, "\n".join(json.dumps(reply) for reply in replies).encode(), TEXT)
        if self._behaviour.joins and any("subscribe" in reply for reply in replies):
            self._join(f"c{self._clients}")

    def _subscribe(self, request: dict[str, Any]) -> dict[str, Any]:
        behaviour = self._behaviour
        if not behaviour.history:
            return {}
        result = {"positioned": True, "recoverable": True, "epoch": "e", "offset": self._offset}
        if request.get("recover"):
            result["was_recovering"] = True
        if request.get("recover") and not behaviour.refuse_recovery:
            publications = [json.loads(publication) for publication in self._history]
            missed = [item for item in publications if item["offset"] > request.get("offset", 0)]
            result |= {"recovered": True, "publications": missed[behaviour.recover_from :]}
        return result

    def _join(self, client: str) -> None:
        push = json.dumps(
            {"push": {"channel": "x", "join": {"info": {"user": "", "client": client}}}}
        ).encode()
        for writer, _ in [entry for entries in self._subscribers.values() for entry in entries]:
            self._joins += 1
            if self._joins > self._behaviour.lose_joins:
                self._send(writer, push, TEXT)

    def _handle_protobuf(self, message: bytes, writer: asyncio.StreamWriter) -> None:
        replies = b""
        while message:
            size, command = message[0], message[1 : 1 + message[0]]  # commands of tests are below 128 bytes
            message = message[1 + size :]
            if not size:
                self._server.pongs += 1
            elif command[2] == 0x22:  # connect
                replies += bytes([4, 8, command[1], 0x2A, 0])
            elif (channel := command[6:].decode()) == self._behaviour.refuse_channel:
                error = bytes([8, 103, 0x12, 6]) + b"denied"
                replies += bytes([4 + len(error), 8, command[1], 0x12, len(error)]) + error
            else:
                self._subscribers.setdefault(channel, []).append((writer, True))
                replies += bytes([4, 8, command[1], 0x32, 0])
        if replies:
            self._send(writer, replies, BINARY)

    def _broadcast(self, body: bytes) -> None:
        behaviour, number = self._behaviour, len(self._server.published)
        channel = "" if behaviour.raw else json.loads(body)["channel"]
        data = body if behaviour.raw else json.dumps(json.loads(body)["data"]).encode()
        publication = b'{"data":%s}' % data
        if behaviour.history:
            self._offset += 2 if number == behaviour.skip_offset else 1
            publication = b'{"data":%s,"offset":%d}' % (data, self._offset)
            self._history.append(publication)
        push = (
            data if behaviour.raw else b'{"push":{"channel":"%s","pub":%s}}' % (channel.encode(), publication)
        )
        if number in behaviour.swap:
            self._held = push
            return
        copies = 0 if number in behaviour.lose else 2 if number in behaviour.double else behaviour.copies
        pushes = [push] * copies + ([self._held] if self._held else [])
        self._held = b""
        for writer, protobuf in self._subscribers.get(channel, []):
            if behaviour.close_on_publish:
                self._write(writer, encode_frame(struct.pack("!H", 3008) + b"slow", CLOSE))
                continue
            ping, separator = b"{}", b"\n"
            parts = pushes
            if protobuf:
                ping, separator = b"\x00", b""
                parts = [protobuf_push(data)] * copies
            parts = [ping, *parts] if behaviour.ping_first else parts
            if parts:
                self._send(writer, separator.join(parts), BINARY if protobuf else TEXT)

    def _send(self, writer: asyncio.StreamWriter, message: bytes, opcode: int) -> None:
        step = self._behaviour.fragment or len(message)
        for start in range(0, len(message), step):
            last = start + step >= len(message)
            part = message[start : start + step]
            self._write(writer, encode_frame(part, opcode if start == 0 else 0, fin=last))

    def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        step = self._behaviour.chop or len(data)
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])


def protobuf_push(data: bytes) -> bytes:
    """A Protobuf reply with a push, after its length: Reply.push 4, Push.pub 4, Publication.data 4."""
    for _ in range(3):
        data = b"\x22" + _length(data) + data
    return _length(data) + data


def _length(data: bytes) -> bytes:
    size = len(data)
    return bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])


async def _read_message(reader: asyncio.StreamReader) -> bytes | None:
    """A message of a client, which never fragments; None for a close frame."""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size == 126:
        size = struct.unpack("!H", await reader.readexactly(2))[0]
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(size)
    if first & 0xF == CLOSE:
        return None
    return bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))
