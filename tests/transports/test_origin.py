"""Which origins may connect: the table of server specification 2.4."""

import logging

import pytest

from centrifast.transports.origin import OriginPolicy


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        ((), None, True),
        (("https://example.com",), None, True),
        ((), "https://example.com", False),
        ((), "", False),
        (("*",), "https://anything", True),
        (("*",), "null", True),
        (("https://example.com",), "https://example.com", True),
        (("https://example.com",), "HTTPS://Example.COM", True),
        (("https://example.com",), "http://example.com", False),
        (("https://example.com",), "https://example.com:8443", False),
        (("https://example.com",), "https://example.com.evil.org", False),
        (("https://example.com",), "null", False),
        (("https://Example.com",), "https://example.com", True),
        (("https://*.example.com",), "https://a.b.example.com", True),
        (("https://*.example.com",), "https://example.com", False),
        (("https://a.org", "https://b.org"), "https://b.org", True),
        (("https://a.org", "*"), "https://b.org", True),
        (("http://localhost:*",), "http://localhost:3000", True),
        (("https://{a,b}.org",), "https://b.org", True),
        (("https://[!a].org",), "https://a.org", False),
        (("https://?.org",), "https://ab.org", False),
    ],
)
def test_who_may_connect(allowed: tuple[str, ...], origin: str | None, expected: bool) -> None:
    assert OriginPolicy(allowed).allows(origin) is expected


def logged_fields(caplog: pytest.LogCaptureFixture) -> dict[str, object]:
    (record,) = caplog.records
    fields: dict[str, object] = record.__dict__["fields"]
    return fields


def test_an_empty_list_is_hinted_at(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "centrifast"):
        OriginPolicy(()).allows("https://example.com")
    assert "client.allowed_origins is empty" in str(logged_fields(caplog)["hint"])


def test_a_refused_origin_is_logged_cut_short(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "centrifast"):
        OriginPolicy(("https://example.com",)).allows("https://" + "x" * 1000)
    fields = logged_fields(caplog)
    assert len(str(fields["origin"])) == 200
    assert not fields["hint"]


def test_an_invalid_pattern_can_not_be_used() -> None:
    with pytest.raises(ValueError, match="never closed"):
        OriginPolicy(("https://[",))
