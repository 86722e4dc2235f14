"""Feed a parser damaged copies of good input, for a number of rounds or of seconds.

A target module has ``SEEDS``, good inputs, and ``check(data)``, which raises when the parser breaks its
promise. It runs bounded under pytest, and longer by hand::

    python -m tests.fuzz.fuzz_json_command --seconds 600

The seed makes a run repeatable; a failure shows its input.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence

Check = Callable[[bytes], object]

ROUNDS_IN_CI = 50_000  # about a second for a codec
_MAX_DAMAGES = 6  # of one input; more leaves too little of it to get past a parser's first look
_BORDERS = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\n",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b",",
    b":",
    b"-1",
    b"null",
)


def mutate(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """*data* with some damages, among them pieces of other *seeds*."""
    damaged = bytearray(data)
    for _ in range(chance.randint(1, _MAX_DAMAGES)):
        _damage(damaged, seeds, chance)
    return bytes(damaged)


def _damage(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    start = chance.randint(0, len(data))
    end = min(len(data), start + chance.choice((1, 1, 2, 4, 16)))
    match chance.randrange(7):
        case 0 if start < len(data):
            data[start] ^= 1 << chance.randrange(8)
        case 1:
            data[start:end] = chance.randbytes(end - start)
        case 2:
            data[start:start] = chance.choice(_BORDERS)
        case 3:
            del data[start:end]
        case 4:
            data[start:start] = data[start:end] * chance.choice((1, 2, 64))
        case 5:
            del data[start:]
        case _:
            other = chance.choice(seeds)
            data[start:] = other[chance.randint(0, len(other)) :]


def run(
    check: Check, seeds: Sequence[bytes], *, rounds: int | None = None, seconds: float = 0, seed: int = 0
) -> int:
    """Check the *seeds*, then mutations of them; returns how many inputs were checked.

    Ends after *rounds* mutations, or, without a number of rounds, after *seconds*.
    """
    chance = random.Random(seed)
    deadline = time.monotonic() + seconds
    for data in seeds:
        _checked(check, data)
    done = 0
    while done < rounds if rounds is not None else time.monotonic() < deadline:
        _checked(check, mutate(chance.choice(seeds), seeds, chance))
        done += 1
    return len(seeds) + done


def _checked(check: Check, data: bytes) -> None:
    try:
        check(data)
    except BaseException as error:
        error.add_note(f"input: {data!r}")
        raise


def main(check: Check, seeds: Sequence[bytes]) -> None:
    """Run a target from the command line."""
    parser = argparse.ArgumentParser(description="Feed a parser damaged input until the time is over.")
    parser.add_argument("--seconds", type=float, default=60, help="how long to run (default 60)")
    parser.add_argument("--seed", type=int, default=None, help="repeat an earlier run (default: a new one)")
    options = parser.parse_args()
    seed = time.time_ns() if options.seed is None else options.seed
    print(f"seed {seed}")
    print(f"{run(check, seeds, seconds=options.seconds, seed=seed)} inputs, no failure")
