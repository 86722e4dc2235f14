"""Messages into WebSocket frames: the server's half of RFC 6455 section 5, for unmasked, unfragmented frames."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy


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
    """How messages of one encoding are put into WebSocket frames: at most *max_messages* each, *separator* between."""

    def __cinit__(self, str name not None, int opcode, bytes separator not None, bytes ping not None,
                  bytes pong not None, Py_ssize_t max_messages=16):
        self.name = name
        self.opcode = 0x80 | opcode
        self.separator = separator
        self.ping = ping
        self.pong = pong
        self.max_messages = max_messages

    @cython.boundscheck(False)  # every index below is under PyList_GET_SIZE(messages), which nothing changes here
    @cython.wraparound(False)
    cpdef bytes frame(self, list messages):
        """All *messages* as consecutive frames in one buffer."""
        cdef Py_ssize_t total = PyList_GET_SIZE(messages), gap = PyBytes_GET_SIZE(self.separator)
        cdef Py_ssize_t start, i, end, size, whole = 0
        cdef bytes buffer, message
        cdef char* target
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
