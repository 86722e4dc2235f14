"""Which of many descriptors can be read: told in slices, so that no storm holds up the loop.

How it works
------------
libuv takes up to 48 times 1,024 events from the kernel, and acts on each, before anything else of its loop has a turn.
When 19,000 clients hang up in one moment, or speak in one moment, it is away for as long as all of them take. So their
descriptors are in an epoll set of our own, and libuv only watches that set: it is one descriptor, readable while any of
those in it is.

    19,000 sockets ──▶ epoll set of ours ──readable──▶ libuv ──▶ run: owners, for ``slice`` seconds ──▶ rest of the loop
                            ▲                                                                              │
                            └─────────────────── still readable in the next turn ──────────────────────────┘

Who has not had its turn stays in the kernel's list of what is ready, which is the queue: there is none here that could
grow, be forgotten at a stop, or hold a client that has gone half. Who was served goes to its end (epoll(7), level
triggered), so all get their turn in the order in which they became ready. It is asked for ``EVENTS`` at once.
"""

cimport cython

from centrifast._metrics cimport centrifast_monotonic

cdef extern from "<errno.h>" nogil:
    int errno

cdef extern from "<unistd.h>" nogil:
    int close(int fd)

cdef extern from "<sys/epoll.h>" nogil:
    int EPOLL_CLOEXEC
    int EPOLL_CTL_ADD
    int EPOLL_CTL_DEL
    unsigned int EPOLLIN
    int epoll_create1(int flags)
    int epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event)
    int epoll_wait(int epoll_fd, epoll_event* events, int size, int timeout_ms)


cdef int fail() except -1:
    raise OSError(errno, "epoll")


@cython.final
cdef class Intake:
    """Calls ``on_readable()`` of the owner of each descriptor that can be read, for *slice* seconds in a loop turn.

    *loop* has ``add_reader`` and ``remove_reader``; it knows of this only while somebody is watched. An owner that
    is called may do anything; it must read, or be unwatched, or it is called again. One that raises, which is a bug,
    is unwatched, and the loop is told.
    """

    def __cinit__(self, loop, double slice=0.001):
        self.epoll_fd = -1
        self.loop = loop
        self.slice = slice
        self.owners = []
        self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll_fd < 0:
            fail()

    def __dealloc__(self):
        if self.epoll_fd >= 0:
            close(self.epoll_fd)

    cpdef watch(self, int fd, owner):
        """Tell *owner* from here on when *fd* can be read, its peer has hung up, or it has failed."""
        cdef epoll_event event
        if fd >= len(self.owners):
            self.owners.extend([None] * max(1024, fd + 1 - len(self.owners)))
        if self.owners[fd] is not None:
            return
        event.events = EPOLLIN
        event.data.fd = fd
        if epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, fd, &event):
            fail()
        self.owners[fd] = owner
        self.count += 1
        if self.count == 1:
            self.loop.add_reader(self.epoll_fd, self.run)

    cpdef unwatch(self, int fd):
        """Tell no more of *fd*; harmless if it is not watched. To be called before it is closed."""
        cdef epoll_event event
        if fd >= len(self.owners) or self.owners[fd] is None:
            return
        self.owners[fd] = None
        epoll_ctl(self.epoll_fd, EPOLL_CTL_DEL, fd, &event)  # fails if it is closed, which has removed it
        self.count -= 1
        if self.count == 0:
            self.loop.remove_reader(self.epoll_fd)

    cpdef run(self):
        """One slice. It begins with those that the one before had no time for: the kernel would put them last again."""
        cdef double deadline = centrifast_monotonic() + self.slice
        cdef int fd
        cdef bint has_more = True
        while has_more:
            if self.next == self.taken:
                self.next = 0
                self.taken = max(0, epoll_wait(self.epoll_fd, self.events, EVENTS, 0))
                has_more = self.taken == EVENTS
            while self.next < self.taken:
                fd = self.events[self.next].data.fd
                self.next += 1
                self.tell(fd)
                if centrifast_monotonic() >= deadline:
                    return

    cdef int tell(self, int fd) except -1:
        owner = self.owners[fd]
        if owner is None:  # unwatched since
            return 0
        try:
            owner.on_readable()
        except BaseException:
            self.unwatch(fd)
            raise
        return 0
