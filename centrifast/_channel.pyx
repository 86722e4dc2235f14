"""A channel: who hears what is said in it, and how far its stream has come.

Subscribers stand in one array for each *variant* (encoding and framing) and *group*. A group is whatever the owner
tells apart: those who get the publication itself, those who get the difference to the one before, those with a filter.
The core only compares groups; what each of them is sent is the owner's matter.

The position in the stream is the channel's, not the subscriber's: all who are in step share it, so a publication is
compared once, however many they are. Who is not in step is not a member.
"""

cimport cython
from cpython.object cimport PyObject

from centrifast._core cimport Drain, Sink, Subscribers

# What ``advance`` finds.
IN_STEP = 0
OLD = 1
LOST = 2

cdef extern from *:
    """
    #ifdef CENTRIFAST_DEBUG
    #define CENTRIFAST_COUNT 1
    #else
    #define CENTRIFAST_COUNT 0
    #endif
    """
    bint CENTRIFAST_COUNT

cdef Py_ssize_t live_channels = 0


def live_objects():
    """Channels that are alive; only a debug build counts, a release build answers with None."""
    return {"channels": live_channels} if CENTRIFAST_COUNT else None


@cython.final
cdef class Channel:
    """A channel's local subscribers. Holds no policy: who may join is decided before."""

    def __cinit__(self, str name not None, Drain drain not None):
        global live_channels
        self.name = name
        self.drain = drain
        self.arrays = []
        self.epoch = ""
        if CENTRIFAST_COUNT:
            live_channels += 1

    def __dealloc__(self):
        global live_channels
        if CENTRIFAST_COUNT:
            live_channels -= 1

    def __len__(self):
        cdef Py_ssize_t count = 0
        for subscribers in self.arrays:
            count += len(subscribers)
        return count

    cdef Subscribers array_of(self, object variant, object group):
        """The array of this variant and group, or None."""
        cdef Subscribers subscribers
        for subscribers in self.arrays:
            if subscribers.variant is variant and (subscribers.group is group or subscribers.group == group):
                return subscribers
        return None

    cpdef join(self, Sink sink, object group=None):
        """Add *sink*, which must be open and not a member yet; it gets what is said to its group from here on."""
        cdef Subscribers subscribers
        if sink is None or sink.closed:
            raise ValueError("the sink is closed")
        if sink.find(<PyObject*>self) >= 0:
            raise ValueError("the sink is a member already")
        subscribers = self.array_of(sink.variant, group)
        if subscribers is None:
            subscribers = Subscribers.__new__(Subscribers, self.drain, self, sink.variant, group)
            self.arrays.append(subscribers)
        subscribers.join(sink)

    cpdef Py_ssize_t leave(self, Sink sink, bint deliver=True) except -1:
        """Remove *sink* and return how many are left; with *deliver* it still gets what was said before."""
        cdef int slot = sink.find(<PyObject*>self)
        cdef Subscribers subscribers
        if slot < 0:
            raise ValueError("the sink is not a member")
        subscribers = <Subscribers>sink.memberships[slot].subscribers
        subscribers.leave(sink, slot, deliver)
        if not len(subscribers):
            subscribers.drop_pending()
            self.arrays.remove(subscribers)
        return len(self)

    cpdef regroup(self, Subscribers source, object group):
        """Make the members of *source* belong to *group*; what was said to them before still reaches them.

        O(1) if nobody else of their variant is in that group, else O(members of *source*).
        """
        cdef Subscribers target = self.array_of(source.variant, group)
        if target is source:
            return
        if target is None:
            source.group = group
            return
        source.move_to(target)
        source.drop_pending()
        self.arrays.remove(source)

    def group_of(self, Sink sink not None):
        """The group of a member, or None for somebody else."""
        cdef int slot = sink.find(<PyObject*>self)
        return None if slot < 0 else (<Subscribers>sink.memberships[slot].subscribers).group

    cpdef int advance(self, unsigned long long offset, str epoch) except -1:
        """Take note of a publication and say what it means to those in step (client protocol 6.5). O(1).

        IN_STEP: it is the next one, or the position was not known. OLD: they have it. LOST: they miss something;
        the position is then the publication's, for those who come later.
        """
        if self.epoch == epoch:
            if offset <= self.offset:
                return OLD
            if offset == self.offset + 1:
                self.offset = offset
                return IN_STEP
        elif not self.epoch:
            self.offset = offset
            self.epoch = epoch
            return IN_STEP
        self.offset = offset
        self.epoch = epoch
        return LOST

    def place(self, unsigned long long offset, str epoch not None):
        """Say where the stream is; only while nobody depends on what was known before."""
        self.offset = offset
        self.epoch = epoch
