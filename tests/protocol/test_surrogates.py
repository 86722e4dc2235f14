import pytest

from centrifast.protocol.surrogates import without_lone_surrogates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rb'"\ud83d\ude00"', rb'"\ud83d\ude00"'),
        (rb'"\ud83d"', rb'"\ufffd"'),
        (rb'"\ude00\uD83D"', rb'"\ufffd\ufffd"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
        (rb'"\n\u00e9\ud83d\n"', rb'"\n\u00e9\ufffd\n"'),
        (b'{"a": 1}', b'{"a": 1}'),
    ],
)
def test_only_halves_without_partner_are_replaced(text: bytes, expected: bytes) -> None:
    assert without_lone_surrogates(text) == expected
