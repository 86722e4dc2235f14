"""Counters in shared memory: one writer per block, the coordinator adds them up.

All are 64-bit integers, read without locks (aligned words are never torn):

    published per channel [channels]            written by the publishing process
    worker 0: counters [COUNTERS], histograms [HISTOGRAMS][BUCKETS], subscribers per channel [channels]
    worker 1: ...

A delivery is a marker in a message (``_scan.pxd``): when it was published, by CLOCK_MONOTONIC of the publisher, which
all processes of a machine share, and its number. Number = sequence * channels + channel, sequences of a channel from 1
without holes, so each connection knows for each of its channels (a *slot*) what must come next: it counts what was
skipped, came late or twice. Latencies are microseconds in histograms of 64 linear sub-buckets per power of two, as
HdrHistogram lays them out: a bucket is at most 1/64 of its value wide. The largest latency is also kept exactly.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, nanosleep, timespec

from centrifast_loadgen._scan cimport Marker, next_marker


cdef enum:
    COUNTERS = 48
    HISTOGRAMS = 3
    SUB_BUCKET_BITS = 6
    LARGEST_US = 0xFFFFFFFF  # 71 minutes; longer latencies land in the last bucket
    BUCKETS = 27 * 64  # bucket_of(LARGEST_US) + 1
    POLL_NS = 50_000
    LONGEST_PAUSE_NS = 20_000_000

HISTOGRAM_BUCKETS = BUCKETS


cdef extern from *:
    int __builtin_clzll(unsigned long long) noexcept nogil


cdef int64_t monotonic_ns() noexcept nogil:
    """CLOCK_MONOTONIC in nanoseconds; cannot fail."""
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t>t.tv_sec * 1_000_000_000 + t.tv_nsec


cdef Py_ssize_t bucket_of(int64_t us) noexcept nogil:
    """Bucket of a latency; 0 <= result < BUCKETS for any input."""
    cdef int shift
    if us < 0:  # the clock is one, but a marker may be anybody's
        us = 0
    elif us > LARGEST_US:
        us = LARGEST_US
    if us < (2 << SUB_BUCKET_BITS):
        return us
    shift = 63 - __builtin_clzll(<unsigned long long>us) - SUB_BUCKET_BITS
    return (<Py_ssize_t>shift << SUB_BUCKET_BITS) + (us >> shift)


def histogram_bucket(int64_t us):
    """Bucket of a latency in microseconds."""
    return bucket_of(us)


@cython.final
cdef class Shard:
    """One worker's block of counters; only that worker writes it."""

    def add(self, Counter counter, int64_t amount=1):
        """Add to a counter."""
        self.counters[<int>counter] += amount

    def get(self, Counter counter):
        """Read a counter."""
        return self.counters[<int>counter]

    def scan(self, bytes message not None, int64_t now_ns):
        """Count the markers of a message as received at *now_ns*; return how many there were."""
        cdef const char* position = PyBytes_AS_STRING(message)
        cdef const char* end = position + PyBytes_GET_SIZE(message)
        cdef Marker marker
        cdef Py_ssize_t found = 0
        while (position := next_marker(position, end, &marker)) != NULL:
            self.record(Histogram.DELIVERY, Counter.MAX_US, (now_ns - marker.sent_ns) // 1000)
            found += 1
        if found:
            self.counters[<int>Counter.DELIVERED] += found
            self.counters[<int>Counter.LAST_NS] = now_ns
        return found

    def record_connect(self, int64_t us):
        """Note how long a connection took to be ready, in microseconds."""
        self.record(Histogram.CONNECT, Counter.MAX_CONNECT_US, us)

    cdef int record(self, Histogram histogram, Counter largest, int64_t us) noexcept nogil:
        """Add a latency to a histogram and to its maximum."""
        self.histograms[<int>histogram * BUCKETS + bucket_of(us)] += 1
        if us > self.counters[<int>largest]:
            self.counters[<int>largest] = us
        return 0


@cython.final
cdef class Board:
    """The shared memory: a block per worker, and what was published to each channel.

    The buffer must be writable and zeroed by whoever created it, and stay mapped while the Board or a Shard lives.
    """

    def __init__(self, object buffer, Py_ssize_t workers, Py_ssize_t channels):
        cdef object view = memoryview(buffer).cast("B")
        cdef Py_ssize_t size = self.size(workers, channels)
        if workers < 1 or channels < 1 or len(view) < size:
            raise ValueError(f"{len(view)} bytes are smaller than {size}: {workers} workers, {channels} channels")
        self.words = view[:size].cast("q")
        self.first = &self.words[0]
        self.workers = workers
        self.channels = channels
        self.block = COUNTERS + HISTOGRAMS * BUCKETS + channels

    @staticmethod
    def size(Py_ssize_t workers, Py_ssize_t channels):
        """Bytes of shared memory needed."""
        return 8 * (channels + workers * (COUNTERS + HISTOGRAMS * BUCKETS + channels))

    def release(self):
        """Let go of the buffer, so that it can be unmapped; nothing may be called afterwards."""
        self.first = NULL
        self.words = None

    def shard(self, Py_ssize_t worker):
        """The block of one worker."""
        if not 0 <= worker < self.workers:
            raise IndexError(worker)
        cdef Shard shard = Shard()
        shard.owner = self
        shard.counters = self.first + self.channels + worker * self.block
        shard.histograms = shard.counters + COUNTERS
        shard.subscribers = shard.histograms + HISTOGRAMS * BUCKETS
        return shard

    def total(self, Counter counter):
        """A counter summed over the workers."""
        return self.sum_of(<Py_ssize_t>counter)

    def largest(self, Counter counter):
        """A counter's maximum over the workers."""
        cdef int64_t* word = self.first + self.channels + <Py_ssize_t>counter
        cdef int64_t largest = 0
        cdef Py_ssize_t worker
        for worker in range(self.workers):
            largest = max(largest, word[worker * self.block])
        return largest

    def subscribers(self, Py_ssize_t channel):
        """Connections subscribed to a channel at this moment."""
        if not 0 <= channel < self.channels:
            raise IndexError(channel)
        return self.sum_of(COUNTERS + HISTOGRAMS * BUCKETS + channel)

    def histogram(self, Histogram histogram=Histogram.DELIVERY):
        """A histogram summed over the workers."""
        cdef Py_ssize_t first = COUNTERS + <int>histogram * BUCKETS
        return [self.sum_of(first + bucket) for bucket in range(BUCKETS)]

    def count_published(self, Py_ssize_t channel):
        """Note one successful publication to a channel."""
        if not 0 <= channel < self.channels:
            raise IndexError(channel)
        self.first[channel] += 1

    def published(self, Py_ssize_t channel):
        """Successful publications to a channel."""
        if not 0 <= channel < self.channels:
            raise IndexError(channel)
        return self.first[channel]

    cdef int64_t sum_of(self, Py_ssize_t offset) noexcept nogil:
        """Sum of one word over the workers' blocks; 0 <= offset < block is the caller's promise."""
        cdef int64_t* word = self.first + self.channels + offset
        cdef int64_t total = 0
        cdef Py_ssize_t worker
        for worker in range(self.workers):
            total += word[worker * self.block]
        return total

    def wait_delivered(self, int64_t target, double timeout):
        """Wait until the deliveries reach *target*, at most *timeout* seconds; return whether they did.

        Sleeps half of what the rest should take each time. Looking every 50 µs would cost the receivers, on whose
        core this runs, a seventh of what they can take.
        """
        cdef int64_t start = monotonic_ns(), now = start, deadline = start + <int64_t>(timeout * 1e9)
        cdef int64_t begun = self.sum_of(<int>Counter.DELIVERED), delivered = begun, rest
        cdef timespec pause
        pause.tv_sec = 0
        with nogil:
            while delivered < target and now < deadline:
                rest = 4 * POLL_NS
                if delivered > begun:
                    rest = <int64_t>((now - start) * (<double>(target - delivered) / (delivered - begun)))
                pause.tv_nsec = min(max(rest // 2, POLL_NS), LONGEST_PAUSE_NS)
                nanosleep(&pause, NULL)
                delivered = self.sum_of(<int>Counter.DELIVERED)
                now = monotonic_ns()
        return delivered >= target
