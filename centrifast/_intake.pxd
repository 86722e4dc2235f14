"""Which of many descriptors can be read, told in slices. See _intake.pyx for how it works."""

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        int fd

    struct epoll_event:
        unsigned int events
        epoll_data_t data

cdef enum:
    EVENTS = 64             # asked for at once


cdef class Intake:
    """Tells the owners of descriptors, a slice per loop turn, that there is something to read."""
    cdef:
        object loop
        double slice            # seconds of reading before the loop is served again
        int epoll_fd            # owned, closed in __dealloc__
        list owners             # by descriptor; None = not watched
        readonly Py_ssize_t count   # descriptors that are watched
        epoll_event[EVENTS] events  # taken from the kernel; those before next have had their turn
        int next, taken

    cdef int tell(self, int fd) except -1
    cpdef watch(self, int fd, owner)
    cpdef unwatch(self, int fd)
    cpdef run(self)
