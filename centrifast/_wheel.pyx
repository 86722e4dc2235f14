"""Hashed timing wheel: one timer of the loop for every deadline of every connection."""

cimport cython
from cpython.object cimport PyObject
from libc.stdlib cimport calloc, free

cdef enum:
    WHEEL_SLOTS = 1024  # 51 s at the resolution below; a later deadline is looked at then and put back

cdef double WHEEL_RESOLUTION = 0.05  # seconds; 100,000 clients pinged every 25 s are 200 pings a tick, about 1 ms


cdef class Timed:
    """Something with a deadline. It must leave the wheel before it goes: the wheel only borrows it."""

    def __cinit__(self, *arguments, **options):
        self.wheel_slot = -1

    cdef int expire(self, double now) except -1:
        """The time it was inserted for has come, or the wheel has turned once."""
        raise RuntimeError("expire is not implemented")


@cython.final
cdef class TimingWheel:
    """Hashed timing wheel (Varghese and Lauck, 1987, scheme 6): one timer for all deadlines of all sinks.

    ``advance`` is called every ``resolution`` seconds; a deadline is noticed at most that much late.
    """

    def __cinit__(self, double now):
        self.slots = <PyObject**>calloc(WHEEL_SLOTS, sizeof(PyObject*))
        if self.slots == NULL:
            raise MemoryError()
        self.resolution = WHEEL_RESOLUTION
        self.now = now
        self.tick = <Py_ssize_t>(now / self.resolution)

    def __dealloc__(self):
        free(self.slots)

    cdef int insert(self, Timed timed, double when) except -1:
        cdef Py_ssize_t tick = <Py_ssize_t>(when / self.resolution) + 1
        cdef Py_ssize_t slot
        cdef PyObject* head
        if tick <= self.tick:
            tick = self.tick + 1
        elif tick >= self.tick + WHEEL_SLOTS:
            tick = self.tick + WHEEL_SLOTS - 1  # looked at then, and put back if it is still ahead
        slot = tick % WHEEL_SLOTS
        head = self.slots[slot]
        timed.wheel_slot = slot
        timed.wheel_previous = NULL
        timed.wheel_next = head
        if head != NULL:
            (<Timed>head).wheel_previous = <PyObject*>timed
        self.slots[slot] = <PyObject*>timed
        return 0

    cdef int remove(self, Timed timed) except -1:
        if timed.wheel_slot < 0:
            return 0
        if timed.wheel_previous != NULL:
            (<Timed>timed.wheel_previous).wheel_next = timed.wheel_next
        else:
            self.slots[timed.wheel_slot] = timed.wheel_next
        if timed.wheel_next != NULL:
            (<Timed>timed.wheel_next).wheel_previous = timed.wheel_previous
        timed.wheel_next = timed.wheel_previous = NULL
        timed.wheel_slot = -1
        return 0

    cpdef advance(self, double now):
        """Serve every deadline up to *now*."""
        cdef Py_ssize_t target = <Py_ssize_t>(now / self.resolution), slot
        cdef list due = []
        cdef Timed timed
        self.now = now
        if target - self.tick > WHEEL_SLOTS:
            self.tick = target - WHEEL_SLOTS  # the loop stood still for a whole turn: look at each slot once
        while self.tick < target:
            self.tick += 1
            slot = self.tick % WHEEL_SLOTS
            while self.slots[slot] != NULL:
                timed = <Timed>self.slots[slot]
                self.remove(timed)
                due.append(timed)
        for timed in due:  # only after unlinking: what is called here may close any other sink
            timed.expire(now)
