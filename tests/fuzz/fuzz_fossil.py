"""Any two payloads have a patch between them, the model's, and a strict decoder makes the second one out of it."""

from bench import _fossil_model as model
from centrifast._fossil import create_delta
from tests.fuzz.mutate import main

_VALUES = {digit: value for value, digit in enumerate(model.DIGITS)}
OVERHEAD = 21  # bytes that a patch without any copy is longer than its target, at most

SEEDS = [
    b'{"team":"North","pts":41,"form":"WDLWW"}' * 3 + b"|" + b'{"team":"North","pts":44,"form":"WDLWW"}' * 3,
    b"a" * 100 + b"|" + b"a" * 99 + b"b",
    b"0123456789abcdef" * 8 + b"|0123456789abcdef",
    bytes(range(256)) + bytes(reversed(range(256))),
    b"|",
]


def check(data: bytes) -> None:
    """The bytes on both sides of the first ``|`` are base and target."""
    base, _, target = data.partition(b"|")
    patch = create_delta(base, target)
    assert patch == model.create_delta(base, target)
    assert len(patch) <= len(target) + OVERHEAD
    assert apply_delta(base, patch) == target


def apply_delta(base: bytes, patch: bytes) -> bytes:
    """Decode as client protocol 7.4 demands: size, bounds, checksum and end are checked; canonical numbers only."""
    size, position = _number(patch, 0)
    assert patch[position] == ord("\n")
    position += 1
    target = bytearray()
    while True:
        number, position = _number(patch, position)
        mark = chr(patch[position])
        position += 1
        if mark == ";":
            assert position == len(patch)
            assert number == checksum(target)
            assert len(target) == size
            return bytes(target)
        if mark == "@":
            offset, position = _number(patch, position)
            assert patch[position] == ord(",")
            position += 1
            assert offset + number <= len(base)
            target += base[offset : offset + number]
        else:
            assert mark == ":"
            assert position + number <= len(patch)
            target += patch[position : position + number]
            position += number
        assert len(target) <= size


def checksum(data: bytes | bytearray) -> int:
    """Four columns of bytes, added up on their own."""
    return sum(sum(data[column::4]) << (24 - 8 * column) for column in range(4)) & 0xFFFFFFFF


def _number(patch: bytes, position: int) -> tuple[int, int]:
    start, value = position, 0
    while patch[position] in _VALUES:
        value = value * 64 + _VALUES[patch[position]]
        position += 1
    assert position > start
    assert patch[start] != ord("0") or position == start + 1
    assert value < 2**32
    return value, position


if __name__ == "__main__":
    main(check, SEEDS)
