"""Tallies and histograms, and the kinds of protocol messages that are counted. See _metrics.pyx."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <time.h>
    static inline double centrifast_monotonic(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    }
    """
    double centrifast_monotonic() noexcept nogil


cdef enum:
    # The kinds the core counts by itself; the others come from above. Their order: FRAME_TYPES.
    SERVER_PING = 0
    CLIENT_PONG = 1
    UNKNOWN_KIND = 22
    KINDS = 23


cdef struct Traffic:
    uint64_t sent[KINDS]            # messages
    uint64_t sent_size[KINDS]       # bytes of the messages, without framing
    uint64_t received[KINDS]
    uint64_t received_size[KINDS]


cdef class Tally:
    """A number that goes up, or up and down."""
    cdef:
        readonly int64_t value

    cpdef add(self, int64_t amount=*)


cdef class Histogram:
    """How often durations, or other amounts, lay between fixed bounds."""
    cdef:
        readonly tuple bounds   # upper bounds, rising; above the last one is +Inf
        readonly double sum
        double* limits          # the bounds; owned, freed in __dealloc__
        uint64_t* counts        # one for each bound and one above; owned
        int size                # number of bounds
        bint windowed
        uint32_t* cells         # AGES times CELLS, of which one is being filled; owned; NULL = nothing observed yet
        int age                 # the one being filled
        double age_until        # on the monotonic clock

    cpdef observe(self, double amount, double now=*)
    cpdef observe_since(self, double started)
    cdef int note(self, double amount, double now) except -1
    cdef int turn(self, double now) except -1
