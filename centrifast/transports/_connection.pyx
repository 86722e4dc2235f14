"""One WebSocket connection: between picows, which parses frames, and a handler, which knows the protocol.

The only module that touches picows. picows has what RFC 6455 demands of a frame's shape; this adds what it lets
through (reserved bits, a stray continuation, a message inside a fragmented one, bad UTF-8, some close codes), puts
fragments together, inflates what was deflated (RFC 7692), answers pings, and closes. Everything that leaves goes
through the Sink (invariant 1), so picows's own ``send`` is never used and its close frames are prevented. What
arrives is read here, when the ``Intake`` says so, and not by libuv: a crowd that speaks or leaves in one moment is
served in slices. Only with TLS the transport reads.

picows reports a frame it refuses only to its logger. So the connection is its own logger: ``error`` is called with
the close code, before picows would write.

A connection ends in one of three ways:

    close()         we say why, and wait for the peer's close frame (RFC 6455 section 7.1.2) or the close timeout
    CLOSE received  answered, flushed, the socket closed
    lost            the socket is gone: ``on_ws_disconnected``
"""

import asyncio

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

import picows
from picows import WSUpgradeResponseWithListener
from picows.picows import WSProtocol

from picows.picows cimport MemoryBuffer, WSFrame, WSListener, WSMsgType, WSTransport

from centrifast._core cimport Drain, Sink
from centrifast._framing cimport Variant, encode_frame
from centrifast._intake cimport Intake
from centrifast._wheel cimport TimingWheel

from http import HTTPStatus

from centrifast import log
from centrifast.limits import WEBSOCKET_CLOSE_TIMEOUT
from centrifast.protocol.deflate import InflatedTooLargeError, InflateError, inflate

if picows.__version__ != "2.3.1":  # its C layout is compiled in: another version would read the wrong fields
    raise ImportError(f"built against picows 2.3.1, found {picows.__version__}: rebuild centrifast")

cdef enum:
    LARGE_FRAME = 8192      # bytes; picows keeps the buffer that it grew for a larger one, so it gets a new one after
    READ_SIZE = 16384       # bytes taken at once, so a client that floods costs 32 KiB and not megabytes
    OPCODE_CLOSE = 0x88
    OPCODE_PONG = 0x8A
    PROTOCOL_ERROR = 1002
    INVALID_DATA = 1007     # text that is not UTF-8; what can not be inflated (RFC 6455 section 7.4.1)
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011

cdef MemoryBuffer shared_write_buffer = MemoryBuffer(1024)  # picows's own sends; it never has any (invariant 1)
cdef Py_ssize_t live_connections = 0

cdef extern from "<errno.h>" nogil:
    int errno
    int EAGAIN
    int EINTR

cdef extern from "<sys/socket.h>" nogil:
    int MSG_DONTWAIT
    ssize_t recv(int fd, void* data, size_t size, int flags)

cdef extern from *:
    """
    #ifdef CENTRIFAST_DEBUG
    #define CENTRIFAST_COUNT 1
    #else
    #define CENTRIFAST_COUNT 0
    #endif
    """
    bint CENTRIFAST_COUNT


def live_objects():
    """Connections that are alive; only a debug build counts, a release build answers with None."""
    return {"connections": live_connections} if CENTRIFAST_COUNT else None


cdef class Settings:
    """What all connections of one endpoint have in common.

    *inflated_size_limit*: bytes of a message when it is inflated; 0 = 10 times *message_size_limit*.
    """

    cdef:
        Drain drain
        TimingWheel wheel
        Intake intake
        Py_ssize_t message_size_limit
        Py_ssize_t inflated_size_limit
        readonly Py_ssize_t open_connections
        public Py_ssize_t most_connections  # open at once, since somebody last set it back
        object done_future      # stands in for picows's future per connection, which nobody awaits here

    def __init__(self, Drain drain not None, TimingWheel wheel not None, Py_ssize_t message_size_limit,
                 Py_ssize_t inflated_size_limit=0):
        self.drain = drain
        self.wheel = wheel
        self.intake = Intake(asyncio.get_running_loop(), drain.slice)
        self.message_size_limit = message_size_limit
        self.inflated_size_limit = inflated_size_limit or 10 * message_size_limit
        self.done_future = asyncio.get_running_loop().create_future()
        self.done_future.set_result(None)


