"""Who is let in (server specification 2.5)."""

import logging

import pytest

from centrifast.admission import RateLimit
from tests.client import conftest
from tests.client.conftest import Serve
from tests.client.fakes import config

serve = conftest.serve


def test_the_connection_limit_counts_those_who_have_connected(serve: Serve) -> None:
    server = serve(config({"connection_limit": 2}))
    server.open()
    server.open()
    client = server.connect()
    assert server.node.admission.admits()
    server.connect()
    assert not server.node.admission.admits()
    client.vanish()
    assert server.node.admission.admits()


def test_the_connection_limit_is_logged_once_per_interval(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(config({"connection_limit": 1}))
    server.connect()
    with caplog.at_level(logging.WARNING, "centrifast"):
        for _ in range(3):
            assert not server.node.admission.admits()
        server.advance(2.5)
        assert not server.node.admission.admits()
        assert len(caplog.records) == 1
        server.advance(1)
        assert not server.node.admission.admits()
        assert len(caplog.records) == 2


def test_the_connection_rate_is_limited(serve: Serve) -> None:
    server = serve(config({"connection_rate_limit": 2}))
    assert [server.node.admission.admits() for _ in range(3)] == [True, True, False]
    server.clock.advance(0.5)
    assert [server.node.admission.admits() for _ in range(2)] == [True, False]
    server.clock.advance(60)
    assert [server.node.admission.admits() for _ in range(3)] == [True, True, False]


def test_no_rate_no_limit() -> None:
    limit = RateLimit(0, 1000.0)
    assert all(limit.take(1000.0) for _ in range(100))
