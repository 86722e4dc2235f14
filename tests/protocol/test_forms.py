"""One publication in the forms that its subscribers need."""

import pytest
from msgspec import Raw

from centrifast.model import ClientInfo, Publication
from centrifast.protocol import forms
from centrifast.protocol.forms import delta_chain, to_wire
from centrifast.protocol.protobuf_codec import ProtobufCodec
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


def test_where_patches_do_not_pay_none_are_looked_for_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "DELTA_WASTE", 100)
    payloads = [b"a" * 40, b"a" * 41, b"b" * 50, b"c" * 49, b"c" * 48, b"d" * 50, b"d" * 51]
    publications = [Publication(data, offset) for offset, data in enumerate(payloads, 1)]
    chain = list(delta_chain(ProtobufCodec(), publications))
    assert [pub.delta for pub in chain] == [False, True, False, False, True, False, False]
    assert [bytes(pub.data) for pub in chain if not pub.delta] == [
        payloads[index] for index in (0, 2, 3, 5, 6)
    ]
