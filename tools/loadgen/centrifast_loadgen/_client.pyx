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

What is counted, and how deliveries are recognised, stands in ``_board.pyx``.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr
from picows.picows cimport WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from centrifast_loadgen._board cimport Board, Counter, Histogram, Shard, monotonic_ns
from centrifast_loadgen._scan cimport (
    Marker,
    Text,
    find,
    json_client,
    json_offset,
    next_marker,
    protobuf_client,
    protobuf_offset,
    read_varint,
)

import picows

from centrifast_loadgen import deflate

# The struct layout of picows is compiled in: with another version the wrong field would be read without an error.
if picows.__version__ != "2.3.1":
    raise ImportError(f"built for picows 2.3.1, found {picows.__version__}")

SUBSCRIPTION_ID_BASE = 2  # id 1 is the connect command; subscription j has id 2 + j

cdef enum:
    MAX_RANGES = 1024  # of missing publications, remembered per connection


cpdef enum Encoding:
    """How messages share a WebSocket message, and what a ping looks like."""
    JSON = 0  # one message per line; ping: {}
    PROTOBUF = 1  # each message after its length as a varint; ping: a zero length
    RAW = 2  # as JSON, but no replies are expected: subscribed once the text is sent


@cython.final
cdef class Plan:
    """What the connections of one worker have in common.

    *decode* takes one protocol message and returns a ``messages.Message`` or raises ValueError; it is called only for
    replies, and for pushes that are neither publications of ours nor joins and leaves. *owner* is told of what happens
    to ready connections (``worker.Worker``).
    """

    cdef:
        readonly Shard shard
        readonly Encoding encoding
        readonly Py_ssize_t channels
        readonly Py_ssize_t channels_per_connection
        object decode
        object owner
        public bint stopping  # closes are ours now
        public bint track_joins  # remember who was seen to join and leave
        dict identities  # client id: number, of everybody seen while joins are tracked

    def __init__(self, Shard shard not None, Encoding encoding, Py_ssize_t channels,
                 Py_ssize_t channels_per_connection, object decode, object owner):
        self.shard = shard
        self.encoding = encoding
        self.channels = channels
        self.channels_per_connection = channels_per_connection
        self.decode = decode
        self.owner = owner
        self.identities = {}

    def channels_of(self, int64_t number):
        """The channels of a connection, by its number over all workers: an even spread."""
        cdef int64_t first = number * self.channels_per_connection
        return [(first + j) % self.channels for j in range(self.channels_per_connection)]

    cdef int64_t published(self, int64_t channel) except -1:
        """Sequence of the last publication to a channel."""
        return (<Board>self.shard.owner).published(channel)


cdef struct Slot:
    int64_t first  # sequence that this subscription began with; 0: not known yet
    int64_t next  # sequence expected next; 0: whatever comes
    int64_t offset  # of the last publication; -1: the channel is not positioned


