"""Headers for pages of other origins."""

import pytest

from centrifast.protocol.http1 import Request
from centrifast.transports.cors import cors_headers
from centrifast.transports.origin import OriginPolicy

ORIGIN = "https://app.example.com"


def headers_for(allowed: list[str], **sent: str) -> dict[str, str]:
    headers = {name.replace("_", "-"): value for name, value in sent.items()}
    request = Request("GET", "/", "", headers, True, True, False)
    return dict(cors_headers(OriginPolicy(allowed), request))


def test_an_allowed_origin_may_read() -> None:
    assert headers_for(["https://*.example.com"], origin=ORIGIN) == {
        "Access-Control-Allow-Origin": ORIGIN,
        "Access-Control-Allow-Credentials": "true",
    }


@pytest.mark.parametrize("allowed", [[], ["https://other.example.com"]])
def test_another_may_not(allowed: list[str]) -> None:
    assert headers_for(allowed, origin=ORIGIN) == {}


def test_a_request_without_origin_gets_an_empty_one() -> None:
    assert headers_for([]) == {
        "Access-Control-Allow-Origin": "",
        "Access-Control-Allow-Credentials": "true",
    }


@pytest.mark.parametrize(
    ("wanted", "allowed"), [("x-token, x-b", "x-token, x-b"), ("null", None), ("", None)]
)
def test_headers_asked_for_are_allowed(wanted: str, allowed: str | None) -> None:
    headers = headers_for(["*"], origin=ORIGIN, access_control_request_headers=wanted)
    assert headers.get("Access-Control-Allow-Headers") == allowed
