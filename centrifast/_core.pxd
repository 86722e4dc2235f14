"""Broadcast core: who gets which bytes, and when they are written. See _core.pyx for how it works."""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t

from centrifast._framing cimport Variant
from centrifast._metrics cimport Histogram
from centrifast._wheel cimport Timed, TimingWheel


cdef struct Membership:
    PyObject* subscribers       # borrowed: a Subscribers is alive while it has members
    Py_ssize_t index            # place in its arrays, or LATE


cdef class Drain:
    """Writes, once per loop tick and in slices, everything that became pending."""
    cdef:
        object call_soon        # runs a callable in the next turn of the loop
        readonly double slice   # seconds of writing before the loop is served again
        readonly Py_ssize_t queue_max_size  # bytes that may wait for one connection
        readonly double write_timeout       # seconds one write may take; 0 = no limit
        bint scheduled
        list dirty_sinks        # sinks with something in their outbox
        object dirty_subscribers  # deque of arrays with a round in progress or pending messages
        list patient            # arrays whose pending messages can wait
        list failed             # (sink, reason) to be reported once no loop runs
        uint8_t* writable       # by descriptor: 1 = may be written directly now; owned, freed in __dealloc__
        Py_ssize_t writable_size
        Py_ssize_t overfull     # arrays whose pending bytes exceed queue_max_size
        readonly Py_ssize_t outbox_bytes    # in the outboxes of all sinks
        readonly Histogram round_times      # from the demand for a round to its last subscriber, in seconds

    cdef int schedule(self) except -1
    cdef int cover(self, int fd) except -1
    cdef int fail(self, Sink sink, int reason) except -1
    cpdef run(self)


cdef class Subscribers:
    """Those subscribers of a channel who get the same bytes: parallel C arrays, and what is pending for them all."""
    cdef:
        readonly Variant variant
        public object group     # what the owner of the channel tells them apart by, beside the variant
        PyObject* channel       # borrowed: a channel is alive while it has members
        Drain drain
        int* fds                # -1 = gone while a round was being written; owned, freed in __dealloc__
        PyObject** members      # owned references, dropped in leave(); owned array
        int* slots              # index of this membership in its sink; owned
        Py_ssize_t size, capacity
        Py_ssize_t holes        # entries with fd -1
        list pending            # messages of the next round
        Py_ssize_t pending_size  # bytes
        bytes pending_frame     # the first pending_framed messages as one buffer, made for those who leave early
        Py_ssize_t pending_framed
        bytes round             # bytes being written now, or None
        Py_ssize_t cursor, limit  # the round has reached cursor and ends at limit
        list late               # sinks that joined while messages were pending: they get the next ones one by one
        double demanded_at      # when the pending messages' round was asked for
        double round_demanded_at  # the same of the round being written
        uint8_t dirty           # in drain.dirty_subscribers (bytes, not bint: there may be an array for each client)
        uint8_t urgent          # some pending message can not wait
        uint8_t is_patient      # in drain.patient

    cdef int append(self, Sink sink) except -1
    cdef int move(self, Py_ssize_t source, Py_ssize_t target) except -1
    cdef int fill_holes(self) except -1
    cdef int join(self, Sink sink) except -1
    cdef int leave(self, Sink sink, int slot, bint deliver) except -1
    cdef int fill_holes_at(self, Py_ssize_t index) except -1
    cdef int deliver_share(self, Sink sink, Py_ssize_t index) except -1
    cdef int move_to(self, Subscribers target) except -1
    cdef int drop_pending(self) except -1
    cpdef broadcast(self, bytes message, bint can_wait=*, int kind=*)
    cdef int demand(self) except -1
    cdef int wait(self) except -1
    cdef int begin_round(self) except -1
    cdef int write_round(self, double deadline) except -1


cdef class Sink(Timed):
    """One connection's output: the only way bytes reach its socket."""
    cdef:
        Drain drain
        TimingWheel wheel
        readonly Variant variant
        readonly object owner   # on_sink_failed(reason), on_sink_wake(); dropped in close()
        object transport        # asyncio transport; dropped in close()
        int fd
        readonly bint closed
        uint8_t direct          # the descriptor may be written (no TLS); bytes, not bint: there is one for each client
        uint8_t blocked         # the transport holds bytes that the socket did not take
        uint8_t dirty
        uint8_t failed
        uint8_t ping_outstanding
        uint8_t was_pinged      # a ping before this one has been answered: the first is not measured
        list messages           # not framed yet; None = none
        list frames             # framed, in order, before messages; None = none
        readonly Py_ssize_t queued  # bytes in messages and frames
        Membership* memberships  # owned, freed in __dealloc__
        int membership_count, membership_capacity
        double ping_interval, pong_timeout
        double ping_at, pong_by, write_by, wake_at  # deadlines on the wheel's clock; 0 = none

    cpdef send(self, bytes message, int kind=*)
    cpdef send_frame(self, bytes frame)
    cpdef bint pong(self) except -1
    cdef int queue_frame(self, bytes frame) except -1
    cdef int took_part(self, bytes frame, Py_ssize_t sent) except -1
    cdef int mark(self) except -1
    cdef int allow(self) except -1
    cdef int count(self, Py_ssize_t size) except -1
    cdef int emptied(self) except -1
    cdef int flush(self) except -1
    cdef int write_rest(self, bytes data, Py_ssize_t sent) except -1
    cdef int reschedule(self) except -1
    cdef int find(self, PyObject* channel) except -2
    cdef int add_membership(self, Subscribers subscribers, Py_ssize_t index) except -1
    cdef int remove_membership(self, int slot) except -1
    cpdef block(self)
    cpdef unblock(self)
    cpdef bint flush_now(self) except -1
    cpdef drop_queue(self)
    cpdef close(self)
