"""One connection of the front door, from its first byte until it closes or leaves as a WebSocket.

How it works: requests of one connection are served strictly one after another, so pipelined publications keep
their order; what arrives meanwhile waits in the parser, and beyond ``READ_AHEAD_LIMIT`` in the socket. A
handler that does not wait costs no task, and the answers of one turn leave in one write.

    idle ──first byte──▶ head ──complete──▶ (body) ──complete──▶ handler ──▶ answer written ──▶ idle or closed
                                                └──▶ upgrade: the transport gets another protocol

What it costs: ``bench/publish.py`` and ``bench/memory.py``.
"""

import asyncio
from typing import TYPE_CHECKING, cast

from centrifast import eager, log
from centrifast.protocol.handshake import refusal_of
from centrifast.protocol.http1 import (
    CONTINUE,
    BadRequestError,
    Request,
    RequestParser,
    Response,
    encode_response,
    text_response,
)
from centrifast.server.routes import NOT_FOUND, Route, UpgradeHandler
from centrifast.transports.access_log import log_request, started
from centrifast.transports.refusal import LINGER_TIMEOUT
from centrifast.transports.response_stream import ResponseStream, StreamingResponse, encode_head

if TYPE_CHECKING:
    from centrifast.transports.front_door import FrontDoor

READ_AHEAD_LIMIT = 64 * 1024
"""Bytes kept of requests that wait behind one being served; then reading pauses."""

REQUESTS_PER_TURN = 32
"""Pipelined requests served before other connections get their turn."""

LARGE_RESPONSE_SIZE = 16 * 1024
"""Bytes of a response that is not held back to be joined with the next."""

SWEEP_PERIOD = 1.0
"""Seconds between two looks at all connections; timeouts are late by up to twice as much, never early."""

_SERVER_ERROR = text_response(500, "Internal Server Error")


