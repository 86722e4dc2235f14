import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.model import NO_POSITION, ClientInfo, Publication, StreamPosition

infos = st.builds(ClientInfo, st.text(), st.text(), st.binary(), st.binary())
publications = st.builds(
    Publication,
    data=st.binary(),
    offset=st.integers(0, 2**64 - 1),
    info=st.none() | infos,
    tags=st.none() | st.dictionaries(st.text(), st.text()),
    epoch=st.text(),
    time_ms=st.integers(0, 2**63 - 1),
)


@given(publications)
def test_a_publication_travels_between_processes_unchanged(publication: Publication) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(publication), type=Publication) == publication


@pytest.mark.parametrize("value", [ClientInfo("u", "c"), StreamPosition(), Publication(b"")])
def test_values_do_not_change(value: msgspec.Struct) -> None:
    with pytest.raises(AttributeError, match="immutable"):
        setattr(value, value.__struct_fields__[0], "other")


def test_equal_values_are_one_key() -> None:
    assert len({StreamPosition(1, "e"), StreamPosition(1, "e"), StreamPosition(2, "e")}) == 2


def test_no_position_is_the_start_of_no_stream() -> None:
    assert StreamPosition(0, "") == NO_POSITION
