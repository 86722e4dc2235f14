"""One publication in the forms that its subscribers need."""

import pytest
from msgspec import Raw

from centrifast.model import ClientInfo, Publication
from centrifast.protocol.forms import to_wire
from centrifast.protocol.wire import Info, Pub


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (Publication(b"1"), Pub(data=Raw(b"1"))),
        (Publication(b"1", 1, epoch="abc", tags={}), Pub(data=Raw(b"1"), offset=1, epoch="abc")),
        (Publication(b"1", 2, epoch="abc", time_ms=7), Pub(data=Raw(b"1"), offset=2)),
        (
            Publication(b"1", info=ClientInfo("u", "c", b"3", b"4")),
            Pub(data=Raw(b"1"), info=Info("u", "c", Raw(b"3"), Raw(b"4"))),
        ),
    ],
)
def test_the_epoch_is_told_with_the_first_offset_only(given: Publication, seen: Pub) -> None:
    assert to_wire(given) == seen
