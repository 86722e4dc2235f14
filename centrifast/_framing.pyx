"""Messages into WebSocket frames: the server's half of RFC 6455 section 5, for unmasked, unfragmented frames.

What connections agreed to have deflated (RFC 7692) is deflated here, frame by frame, and so once for all subscribers
of a round (invariant 3).
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from centrifast._metrics cimport KINDS, Histogram

cdef enum:
    RSV1 = 0x40     # in the first byte of a frame: its payload is deflated (RFC 7692 section 6)

ROUND_TRIP_BOUNDS = (1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds (server specification 9.3)."""


cdef inline Py_ssize_t header_size(Py_ssize_t size) noexcept nogil:
    return 2 if size < 126 else 4 if size < 65536 else 10


cdef inline char* write_header(char* target, uint8_t opcode, Py_ssize_t size) noexcept nogil:
    """Write the header of an unmasked frame (RFC 6455 section 5.2); return where its payload starts."""
    cdef int i
    target[0] = <char>opcode
    if size < 126:
        target[1] = <char>size
        return target + 2
    if size < 65536:
        target[1] = 126
        target[2] = <char>(size >> 8)
        target[3] = <char>(size & 255)
        return target + 4
    target[1] = 127
    for i in range(8):
        target[2 + i] = <char>((size >> (8 * (7 - i))) & 255)
    return target + 10


cpdef bytes encode_frame(uint8_t opcode, bytes payload):
    """One whole, unmasked frame; *opcode* is its first byte, FIN bit included."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(payload)
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, header_size(size) + size)
    memcpy(write_header(PyBytes_AS_STRING(frame), opcode, size), PyBytes_AS_STRING(payload), size)
    return frame


@cython.final
cdef class Variant:
    """How messages of one encoding are put into WebSocket frames: at most *max_messages* each, *separator* between.

    It also counts them, for all connections together: *transport* is what metrics call it. *deflate*, if connections
    agreed on that, makes the payload of a frame smaller, or returns None where it can not.
    """

    def __cinit__(self, str name not None, int opcode, bytes separator not None, bytes ping not None,
                  bytes pong not None, Py_ssize_t max_messages=16, str transport not None="websocket", deflate=None):
        self.name = name
        self.opcode = 0x80 | opcode
        self.separator = separator
        self.ping = ping
        self.pong = pong
        self.max_messages = max_messages
        self.transport = transport
        self.deflate = deflate
        self.round_trips = Histogram(ROUND_TRIP_BOUNDS)
        self.closes = {}

    def deflating(self, deflate not None):
        """The same for connections that agreed to have their messages deflated; it counts by itself."""
        return Variant(self.name, self.opcode, self.separator, self.ping, self.pong, self.max_messages,
                       self.transport, deflate)

    cpdef bytes encode(self, uint8_t opcode, bytes payload):
        """One whole frame, deflated where that is agreed on and helps; *opcode* is its first byte, FIN bit included."""
        cdef bytes deflated = None
        if self.deflate is not None:
            deflated = self.deflate(payload)
        if deflated is None:
            return encode_frame(opcode, payload)
        return encode_frame(opcode | RSV1, deflated)

    cdef bytes frame_deflated(self, list messages):
        """``frame`` where that is agreed on."""
        cdef Py_ssize_t start
        cdef list frames = [
            self.encode(self.opcode, self.separator.join(messages[start:start + self.max_messages]))
            for start in range(0, PyList_GET_SIZE(messages), self.max_messages)
        ]
        return <bytes>frames[0] if PyList_GET_SIZE(frames) == 1 else b"".join(frames)

    @cython.boundscheck(False)  # every index below is under PyList_GET_SIZE(messages), which nothing changes here
    @cython.wraparound(False)
    cpdef bytes frame(self, list messages):
        """All *messages* as consecutive frames in one buffer."""
        cdef Py_ssize_t total = PyList_GET_SIZE(messages), gap = PyBytes_GET_SIZE(self.separator)
        cdef Py_ssize_t start, i, end, size, whole = 0
        cdef bytes buffer, message
        cdef char* target
        if self.deflate is not None:
            return self.frame_deflated(messages)
        for start in range(0, total, self.max_messages):
            end = min(start + self.max_messages, total)
            size = gap * (end - start - 1)
            for i in range(start, end):
                size += PyBytes_GET_SIZE(<bytes>messages[i])
            whole += header_size(size) + size
        buffer = PyBytes_FromStringAndSize(NULL, whole)
        target = PyBytes_AS_STRING(buffer)
        for start in range(0, total, self.max_messages):
            end = min(start + self.max_messages, total)
            size = gap * (end - start - 1)
            for i in range(start, end):
                size += PyBytes_GET_SIZE(<bytes>messages[i])
            target = write_header(target, self.opcode, size)
            for i in range(start, end):
                message = <bytes>messages[i]
                if i > start and gap:
                    memcpy(target, PyBytes_AS_STRING(self.separator), gap)
                    target += gap
                memcpy(target, PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))
                target += PyBytes_GET_SIZE(message)
        return buffer

    cpdef count_received(self, int kind, Py_ssize_t size):
        """Count one message of *size* bytes from a client."""
        if not 0 <= kind < KINDS:
            raise ValueError("no such kind of message")
        self.traffic.received[kind] += 1
        self.traffic.received_size[kind] += size

    cdef int count_sent(self, int kind, Py_ssize_t messages, Py_ssize_t size) except -1:
        """Count as many *messages* of *size* bytes each."""
        if not 0 <= kind < KINDS:
            raise ValueError("no such kind of message")
        self.traffic.sent[kind] += messages
        self.traffic.sent_size[kind] += messages * size
        return 0

    cdef int count_close(self, int code) except -1:
        self.closes[code] = self.closes.get(code, 0) + 1
        return 0

    def counted(self):
        """By kind: messages sent, their bytes, messages received, their bytes. Framing is not in it."""
        cdef int kind
        return [
            (self.traffic.sent[kind], self.traffic.sent_size[kind],
             self.traffic.received[kind], self.traffic.received_size[kind])
            for kind in range(KINDS)
        ]
