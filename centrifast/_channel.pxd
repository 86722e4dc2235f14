"""A channel of the broadcast core. See _channel.pyx."""

from centrifast._core cimport Drain, Sink, Subscribers


cdef class Channel:
    """A channel with its subscribers, one array for each (variant, group), and the position that they share."""
    cdef:
        readonly str name
        Drain drain
        readonly list arrays    # of Subscribers
        readonly unsigned long long offset  # of the last publication that came by
        readonly str epoch      # of its stream; empty = not known yet

    cdef Subscribers array_of(self, object variant, object group)
    cpdef join(self, Sink sink, object group=*)
    cpdef Py_ssize_t leave(self, Sink sink, bint deliver=*) except -1
    cpdef regroup(self, Subscribers source, object group)
    cpdef int advance(self, unsigned long long offset, str epoch) except -1
