"""Bytes in Redis are Centrifugo's (engines specification 3.2, 3.3, appendix A); whatever else is there is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.engine.redis.codec import (
    DecodeError,
    Frame,
    JoinFrame,
    LeaveFrame,
    PublicationFrame,
    decode_element,
    decode_frame,
    decode_info,
    decode_publication,
    encode_info,
    encode_join,
    encode_leave,
    encode_publication,
)
from centrifast.model import NO_POSITION, ClientInfo, Publication, StreamPosition
from centrifast.protocol import client_pb2

TIME_MS = 1_700_000_000_000
PUBLICATION = bytes.fromhex("22077b2261223a317d4880d095ffbc31")
INFO = bytes.fromhex("0a023432120263311a077b226e223a317d")
ANN = ClientInfo("42", "c1", b'{"n":1}')

TEXTS = st.text(st.characters(codec="utf-8"), max_size=10)
EPOCHS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10).filter(
    lambda text: "_" not in text
)
INFOS = st.builds(ClientInfo, TEXTS, TEXTS, st.binary(max_size=10), st.binary(max_size=10))
PUBLICATIONS = st.builds(
    Publication,
    data=st.binary(max_size=300) | st.sampled_from([b"__", b":0:", b"__p1:1:e__"]),
    info=st.none() | INFOS,
    tags=st.none() | st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=3),
    time_ms=st.integers(0, 2**62),
)
POSITIONS = st.builds(StreamPosition, st.integers(2, 2**64 - 1), EPOCHS)


def encoded(publication: Publication) -> bytes:
    return encode_publication(publication.data, publication.info, publication.tags, publication.time_ms)


def at(publication: Publication, offset: int, epoch: str = "") -> Publication:
    return Publication(
        publication.data, offset, publication.info, publication.tags, epoch, publication.time_ms
    )


def with_header(position: StreamPosition, payload: bytes) -> bytes:
    return f"__p1:{position.offset}:{position.epoch}__".encode() + payload


def with_previous(position: StreamPosition, previous: bytes, payload: bytes) -> bytes:
    header = f"__d1:{position.offset}:{position.epoch}:".encode()
    return b"%b%d:%b:%d:%b" % (header, len(previous), previous, len(payload), payload)


def test_vectors_of_values() -> None:
    assert encode_publication(b'{"a":1}', None, None, TIME_MS) == PUBLICATION
    assert encode_info(ANN) == INFO
    assert decode_publication(PUBLICATION, 5) == Publication(b'{"a":1}', 5, time_ms=TIME_MS)
    assert decode_info(INFO) == ANN


FIFTH = Publication(b'{"a":1}', 5, time_ms=TIME_MS)
FOURTH = Publication(b'{"a":1}', 4, time_ms=TIME_MS)
POSITION = StreamPosition(5, "abcd")


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        (b"__p1:5:abcd__" + PUBLICATION, PublicationFrame(FIFTH, POSITION)),
        (
            b"__d1:5:abcd:16:" + PUBLICATION + b":16:" + PUBLICATION,
            PublicationFrame(FIFTH, POSITION, FOURTH),
        ),
        (b"__d1:5:abcd:0::16:" + PUBLICATION, PublicationFrame(FIFTH, POSITION)),
        (b"__j__" + INFO, JoinFrame(ANN)),
        (b"__l__" + INFO, LeaveFrame(ANN)),
        (PUBLICATION, PublicationFrame(at(FIFTH, 0), NO_POSITION)),
    ],
)
def test_vectors_of_frames(data: bytes, frame: Frame) -> None:
    assert decode_frame(data) == frame


def test_vectors_of_joins_and_leaves() -> None:
    assert encode_join(ANN) == b"__j__" + INFO
    assert encode_leave(ANN) == b"__l__" + INFO


def test_list_element() -> None:
    assert decode_element(b"__p1:5:abcd__" + PUBLICATION) == ("abcd", FIFTH)


def test_epoch_is_everything_after_the_second_colon() -> None:
    frame = decode_frame(b"__p1:5:a:b:c__" + PUBLICATION)
    assert isinstance(frame, PublicationFrame)
    assert frame.position == StreamPosition(5, "a:b:c")


def test_first_publication_of_a_stream_carries_its_epoch() -> None:
    frame = decode_frame(b"__p1:1:abcd__" + PUBLICATION)
    assert frame == PublicationFrame(at(FIFTH, 1, "abcd"), StreamPosition(1, "abcd"))


def test_nothing_was_before_the_first() -> None:
    frame = decode_frame(b"__d1:1:abcd:16:" + PUBLICATION + b":16:" + PUBLICATION)
    assert isinstance(frame, PublicationFrame)
    assert frame.previous is None


def test_what_a_publication_says_of_its_position_counts_more_than_the_header() -> None:
    own = client_pb2.Publication(data=b"1", offset=7, epoch="own", prev_data=b"0").SerializeToString()
    for frame in (own, b"__p1:5:abcd__" + own):
        assert decode_frame(frame) == PublicationFrame(Publication(b"1", 7), StreamPosition(7, "own"))
    headed = client_pb2.Publication(data=b"1", offset=7).SerializeToString()
    assert decode_frame(b"__p1:5:abcd__" + headed) == PublicationFrame(
        Publication(b"1", 7), StreamPosition(7, "abcd")
    )


def test_wish_for_delta_without_history_is_said_in_the_publication() -> None:
    data = encode_publication(b"1", None, None, 5, delta=True)
    assert client_pb2.Publication.FromString(data).delta
    assert decode_frame(data) == PublicationFrame(Publication(b"1", time_ms=5), NO_POSITION)


def test_client_about_whom_nothing_is_known_is_still_there() -> None:
    data = encode_publication(b"1", ClientInfo("", ""), None, 0)
    assert decode_publication(data, 1).info == ClientInfo("", "")


@given(PUBLICATIONS)
def test_publication_without_history_comes_as_it_was(publication: Publication) -> None:
    assert decode_frame(encoded(publication)) == PublicationFrame(publication, NO_POSITION)


@given(PUBLICATIONS, POSITIONS)
def test_publication_with_history_comes_as_it_was(publication: Publication, position: StreamPosition) -> None:
    frame = decode_frame(with_header(position, encoded(publication)))
    assert frame == PublicationFrame(at(publication, position.offset), position)
    element = decode_element(with_header(position, encoded(publication)))
    assert element == (position.epoch, at(publication, position.offset))


@given(PUBLICATIONS, PUBLICATIONS, POSITIONS, st.booleans())
def test_publication_comes_with_the_one_before(
    publication: Publication, previous: Publication, position: StreamPosition, has_previous: bool
) -> None:
    # The epoch of a frame with sizes ends at the next colon.
    position = StreamPosition(position.offset, position.epoch.replace(":", ""))
    before = encoded(previous) if has_previous else b""
    frame = decode_frame(with_previous(position, before, encoded(publication)))
    base = at(previous, position.offset - 1) if before else None
    assert frame == PublicationFrame(at(publication, position.offset), position, base)


@given(INFOS)
def test_clients_come_as_they_are(info: ClientInfo) -> None:
    assert decode_info(encode_info(info)) == info
    assert decode_frame(encode_join(info)) == JoinFrame(info)
    assert decode_frame(encode_leave(info)) == LeaveFrame(info)


@pytest.mark.parametrize(
    "data",
    [
        b"__",
        b"__x__" + INFO,
        b"__j_" + INFO,
        b"__j__\xff",
        b"__l",
        b"__p1:5:abcd" + PUBLICATION,
        b"__p1:5__" + PUBLICATION,
        b"__p1:-5:abcd__" + PUBLICATION,
        b"__p1:+5:abcd__" + PUBLICATION,
        b"__p1: 5:abcd__" + PUBLICATION,
        b"__p1:1_0:abcd__" + PUBLICATION,
        b"__p1::abcd__" + PUBLICATION,
        b"__p1:18446744073709551616:abcd__" + PUBLICATION,
        b"__p1:" + b"1" * 5000 + b":abcd__" + PUBLICATION,
        b"__p1:5:\xff__" + PUBLICATION,
        b"__p1:5:abcd__" + PUBLICATION[:-1],
        b"__d1:5:abcd:0:",
        b"__d1:5:abcd:0::",
        b"__d1:5:abcd:0::16",
        b"__d1:5:abcd:0::15:" + PUBLICATION,
        b"__d1:5:abcd:0::17:" + PUBLICATION,
        b"__d1:5:abcd:0:;16:" + PUBLICATION,
        b"__d1:5:abcd:17:" + PUBLICATION + b":16:" + PUBLICATION,
        b"__d1:5:abcd:99:" + PUBLICATION,
        b"__d1:5:abcd:2:\x22\x07:16:" + PUBLICATION,
        b"\x22\x07",
        b"_x",
    ],
)
def test_frame_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_frame(data)


GARBAGE = st.builds(
    lambda start, rest: start + rest,
    st.sampled_from(
        [b"", b"__p1:", b"__d1:", b"__p1:5:e__", b"__d1:5:e:", b"__d1:5:e:0::", b"__j__", b"__l__"]
    ),
    st.binary(max_size=60) | st.lists(st.sampled_from([b":", b"0", b"16", b"_", b"\x22"])).map(b"".join),
)


@given(GARBAGE)
def test_garbage_raises_nothing_else(data: bytes) -> None:
    for decode in (decode_frame, decode_element, decode_info, lambda data: decode_publication(data, 1)):
        try:
            decode(data)
        except DecodeError:
            continue