class HttpConnection(asyncio.Protocol):
    """One connection while it speaks HTTP/1.1."""

    __slots__ = (
        "_began",
        "_busy",
        "_discarding",
        "_door",
        "_ending",
        "_eof",
        "_out",
        "_parser",
        "_partial",
        "_read_paused",
        "_request",
        "_served",
        "_since",
        "_stream",
        "_transport",
        "_write_paused",
    )

    _transport: asyncio.Transport

    def __init__(self, door: "FrontDoor") -> None:
        self._door = door
        self._parser: RequestParser | None = None  # None: refused, lost, or gone to another protocol
        self._out: list[bytes] = []  # answers of this turn
        self._since = 0.0  # when the present state began
        self._began = 0.0  # when the request that is served came, for the log
        self._partial = False  # a part of a request has arrived
        self._served = False  # a request has been answered
        self._busy = False  # a handler runs, or pipelined requests wait for their turn
        self._ending = False  # the last answer is written
        self._eof = False  # the peer sends no more
        self._discarding = False  # refused: what still arrives is thrown away
        self._request: Request | None = None  # that a handler runs for
        self._read_paused = False
        self._write_paused = False
        self._stream: ResponseStream | None = None  # the answer that is being written while something happens

    # ------------------------------------------------- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport = transport
        door = self._door
        if not door.admit(self, transport):
            door.refuse(transport)
            return
        self._since = door.now
        self._parser = RequestParser(door.routes.body_limit, door.known_heads)

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None or self._ending:
            return
        if not self._partial:
            self._since = self._door.now
        parser.feed(data)
        if self._busy or self._write_paused:
            self._limit_read_ahead(parser)
        else:
            self._advance(parser)

    def eof_received(self) -> bool:
        if self._parser is None or self._discarding or not (self._busy or self._write_paused):
            return False
        if self._stream is not None:
            return False  # nothing else would tell that nobody reads it any more
        self._eof = True  # a half-closed peer still gets the answers it waits for
        return self._transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        self._write_paused = True
        self._since = self._door.now
        if self._stream is not None:
            self._stream.pause()

    def resume_writing(self) -> None:
        self._write_paused = False
        self._since = self._door.now
        if self._stream is not None:
            self._stream.resume()
        if self._parser is not None and not self._busy and not self._ending:
            self._advance(self._parser)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    # ----------------------------------------------------- called by the door

    def check_timeout(self, now: float) -> None:
        """End the connection if it has been in its state for too long."""
        parser = self._parser
        assert parser is not None  # whoever left is not looked at
        settings = self._door.settings
        waited = now - self._since - SWEEP_PERIOD
        if self._write_paused or self._ending:
            if waited >= (LINGER_TIMEOUT if self._discarding else settings.write_timeout):
                self._transport.abort()
        elif self._busy:
            return
        elif self._partial:
            if waited >= (settings.request_timeout if parser.reads_body else settings.head_timeout):
                self._refuse(BadRequestError(408, "Request Timeout"))
        elif waited >= (settings.idle_timeout if self._served else settings.head_timeout):
            self._end()

    def close_if_idle(self) -> None:
        """Close unless a request has arrived whole or in part; a streaming answer is asked to end."""
        if self._stream is not None:
            self._stream.stop()
        elif not (self._busy or self._partial or self._write_paused or self._ending):
            self._end()

    @property
    def read_ahead(self) -> int:
        """Bytes of requests that are not yet complete or not yet served."""
        return self._parser.buffered if self._parser is not None else 0

    @property
    def is_reading_paused(self) -> bool:
        """Whether what the peer sends stays in the socket."""
        return self._read_paused

    @property
    def is_writing_paused(self) -> bool:
        """Whether the peer has to read before it is served further."""
        return self._write_paused

    def abort(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    # ------------------------------------------------------------------ inside

    def _advance(self, parser: RequestParser) -> None:
        """Serve what has arrived, in order, until something has to wait."""
        self._busy = False
        try:
            for _ in range(REQUESTS_PER_TURN):
                request = None if parser.is_idle else parser.next()
                if request is None:
                    break
                self._serve(request)
                if self._busy or self._ending or self._write_paused or self._parser is None:
                    break
            else:
                self._busy = True  # the rest after other connections had their turn
                asyncio.get_running_loop().call_soon(self._go_on)
        except BadRequestError as refused:
            self._refuse(refused)
            return
        if self._parser is None:
            return
        if self._out:
            self._flush()
        if self._eof and not self._busy and not self._write_paused:
            self._end()
        self._partial = not parser.is_idle
        if parser.wants_continue:
            parser.wants_continue = False
            self._transport.write(CONTINUE)
        self._limit_read_ahead(parser)

    def _go_on(self) -> None:
        self._busy = False
        if self._ending or self._write_paused:  # in the second case resume_writing goes on
            return
        if self._parser is not None:
            self._advance(self._parser)

    def _serve(self, request: Request) -> None:
        self._began = started()
        route = self._door.routes.find(request.path)
        if route is None:
            self._respond(request, NOT_FOUND)
        elif route.upgrade is not None:
            self._upgrade(request, route.upgrade)
        elif refusal := route.refusal_of(request.method):
            self._respond(request, refusal)
        else:
            self._handle(request, route)

    def _handle(self, request: Request, route: Route) -> None:
        assert route.handler is not None
        try:
            outcome = eager.run(route.handler(request), self._on_handled)
        except Exception:  # noqa: BLE001 - the boundary: a bug costs its request, not the server
            log.exception("http handler failed", path=request.path)
            outcome = _SERVER_ERROR
        if isinstance(outcome, Response):
            self._respond(request, outcome)
            return
        self._busy = True
        self._request = request
        self._door.handlers.add(outcome)

    def _on_handled(self, running: eager.Running[Response]) -> None:
        self._door.handlers.discard(running)
        request, self._request = self._request, None
        assert request is not None  # it is what runs
        if running.cancelled():  # the front door closes
            return
        try:
            response = running.result()
        except Exception:  # noqa: BLE001 - the boundary: a bug costs its request, not the server
            log.exception("http handler failed", path=request.path)
            response = _SERVER_ERROR
        if self._parser is None:
            return
        self._since = self._door.now
        self._respond(request, response)
        if not isinstance(response, StreamingResponse):
            self._go_on()

    def _respond(self, request: Request, response: Response) -> None:
        door = self._door
        if door.requests is not None:
            door.count(request, response.status)
        if self._began:
            log_request(request, response.status, self._transport, self._began)
        keep_alive = request.keep_alive and not door.draining
        if isinstance(response, StreamingResponse):
            self._open_stream(request, response, keep_alive=keep_alive)
            return
        data = encode_response(
            response, keep_alive=keep_alive, date=door.date, with_body=request.method != "HEAD"
        )
        self._served = True
        self._out.append(data)
        if not keep_alive:
            self._end()
        elif len(data) >= LARGE_RESPONSE_SIZE:
            self._flush()

    def _open_stream(self, request: Request, response: StreamingResponse, *, keep_alive: bool) -> None:
        """Write the head, and let whoever has more to say write the rest; later requests wait until it ends."""
        chunked = request.is_http_1_1
        self._out.append(encode_head(response, keep_alive=keep_alive, chunked=chunked, date=self._door.date))
        self._flush()
        self._served = self._busy = True
        if request.method == "HEAD" or self._eof:  # who has hung up in part can not be seen to go
            self._on_stream_ended(keep_alive=keep_alive and not self._eof)
            return

        def on_end() -> None:
            self._on_stream_ended(keep_alive=keep_alive)

        self._stream = stream = ResponseStream(
            self._transport, on_end, response.queue_limit, chunked=chunked, paused=self._write_paused
        )
        try:
            response.open(stream)
        except Exception:  # noqa: BLE001 - the boundary: a bug costs its request, not the server
            log.exception("http handler failed", path=request.path)
            self._transport.abort()
        if self._door.draining:
            stream.stop()

    def _on_stream_ended(self, *, keep_alive: bool) -> None:
        self._stream = None
        if keep_alive and not self._door.draining:
            self._since = self._door.now
            asyncio.get_running_loop().call_soon(self._go_on)
        else:
            self._end()

    def _flush(self) -> None:
        out = self._out
        self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        out.clear()

    def _end(self) -> None:
        """Write what is left and close."""
        self._ending = True
        self._since = self._door.now
        if self._out:
            self._flush()
        self._transport.close()

    def _refuse(self, refused: BadRequestError) -> None:
        """Answer what is no request we serve. Where the next one begins is unknown, so this is the end."""
        self._door.count(None, refused.status)
        content = text_response(refused.status, refused.text)
        self._out.append(encode_response(content, keep_alive=False, date=self._door.date))
        self._flush()
        self._ending = self._discarding = True
        self._since = self._door.now
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._resume_reading()
        else:
            self._transport.close()

    def _limit_read_ahead(self, parser: RequestParser) -> None:
        """Leave in the socket what would wait here for too long a queue."""
        if (self._busy or self._write_paused) and parser.buffered > READ_AHEAD_LIMIT:
            if not self._read_paused:
                self._read_paused = True
                self._transport.pause_reading()
        elif self._read_paused:
            self._resume_reading()

    def _resume_reading(self) -> None:
        if self._read_paused:
            self._read_paused = False
            self._transport.resume_reading()

    def _upgrade(self, request: Request, handler: UpgradeHandler) -> None:
        """Check an opening handshake (RFC 6455 section 4.2.1) and give the connection away."""
        refusal = refusal_of(request)
        if refusal is not None:
            self._respond(request, refusal)
            return
        assert self._parser is not None
        transport = self._transport
        is_plain = transport.get_extra_info("sslcontext") is None
        if self._out or (is_plain and transport.get_write_buffer_size()):
            # Answers to earlier requests are still to be written; the next owner writes past the transport, unless
            # that has TLS. There the rest of the handshake may wait: the last message of the peer came with this one.
            raise BadRequestError(400, "upgrade behind unanswered requests")
        rest = self._parser.take_rest()
        self._resume_reading()  # read-ahead may have paused it, and the next owner does not know
        refused = handler(transport, request, rest)
        if refused is None:
            log_request(request, 101, transport, self._began)
            self._door.count(request, 101)
            self._leave()
            return
        self._parser.feed(rest)
        content_type = "text/plain; charset=utf-8" if refused.body else ""
        self._respond(request, Response(refused.status, refused.body, content_type, refused.headers))

    def _leave(self) -> None:
        """Forget the connection: it is lost, or somebody else's."""
        self._door.connections.discard(self)
        self._parser = None
        self._out.clear()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.lose()
