"""The receiving side: one picows listener per connection, counting into shared memory.

Why picows and not a raw epoll loop, each side on a core of its own, 10,000 connections, against a client in C:

- 200 messages back to back, which the server joins: 6.2 million deliveries/s (C: 6.0), server at 93-99 % of its core,
  this side at 73-83 %.
- One 150-byte message in flight to the plain C floor: about 5 % less than the C client when the machine is quiet
  (148,000 against 157,000), the floor at 90 % of its core by its own CPU time (C client: 99 %), this side at 71 %.
  Where the missing tenth goes is not known; the floor's answer still takes about as long as the whole round.

So counting in a nogil epoll loop on the same descriptors could win up to those 5 %, for a second frame parser, and has
not been tried. Compare servers by ratio to a floor loaded by this same client.

picows already takes care of frames split over reads and of several frames in one read; left to do here are fragmented
messages, and several protocol messages in one WebSocket message.

Shared memory, all 64-bit integers, one writer per block, read without locks (aligned words are never torn):

    published per channel [channels]            written by the publishing process
    worker 0: counters [COUNTERS], latency histogram [BUCKETS], subscribers per channel [channels]
    worker 1: ...

A delivery is a ``#t=NANOSECONDS#`` marker in a message; NANOSECONDS is CLOCK_MONOTONIC of the publisher, which all
processes of a machine share. Latencies are microseconds in a histogram of 64 linear sub-buckets per power of two, as
HdrHistogram lays them out: a bucket is at most 1/64 of its value wide. The largest latency is also kept exactly.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memchr
from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, nanosleep, timespec

import picows

# The struct layout of picows is compiled in: with another version the wrong field would be read without an error.
if picows.__version__ != "2.3.1":
    raise ImportError(f"built for picows 2.3.1, found {picows.__version__}")


cpdef enum Counter:
    """Index of a number in a worker's block."""
    CONNECTED = 0  # handshakes completed
    READY = 1  # connections with all their subscriptions confirmed
    FAILED = 2  # connections that did not get that far
    CLOSED = 3  # ready connections the server closed, or whose socket broke
    DELIVERED = 4  # markers seen
    MESSAGES = 5  # complete WebSocket messages
    BYTES = 6  # of their payload
    PINGS = 7  # protocol pings answered
    LAST_NS = 8  # monotonic time of the last delivery
    MAX_US = 9  # largest latency
    LOST = 10  # deliveries that open connections miss at the end
    SURPLUS = 11  # deliveries that open connections got beyond what was published to them


cdef enum:
    COUNTERS = 16
    SUB_BUCKET_BITS = 6
    LARGEST_US = 0xFFFFFFFF  # 71 minutes; longer latencies land in the last bucket
    BUCKETS = 27 * 64  # bucket_of(LARGEST_US) + 1
    POLL_NS = 50_000
    LONGEST_PAUSE_NS = 20_000_000

HISTOGRAM_BUCKETS = BUCKETS
SUBSCRIPTION_ID_BASE = 2  # id 1 is the connect command; subscription j has id 2 + j


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

    cdef:
        object owner  # the Board whose buffer `counters` points into: keeps it mapped
        int64_t* counters  # borrowed from owner
        int64_t* histogram  # borrowed from owner, BUCKETS long
        int64_t* subscribers  # borrowed from owner, one per channel

    def add(self, Counter counter, int64_t amount=1):
        """Add to a counter."""
        self.counters[<int>counter] += amount

    def get(self, Counter counter):
        """Read a counter."""
        return self.counters[<int>counter]

    def scan(self, bytes message not None, int64_t now_ns):
        """Count the markers of a message as received at *now_ns*; return how many there were."""
        return scan_markers(self, PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message), now_ns)


cdef Py_ssize_t scan_markers(Shard shard, const char* data, Py_ssize_t size, int64_t now_ns) noexcept:
    """Record each ``#t=DIGITS#`` of *data* in *shard*; return how many there were.

    memchr is several times faster here than memmem with a three-byte needle, and payloads seldom hold another '#'.
    Touches only C fields of *shard*; nothing can raise.
    """
    cdef:
        const char* position = data
        const char* end = data + size
        const char* digits
        int64_t sent, us
        Py_ssize_t found = 0
    while position < end:
        position = <const char*>memchr(position, c'#', end - position)
        if position == NULL or end - position < 5:  # '#', 't', '=', a digit, '#'
            break
        position += 1
        if position[0] != c't' or position[1] != c'=':
            continue
        digits = position = position + 2
        sent = 0
        while position < end and c'0' <= position[0] <= c'9' and position - digits < 19:  # 19 digits cannot wrap
            sent = sent * 10 + (position[0] - c'0')
            position += 1
        if position == digits or position == end or position[0] != c'#':
            continue
        position += 1
        us = (now_ns - sent) // 1000
        shard.histogram[bucket_of(us)] += 1
        if us > shard.counters[<int>Counter.MAX_US]:
            shard.counters[<int>Counter.MAX_US] = us
        found += 1
    if found:
        shard.counters[<int>Counter.DELIVERED] += found
        shard.counters[<int>Counter.LAST_NS] = now_ns
    return found