class _Switching:
    """The 101 response, in the shape picows expects of a response."""

    __slots__ = ("extensions", "headers", "subprotocol")

    status = HTTPStatus.SWITCHING_PROTOCOLS

    def __init__(self, subprotocol, extensions):
        self.headers = {}
        self.subprotocol = subprotocol
        self.extensions = extensions

    def to_bytes(self):
        accept = self.headers["Sec-WebSocket-Accept"]
        protocol = f"Sec-WebSocket-Protocol: {self.subprotocol}\r\n" if self.subprotocol else ""
        extensions = f"Sec-WebSocket-Extensions: {self.extensions}\r\n" if self.extensions else ""
        return bytearray(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n{protocol}{extensions}\r\n".encode()
        )


class _Handover:
    """Stands for the transport while picows takes it over; ``on_ws_connected`` puts the real one in its place.

    picows asks the socket for four options only to log them, and sets two (one is inherited from the listener, one is
    of no use here): on uvloop each of these calls makes a socket object, 15 µs in all.
    """

    __slots__ = ("_descriptor", "get_write_buffer_size", "transport", "write")

    def __init__(self, transport, write):
        self.transport = transport
        self.write = write
        self.get_write_buffer_size = transport.get_write_buffer_size
        self._descriptor = transport.get_extra_info("socket").fileno()

    def get_extra_info(self, name):
        return self if name == "socket" else self.transport.get_extra_info(name)

    def fileno(self):
        return self._descriptor

    def setsockopt(self, level, option, value):
        pass

    def getsockopt(self, level, option):
        return 0

    def close(self):
        self.transport.close()

    def abort(self):
        self.transport.abort()


class _Protocol(WSProtocol):
    """picows's protocol, with an end to its read buffer: it doubles whenever a read fills nine tenths of it."""

    __slots__ = ()

    def get_buffer(self, size_hint):
        buffer = WSProtocol.get_buffer(self, size_hint)
        return buffer[:READ_SIZE] if len(buffer) > READ_SIZE else buffer


def _discard(data):
    """Takes the 101 response that nobody waits for."""


class _NotClosing:
    """Given to picows in place of the transport after a violation, so that it does not close before the peer reads."""

    def close(self):
        pass

    def abort(self):
        pass


class _Linger(asyncio.BufferedProtocol):
    """Takes over a socket after a violation: what still arrives is thrown away until the peer hangs up."""

    waste = bytearray(65536)  # shared: nobody reads it

    def __init__(self, connection):
        self.connection = connection

    def get_buffer(self, size_hint):
        return self.waste

    def buffer_updated(self, size):
        pass

    def eof_received(self):
        return False

    def pause_writing(self):
        self.connection.pause_writing()

    def resume_writing(self):
        self.connection.resume_writing()

    def connection_lost(self, error):
        self.connection.on_lost()


cdef bint is_utf8(const char* data, Py_ssize_t size):
    """Whether *data* is valid UTF-8. Plain ASCII, the usual case, is checked eight bytes at a time."""
    cdef Py_ssize_t i = 0
    cdef uint64_t word
    while i + 8 <= size:
        memcpy(&word, data + i, 8)
        if word & 0x8080808080808080ULL:
            break
        i += 8
    while i < size:
        if data[i] & 0x80:
            break
        i += 1
    if i == size:
        return True
    try:
        PyUnicode_DecodeUTF8(data + i, size - i, NULL)
    except UnicodeDecodeError:
        return False
    return True