@cython.final
cdef class Connection(WSListener):
    """One client: subscribes, answers pings, counts deliveries. It outlives its connection, and may open another.

    Before each attempt `prepare` is given the WebSocket messages to send at once after the handshake, and a future
    that becomes None when all their replies have arrived, or the reason why they will not.
    """

    cdef:
        Plan plan
        readonly int64_t number
        readonly int64_t delivered
        readonly int64_t missing  # publications skipped, and not come late
        public bint slow  # is counted apart, as it does not read for a while
        readonly bint was_ready  # ever
        readonly bint saw_itself  # join
        Slot* slots  # owned, freed in __dealloc__; channels_per_connection long
        Py_ssize_t first_channel
        Py_ssize_t last_slot  # of the last numbered delivery; -1: none
        dict ranges  # slot: list of [first, end) of missing sequences; None while nothing is
        readonly list epochs  # per slot: of a recoverable stream, else None
        bytes client  # id, from the connect reply
        bytearray joined  # one bit per identity that was seen to join
        bytearray left
        WSTransport transport  # of the current attempt, once it is connected
        list dropped  # transports that we let go of and that have not told their end; None: none
        list commands  # until sent
        object ready  # asyncio.Future, until done
        Py_ssize_t replies_due
        bint open  # ready and not yet closed
        bint deflate  # was agreed
        bint compressed  # the incomplete message is
        str reason  # why the connection was given up by us, else None
        bytearray fragments  # of a message still incomplete, else None

    def __cinit__(self, Plan plan not None, int64_t number, *_):
        self.slots = <Slot*>calloc(max(plan.channels_per_connection, 1), sizeof(Slot))
        if self.slots == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.slots)

    def __init__(self, Plan plan not None, int64_t number):
        self.plan = plan
        self.number = number
        self.first_channel = number * plan.channels_per_connection % plan.channels
        self.last_slot = -1
        self.epochs = [None] * plan.channels_per_connection
        self.joined = bytearray()
        self.left = bytearray()

    def prepare(self, list commands not None, object ready, bint resume=False, bint exact=True):
        """Get ready for a new attempt.

        With *resume* the subscriptions go on where they were; else they begin after what is published by now when
        that is *exact* (nothing is on its way), and with whatever comes first when it is not.
        """
        self.commands = commands
        self.ready = ready
        self.replies_due = 0 if self.plan.encoding == Encoding.RAW else 1 + self.plan.channels_per_connection
        self.reason = None
        self.fragments = None
        self.deflate = False
        self.transport = None
        self.joined.clear()
        self.left.clear()
        self.saw_itself = False
        if not resume:
            self.begin(exact)

    cdef int begin(self, bint exact) except -1:
        """Forget where the subscriptions were."""
        cdef Py_ssize_t index
        self.ranges = None
        for index in range(self.plan.channels_per_connection):
            self.slots[index].offset = -1
            self.slots[index].next = 0
            if exact:
                self.slots[index].next = self.plan.published((self.first_channel + index) % self.plan.channels) + 1
            self.slots[index].first = self.slots[index].next
            self.epochs[index] = None
        return 0

    @property
    def is_open(self):
        """Whether the connection became ready and has not been closed."""
        return self.open

    def position(self, Py_ssize_t slot):
        """Epoch and offset to recover from; None when the stream of that slot is not recoverable."""
        if not 0 <= slot < self.plan.channels_per_connection:
            raise IndexError(slot)
        epoch = self.epochs[slot]
        return None if epoch is None else (epoch, self.slots[slot].offset)

    def lost(self):
        """How many publications this client should have got by now and has not."""
        cdef int64_t total = self.missing, published
        cdef Py_ssize_t index
        if not self.open:
            return total
        for index in range(self.plan.channels_per_connection):
            published = self.plan.published((self.first_channel + index) % self.plan.channels)
            if self.slots[index].next and published >= self.slots[index].next:
                total += published + 1 - self.slots[index].next
        return total

    def drop(self, bint graceful=False):
        """Close a ready connection: with a closing handshake, or by letting go of the socket."""
        if not self.open:
            return
        self.open = False
        self.plan.shard.counters[<int>Counter.DROPPED] += 1
        self.plan.shard.counters[<int>Counter.OPEN] -= 1
        self.count_subscriptions(-1)
        cdef WSTransport transport = self.transport
        self.transport = None
        if transport is None:
            return
        self.dropped = [transport] if self.dropped is None else [*self.dropped, transport]
        if graceful:
            transport.send_close(WSCloseCode.OK)
        transport.disconnect(graceful)

    def pause(self):
        """Read no more."""
        if self.open and self.transport is not None:
            self.transport.underlying_transport.pause_reading()

    def resume(self):
        """Read again."""
        if self.open and self.transport is not None:
            self.transport.underlying_transport.resume_reading()

    def send(self, bytes command not None):
        """Send one more command, whose reply must have an error or a result for one of our slots."""
        if self.open and self.transport is not None:
            self.replies_due += 1
            self.write(self.transport, command)

    cdef int write(self, WSTransport transport, bytes message) except -1:
        """Send a message, compressed when that was agreed."""
        cdef WSMsgType kind = WSMsgType.BINARY if self.plan.encoding == Encoding.PROTOBUF else WSMsgType.TEXT
        if self.deflate:
            transport.send(kind, deflate.compress(message), True, True)
        else:
            transport.send(kind, message)
        return 0

    cdef bint is_dropped(self, WSTransport transport) noexcept:
        """Whether a transport is one of those we let go of: its last words are nothing to us."""
        cdef object other
        if self.dropped is not None:
            for other in self.dropped:
                if other is transport:
                    return True
        return False

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport
        self.plan.shard.counters[<int>Counter.CONNECTED] += 1
        try:
            self.deflate = deflate.is_agreed(transport.response.headers.get("Sec-WebSocket-Extensions"))
        except ValueError as refused:
            self.give_up(transport, str(refused))
            return
        if self.deflate:
            self.plan.shard.counters[<int>Counter.DEFLATED] += 1
        for command in self.commands:
            self.write(transport, command)
        self.commands = None
        if self.replies_due == 0:
            self.become_ready()

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        if frame.msg_type == WSMsgType.PONG or self.plan.stopping or self.is_dropped(transport):
            return
        self.plan.shard.counters[<int>Counter.WIRE_BYTES] += frame.payload_size
        if frame.fin and self.fragments is None and not frame.rsv1:
            self.on_message(transport, frame.payload_ptr, frame.payload_size)
            return
        if self.fragments is None:
            self.fragments = bytearray()
            self.compressed = frame.rsv1
        self.fragments += frame.get_payload_as_memoryview()
        if not frame.fin:
            return
        cdef bytes message = bytes(self.fragments)
        self.fragments = None
        if self.compressed:
            try:
                message = deflate.decompress(message, self.deflate)
            except ValueError as broken:
                self.give_up(transport, f"the server sent {broken}")
                return
        self.on_message(transport, PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))

    cpdef on_ws_disconnected(self, WSTransport transport):
        if self.is_dropped(transport):
            self.dropped = [other for other in self.dropped if other is not transport] or None
            return
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
        self.plan.shard.counters[<int>Counter.OPEN] -= 1
        self.plan.shard.counters[<int>(Counter.SLOW_CLOSED if self.slow else Counter.CLOSED)] += 1
        if self.slow:
            self.plan.shard.counters[<int>Counter.SLOW_GONE] += self.delivered
        self.count_subscriptions(-1)
        self.plan.owner.on_closed(self, reason)

    cdef int on_message(self, WSTransport transport, const char* data, Py_ssize_t size) except -1:
        """Take a whole WebSocket message: count deliveries, answer pings, look for replies while some are due."""
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
                self.answer_ping(transport, b"{}")
            elif stop > start:
                self.on_reply_or_push(transport, start, stop - start, now_ns)
            start = stop + 1
        return 0

    cdef int on_protobuf(self, WSTransport transport, const char* data, Py_ssize_t size, int64_t now_ns) except -1:
        """Split at length prefixes; one that reaches beyond the frame ends the connection. O(size)."""
        cdef:
            const char* end = data + size
            uint64_t length
        while data < end:
            data = read_varint(data, end, &length)
            if data == NULL or length > <uint64_t>(end - data):
                return self.give_up(transport, "the server sent a Protobuf length beyond its frame")
            if length == 0:
                self.answer_ping(transport, b"\x00")
            else:
                self.on_reply_or_push(transport, data, <Py_ssize_t>length, now_ns)
            data += length
        return 0

    cdef int answer_ping(self, WSTransport transport, bytes pong) except -1:
        """Answer a protocol ping: a client that does not is closed with 3012."""
        self.plan.shard.counters[<int>Counter.PINGS] += 1
        transport.send(WSMsgType.BINARY if self.plan.encoding == Encoding.PROTOBUF else WSMsgType.TEXT, pong)
        return 0

    cdef int on_reply_or_push(self, WSTransport transport, const char* data, Py_ssize_t size,
                              int64_t now_ns) except -1:
        """Count a push, or take one of the replies this connection waits for."""
        if self.replies_due:
            try:
                message = self.plan.decode(PyBytes_FromStringAndSize(data, size))
            except ValueError as malformed:
                return self.give_up(transport, f"the server sent {malformed}")
            if message.command:
                return self.on_reply(transport, message, data, size, now_ns)
        if self.count(data, size, now_ns, True):
            if self.last_slot >= 0 and self.slots[self.last_slot].offset >= 0:
                if self.plan.encoding == Encoding.PROTOBUF:
                    self.advance(self.last_slot, protobuf_offset(data, data + size))
                else:
                    self.advance(self.last_slot, json_offset(data, data + size))
            return 0
        return 0 if self.plan.encoding == Encoding.RAW else self.on_other_push(transport, data, size)

    cdef int on_reply(self, WSTransport transport, object message, const char* data, Py_ssize_t size,
                      int64_t now_ns) except -1:
        """Take a reply: of connect (command 1) or subscribe."""
        cdef int64_t command = message.command
        cdef Py_ssize_t slot = command - SUBSCRIPTION_ID_BASE
        if message.error is not None:
            return self.give_up(transport, f"{'connect' if command == 1 else 'subscribe'}: {message.error}")
        if command == 1:
            self.client = message.client
        elif 0 <= slot < self.plan.channels_per_connection:
            self.on_subscribed(slot, message.position)
            self.count(data, size, now_ns, False)
        self.replies_due -= 1
        if self.replies_due == 0:
            self.become_ready()
        return 0

    cdef int on_subscribed(self, Py_ssize_t slot, object position) except -1:
        """Note where the stream of a slot stands, and whether what was missed has come; None: not positioned."""
        cdef int64_t* counters = self.plan.shard.counters
        cdef bint asked = self.epochs[slot] is not None
        if position is None:
            self.slots[slot].offset = -1
            self.epochs[slot] = None
            counters[<int>Counter.UNRECOVERED] += asked
            return 0
        self.epochs[slot] = position.epoch if position.recoverable else None
        counters[<int>Counter.RECOVERABLE] += position.recoverable and not asked
        if asked and position.recovered:
            counters[<int>Counter.RECOVERIES] += 1
            counters[<int>Counter.RECOVERED] += len(position.offsets)
            for offset in position.offsets:
                self.advance(slot, offset)
            return 0
        counters[<int>Counter.UNRECOVERED] += asked
        self.slots[slot].offset = position.offset
        return 0

    cdef Py_ssize_t count(self, const char* data, Py_ssize_t size, int64_t now_ns, bint live) except -1:
        """Count the markers of a message, with their latency when it is *live*; return how many there were."""
        cdef:
            const char* end = data + size
            Shard shard = self.plan.shard
            Marker marker
            Py_ssize_t found = 0
        self.last_slot = -1
        while (data := next_marker(data, end, &marker)) != NULL:
            found += 1
            if live:
                shard.record(Histogram.SLOW if self.slow else Histogram.DELIVERY,
                             Counter.MAX_SLOW_US if self.slow else Counter.MAX_US, (now_ns - marker.sent_ns) // 1000)
            if marker.number >= 0:
                self.note(marker.number)
        if found:
            self.delivered += found
            shard.counters[<int>(Counter.SLOW_DELIVERED if self.slow else Counter.DELIVERED)] += found
            shard.counters[<int>Counter.LAST_NS] = now_ns
        return found

    @cython.cdivision(True)
    cdef int note(self, int64_t number) except -1:
        """Compare a delivery with what should have come next in its channel."""
        cdef:
            int64_t channels = self.plan.channels, sequence = number // channels
            Py_ssize_t slot = number % channels - self.first_channel
        if slot < 0:
            slot += channels
        if slot >= self.plan.channels_per_connection:
            self.plan.shard.counters[<int>Counter.STRAY] += 1
            return 0
        self.last_slot = slot
        cdef Slot* at = &self.slots[slot]
        if at.next == 0:
            at.first = sequence
        elif sequence > at.next:
            self.skip(slot, at.next, sequence)
        elif sequence < at.next:
            return self.note_late(slot, sequence)
        at.next = sequence + 1
        return 0

    cdef int skip(self, Py_ssize_t slot, int64_t first, int64_t end) except -1:
        """Note that the sequences from *first* to before *end* have not come."""
        if self.ranges is None:
            self.ranges = {}
        cdef list ranges = self.ranges.setdefault(slot, [])
        ranges.append((first, end))
        if len(ranges) > MAX_RANGES:
            del ranges[0]  # stays counted as missing
        self.missing += end - first
        self.plan.shard.counters[<int>Counter.MISSING] += end - first
        return 0

    cdef int note_late(self, Py_ssize_t slot, int64_t sequence) except -1:
        """Tell a delivery that comes after later ones from one that comes again."""
        cdef int64_t* counters = self.plan.shard.counters
        cdef list ranges = [] if self.ranges is None else self.ranges.get(slot, [])
        cdef Py_ssize_t index
        for index in range(len(ranges)):
            first, end = ranges[index]
            if first <= sequence < end:
                parts = ((first, sequence), (sequence + 1, end))
                ranges[index:index + 1] = [part for part in parts if part[0] < part[1]]
                self.missing -= 1
                counters[<int>Counter.MISSING] -= 1
                counters[<int>Counter.DISORDERED] += 1
                return 0
        counters[<int>(Counter.DISORDERED if sequence < self.slots[slot].first else Counter.DOUBLED)] += 1
        return 0

    cdef int advance(self, Py_ssize_t slot, int64_t offset) except -1:
        """Compare the offset of a publication with the one before it in its channel; below 0: it has none."""
        cdef Slot* at = &self.slots[slot]
        cdef int64_t* counters = self.plan.shard.counters
        if at.offset < 0 or offset < 0:
            return 0
        if offset <= at.offset:
            counters[<int>Counter.OFFSET_REPEATS] += 1
            return 0
        counters[<int>Counter.OFFSET_GAPS] += offset - at.offset - 1
        at.offset = offset
        return 0

    cdef int on_other_push(self, WSTransport transport, const char* data, Py_ssize_t size) except -1:
        """Count joins and leaves; anything else is decoded."""
        cdef const char* end = data + size
        cdef Text client
        if self.plan.encoding == Encoding.PROTOBUF:
            client = protobuf_client(data, end, 5)
            if client.start != NULL:
                return self.on_presence(Counter.JOINS, self.joined, client)
            client = protobuf_client(data, end, 6)
            if client.start != NULL:
                return self.on_presence(Counter.LEAVES, self.left, client)
        elif find(data, end, b'"join":', 7) != NULL:
            return self.on_presence(Counter.JOINS, self.joined, json_client(data, end))
        elif find(data, end, b'"leave":', 8) != NULL:
            return self.on_presence(Counter.LEAVES, self.left, json_client(data, end))
        try:
            push = self.plan.decode(PyBytes_FromStringAndSize(data, size)).push
        except ValueError as malformed:
            return self.give_up(transport, f"the server sent {malformed}")
        if push is None:
            return 0
        slot = self.plan.owner.slot_of(self, push.channel)
        if push.unsubscribed is not None:
            self.plan.shard.counters[<int>Counter.UNSUBSCRIBED] += 1
            self.plan.owner.on_unsubscribed(self, slot, push.unsubscribed)
            return 0
        self.plan.shard.counters[<int>Counter.PUSHES] += 1
        if slot >= 0 and push.offset:  # somebody else's publication moves the stream as well
            self.advance(slot, push.offset)
        return 0

    cdef int on_presence(self, Counter counter, bytearray seen, Text client) except -1:
        """Count a join or leave, and whether this connection has seen that of the same client before."""
        cdef int64_t* counters = self.plan.shard.counters
        counters[<int>counter] += 1
        counters[<int>Counter.LAST_NS] = monotonic_ns()
        if not self.plan.track_joins or client.start == NULL:
            return 0
        cdef bytes identity = PyBytes_FromStringAndSize(client.start, client.size)
        cdef dict identities = self.plan.identities
        cdef Py_ssize_t number = identities.setdefault(identity, len(identities)), byte = number >> 3
        if len(seen) <= byte:
            seen.extend(bytes(byte + 1 - len(seen)))
        if seen[byte] >> (number & 7) & 1:
            counters[<int>Counter.DOUBLED_JOINS] += 1
        seen[byte] |= 1 << (number & 7)
        if counter == Counter.JOINS and identity == self.client:
            self.saw_itself = True
        return 0

    cdef int become_ready(self) except -1:
        """Count the connection and its subscriptions, unless it has been given up meanwhile."""
        cdef int64_t* counters = self.plan.shard.counters
        if self.ready is None or self.ready.done():
            return 0
        self.open = True
        counters[<int>Counter.READY] += 1
        counters[<int>Counter.OPEN] += 1
        counters[<int>Counter.REOPENED] += self.was_ready
        self.was_ready = True
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
        """Add *amount* to the subscribers of each of this connection's channels; those that do not read are none."""
        if self.slow:
            return 0
        for channel in self.plan.channels_of(self.number):
            self.plan.shard.subscribers[<Py_ssize_t>channel] += amount
        return 0
