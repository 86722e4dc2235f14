"""Patches: the reference's bytes, and every decoder makes the target out of them."""

import json
import random
import subprocess
from collections.abc import Iterable

import centrifuge.fossil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import _fossil_model as model
from centrifast._fossil import create_delta
from tests.fuzz.fuzz_fossil import apply_delta, checksum
from tests.sdk.driver import HERE, node_command

TABLE = b'{"title":"league table","rows":[{"team":"North","pts":41},{"team":"South","pts":39}]}'


def rows(seed: int, count: int) -> bytes:
    """A JSON document of *count* rows."""
    chance = random.Random(seed)
    names = ["North", "South", "Éast", "West 😀"]
    document = [
        {"id": number, "team": chance.choice(names), "pts": chance.randrange(100)} for number in range(count)
    ]
    return json.dumps(document, ensure_ascii=False).encode()


def edited(data: bytes, seed: int) -> bytes:
    """*data* after some insertions, deletions, changes and moves."""
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 6)):
        start = chance.randint(0, len(data))
        end = min(len(data), start + chance.choice((1, 2, 17, 100)))
        piece = chance.choice((b"", b"x", bytes([chance.randrange(256)]) * 20, data[:40], data[start:end]))
        data = data[:start] + piece + data[end:]
    return data


# ---------------------------------------------------------------- bytes of the format


def test_the_example_of_the_specification() -> None:
    target = TABLE.replace(b"41", b"44")
    assert (len(TABLE), len(target)) == (85, 85)
    assert create_delta(TABLE, target) == b"1L\ns@0,1:4T@t,k_Uwf;"


@pytest.mark.parametrize(
    ("base", "target", "patch"),
    [
        (b"", b"", b"0\n0:0;"),
        (b"a" * 16, b"a" * 16, b"G\nG:" + b"a" * 16 + b"25XOM4;"),  # no block starts before the last 16 bytes
        (b"a" * 17, b"", b"0\n0;"),
        (b"a" * 17, b"a", b"1\n1:a1X0000;"),
        (b"a" * 17, b"a" * 16, b"G\nG:" + b"a" * 16 + b"25XOM4;"),  # the window needs a byte behind it
        (b"a" * 17, b"a" * 17, b"H\nH@0,3bXOM4;"),
        (b"a" * 17, b"b" * 64, b"10\n10:" + b"b" * 64 + b"b9YOW;"),
        (b"\x00" * 64, b"\x00" * 65, b"11\n10@0,1:\x000;"),
        (b"\xff" * 20, b"\xff" * 20, b"K\nK@0,3~~~~w;"),
    ],
)
def test_small_patches_are_those_of_the_format(base: bytes, target: bytes, patch: bytes) -> None:
    assert model.create_delta(base, target) == patch
    assert create_delta(base, target) == patch


def test_a_match_begins_before_its_block_and_ends_behind_it() -> None:
    base = bytes(range(40))
    target = b"x" + base[1:39] + b"y"
    assert create_delta(base, target) == b"d\n1:xb@1,1:y" + model.number(checksum(target)) + b";"


@pytest.mark.parametrize(("newer", "found"), [(248, 300), (249, 16)])
def test_only_249_blocks_of_a_chain_are_looked_at(newer: int, found: int) -> None:
    """The oldest block of the chain is the one that matches longest; with too many in front of it, it is not found."""
    block, target = b"0123456789abcdef", b"0123456789abcdef" + b"!" * 284
    base = target + b"~" * 4 + block * newer + b"~"
    patch = create_delta(base, target)
    assert patch == model.create_delta(base, target)
    assert patch.startswith(model.number(300) + b"\n" + model.number(found) + b"@")


@pytest.mark.parametrize(
    ("base", "target"),
    [
        (b"a" * 65536, b"b" + b"a" * 65535),
        (b"a" * 65536, b"ab" * 32768),
        (b"ab" * 32768, b"ba" * 32768),
        (b"a" * 65536, b"a" * 65536),
        # all blocks have the sum 16 * 97, so they are in one chain; none matches enough at any place of the target
        (
            b"".join(b"aaaaaa" + bytes([98 + n % 25, 96 - n % 25]) + b"b`" * 4 for n in range(4096)),
            b"a" * 65536,
        ),
    ],
    ids=["shifted", "alternating", "odd", "same", "almost"],
)
def test_repetitive_data_is_no_trouble(base: bytes, target: bytes) -> None:
    assert apply_delta(base, create_delta(base, target)) == target
    base, target = base[:3000], target[:3000]
    assert create_delta(base, target) == model.create_delta(base, target)


def test_what_has_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        create_delta(bytes(2**31), b"")  # untouched memory: it costs nothing
    with pytest.raises(ValueError, match="too large"):
        create_delta(b"", bytes(2**31))


@pytest.mark.parametrize("wrong", [None, "text", bytearray(b"data")])
def test_only_bytes_are_taken(wrong: object) -> None:
    with pytest.raises(TypeError):
        create_delta(wrong, b"")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        create_delta(b"", wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------- any base and target


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_target_comes_back(base: bytes, target: bytes) -> None:
    patch = create_delta(base, target)
    assert patch == model.create_delta(base, target)
    assert apply_delta(base, patch) == target


@given(st.text("ab", max_size=400).map(str.encode), st.text("ab", max_size=400).map(str.encode))
def test_targets_that_resemble_the_base_everywhere_come_back(base: bytes, target: bytes) -> None:
    patch = create_delta(base, target)
    assert patch == model.create_delta(base, target)
    assert apply_delta(base, patch) == target


@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(0, 2**32))
def test_edited_documents_come_back(document: int, count: int, edit: int) -> None:
    base = rows(document, count)
    target = edited(base, edit)
    patch = create_delta(base, target)
    assert patch == model.create_delta(base, target)
    assert apply_delta(base, patch) == target
    assert bytes(centrifuge.fossil.apply_delta(base, patch)) == target


@given(st.binary(min_size=17, max_size=64), st.integers(1, 64), st.binary(max_size=64))
def test_repeated_blocks_come_back(block: bytes, times: int, end: bytes) -> None:
    base, target = block * times, end + block * times + end
    patch = create_delta(base, target)
    assert patch == model.create_delta(base, target)
    assert apply_delta(base, patch) == target
    assert len(patch) <= len(target) + 21


# ---------------------------------------------------------------- decoders of the clients


def pairs() -> Iterable[tuple[bytes, bytes]]:
    """Documents of all sizes and their next versions, such that the patch is text too."""
    yield TABLE, TABLE.replace(b"41", b"44")
    for seed in range(60):
        base = rows(seed, seed)
        yield base, rows(seed + 1, seed)
        yield base, json.dumps(list(reversed(json.loads(base))), ensure_ascii=False).encode()


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_the_javascript_client_makes_the_target(encoding: str) -> None:
    made = [(base, target, create_delta(base, target)) for base, target in pairs()]
    made = [(base, target, patch) for base, target, patch in made if is_text(patch)]
    assert len(made) > 60
    lines = [json.dumps({"base": base.decode(), "patch": patch.decode()}) for base, _, patch in made]
    done = subprocess.run(
        [node_command(), str(HERE / "javascript/apply_deltas.mjs"), encoding],
        input="\n".join(lines).encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=30,
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        target.decode() for _, target, _ in made
    ]


def test_the_python_client_makes_the_target() -> None:
    for base, target in pairs():
        assert bytes(centrifuge.fossil.apply_delta(base, create_delta(base, target))) == target
