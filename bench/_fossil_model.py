"""The Fossil encoder of client protocol 7.4 step by step in Python: what the Cython one is compared with."""

DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
BLOCK = 16
CHAIN_LIMIT = 249

Match = tuple[int, int, int]  # size of the copy, its offset in the base, size of the literal before it
Chains = dict[int, list[int]]  # offsets of the base's blocks by bucket, the newest first


def create_delta(base: bytes, target: bytes) -> bytes:
    """The patch that makes *target* out of *base*."""
    patch = bytearray(number(len(target)) + b"\n")
    if len(base) <= BLOCK:
        patch += literal(target)
    else:
        _write_segments(patch, base, target)
    return bytes(patch + number(checksum(target)) + b";")


def number(value: int) -> bytes:
    """A number of the format."""
    digits = bytearray([DIGITS[value % 64]])
    while value := value // 64:
        digits.append(DIGITS[value % 64])
    return bytes(reversed(digits))


def literal(data: bytes) -> bytes:
    """The segment that stands for itself."""
    return number(len(data)) + b":" + data


def checksum(data: bytes) -> int:
    """Sum of the big-endian 32-bit words."""
    padded = data + bytes(-len(data) % 4)
    return sum(int.from_bytes(padded[i : i + 4], "big") for i in range(0, len(padded), 4)) % 2**32


def _write_segments(patch: bytearray, base: bytes, target: bytes) -> None:
    buckets = len(base) // BLOCK
    chains: Chains = {}
    for start in range(0, len(base) - BLOCK, BLOCK):
        chains.setdefault(_value(*_sums(base, start)) % buckets, []).insert(0, start)
    position = 0
    while position + BLOCK < len(target):
        found = _first_match(base, target, chains, buckets, position)
        if found is None:
            break
        size, offset, before = found
        if before:
            patch += literal(target[position : position + before])
        patch += number(size) + b"@" + number(offset) + b","
        position += before + size
    if position < len(target):
        patch += literal(target[position:])


def _first_match(base: bytes, target: bytes, chains: Chains, buckets: int, position: int) -> Match | None:
    plain, weighted = _sums(target, position)
    passed = 0
    while True:
        chain = chains.get(_value(plain, weighted) % buckets, [])
        best: Match = (0, 0, 0)
        for start in chain[:CHAIN_LIMIT]:
            match = _extended(base, target, start, position + passed, passed)
            size, offset, before = match
            head = len(number(size)) + len(number(offset)) + len(number(before)) + 3
            if size >= head and size > best[0]:
                best = match
        if best[0]:
            return best
        end = position + passed + BLOCK
        if end >= len(target):
            return None
        dropped = target[position + passed]
        plain = (plain + target[end] - dropped) % 2**16
        weighted = (weighted + plain - BLOCK * dropped) % 2**16
        passed += 1


def _extended(base: bytes, target: bytes, start: int, position: int, passed: int) -> Match:
    """The common stretch around a block of the base and a position of the target."""
    after = 0
    while (
        start + after < len(base)
        and position + after < len(target)
        and base[start + after] == target[position + after]
    ):
        after += 1
    before = 0
    while (
        before + 1 < start and before < passed and base[start - before - 1] == target[position - before - 1]
    ):
        before += 1
    return before + after, start - before, passed - before


def _sums(data: bytes, start: int) -> tuple[int, int]:
    window = data[start : start + BLOCK]
    return sum(window) % 2**16, sum((BLOCK - i) * byte for i, byte in enumerate(window)) % 2**16


def _value(plain: int, weighted: int) -> int:
    return plain + weighted * 2**16