@cython.final
cdef class Board:
    """The shared memory: a block per worker, and what was published to each channel.

    The buffer must be writable and zeroed by whoever created it, and stay mapped while the Board or a Shard lives.
    """

    cdef:
        int64_t[::1] words  # keeps the buffer
        int64_t* first  # borrowed from words
        readonly Py_ssize_t workers
        readonly Py_ssize_t channels
        Py_ssize_t block  # words per worker

    def __init__(self, object buffer, Py_ssize_t workers, Py_ssize_t channels):
        cdef object view = memoryview(buffer).cast("B")
        cdef Py_ssize_t size = self.size(workers, channels)
        if workers < 1 or channels < 1 or len(view) < size:
            raise ValueError(f"{len(view)} bytes are smaller than {size}: {workers} workers, {channels} channels")
        self.words = view[:size].cast("q")
        self.first = &self.words[0]
        self.workers = workers
        self.channels = channels
        self.block = COUNTERS + BUCKETS + channels

    @staticmethod
    def size(Py_ssize_t workers, Py_ssize_t channels):
        """Bytes of shared memory needed."""
        return 8 * (channels + workers * (COUNTERS + BUCKETS + channels))

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
        shard.histogram = shard.counters + COUNTERS
        shard.subscribers = shard.histogram + BUCKETS
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
        return self.sum_of(COUNTERS + BUCKETS + channel)

    def histogram(self):
        """The latency histogram summed over the workers."""
        return [self.sum_of(COUNTERS + bucket) for bucket in range(BUCKETS)]

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


cpdef enum Encoding:
    """How messages share a WebSocket message, and what a ping looks like."""
    JSON = 0  # one message per line; ping: {}
    PROTOBUF = 1  # each message after its length as a varint; ping: a zero length
    RAW = 2  # as JSON, but no replies are expected: subscribed once the text is sent


@cython.final
cdef class Plan:
    """What the connections of one worker have in common.

    *parse_reply* takes one message and returns ``(command id or 0, error text or None)`` or raises ValueError; it is
    called only until a connection is ready. *on_closed* is told why each ready connection closed.
    """

    cdef:
        readonly Shard shard
        readonly Encoding encoding
        readonly Py_ssize_t channels
        readonly Py_ssize_t channels_per_connection
        object parse_reply
        object on_closed
        public bint stopping  # closes are ours now

    def __init__(self, Shard shard not None, Encoding encoding, Py_ssize_t channels,
                 Py_ssize_t channels_per_connection, object parse_reply, object on_closed):
        self.shard = shard
        self.encoding = encoding
        self.channels = channels
        self.channels_per_connection = channels_per_connection
        self.parse_reply = parse_reply
        self.on_closed = on_closed

    def channels_of(self, int64_t number):
        """The channels of a connection, by its number over all workers: an even spread."""
        cdef int64_t first = number * self.channels_per_connection
        return [(first + j) % self.channels for j in range(self.channels_per_connection)]


