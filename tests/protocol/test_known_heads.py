import pytest

from centrifast.protocol.http1 import Request
from centrifast.protocol.known_heads import BODY_SIZE, HEAD_SIZE, HEADS, KnownHeads

HEAD = b"POST / HTTP/1.1"


def request(*, keep_alive: bool = True, is_upgrade: bool = False, **headers: str) -> Request:
    return Request("POST", "/", "", {"host": "a", **headers}, True, keep_alive, is_upgrade)


def test_what_a_head_says_is_kept() -> None:
    known = KnownHeads()
    assert known.find(HEAD) is None
    said = request()
    known.note(HEAD, said, BODY_SIZE)
    found = known.find(HEAD)
    assert found is not None
    assert (found.request, found.body_size) == (said, BODY_SIZE)
    assert found.stand_in == b"POST / HTTP/1.1\r\ncontent-length: 65536\r\n\r\n"
    assert known.find(HEAD + b" ") is None


@pytest.mark.parametrize(
    ("head", "said", "size"),
    [
        (HEAD, request(), 0),
        (HEAD, request(), -1),
        (HEAD, request(), BODY_SIZE + 1),
        (b"x" * (HEAD_SIZE + 1), request(), 1),
        (HEAD, request(keep_alive=False), 1),
        (HEAD, request(is_upgrade=True), 1),
        (HEAD, request(expect="100-continue"), 1),
    ],
)
def test_what_is_not_plain_is_read_each_time(head: bytes, said: Request, size: int) -> None:
    known = KnownHeads()
    known.note(head, said, size)
    assert known.find(head) is None


def test_heads_are_bounded() -> None:
    known = KnownHeads()
    for number in range(HEADS):
        known.note(b"%d" % number, request(), 1)
    assert known.find(b"0") is not None
    known.note(b"one more", request(), 1)
    assert known.find(b"0") is None
    assert known.find(b"one more") is not None
