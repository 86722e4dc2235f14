"""Hashed timing wheel."""

from cpython.object cimport PyObject


cdef class Timed:
    cdef:
        PyObject* wheel_next    # borrowed neighbours in the wheel's slot
        PyObject* wheel_previous
        Py_ssize_t wheel_slot   # -1 = not in the wheel

    cdef int expire(self, double now) except -1


cdef class TimingWheel:
    """Deadlines of every sink on one clock."""
    cdef:
        PyObject** slots        # heads of intrusive lists; borrowed: see Timed
        readonly double resolution
        readonly double now     # as of the last advance
        Py_ssize_t tick

    cdef int insert(self, Timed timed, double when) except -1
    cdef int remove(self, Timed timed) except -1
    cpdef advance(self, double now)
