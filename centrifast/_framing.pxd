"""Messages into WebSocket frames."""

from libc.stdint cimport uint8_t

from centrifast._metrics cimport Histogram, Traffic


cdef class Variant:
    """One way messages are written: encoding and framing. One object each for the whole process."""
    cdef:
        readonly str name
        uint8_t opcode          # first byte of a frame: FIN and the WebSocket opcode
        bytes separator         # between messages of one frame
        Py_ssize_t max_messages  # in one frame
        readonly bytes ping     # the message that is a server ping
        readonly bytes pong     # the message that is a client pong
        object deflate          # payload -> smaller payload or None; None = connections did not agree on it
        readonly str transport  # what metrics call the way these messages go
        Traffic traffic         # messages of all connections of this variant, by kind
        readonly Histogram round_trips  # from ping to pong, but for the first of a connection
        readonly dict closes    # how often a connection was closed from here, by code

    cpdef bytes encode(self, uint8_t opcode, bytes payload)
    cdef bytes frame_deflated(self, list messages)
    cpdef bytes frame(self, list messages)
    cpdef count_received(self, int kind, Py_ssize_t size)
    cdef int count_sent(self, int kind, Py_ssize_t messages, Py_ssize_t size) except -1
    cdef int count_close(self, int code) except -1


cpdef bytes encode_frame(uint8_t opcode, bytes payload)
