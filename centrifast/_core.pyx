"""The broadcast core: from a message to the sockets of everyone who subscribed.

How it works
------------
A *Sink* is the output of one connection. A channel (``_channel``) has its subscribers in *Subscribers* arrays, one
for those who get the same bytes. Nothing is written when something is said: ``Subscribers.broadcast`` appends one
message to the array's pending list, ``Sink.send`` appends one to the sink's outbox, and both ask the *Drain* for a
run in the next turn of the loop.

    broadcast ──▶ Subscribers.pending ──▶ round: one buffer ──▶ send(fd) for each fd        (write_round)
    send ───────▶ Sink.messages ────────▶ frames ───────────▶ send(fd)                      (flush)
                                                      short or EAGAIN: the rest goes to the transport, the sink
                                                      is blocked until the transport reports that it drained

A run first flushes outboxes, then works on *rounds*: everything pending for an array, joined into one buffer, written
to each subscriber with one ``send``. After ``slice`` seconds it yields to the loop and goes on in its next turn, so
accepts, commands and API calls are served while 100,000 sockets are written. What is broadcast meanwhile joins the
next round.

``Drain.writable`` has one byte per descriptor: 1 while the socket may be written by a round, that is: open, nothing
in its outbox, nothing in its transport. So a round touches no object per subscriber (a cache miss each), and bytes
can not overtake those already waiting (invariant 2). The exceptions are noted in a small table and handled after the
loop of system calls (invariant 4).

Who joins while messages are pending must not get those: such a sink is *late* until the next round begins, and gets
what follows one by one. Who leaves gets its share of what is pending moved to its outbox. While a round is written,
entries are only marked as gone (fd -1); holes are filled when it ends.
"""

from collections import deque

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from centrifast._framing cimport Variant
from centrifast._metrics cimport CLIENT_PONG, SERVER_PING, UNKNOWN_KIND, Histogram, centrifast_monotonic
from centrifast._wheel cimport TimingWheel

cdef extern from *:
    """
    #include <errno.h>
    #include <sys/socket.h>
    #ifdef CENTRIFAST_DEBUG
    #define CENTRIFAST_COUNT 1
    #else
    #define CENTRIFAST_COUNT 0
    #endif
    static inline ssize_t centrifast_send(int fd, const char *data, size_t size) {
        ssize_t sent = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        return sent < 0 ? 0 : sent; /* an error shows again, and is handled, when the transport writes */
    }
    """
    bint CENTRIFAST_COUNT
    ssize_t centrifast_send(int fd, const char *data, size_t size) nogil

