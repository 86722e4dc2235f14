"""Patches between payloads in the Fossil delta format (client protocol 7.4), the same bytes as Centrifugo makes.

The base is cut into blocks, found by the hash of their content. A window of the same width slides over the target;
where its hash leads to blocks of the base, the longest common stretch around one of them becomes a copy instruction,
and what lies between two copies goes into the patch as it is.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cdef enum:
    BLOCK = 16
    CHAIN_LIMIT = 249  # blocks looked at for one position of the window; this bounds the cost of repetitive data
    OVERHEAD = 21  # bytes a patch can be longer than its target: two lengths and a checksum of 6 digits, three marks
    MAX_SIZE = 0x7FFFFFFF  # numbers of the format have 32 bits
    WORK_AT_LEAST = 1 << 20  # looks at blocks, and 16 bytes compared, before the rest is not searched any more:
    WORK_PER_BYTE = 32  # only a payload made for it comes near, and could stop the loop for 80 ms with 64 KiB

cdef const char* DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"


cdef struct Index:
    const uint8_t* base  # borrowed from the caller
    int32_t size
    int32_t buckets
    int32_t* newest  # by bucket: the last block in it, or -1; owned, freed in create_delta
    int64_t work  # what may still be spent on searching
    int32_t* older  # by block: the one before it in the same bucket, or -1; part of the same allocation


cdef struct Window:
    uint16_t sum
    uint16_t weighted  # both modulo 2^16


cdef struct Match:
    int32_t size  # 0 = none
    int32_t offset  # in the base
    int32_t literal  # bytes of the target before it that no copy covers


cdef inline Window window_at(const uint8_t* data) noexcept nogil:
    cdef Window window
    cdef int i
    window.sum = window.weighted = 0
    for i in range(BLOCK):
        window.sum += data[i]
        window.weighted += <uint16_t>((BLOCK - i) * data[i])
    return window


cdef inline void move_on(Window* window, const uint8_t* data) noexcept nogil:
    """From *data*, where the window stands, to the next byte."""
    window.sum += <uint16_t>(data[BLOCK] - data[0])
    window.weighted += <uint16_t>(window.sum - BLOCK * data[0])


cdef inline int32_t bucket_of(Window window, int32_t buckets) noexcept nogil:
    return <int32_t>((window.sum | <uint32_t>window.weighted << 16) % <uint32_t>buckets)


cdef inline int32_t digits_of(int32_t number) noexcept nogil:
    cdef int32_t count = 1
    while number >= 64:
        number >>= 6
        count += 1
    return count


cdef inline char* write_number(char* out, uint32_t number) noexcept nogil:
    cdef int shift = 30
    while shift and not number >> shift:
        shift -= 6
    while shift >= 0:
        out[0] = DIGITS[(number >> shift) & 63]
        out += 1
        shift -= 6
    return out


cdef inline char* write_literal(char* out, const uint8_t* data, int32_t size) noexcept nogil:
    out = write_number(out, size)
    out[0] = c":"
    memcpy(out + 1, data, size)
    return out + 1 + size


cdef inline char* write_copy(char* out, Match match) noexcept nogil:
    out = write_number(out, match.size)
    out[0] = c"@"
    out = write_number(out + 1, match.offset)
    out[0] = c","
    return out + 1


cdef uint32_t checksum(const uint8_t* data, int32_t size) noexcept nogil:
    """Sum of the big-endian 32-bit words, the last one padded with zero bytes on its right."""
    cdef uint32_t total = 0
    cdef int32_t i = 0
    while size - i >= 4:
        total += <uint32_t>data[i] << 24 | <uint32_t>data[i + 1] << 16 | <uint32_t>data[i + 2] << 8 | data[i + 3]
        i += 4
    cdef int shift = 24
    while i < size:
        total += <uint32_t>data[i] << shift
        shift -= 8
        i += 1
    return total


cdef inline int32_t common_forwards(const uint8_t* a, const uint8_t* b, int32_t limit) noexcept nogil:
    """How many of the first *limit* bytes are the same; eight at a time."""
    cdef uint64_t a8, b8
    cdef int32_t i = 0
    while limit - i >= 8:
        memcpy(&a8, a + i, 8)
        memcpy(&b8, b + i, 8)
        if a8 != b8:
            break
        i += 8
    while i < limit and a[i] == b[i]:
        i += 1
    return i


cdef inline int32_t common_backwards(const uint8_t* a, const uint8_t* b, int32_t limit) noexcept nogil:
    """How many of the *limit* bytes before these are the same."""
    cdef int32_t i = 0
    while i < limit and a[-1 - i] == b[-1 - i]:
        i += 1
    return i


cdef void fill(Index* index) noexcept nogil:
    cdef int32_t block = 0, start = 0, bucket
    memset(index.newest, 0xFF, <size_t>index.buckets * 2 * sizeof(int32_t))  # -1 everywhere, also in `older`
    while start < index.size - BLOCK:
        bucket = bucket_of(window_at(index.base + start), index.buckets)
        index.older[block] = index.newest[bucket]
        index.newest[bucket] = block
        block += 1
        start += BLOCK


cdef Match find(
    Index* index, Window window, const uint8_t* target, int32_t passed, int32_t left
) noexcept nogil:
    """The longest worthwhile match that has a block at *target*, where the window stands.

    It may begin up to *passed* bytes earlier and ends within *left* bytes. Of equally long ones the first counts.
    """
    cdef Match best, match
    cdef int32_t block = index.newest[bucket_of(window, index.buckets)]
    cdef int32_t start, before, i = 0
    best.size = best.offset = best.literal = 0
    while block >= 0 and i < CHAIN_LIMIT:
        start = block * BLOCK
        # A match that reaches back never includes the base's first byte: the reference encoder stops before it.
        before = common_backwards(index.base + start, target, min(max(start - 1, 0), passed))
        match.size = before + common_forwards(index.base + start, target, min(index.size - start, left))
        match.offset = start - before
        match.literal = passed - before
        if match.size > best.size and match.size >= (
            digits_of(match.literal) + digits_of(match.size) + digits_of(match.offset) + 3
        ):
            best = match
        block = index.older[block]
        i += 1
        index.work -= 1 + (match.size >> 4)
    return best


cdef char* write_segments(char* out, Index* index, const uint8_t* target, int32_t size) noexcept nogil:
    """The segments that make *target* out of the base. At most *size* bytes and one literal's head.

    A copy is only taken where it and the head of the literal before it are no longer than the bytes it stands for.
    """
    cdef int32_t done = 0, passed
    cdef Window window
    cdef Match match
    while size - done > BLOCK and index.work > 0:
        window = window_at(target + done)
        passed = 0
        match = find(index, window, target + done, passed, size - done)
        while not match.size and size - done - passed > BLOCK and index.work > 0:
            move_on(&window, target + done + passed)
            passed += 1
            match = find(index, window, target + done + passed, passed, size - done - passed)
        if not match.size:
            break
        if match.literal:
            out = write_literal(out, target + done, match.literal)
        out = write_copy(out, match)
        done += match.literal + match.size
    if done < size:
        out = write_literal(out, target + done, size - done)
    return out


def create_delta(bytes base not None, bytes target not None):
    """The patch that makes *target* out of *base*; sometimes longer than *target*, by a few bytes.

    Takes one allocation of *target* and half of *base*, and time in proportion to both, also where the base repeats
    itself: the search then ends early, and the rest is sent as it is. Raises ``ValueError`` for what the format has
    no numbers for (2 GiB).
    """
    if PyBytes_GET_SIZE(base) > MAX_SIZE or PyBytes_GET_SIZE(target) > MAX_SIZE - OVERHEAD:
        raise ValueError("too large for a patch")
    cdef int32_t size = <int32_t>PyBytes_GET_SIZE(target)
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(target)
    cdef Index index
    index.base = <const uint8_t*>PyBytes_AS_STRING(base)
    index.size = <int32_t>PyBytes_GET_SIZE(base)
    index.buckets = index.size // BLOCK
    cdef size_t table = <size_t>index.buckets * 2 * sizeof(int32_t)
    cdef char* memory = <char*>malloc(table + <size_t>size + OVERHEAD)
    if memory == NULL:
        raise MemoryError()
    cdef char* patch = memory + table
    cdef char* out = write_number(patch, size)
    out[0] = c"\n"
    out += 1
    if index.size <= BLOCK:
        out = write_literal(out, data, size)
    else:
        index.newest = <int32_t*>memory
        index.older = index.newest + index.buckets
        index.work = WORK_AT_LEAST + <int64_t>size * WORK_PER_BYTE
        fill(&index)
        out = write_segments(out, &index, data, size)
    out = write_number(out, checksum(data, size))
    out[0] = c";"
    try:
        return PyBytes_FromStringAndSize(patch, out + 1 - patch)
    finally:
        free(memory)