@cython.final
cdef class Connection(WSListener):
    """A WebSocket connection. *handler_factory* is called with it once it is open and returns its handler:

    ``on_message(payload: bytes, is_text: bool)``, ``on_sink_failed(reason: int)``, ``on_wake()``
    and ``on_closed()``, the last exactly once.
    """

    cdef:
        readonly Sink sink
        readonly bint closing       # a close frame is queued or sent; nothing else is read or written
        Settings settings
        Variant variant
        object handler_factory      # dropped when the handler exists
        readonly object handler     # dropped in on_lost()
        WSTransport transport       # dropped in on_lost()
        object underlying           # the asyncio transport; dropped in on_lost()
        bytearray fragments         # of a message that has begun; None = none
        bint fragments_text
        bint fragments_deflated
        bint is_bloated             # picows's read buffer has grown

    def __init__(self, Settings settings not None, Variant variant not None, handler_factory):
        global live_connections
        self.settings = settings
        self.variant = variant
        self.handler_factory = handler_factory
        if CENTRIFAST_COUNT:
            live_connections += 1

    def __dealloc__(self):
        global live_connections
        if CENTRIFAST_COUNT:
            live_connections -= 1

    # ------------------------------------------------- called by the handler

    def close(self, int code, bytes reason not None, bint flush=True):
        """Say why and end: a close frame behind what is queued, or, without *flush*, in its place."""
        if self.closing or self.sink is None or self.sink.closed:
            return
        self.closing = True
        self.transport.is_close_frame_sent = True  # picows must not add one of its own
        self.fragments = None
        self.sink.stop_pings()
        if not flush or self.sink.queued > self.settings.drain.queue_max_size:
            self.sink.drop_queue()
        self.sink.send_frame(encode_frame(OPCODE_CLOSE, bytes(((code >> 8) & 255, code & 255)) + reason))
        self.variant.count_close(code)
        self.sink.wake_in(WEBSOCKET_CLOSE_TIMEOUT)
        self.resume_reading()

    def abort(self):
        """Drop the socket at once."""
        if self.underlying is not None:
            self.pause_reading()
            self.underlying.abort()

    cpdef pause_reading(self):
        """Leave what the peer sends in the socket until ``resume_reading``."""
        if self.underlying is not None:
            if self.sink.direct:
                self.settings.intake.unwatch(self.sink.fd)
            else:
                self.underlying.pause_reading()

    cpdef resume_reading(self):
        if self.underlying is not None:
            if self.sink.direct:
                self.settings.intake.watch(self.sink.fd, self)
            else:
                self.underlying.resume_reading()

    @property
    def remote_address(self):
        """The peer's address as text, or an empty one."""
        peer = self.underlying.get_extra_info("peername") if self.underlying is not None else None
        return str(peer[0]) if peer else ""

    # ------------------------------------------------- called by the sink

    def on_sink_failed(self, int reason):
        if self.closing:
            self.abort()  # it does not even take the close frame
        elif self.handler is not None:
            self.handler.on_sink_failed(reason)

    def on_sink_wake(self):
        if self.closing:
            self.abort()
        elif self.handler is not None:
            self.handler.on_wake()

    # ------------------------------------------------- called by the intake

    cpdef on_readable(self):
        """Something has arrived, or the peer has hung up. What uvloop would do, but in a slice of the loop's turn."""
        cdef Py_buffer view
        cdef Py_ssize_t size
        cdef int error
        protocol = self.underlying.get_protocol()
        PyObject_GetBuffer(protocol.get_buffer(-1), &view, PyBUF_WRITABLE)
        size = recv(self.sink.fd, view.buf, view.len, MSG_DONTWAIT)
        error = errno
        PyBuffer_Release(&view)
        if size > 0:
            protocol.buffer_updated(size)
        elif size == 0:
            self.on_hang_up()
        elif error != EAGAIN and error != EINTR:
            self.abort()
            self.on_lost()

    cdef int on_hang_up(self) except -1:
        """The peer sends no more: it gets what waits for it, and the connection ends, here where there is time for it.

        The transport's own word comes later, for all that have ended in this slice at once.
        """
        cdef object underlying = self.underlying
        cdef bint is_flushed = self.sink.flush_now()
        self.pause_reading()
        if is_flushed:
            self.on_lost()
        underlying.close()
        return 0

    # ------------------------------------------------- called by picows

    cpdef on_ws_connected(self, WSTransport transport):
        cdef Settings settings = self.settings
        cdef bint is_new = self.transport is None
        self.transport = transport
        self.underlying = (<object>transport.underlying_transport).transport
        transport.underlying_transport = self.underlying
        # An idle connection owns almost nothing (architecture: the core): drop what only the handshake needed.
        transport.request = None
        transport.response = None
        transport.listener_proxy = None
        transport.disconnected_future = settings.done_future
        transport._write_buffer = shared_write_buffer
        if not is_new:  # see renew()
            return
        # pause_writing and resume_writing become exact. TLS compares with >=: a limit of 0 would pause it for ever.
        self.underlying.set_write_buffer_limits(1 if transport.is_secure else 0, 0)
        self.sink = Sink(settings.drain, settings.wheel, self.variant, self, self.underlying, transport._socket,
                         not transport.is_secure)
        if self.sink.direct:
            self.underlying.pause_reading()
            self.resume_reading()
        settings.open_connections += 1
        if settings.open_connections > settings.most_connections:
            settings.most_connections = settings.open_connections
        self.handler = self.handler_factory(self)
        self.handler_factory = None

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        self.on_frame(frame)
        if frame.payload_size > LARGE_FRAME:
            self.is_bloated = True
        if self.is_bloated and frame.tail_size == 0 and transport is self.transport and not self.closing:
            self.renew()

    cdef int on_frame(self, WSFrame frame) except -1:
        cdef WSMsgType kind = frame.msg_type
        cdef bytes pong = self.variant.pong
        if self.closing:
            if kind == WSMsgType.CLOSE:  # the answer to ours
                self.finish()
        elif (frame.rsv1 and not self.may_be_deflated(kind)) or frame.rsv2 or frame.rsv3:
            self.violation(PROTOCOL_ERROR)
            if kind == WSMsgType.CLOSE:  # no other will come
                self.finish()
        elif kind == WSMsgType.CLOSE:
            self.on_close_frame(frame)
        elif kind == WSMsgType.TEXT or kind == WSMsgType.BINARY:
            if self.fragments is not None:
                self.violation(PROTOCOL_ERROR)
            elif not frame.fin:
                self.fragments = bytearray()
                self.fragments_text = kind == WSMsgType.TEXT
                self.fragments_deflated = frame.rsv1
                self.add_fragment(frame)
            elif (not frame.rsv1 and frame.payload_size == PyBytes_GET_SIZE(pong)
                    and memcmp(frame.payload_ptr, PyBytes_AS_STRING(pong), frame.payload_size) == 0
                    and self.sink.pong()):
                return 0
            else:
                self.deliver(PyBytes_FromStringAndSize(frame.payload_ptr, frame.payload_size),
                             kind == WSMsgType.TEXT, frame.rsv1)
        elif kind == WSMsgType.CONTINUATION:
            if self.fragments is None:
                self.violation(PROTOCOL_ERROR)
            elif self.add_fragment(frame) and frame.fin:
                payload = bytes(self.fragments)
                self.fragments = None
                self.deliver(payload, self.fragments_text, self.fragments_deflated)
        elif kind == WSMsgType.PING:
            self.sink.send_frame(
                encode_frame(OPCODE_PONG, PyBytes_FromStringAndSize(frame.payload_ptr, frame.payload_size)))
        return 0

    cdef int renew(self) except -1:
        """Begin with a small read buffer again, at a point where the old one is empty."""
        self.is_bloated = False
        hand_over(self.underlying, self.settings, self, b"AAAAAAAAAAAAAAAAAAAAAA==", _Switching(None, None), _discard)
        return 0

    cpdef on_ws_disconnected(self, WSTransport transport):
        self.on_lost()

    cpdef pause_writing(self):
        if self.sink is not None:
            self.sink.block()

    cpdef resume_writing(self):
        if self.sink is not None and not self.sink.closed:
            self.sink.unblock()

    # ------------------------------------------------- picows's logger

    def isEnabledFor(self, level):
        return False

    def error(self, message, *arguments):
        """picows refuses a frame: ``arguments[0]`` is (close code, text). It would write and close next."""
        if not arguments or not isinstance(arguments[0], tuple):
            self.exception(message, *arguments)
        elif self.refuse():
            # A frame parsed before the refused one is still to be delivered, so not at once.
            asyncio.get_running_loop().call_soon(self.violation_of, int(arguments[0][0]))

    def exception(self, message, *arguments):
        """A bug in this module or in a handler reached picows: log it, close this connection, keep the server."""
        log.exception("websocket connection failed", error=str(message))
        if self.refuse():
            self.violation_of(INTERNAL_ERROR)

    cdef bint refuse(self) except -1:
        """Read no more frames and keep picows from closing; False if the socket is gone."""
        if self.transport is None:
            return False
        self.transport.is_close_frame_sent = True
        self.transport.underlying_transport = _NotClosing()
        # picows would take the refused frame's payload for a frame; and it may grow its buffer to any size.
        self.underlying.set_protocol(_Linger(self))
        return True

    def info(self, message, *arguments):
        pass

    def debug(self, message, *arguments):
        pass

    def warning(self, message, *arguments):
        pass

    # ------------------------------------------------- inside

    cdef bint may_be_deflated(self, WSMsgType kind) noexcept:
        """Whether RSV1 has a meaning: on the first frame of a message, where it was agreed on (RFC 7692 section 6)."""
        return self.variant.deflate is not None and (kind == WSMsgType.TEXT or kind == WSMsgType.BINARY)

    cdef int deliver(self, bytes payload, bint is_text, bint is_deflated) except -1:
        if is_deflated:
            try:
                payload = inflate(payload, self.settings.inflated_size_limit)
            except InflatedTooLargeError:
                return self.violation(MESSAGE_TOO_BIG, b"inflated message too big")
            except InflateError:
                return self.violation(INVALID_DATA)
        if is_text and not is_utf8(PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload)):
            return self.violation(INVALID_DATA)
        self.handler.on_message(payload, is_text)
        return 0

    cdef bint add_fragment(self, WSFrame frame) except -1:
        """Keep a part of a message; False if the message became larger than allowed."""
        if PyByteArray_GET_SIZE(self.fragments) + frame.payload_size > self.settings.message_size_limit:
            self.violation(MESSAGE_TOO_BIG)
            return False
        self.fragments += PyBytes_FromStringAndSize(frame.payload_ptr, frame.payload_size)
        return True

    cdef int violation(self, int code, bytes reason=b"") except -1:
        """RFC 6455 is broken: the handler goes, the peer is told and may hang up."""
        self.release()
        self.close(code, reason)
        return 0

    cdef int release(self) except -1:
        """The handler is told of the end and goes; a bug in what it does then is logged and changes nothing."""
        handler, self.handler = self.handler, None
        if handler is not None:
            try:
                handler.on_closed()
            except Exception:
                log.exception("websocket handler failed")
        return 0

    def violation_of(self, int code):
        """``violation``, for a frame that picows refused."""
        if self.transport is None:
            return
        self.violation(code)
        # The peer's close frame will not be read, so the end of the stream tells it that this side is done.
        if self.sink.flush_now() and self.underlying.can_write_eof():
            self.underlying.write_eof()

    cdef int on_close_frame(self, WSFrame frame) except -1:
        cdef int code = 0
        cdef bytes payload = PyBytes_FromStringAndSize(frame.payload_ptr, frame.payload_size)
        if frame.payload_size >= 2:
            code = (payload[0] << 8) | payload[1]
            if code < 1000 or code >= 5000 or code == 1006:
                self.violation(PROTOCOL_ERROR)
                return self.finish()
        self.release()
        self.closing = True
        self.transport.is_close_frame_sent = True
        self.sink.stop_pings()
        if not self.sink.flush_now():
            self.sink.drop_queue()  # a peer that is behind and leaves is not kept waiting for the answer
        self.sink.send_frame(encode_frame(OPCODE_CLOSE, payload[:2]))
        self.sink.wake_in(WEBSOCKET_CLOSE_TIMEOUT)
        self.finish()
        return 0

    cdef int finish(self) except -1:
        """Both sides have said goodbye: write what is left and close the socket."""
        self.sink.flush_now()
        self.pause_reading()
        self.underlying.close()
        return 0

    cpdef on_lost(self):
        """The socket is gone."""
        if self.transport is None:
            return
        self.pause_reading()
        self.settings.open_connections -= 1
        self.closing = True
        self.fragments = None
        self.transport = None
        self.release()
        self.underlying = None
        self.sink.close()