ROUND_BOUNDS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Of ``Drain.round_times``, in seconds."""

# Reasons given to on_sink_failed.
SLOW = 1
WRITE_FAILED = 2
NO_PONG = 3

cdef enum:
    LATE = -1               # index of a membership whose sink waits in Subscribers.late
    SHORTS = 64             # sockets that did not take a round whole, noted before they are handled
    ROUND_BYTES = 131072    # a round carries no more: one send of this size costs far more than the call itself
    PATIENT_SIZE = 64       # members from which on messages that can wait are collected
    CLOCK_EVERY = 16        # sends between two looks at the clock (a look costs 25 ns, a send 6 µs)

cdef Py_ssize_t live_sinks = 0, live_subscribers = 0, live_members = 0


def live_objects():
    """Objects of this module that are alive; only a debug build counts, a release build answers with None."""
    if not CENTRIFAST_COUNT:
        return None
    return {
        "sinks": live_sinks,
        "subscribers": live_subscribers,
        "members": live_members,
    }


@cython.final
cdef class Drain:
    """Writes what is pending: outboxes first, then rounds, in slices.

    *call_soon* takes a callable and runs it in the next turn of the loop. *queue_max_size* in bytes, *slice* and
    *write_timeout* in seconds.
    """

    def __cinit__(self, call_soon, Py_ssize_t queue_max_size, double slice=0.001, double write_timeout=1.0):
        self.call_soon = call_soon
        self.queue_max_size = queue_max_size
        self.slice = slice
        self.write_timeout = write_timeout
        self.dirty_sinks = []
        self.dirty_subscribers = deque()
        self.patient = []
        self.failed = []
        self.round_times = Histogram(ROUND_BOUNDS, True)

    def __dealloc__(self):
        free(self.writable)

    @property
    def idle(self):
        """Whether nothing is waiting to be written (what a blocked sink keeps does not count)."""
        return not self.dirty_sinks and not self.dirty_subscribers and not self.patient and not self.failed

    @property
    def length(self):
        """Outboxes and arrays that wait for their turn, those with what can wait included."""
        return PyList_GET_SIZE(self.dirty_sinks) + len(self.dirty_subscribers) + PyList_GET_SIZE(self.patient)

    def release(self):
        """Write what could wait as well; to be called some times a second."""
        cdef Subscribers subscribers
        patient, self.patient = self.patient, []
        for subscribers in patient:
            subscribers.is_patient = False
            if subscribers.pending:
                subscribers.demanded_at = centrifast_monotonic()
                subscribers.demand()

    cdef int schedule(self) except -1:
        if not self.scheduled:
            self.scheduled = True
            self.call_soon(self.run)
        return 0

    cdef int cover(self, int fd) except -1:
        """Make the table reach *fd*."""
        cdef Py_ssize_t size
        cdef uint8_t* grown
        if fd >= self.writable_size:
            size = max(1024, fd + 1, self.writable_size * 2)
            grown = <uint8_t*>realloc(self.writable, size)
            if grown == NULL:
                raise MemoryError()
            memset(grown + self.writable_size, 0, size - self.writable_size)
            self.writable = grown
            self.writable_size = size
        return 0

    cdef int fail(self, Sink sink, int reason) except -1:
        """Note that *sink* must be disconnected; its owner hears of it when no loop is running."""
        if not sink.failed:
            sink.failed = True
            self.failed.append((sink, reason))
            self.schedule()
        return 0

    cpdef run(self):
        """One slice. Asks for another turn while anything is left."""
        cdef double deadline = centrifast_monotonic() + self.slice
        cdef Py_ssize_t done = 0
        cdef list sinks = self.dirty_sinks
        cdef Sink sink
        cdef Subscribers subscribers
        self.scheduled = False
        if sinks:
            self.dirty_sinks = []
            for sink in sinks:
                sink.dirty = False
                sink.flush()
                done += 1
                if done % CLOCK_EVERY == 0 and centrifast_monotonic() >= deadline:
                    break
            self.dirty_sinks = sinks[done:] + self.dirty_sinks
        while self.dirty_subscribers:  # some of a round in every slice, even if outboxes took all of its time
            subscribers = <Subscribers>self.dirty_subscribers.popleft()
            if subscribers.write_round(deadline):
                self.dirty_subscribers.append(subscribers)  # at the end: channels take turns
            else:
                subscribers.dirty = False
            # While an array holds more than a connection may have waiting, the loop is not served: publishers wait.
            if not self.overfull and centrifast_monotonic() >= deadline:
                break
        if self.failed:
            self.report()
        if self.dirty_sinks or self.dirty_subscribers or self.failed:
            self.schedule()

    def report(self):
        """Tell the owners of failed sinks; they may do anything."""
        failed, self.failed = self.failed, []
        for sink, reason in failed:
            (<Sink>sink).failed = False  # else the close frame that tells why would not be taken
            owner = (<Sink>sink).owner
            if owner is not None:
                owner.on_sink_failed(reason)


cdef struct Short:
    Py_ssize_t index
    Py_ssize_t sent


@cython.final
cdef class Subscribers:

    def __cinit__(self, Drain drain not None, object channel not None, Variant variant not None, object group):
        global live_subscribers
        self.drain = drain
        self.channel = <PyObject*>channel
        self.variant = variant
        self.group = group
        if CENTRIFAST_COUNT:
            live_subscribers += 1

    def __dealloc__(self):
        global live_subscribers
        free(self.fds)
        free(self.members)
        free(self.slots)
        if CENTRIFAST_COUNT:
            live_subscribers -= 1

    cdef int append(self, Sink sink) except -1:
        """Put *sink* at the end; its membership must exist already as its last one or as a late one."""
        cdef Py_ssize_t capacity
        cdef void* grown
        cdef int slot
        global live_members
        if self.size == self.capacity:
            capacity = self.capacity + (self.capacity >> 1) + 2
            grown = realloc(self.fds, capacity * sizeof(int))
            if grown == NULL:
                raise MemoryError()
            self.fds = <int*>grown
            grown = realloc(self.slots, capacity * sizeof(int))
            if grown == NULL:
                raise MemoryError()
            self.slots = <int*>grown
            grown = realloc(self.members, capacity * sizeof(PyObject*))
            if grown == NULL:
                raise MemoryError()
            self.members = <PyObject**>grown
            self.capacity = capacity
        slot = sink.find(self.channel)
        Py_INCREF(sink)  # dropped in leave()
        self.fds[self.size] = sink.fd
        self.members[self.size] = <PyObject*>sink
        self.slots[self.size] = slot
        sink.memberships[slot].index = self.size
        self.size += 1
        if CENTRIFAST_COUNT:
            live_members += 1
        return 0

    cdef int move(self, Py_ssize_t source, Py_ssize_t target) except -1:
        """Overwrite the entry at *target*, which is gone, with the one at *source*."""
        cdef Sink sink = <Sink>self.members[source]
        self.fds[target] = self.fds[source]
        self.members[target] = self.members[source]
        self.slots[target] = self.slots[source]
        sink.memberships[self.slots[target]].index = target
        return 0

    cdef int fill_holes(self) except -1:
        """Close the gaps that a round left, moving entries from the end: O(size) compares, O(holes) moves."""
        cdef Py_ssize_t i = 0
        while self.holes:
            while self.size and self.fds[self.size - 1] < 0:
                self.size -= 1
                self.holes -= 1
            if not self.holes:
                break
            while self.fds[i] >= 0:
                i += 1
            self.size -= 1
            self.move(self.size, i)
            self.holes -= 1
        return 0

    cdef int join(self, Sink sink) except -1:
        sink.add_membership(self, LATE)
        if self.pending:
            if self.late is None:
                self.late = []
            self.late.append(sink)
        else:
            self.append(sink)
        return 0

    cdef int leave(self, Sink sink, int slot, bint deliver) except -1:
        """Take *sink* out; with *deliver* what it has not got yet goes to its outbox."""
        global live_members
        cdef Py_ssize_t index = sink.memberships[slot].index
        if index == LATE:
            self.late.remove(sink)
            sink.remove_membership(slot)
            return 0
        if deliver:
            self.deliver_share(sink, index)
        sink.remove_membership(slot)
        self.fds[index] = -1
        self.members[index] = NULL
        self.holes += 1
        if self.round is None:
            self.fill_holes_at(index)
        if CENTRIFAST_COUNT:
            live_members -= 1
        Py_DECREF(sink)  # taken in append()
        return 0

    cdef int fill_holes_at(self, Py_ssize_t index) except -1:
        """Fill the only hole, at *index*: O(1)."""
        self.size -= 1
        self.holes -= 1
        if index < self.size:
            self.move(self.size, index)
        return 0

    cdef int deliver_share(self, Sink sink, Py_ssize_t index) except -1:
        if self.round is not None and self.cursor <= index < self.limit:
            sink.queue_frame(self.round)
        if self.pending:
            if self.pending_framed != PyList_GET_SIZE(self.pending):  # once, however many leave now
                self.pending_frame = self.variant.frame(self.pending)
                self.pending_framed = PyList_GET_SIZE(self.pending)
            sink.queue_frame(self.pending_frame)
        return 0

    def __len__(self):
        return self.size - self.holes + (PyList_GET_SIZE(self.late) if self.late is not None else 0)

    def sinks(self):
        """The members, as a list that later changes do not touch."""
        cdef Py_ssize_t i
        cdef list found = []
        for i in range(self.size):
            if self.members[i] != NULL:
                found.append(<Sink>self.members[i])
        if self.late is not None:
            found.extend(self.late)
        return found

    cdef int move_to(self, Subscribers target) except -1:
        """Make every member one of *target*; what was broadcast here before goes to its outbox. O(members)."""
        cdef Py_ssize_t i
        cdef Sink sink
        cdef list late = self.late
        self.late = None
        for i in range(self.size - 1, -1, -1):  # from the end: no entry is moved into a hole
            if self.members[i] != NULL:
                sink = <Sink>self.members[i]
                self.leave(sink, self.slots[i], True)
                target.join(sink)
        if late is not None:
            for sink in late:
                sink.remove_membership(sink.find(self.channel))
                target.join(sink)
        return 0

    cdef int drop_pending(self) except -1:
        """Nobody is left to hear it."""
        self.pending = None
        if self.pending_size > self.drain.queue_max_size:
            self.drain.overfull -= 1
        self.pending_size = 0
        return 0

    cpdef broadcast(self, bytes message, bint can_wait=False, int kind=UNKNOWN_KIND):
        """Give *message* to every member: one append, however many they are. *kind* is for the count.

        If it *can_wait* and the members are many, it leaves with the next message that can not, or with ``release``:
        when 2,000 clients enter a room that tells all of all, each join would cost one send per member.
        """
        cdef Sink sink
        if self.late is not None:
            for sink in self.late:
                sink.send(message, kind)
        if self.size == self.holes:
            return
        self.variant.count_sent(kind, self.size - self.holes, PyBytes_GET_SIZE(message))
        if self.pending is None:
            self.pending = []
        self.pending.append(message)
        if self.pending_size <= self.drain.queue_max_size < self.pending_size + PyBytes_GET_SIZE(message):
            self.drain.overfull += 1
        self.pending_size += PyBytes_GET_SIZE(message)
        if can_wait and self.size > PATIENT_SIZE and self.pending_size < ROUND_BYTES:
            if not self.dirty:
                self.wait()
        else:
            if not self.urgent:
                self.urgent = True
                self.demanded_at = centrifast_monotonic()
            self.demand()

    cdef int demand(self) except -1:
        """Ask for a round."""
        if not self.dirty:
            self.dirty = True
            self.drain.dirty_subscribers.append(self)
            self.drain.schedule()
        return 0

    cdef int wait(self) except -1:
        """Be content with a round when the drain releases those who wait."""
        if not self.is_patient:
            self.is_patient = True
            self.drain.patient.append(self)
        return 0

    cdef int begin_round(self) except -1:
        """Make what is pending (or its first ROUND_BYTES) the round to be written; take in who was late."""
        cdef list messages = self.pending
        cdef Py_ssize_t size = 0, count = 0, total = PyList_GET_SIZE(messages)
        cdef Sink sink
        while count < total and (count == 0 or size + PyBytes_GET_SIZE(<bytes>messages[count]) <= ROUND_BYTES):
            size += PyBytes_GET_SIZE(<bytes>messages[count])
            count += 1
        if self.pending_size - size <= self.drain.queue_max_size < self.pending_size:
            self.drain.overfull -= 1
        self.pending_size -= size
        if count == total:
            self.pending = None
            self.urgent = False
        else:
            messages = messages[:count]
            self.pending = self.pending[count:]
        self.pending_frame = None
        self.pending_framed = 0
        self.round = self.variant.frame(messages)
        self.round_demanded_at = self.demanded_at
        self.cursor = 0
        self.limit = self.size
        if self.late is not None and self.pending is None:
            for sink in self.late:
                self.append(sink)
            self.late = None
        return 0

    @cython.boundscheck(False)  # no Python sequence is indexed; C arrays: cursor < limit <= size <= capacity
    @cython.wraparound(False)
    cdef int write_round(self, double deadline) except -1:
        """Go on with the round, or begin one; return 1 while anything is left for another turn.

        O(subscribers). Runs no Python code in its loop (invariant 4). What a socket does not take now waits for
        that socket alone: a slow subscriber never delays the next one.
        """
        cdef Short shorts[SHORTS]
        cdef int count, i, fd
        cdef Py_ssize_t cursor, limit, size, sent, looked
        cdef const char* data
        cdef const uint8_t* writable = self.drain.writable
        cdef int* fds
        cdef bint late = False
        cdef Sink sink
        if self.round is None:
            if not self.pending:
                return 0
            self.begin_round()
        data = PyBytes_AS_STRING(self.round)
        size = PyBytes_GET_SIZE(self.round)
        while self.cursor < self.limit and not late:
            count = 0
            looked = 0
            cursor = self.cursor
            limit = self.limit
            fds = self.fds
            with nogil:
                while cursor < limit and count < SHORTS:
                    fd = fds[cursor]
                    if fd >= 0:
                        sent = centrifast_send(fd, data, size) if writable[fd] else 0
                        if sent != size:
                            shorts[count].index = cursor
                            shorts[count].sent = sent
                            count += 1
                        looked += 1
                        if looked % CLOCK_EVERY == 0 and centrifast_monotonic() >= deadline:
                            late = True
                            cursor += 1
                            break
                    cursor += 1
            self.cursor = cursor
            for i in range(count):
                sink = <Sink>self.members[shorts[i].index]
                sink.took_part(self.round, shorts[i].sent)
            writable = self.drain.writable
        if self.cursor < self.limit:
            return 1
        self.round = None
        self.drain.round_times.note(centrifast_monotonic() - self.round_demanded_at, 0)
        if self.holes:
            self.fill_holes()
        if not self.pending:
            return 0
        if self.urgent:
            return 1
        self.wait()
        return 0


@cython.final
cdef class Sink(Timed):
    """One connection's output and its deadlines.

    *transport* is the asyncio transport that takes what the socket did not; its write-buffer limits must be 0 so that
    ``block`` and ``unblock`` (from ``pause_writing``/``resume_writing``) are exact. *owner* has
    ``on_sink_failed(reason)`` and ``on_sink_wake()``; both run outside any loop of this module. With *direct* off
    (TLS) everything goes through the transport.
    """

    def __cinit__(self, Drain drain not None, TimingWheel wheel not None, Variant variant not None, owner, transport,
                  int fd, bint direct):
        global live_sinks
        self.drain = drain
        self.wheel = wheel
        self.variant = variant
        self.owner = owner
        self.transport = transport
        self.fd = fd
        self.direct = direct
        drain.cover(fd)
        drain.writable[fd] = direct
        if CENTRIFAST_COUNT:
            live_sinks += 1

    def __dealloc__(self):
        global live_sinks
        free(self.memberships)
        if CENTRIFAST_COUNT:
            live_sinks -= 1

    # -------------------------------------------------------------- outbox

    cpdef send(self, bytes message, int kind=UNKNOWN_KIND):
        """Queue one message; it leaves in this or the next turn of the loop, joined with others in a frame.

        *kind* is for the count.
        """
        if self.closed or self.failed:
            return
        self.variant.count_sent(kind, 1, PyBytes_GET_SIZE(message))
        if self.messages is None:
            self.messages = []
        self.messages.append(message)
        self.count(PyBytes_GET_SIZE(message))
        self.mark()

    cpdef send_frame(self, bytes frame):
        """Queue a whole frame (pong, close) behind everything sent before."""
        if self.closed or self.failed:
            return
        self.queue_frame(frame)
        self.mark()

    cdef int queue_frame(self, bytes frame) except -1:
        if self.closed or self.failed:
            return 0
        if self.frames is None:
            self.frames = []
        if self.messages is not None:
            self.frames.append(self.variant.frame(self.messages))
            self.messages = None
        self.frames.append(frame)
        self.count(PyBytes_GET_SIZE(frame))
        self.mark()
        return 0

    cdef int took_part(self, bytes frame, Py_ssize_t sent) except -1:
        """The socket took only *sent* bytes of *frame*, or other bytes are waiting before it."""
        if sent or (self.direct and not self.blocked and self.queued == 0):
            return self.write_rest(frame, sent)
        return self.queue_frame(frame)

    cdef int mark(self) except -1:
        """Something waits: rounds may not write this socket until it is flushed."""
        self.drain.writable[self.fd] = 0
        if not self.dirty and not self.blocked:
            self.dirty = True
            self.drain.dirty_sinks.append(self)
            self.drain.schedule()
        return 0

    cdef int allow(self) except -1:
        """Nothing waits any more: rounds may write this socket again."""
        if not self.closed and self.direct:
            self.drain.writable[self.fd] = 1
        return 0

    cdef int count(self, Py_ssize_t size) except -1:
        """Account for *size* more bytes waiting (invariant 5)."""
        self.queued += size
        self.drain.outbox_bytes += size
        if self.queued > self.drain.queue_max_size:
            self.flush()  # many replies in one turn of the loop do not make a client slow
            if self.queued > self.drain.queue_max_size:
                self.drain.fail(self, SLOW)
        return 0

    cdef int emptied(self) except -1:
        """Nothing waits here any more."""
        self.messages = self.frames = None
        self.drain.outbox_bytes -= self.queued
        self.queued = 0
        return 0

    cdef int flush(self) except -1:
        cdef bytes data
        cdef Py_ssize_t sent
        if self.blocked or self.closed or self.failed or (self.messages is None and self.frames is None):
            return 0
        if self.frames is None:
            data = self.variant.frame(self.messages)
        else:
            if self.messages is not None:
                self.frames.append(self.variant.frame(self.messages))
            data = <bytes>self.frames[0] if PyList_GET_SIZE(self.frames) == 1 else b"".join(self.frames)
        self.emptied()
        sent = 0
        if self.direct:
            sent = centrifast_send(self.fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        if sent == PyBytes_GET_SIZE(data):
            return self.allow()
        return self.write_rest(data, sent)

    cdef int write_rest(self, bytes data, Py_ssize_t sent) except -1:
        """Leave to the transport what the socket did not take: a view, not a copy.

        The transport tries at once; if bytes remain it calls ``block`` before it returns.
        """
        self.drain.writable[self.fd] = 0
        try:
            self.transport.write(memoryview(data)[sent:] if sent else data)
        except (OSError, RuntimeError):  # it is closed and has not told us yet: this costs only its own connection
            self.drain.fail(self, WRITE_FAILED)
            return 0
        if not self.blocked:
            self.allow()
        return 0

    cpdef block(self):
        """The transport holds bytes: nothing more may be written until it has drained."""
        self.blocked = True
        self.drain.writable[self.fd] = 0
        if self.drain.write_timeout > 0:
            self.write_by = centrifast_monotonic() + self.drain.write_timeout
            self.reschedule()

    cpdef unblock(self):
        """The transport has drained: go on with what waits here."""
        self.blocked = False
        self.write_by = 0
        if self.messages is None and self.frames is None:
            self.allow()
        else:
            self.mark()

    cpdef bint flush_now(self) except -1:
        """Write what waits without waiting for the drain; False if something is left."""
        self.flush()
        return self.queued == 0 and not self.blocked

    cpdef drop_queue(self):
        """Forget what waits here; what the transport has taken can not be taken back."""
        self.emptied()
        self.failed = False

    cpdef close(self):
        """Stop: forget what waits, leave the wheel. Its channels must have been left; the descriptor may be reused."""
        cdef bint subscribed = self.membership_count > 0
        if self.closed:
            return
        while self.membership_count:  # else the next connection with this descriptor would get what these channels say
            (<Subscribers>self.memberships[self.membership_count - 1].subscribers).leave(
                self, self.membership_count - 1, False)
        self.closed = True
        self.drain.writable[self.fd] = 0
        self.drop_queue()
        self.wheel.remove(self)
        self.owner = None
        self.transport = None
        if subscribed:
            raise RuntimeError("a sink was closed while subscribed")

    # ----------------------------------------------------------- deadlines

    def start_pings(self, double first_in, double interval, double pong_timeout):
        """Ping after *first_in* seconds and then every *interval*; *pong_timeout* 0 = no answer is demanded."""
        self.ping_interval = interval
        self.pong_timeout = pong_timeout
        self.ping_at = centrifast_monotonic() + first_in
        self.reschedule()

    def wake_in(self, double seconds):
        """Call the owner's ``on_sink_wake`` once, *seconds* from now; a negative number takes it back."""
        self.wake_at = centrifast_monotonic() + seconds if seconds >= 0 else 0
        self.reschedule()

    def stop_pings(self):
        """No more pings, and no pong is missed any more."""
        self.ping_at = self.pong_by = 0

    cpdef bint pong(self) except -1:
        """Note a pong; False if no ping waits for one (client protocol 4.2)."""
        if not self.ping_outstanding:
            return False
        self.ping_outstanding = False
        self.pong_by = 0
        self.variant.count_received(CLIENT_PONG, PyBytes_GET_SIZE(self.variant.pong))
        if self.was_pinged and self.ping_at > 0:  # else no more pings are sent
            self.variant.round_trips.note(centrifast_monotonic() - (self.ping_at - self.ping_interval), 0)
        self.was_pinged = True
        return True

    cdef int reschedule(self) except -1:
        """Stand in the wheel where the earliest deadline is."""
        cdef double when = 0
        if self.closed:
            return 0
        if self.ping_at > 0:
            when = self.ping_at
        if self.pong_by > 0 and (when == 0 or self.pong_by < when):
            when = self.pong_by
        if self.write_by > 0 and (when == 0 or self.write_by < when):
            when = self.write_by
        if self.wake_at > 0 and (when == 0 or self.wake_at < when):
            when = self.wake_at
        self.wheel.remove(self)
        if when > 0:
            self.wheel.insert(self, when)
        return 0

    cdef int expire(self, double now) except -1:
        """Serve the deadlines that have passed."""
        cdef object owner = self.owner
        if self.closed:  # by what another one of the same tick called
            return 0
        if 0 < self.pong_by <= now:
            self.pong_by = 0
            self.drain.fail(self, NO_PONG)
        if 0 < self.write_by <= now:
            self.write_by = 0
            self.drain.fail(self, WRITE_FAILED)
        if 0 < self.ping_at <= now:
            self.ping_at = now + self.ping_interval
            self.ping_outstanding = True
            if self.pong_timeout > 0:
                self.pong_by = now + self.pong_timeout
            self.send(self.variant.ping, SERVER_PING)
        if 0 < self.wake_at <= now:
            self.wake_at = 0
            owner.on_sink_wake()
        self.reschedule()
        return 0

    # --------------------------------------------------------- memberships

    @property
    def memberships_count(self):
        """Channels this sink is a member of."""
        return self.membership_count

    cdef int find(self, PyObject* channel) except -2:
        """The slot of the membership in *channel*, or -1. O(channels of this sink)."""
        cdef int i
        for i in range(self.membership_count - 1, -1, -1):
            if (<Subscribers>self.memberships[i].subscribers).channel == channel:
                return i
        return -1

    cdef int add_membership(self, Subscribers subscribers, Py_ssize_t index) except -1:
        cdef Membership* grown
        cdef int capacity
        if self.membership_count == self.membership_capacity:
            capacity = self.membership_capacity * 2 if self.membership_capacity else 1
            grown = <Membership*>realloc(self.memberships, capacity * sizeof(Membership))
            if grown == NULL:
                raise MemoryError()
            self.memberships = grown
            self.membership_capacity = capacity
        self.memberships[self.membership_count].subscribers = <PyObject*>subscribers
        self.memberships[self.membership_count].index = index
        self.membership_count += 1
        return 0

    cdef int remove_membership(self, int slot) except -1:
        """Forget one membership; the last one takes its slot, and its array is told."""
        cdef Subscribers moved
        self.membership_count -= 1
        if slot < self.membership_count:
            self.memberships[slot] = self.memberships[self.membership_count]
            if self.memberships[slot].index != LATE:
                moved = <Subscribers>self.memberships[slot].subscribers
                moved.slots[self.memberships[slot].index] = slot
        return 0
