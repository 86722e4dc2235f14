"""What counts and measures: cheap enough to stand beside every command and every publication (bench/metrics.py).

Nothing here knows names or labels (``centrifast.metrics``), and nothing is formatted before somebody asks.

A *Histogram* keeps one number for each of its bounds, like Prometheus's. With *windowed* it also answers quantiles of
the last ten minutes: five ages of two minutes, each a log-linear histogram of 464 cells in C, the oldest emptied when
its turn comes again. A cell is at most a sixteenth of its lower edge wide and stands for its middle, so a quantile is
exact to 1/32 (3.1 %) from 1 µs to 274 s; below that to 32 ns, and what is longer counts as 274 s.
"""

cimport cython
from libc.math cimport NAN
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

cdef extern from *:
    """
    #include <time.h>
    static inline double centrifast_unix(void) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    }
    static inline int centrifast_log2(uint64_t value) { return 63 - __builtin_clzll(value); } /* value > 0 */
    """
    double centrifast_unix() noexcept nogil
    int centrifast_log2(uint64_t value) noexcept nogil

cdef enum:
    AGES = 5
    CELLS = 464             # 16 for each power of two from 16 to 2**32 units, and 16 for what is smaller

cdef double AGE = 120.0             # seconds; Centrifugo's summaries look back as far: 10 minutes in 5 ages
cdef double UNITS = 15625000.0      # units a second: one is 64 ns
cdef double LONGEST = 4294967295.0  # units

FRAME_TYPES = (
    "server_ping",
    "client_pong",
    "push_connect",
    "push_subscribe",
    "push_publication",
    "push_join",
    "push_leave",
    "push_unsubscribe",
    "push_message",
    "push_refresh",
    "push_disconnect",
    "connect",
    "subscribe",
    "publish",
    "unsubscribe",
    "rpc",
    "presence",
    "presence_stats",
    "history",
    "sub_refresh",
    "refresh",
    "send",
    "unknown",
)
"""Kinds of messages, by number (engines specification 8.2)."""

if len(FRAME_TYPES) != KINDS or FRAME_TYPES[UNKNOWN_KIND] != "unknown":
    raise ImportError("the numbers in _metrics.pxd do not fit FRAME_TYPES")


cpdef double now() noexcept:
    """Seconds on the clock that ``observe_since`` looks at (CLOCK_MONOTONIC)."""
    return centrifast_monotonic()


@cython.final
cdef class Tally:

    cpdef add(self, int64_t amount=1):
        """Count *amount* more."""
        self.value += amount


@cython.final
cdef class Histogram:
    """*bounds* rise; *windowed* also answers ``quantiles``. Amounts are seconds unless the owner says otherwise."""

    def __cinit__(self, bounds not None, bint windowed=False):
        cdef int i
        self.bounds = tuple(bounds)
        self.size = len(self.bounds)
        self.windowed = windowed
        self.limits = <double*>malloc(max(self.size, 1) * sizeof(double))
        self.counts = <uint64_t*>calloc(self.size + 1, sizeof(uint64_t))
        if self.limits == NULL or self.counts == NULL:
            raise MemoryError()
        for i in range(self.size):
            self.limits[i] = self.bounds[i]
            if i and self.limits[i] <= self.limits[i - 1]:
                raise ValueError("bounds must rise")

    def __dealloc__(self):
        free(self.limits)
        free(self.counts)
        free(self.cells)

    cpdef observe(self, double amount, double now=0):
        """Count one *amount*; what is negative or no number counts as 0. *now* is for tests: 0 = ask the clock."""
        self.note(amount, now)

    cpdef observe_since(self, double started):
        """Count the time that has passed since *started*, which ``now`` gave."""
        cdef double now = centrifast_monotonic()
        self.note(now - started, now)

    def observe_age(self, int64_t unix_ms):
        """Count how far *unix_ms*, milliseconds since 1970, is from now: clocks of two machines may differ."""
        cdef double age = centrifast_unix() - 1e-3 * <double>unix_ms
        self.note(age if age >= 0 else -age, 0)

    cdef int note(self, double amount, double now) except -1:
        cdef int i = 0
        cdef uint64_t units
        cdef int power
        if not amount > 0:
            amount = 0
        while i < self.size and amount > self.limits[i]:
            i += 1
        self.counts[i] += 1
        self.sum += amount
        if not self.windowed:
            return 0
        if now == 0:
            now = centrifast_monotonic()
        if now >= self.age_until:
            self.turn(now)
        units = <uint64_t>min(amount * UNITS, LONGEST)
        if units >= 16:
            power = centrifast_log2(units)
            units = (power - 3) * 16 + ((units >> (power - 4)) & 15)
        self.cells[self.age * CELLS + units] += 1
        return 0

    cdef int turn(self, double now) except -1:
        """Begin the next age, or as many as have passed."""
        cdef int _
        if self.cells == NULL:
            self.cells = <uint32_t*>calloc(AGES * CELLS, sizeof(uint32_t))
            if self.cells == NULL:
                raise MemoryError()
            self.age_until = now + AGE
            return 0
        for _ in range(AGES):
            if now < self.age_until:
                return 0
            self.age = (self.age + 1) % AGES
            memset(self.cells + self.age * CELLS, 0, CELLS * sizeof(uint32_t))
            self.age_until += AGE
        if now >= self.age_until:  # nothing was observed for so long that all ages are empty
            self.age_until = now + AGE
        return 0

    def cumulative(self):
        """How many amounts were at most as large as each bound, and at the end all of them."""
        cdef int i
        cdef uint64_t total = 0
        cdef list found = []
        for i in range(self.size + 1):
            total += self.counts[i]
            found.append(total)
        return found

    def quantiles(self, wanted not None, double now=0):
        """``quantiles_of`` this one alone."""
        return quantiles_of((self,), wanted, now)


def quantiles_of(histograms not None, wanted not None, double now=0):
    """The amounts below which each fraction of *wanted*, rising, of those of the last ten minutes lay.

    Over all *histograms* together; NaN while there are none. *now* as in ``observe``. O(cells), 0.7 µs for each.
    """
    cdef uint64_t sums[CELLS]
    cdef uint64_t total = 0, seen
    cdef double rank
    cdef int age, cell
    cdef list found = []
    cdef Histogram histogram
    memset(sums, 0, sizeof(sums))
    if now == 0:
        now = centrifast_monotonic()
    for histogram in histograms:
        if histogram is None or histogram.cells == NULL:
            continue
        if now >= histogram.age_until:
            histogram.turn(now)
        for age in range(AGES):
            for cell in range(CELLS):
                sums[cell] += histogram.cells[age * CELLS + cell]
    for cell in range(CELLS):
        total += sums[cell]
    if total == 0:
        return [NAN] * len(wanted)
    cell = 0
    seen = sums[0]
    for fraction in wanted:
        rank = fraction * total
        while seen < rank and cell < CELLS - 1:
            cell += 1
            seen += sums[cell]
        found.append(middle_of(cell))
    return found


cdef double middle_of(int cell) noexcept:
    """The amount that a cell of the window stands for."""
    cdef int power
    if cell < 16:
        return (cell + 0.5) / UNITS
    power = cell // 16 + 3
    return <double>(1 << (power - 4)) * (16 + cell % 16 + 0.5) / UNITS