def accept(transport, Settings settings not None, Connection connection not None, str key not None, subprotocol,
           bytes rest not None, extensions=None):
    """Hand an upgrade request that the front door has checked over to picows.

    picows gets the few header lines that it insists on instead of the client's own: parsing fifteen headers again
    would be a third of the handshake. *rest* is what came behind the request's head; *extensions* what is agreed on,
    which is the business of the connection's variant.
    """
    response = _Switching(subprotocol, extensions)
    hand_over(transport, settings, connection, key.encode("ascii"), response, transport.write)
    feed(transport, rest)


cdef int hand_over(transport, Settings settings, Connection connection, bytes key, response, write) except -1:
    """Give *transport* a new protocol of picows's and shake hands with it; *write* takes the response."""
    protocol = _Protocol(
        None, None, False,
        lambda request: WSUpgradeResponseWithListener(response, connection),
        connection,     # its logger
        True,           # close when a handler raises
        None,           # no handshake timer: the handshake is complete
        False, 20, 20, picows.WSAutoPingStrategy.PING_WHEN_IDLE,
        False,          # pings are answered through the sink
        settings.message_size_limit, None, 2048,
    )
    transport.set_protocol(protocol)
    protocol.connection_made(_Handover(transport, write))
    feed(
        transport,
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: " + key + b"\r\n\r\n",
    )
    return 0


def feed(transport, bytes data not None):
    """Give *data* to the buffered protocol of *transport* as if it had been read from its socket.

    To the one it has then: a frame in *data* may be refused, or large, and another protocol takes what follows.
    """
    cdef Py_ssize_t start = 0, size = PyBytes_GET_SIZE(data), part
    while start < size:
        protocol = transport.get_protocol()
        buffer = protocol.get_buffer(-1)
        part = min(size - start, <Py_ssize_t>len(buffer))
        buffer[:part] = data[start:start + part]
        start += part
        protocol.buffer_updated(part)
