"""Failures that last are said once."""

import pytest

from centrifast.consumers.outage import Outage


def test_an_outage_is_said_when_it_begins_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    outage = Outage("jobs", "list")
    outage.end()
    for _ in range(3):
        outage.begin(ConnectionError("gone"))
    for _ in range(3):
        outage.end()
    outage.begin(ConnectionError("gone again"))
    names = [record.getMessage() for record in caplog.records]
    away, back = "the queue of a consumer can not be read", "the queue of a consumer can be read again"
    assert names == [away, back, away]
    assert [record.fields for record in caplog.records] == [  # type: ignore[attr-defined]
        {"consumer": "jobs", "place": "list", "error": "gone"},
        {"consumer": "jobs", "place": "list"},
        {"consumer": "jobs", "place": "list", "error": "gone again"},
    ]
