"""Lines about HTTP requests."""

from typing import Any, cast

import pytest

from centrifast import log
from centrifast.protocol.http1 import Request
from centrifast.transports.access_log import address_of, log_request


class Transport:
    """Knows its peer."""

    def get_extra_info(self, name: str) -> object:
        return {"peername": ("192.0.2.1", 5000)}.get(name)


TRANSPORT = cast(Any, Transport())


def request(**headers: str) -> Request:
    return Request(
        method="POST",
        path="/api/" + "x" * 1000,
        query="api_key=secret",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        is_http_1_1=True,
        keep_alive=True,
        is_upgrade=False,
        body=b"payload",
    )


def test_a_line_has_no_query_and_no_body(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[dict[str, object]] = []
    monkeypatch.setattr(log, "event", lambda level, name, fields, exception=None: events.append(fields))
    log_request(request(), 200, TRANSPORT, 1.0)
    log_request(request(), 200, TRANSPORT, 0.0)  # began when nobody wanted to know
    (fields,) = events
    assert (fields["method"], fields["status"], fields["address"]) == ("POST", 200, "192.0.2.1")
    assert fields["path"] == "/api/" + "x" * 251
    assert fields.keys() == {"method", "status", "path", "address", "duration"}


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, "192.0.2.1"),
        ({"x_real_ip": "198.51.100.1", "x_forwarded_for": "198.51.100.2"}, "198.51.100.1"),
        ({"x_forwarded_for": "198.51.100.2, 198.51.100.3"}, "198.51.100.2"),
        ({"x_forwarded_for": "x" * 1000}, "x" * 64),
    ],
)
def test_the_address_is_the_one_that_a_proxy_names(headers: dict[str, str], address: str) -> None:
    assert address_of(request(**headers), TRANSPORT) == address
