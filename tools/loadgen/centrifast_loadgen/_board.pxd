"""The shared memory of coordinator and workers: what is counted, and where it lies. See ``_board.pyx``."""

from libc.stdint cimport int64_t


cpdef enum Counter:
    """Index of a number in a worker's block."""
    CONNECTED = 0  # handshakes completed
    READY = 1  # connections with all their subscriptions confirmed
    FAILED = 2  # connections that did not get that far
    CLOSED = 3  # ready connections the server closed, or whose socket broke
    DELIVERED = 4  # markers seen
    MESSAGES = 5  # complete WebSocket messages
    BYTES = 6  # of their payload
    PINGS = 7  # protocol pings answered
    LAST_NS = 8  # monotonic time of the last delivery
    MAX_US = 9  # largest latency
    LOST = 10  # deliveries that connections miss at the end
    DOUBLED = 11  # deliveries of what the same connection had got before
    MAX_SLOW_US = 12
    DISORDERED = 13  # deliveries after a later one of the same channel
    MISSING = 14  # skipped, and not come late, so far
    STRAY = 15  # deliveries of channels the connection is not subscribed to
    OFFSET_GAPS = 16  # offsets skipped in positioned channels
    OFFSET_REPEATS = 17  # offsets at or below the one before
    RECOVERED = 18  # publications in subscribe replies
    RECOVERIES = 19  # subscribe replies with recovered
    UNRECOVERED = 20  # subscribe replies that should have recovered and did not
    JOINS = 21
    LEAVES = 22
    DOUBLED_JOINS = 23  # of a client that this connection saw join, or leave, before
    PUSHES = 24  # others than publications of ours, joins, leaves and unsubscribes
    UNSUBSCRIBED = 25  # by the server
    DROPPED = 26  # ready connections that we closed
    REOPENED = 27  # of READY, those that had been ready before
    ATTEMPTS = 28  # connections begun
    RETRIED = 29  # attempts that failed and were followed by another
    TIMEOUTS = 30  # attempts that were not answered in time
    DEFLATED = 31  # handshakes that agreed on permessage-deflate
    WIRE_BYTES = 32  # payload as it came, before it was inflated
    SLOW_DELIVERED = 33  # by connections that do not read; not in DELIVERED
    SLOW_CLOSED = 34  # of them, closed by the server
    SLOW_LEVEL = 35  # of them, open and with everything at the end
    SLOW_LOST = 36  # what open ones miss at the end
    OPEN = 37  # connections ready at this moment
    MAX_CONNECT_US = 38
    RECOVERABLE = 39  # subscriptions whose stream can be recovered, without those that recovered
    UNSEEN = 40  # open connections that never saw their own join
    SLOW_GONE = 41  # of SLOW_DELIVERED, by connections that are closed by now


cpdef enum Histogram:
    """Index of a histogram in a worker's block."""
    DELIVERY = 0  # from publishing to delivery, of connections that read
    CONNECT = 1  # from opening a socket to the last subscription's reply
    SLOW = 2  # as DELIVERY, of connections that do not read for a while


cdef int64_t monotonic_ns() noexcept nogil  # CLOCK_MONOTONIC; cannot fail


cdef class Shard:
    cdef:
        object owner  # the Board whose buffer `counters` points into: keeps it mapped
        int64_t* counters  # borrowed from owner
        int64_t* histograms  # borrowed from owner, BUCKETS long each
        int64_t* subscribers  # borrowed from owner, one per channel

    cdef int record(self, Histogram histogram, Counter largest, int64_t us) noexcept nogil  # a latency, and its maximum


cdef class Board:
    cdef:
        int64_t[::1] words  # keeps the buffer
        int64_t* first  # borrowed from words
        readonly Py_ssize_t workers
        readonly Py_ssize_t channels
        Py_ssize_t block  # words per worker

    cdef int64_t sum_of(self, Py_ssize_t offset) noexcept nogil  # of one word over the blocks; offset < block
