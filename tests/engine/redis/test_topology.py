"""What a cluster says of its slots."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from centrifast.engine.redis.contract import RedisError, Reply
from centrifast.engine.redis.settings import Place
from centrifast.engine.redis.topology import read_redirection, read_topology, slot_of

ASKED = Place("asked", 1)


@given(st.lists(st.sampled_from([b"{", b"}", b"a", b"b", b"."]), max_size=8).map(b"".join) | st.binary())
def test_slots_are_those_of_redis(key: bytes) -> None:
    assert slot_of(key) == key_slot(key)


def test_known_slots() -> None:
    assert slot_of(b"123456789") == 0x31C3  # cluster specification, appendix A
    assert slot_of(b"a.{news}.b") == slot_of(b"news") == slot_of(b"{news}.{x}")


def test_masters_and_all_members_are_read() -> None:
    topology = read_topology(
        [
            [0, 8191, [b"a", 1, b"id", []], [b"b", 2, b"id", []]],
            [8192, 16383, [b"::1", 3, b"id"]],
        ],
        ASKED,
    )
    assert topology.ranges == ((0, 8191, Place("a", 1)), (8192, 16383, Place("::1", 3)))
    assert topology.masters == {Place("a", 1), Place("::1", 3)}
    assert topology.members == {Place("a", 1), Place("b", 2), Place("::1", 3)}
    assert topology.is_complete
    assert not read_topology([[0, 9, [b"a", 1]]], ASKED).is_complete
    assert not read_topology([], ASKED).is_complete


@pytest.mark.parametrize("host", [None, b"", b"?"])
def test_who_does_not_know_its_address_is_reached_as_it_was_asked(host: bytes | None) -> None:
    assert read_topology([[0, 1, [host, 7]]], ASKED).masters == {Place("asked", 7)}


@pytest.mark.parametrize(
    "reply", [None, 1, [1], [[1]], [[0, 1]], [[0, 99999, [b"a", 1]]], [[0, 1, [b"a", b"x"]]]]
)
def test_what_can_not_be_read_is_told(reply: Reply) -> None:
    with pytest.raises(ValueError, match="the slots of the cluster can not be read"):
        read_topology(reply, ASKED)


def test_redirections_name_a_place() -> None:
    assert read_redirection(RedisError("MOVED 3999 127.0.0.1:6381"), ASKED) == Place("127.0.0.1", 6381)
    assert read_redirection(RedisError("ASK 3999 ::1:6381"), ASKED) == Place("::1", 6381)
    assert read_redirection(RedisError("MOVED 3999 [::1]:6381"), ASKED) == Place("::1", 6381)
    assert read_redirection(RedisError("MOVED 3999 :6381"), ASKED) == Place("asked", 6381)
    for text in ("MOVED", "MOVED 1 x", "MOVED 1 a:b"):
        with pytest.raises(ValueError, match="can not be read"):
            read_redirection(RedisError(text), ASKED)
