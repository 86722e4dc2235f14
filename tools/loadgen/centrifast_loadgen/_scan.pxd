"""Finding what is counted in the messages of a server: markers, offsets, client ids. Pure C; nothing can raise.

A marker is ``#t=NANOSECONDS#``, or ``#t=NANOSECONDS#NUMBER#`` when publications are numbered. JSON is searched, not
parsed: payloads are ours and hold nothing that looks like a key of the protocol. Protobuf is walked by its field
numbers (Centrifugo's ``client.proto``): Reply push 4; Push channel 2, pub 4, join 5, leave 6; Publication offset 6;
Join and Leave info 1; ClientInfo client 2.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memchr


cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <string.h>
    extern void *memmem(const void *, size_t, const void *, size_t);
    """
    void* memmem(const void* haystack, size_t size, const void* needle, size_t needle_size) noexcept nogil


cdef struct Marker:
    int64_t sent_ns
    int64_t number  # -1: none


cdef struct Text:
    const char* start  # NULL: not found
    Py_ssize_t size


cdef inline const char* read_digits(const char* position, const char* end, int64_t* value) noexcept nogil:
    """Read at most 19 digits, which cannot wrap; return where they end, NULL when there are none."""
    cdef const char* first = position
    value[0] = 0
    while position < end and c'0' <= position[0] <= c'9' and position - first < 19:
        value[0] = value[0] * 10 + (position[0] - c'0')
        position += 1
    if position == first:
        return NULL
    return position


cdef inline const char* next_marker(const char* position, const char* end, Marker* marker) noexcept nogil:
    """Find the next marker; return where it ends, NULL when there is none.

    memchr is several times faster here than memmem with a three-byte needle, and payloads seldom hold another '#'.
    """
    cdef const char* after
    while position < end:
        position = <const char*>memchr(position, c'#', end - position)
        if position == NULL:
            return NULL
        position += 1
        if end - position < 3 or position[0] != c't' or position[1] != c'=':
            continue
        position += 2
        after = read_digits(position, end, &marker.sent_ns)
        if after == NULL or after == end or after[0] != c'#':
            continue
        position = after + 1
        marker.number = -1
        after = read_digits(position, end, &marker.number)
        if after == NULL or after == end or after[0] != c'#':
            marker.number = -1
            return position
        return after + 1
    return NULL


cdef inline const char* find(const char* data, const char* end, const char* needle, size_t size) noexcept nogil:
    """Behind the first *needle*; NULL when there is none."""
    cdef const char* found = <const char*>memmem(data, end - data, needle, size)
    if found == NULL:
        return NULL
    return found + size


cdef inline int64_t json_offset(const char* data, const char* end) noexcept nogil:
    """The number after the first ``"offset":``; -1 when there is none."""
    cdef const char* position = find(data, end, b'"offset":', 9)
    cdef int64_t offset
    if position == NULL:
        return -1
    while position < end and position[0] == c' ':
        position += 1
    return -1 if read_digits(position, end, &offset) == NULL else offset


cdef inline Text json_client(const char* data, const char* end) noexcept nogil:
    """The text after the first ``"client":``."""
    cdef Text text
    cdef const char* position = find(data, end, b'"client":', 9)
    cdef const char* stop
    text.start = NULL
    text.size = 0
    if position == NULL:
        return text
    position = <const char*>memchr(position, c'"', end - position)
    if position == NULL:
        return text
    position += 1
    stop = <const char*>memchr(position, c'"', end - position)
    if stop == NULL:
        return text
    text.start = position
    text.size = stop - position
    return text


cdef inline const char* read_varint(const char* position, const char* end, uint64_t* value) noexcept nogil:
    """Read a varint; return where it ends, NULL when it does not."""
    cdef int shift = 0
    value[0] = 0
    while position < end and shift < 64:
        value[0] |= <uint64_t>(position[0] & 0x7F) << shift
        position += 1
        if not position[-1] & 0x80:
            return position
        shift += 7
    return NULL


cdef inline Text field(const char* data, const char* end, uint64_t number, uint64_t* integer) noexcept nogil:
    """The first field of that number: bytes, or for a varint a size of -1 and the value in *integer*."""
    cdef Text text
    cdef uint64_t key, value
    text.start = NULL
    text.size = 0
    while data < end:
        data = read_varint(data, end, &key)
        if data == NULL:
            break
        if key & 7 == 0:
            data = read_varint(data, end, &value)
            if data == NULL:
                break
            if key >> 3 == number:
                integer[0] = value
                text.start = data
                text.size = -1
                break
            continue
        if key & 7 == 2:
            data = read_varint(data, end, &value)
            if data == NULL:
                break
        elif key & 7 == 1:
            value = 8
        elif key & 7 == 5:
            value = 4
        else:
            break
        if value > <uint64_t>(end - data):
            break
        if key >> 3 == number:
            text.start = data
            text.size = <Py_ssize_t>value
            break
        data += value
    return text


cdef inline Text inner(const char* data, const char* end, uint64_t outer, uint64_t number) noexcept nogil:
    """A message inside a message: field *number* of field *outer*."""
    cdef uint64_t ignored
    cdef Text text = field(data, end, outer, &ignored)
    if text.start != NULL and text.size > 0:
        text = field(text.start, text.start + text.size, number, &ignored)
    return text


cdef inline int64_t protobuf_offset(const char* data, const char* end) noexcept nogil:
    """Offset of the publication pushed in a Reply; -1 when there is none."""
    cdef uint64_t offset = 0
    cdef Text pub = inner(data, end, 4, 4)
    if pub.start == NULL or pub.size <= 0 or field(pub.start, pub.start + pub.size, 6, &offset).size != -1:
        return -1
    return <int64_t>offset


cdef inline Text protobuf_client(const char* data, const char* end, uint64_t kind) noexcept nogil:
    """Client id of a join (*kind* 5) or leave (6) pushed in a Reply."""
    cdef Text event = inner(data, end, 4, kind)
    if event.start == NULL or event.size <= 0:
        event.start = NULL
        return event
    return inner(event.start, event.start + event.size, 1, 2)