@cython.final
cdef class Connection(WSListener):
    """One connection: subscribes, answers pings, counts deliveries.

    *commands* are the WebSocket messages to send at once after the handshake; *ready* is a future that becomes None
    when all their replies have arrived, or the reason why they will not.
    """

    cdef:
        Plan plan
        readonly int64_t number
        readonly int64_t delivered
        list commands  # until sent
        object ready  # asyncio.Future, until done
        Py_ssize_t replies_due
        bint open  # ready and not yet closed
        str reason  # why the connection was given up by us, else None
        bytearray fragments  # of a message still incomplete, else None

    def __init__(self, Plan plan not None, int64_t number, list commands not None, object ready):
        self.plan = plan
        self.number = number
        self.commands = commands
        self.ready = ready
        self.replies_due = 0 if plan.encoding == Encoding.RAW else 1 + plan.channels_per_connection

    @property
    def is_open(self):
        """Whether the connection became ready and has not been closed."""
        return self.open

    cpdef on_ws_connected(self, WSTransport transport):
        self.plan.shard.counters[<int>Counter.CONNECTED] += 1
        cdef WSMsgType kind = WSMsgType.BINARY if self.plan.encoding == Encoding.PROTOBUF else WSMsgType.TEXT
        for command in self.commands:
            transport.send(kind, command)
        self.commands = None
        if self.replies_due == 0:
            self.become_ready()

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        if frame.msg_type == WSMsgType.PONG:
            return
        if frame.fin and self.fragments is None:
            self.on_message(transport, frame.payload_ptr, frame.payload_size)
            return
        if self.fragments is None:
            self.fragments = bytearray()
        self.fragments += frame.get_payload_as_memoryview()
        if not frame.fin:
            return
        cdef bytes message = bytes(self.fragments)
        self.fragments = None
        self.on_message(transport, PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))

    cpdef on_ws_disconnected(self, WSTransport transport):
        cdef str reason = "connection lost"
        if self.reason is not None:
            reason = self.reason
        elif transport.close_handshake is not None and transport.close_handshake.recv is not None:
            reason = f"closed by the server: {int(transport.close_handshake.recv.code)} " \
                     f"{transport.close_handshake.recv.reason or ''}".rstrip()
        if not self.open:
            self.resolve(reason)
            return
        self.open = False
        if self.plan.stopping:
            return
        self.plan.shard.counters[<int>Counter.CLOSED] += 1
        self.count_subscriptions(-1)
        self.plan.on_closed(reason)

    cdef int on_message(self, WSTransport transport, const char* data, Py_ssize_t size) except -1:
        """Take a whole WebSocket message: count deliveries, answer pings, and until ready look for replies."""
        cdef int64_t now_ns = monotonic_ns()
        cdef int64_t* counters = self.plan.shard.counters
        counters[<int>Counter.MESSAGES] += 1
        counters[<int>Counter.BYTES] += size
        if self.plan.encoding == Encoding.PROTOBUF:
            return self.on_protobuf(transport, data, size, now_ns)
        return self.on_lines(transport, data, size, now_ns)

    cdef int on_lines(self, WSTransport transport, const char* data, Py_ssize_t size, int64_t now_ns) except -1:
        """Split at newlines. O(size)."""
        cdef:
            const char* start = data
            const char* end = data + size
            const char* stop
        while start < end:
            stop = <const char*>memchr(start, c'\n', end - start)
            if stop == NULL:
                stop = end
            if stop - start == 2 and start[0] == c'{' and start[1] == c'}':
                self.answer_ping(transport, WSMsgType.TEXT, b"{}")
            else:
                self.on_reply_or_push(transport, start, stop - start, now_ns)
            start = stop + 1
        return 0

    cdef int on_protobuf(self, WSTransport transport, const char* data, Py_ssize_t size, int64_t now_ns) except -1:
        """Split at length prefixes; one that reaches beyond the frame ends the connection. O(size)."""
        cdef:
            Py_ssize_t position = 0
            uint64_t length
            int shift
            bint whole
        while position < size:
            length = 0
            shift = 0
            whole = False
            while not whole and position < size and shift < 63:
                length |= <uint64_t>(data[position] & 0x7F) << shift
                whole = not data[position] & 0x80
                shift += 7
                position += 1
            if not whole or length > <uint64_t>(size - position):
                return self.give_up(transport, "the server sent a Protobuf length beyond its frame")
            if length == 0:
                self.answer_ping(transport, WSMsgType.BINARY, b"\x00")
            else:
                self.on_reply_or_push(transport, data + position, <Py_ssize_t>length, now_ns)
            position += <Py_ssize_t>length
        return 0

    cdef int answer_ping(self, WSTransport transport, WSMsgType kind, bytes pong) except -1:
        """Answer a protocol ping: a client that does not is closed with 3012."""
        self.plan.shard.counters[<int>Counter.PINGS] += 1
        transport.send(kind, pong)
        return 0

    cdef int on_reply_or_push(self, WSTransport transport, const char* data, Py_ssize_t size,
                              int64_t now_ns) except -1:
        """Count a push, or one of the replies this connection waits for."""
        self.delivered += scan_markers(self.plan.shard, data, size, now_ns)
        if self.replies_due == 0:
            return 0
        cdef int64_t command
        try:
            command, error = self.plan.parse_reply(PyBytes_FromStringAndSize(data, size))
        except ValueError as malformed:
            return self.give_up(transport, f"the server sent {malformed}")
        if command == 0:  # a push
            return 0
        if error is not None:
            return self.give_up(transport, f"{'connect' if command == 1 else 'subscribe'}: {error}")
        self.replies_due -= 1
        if self.replies_due == 0:
            self.become_ready()
        return 0

    cdef int become_ready(self) except -1:
        """Count the connection and its subscriptions, unless it has been given up meanwhile."""
        if self.ready is None or self.ready.done():
            return 0
        self.open = True
        self.plan.shard.counters[<int>Counter.READY] += 1
        self.count_subscriptions(1)
        return self.resolve(None)

    cdef int give_up(self, WSTransport transport, str reason) except -1:
        """Close the connection because of what the server sent."""
        self.reason = reason
        self.resolve(reason)
        transport.disconnect()
        return 0

    cdef int resolve(self, object outcome) except -1:
        """Tell the one who waits, once."""
        cdef object ready = self.ready
        self.ready = None
        if ready is not None and not ready.done():
            ready.set_result(outcome)
        return 0

    cdef int count_subscriptions(self, int amount) except -1:
        """Add *amount* to the subscribers of each of this connection's channels."""
        for channel in self.plan.channels_of(self.number):
            self.plan.shard.subscribers[<Py_ssize_t>channel] += amount
        return 0
