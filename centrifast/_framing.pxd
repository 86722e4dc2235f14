"""Messages into WebSocket frames."""

from libc.stdint cimport uint8_t


cdef class Variant:
    """One way messages are written: encoding and framing. One object each for the whole process."""
    cdef:
        readonly str name
        uint8_t opcode          # first byte of a frame: FIN and the WebSocket opcode
        bytes separator         # between messages of one frame
        Py_ssize_t max_messages  # in one frame
        readonly bytes ping     # the message that is a server ping
        readonly bytes pong     # the message that is a client pong

    cpdef bytes frame(self, list messages)


cpdef bytes encode_frame(uint8_t opcode, bytes payload)
