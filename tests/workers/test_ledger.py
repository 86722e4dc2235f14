"""Limits of connections over several processes: what each lets in counts for all, until it ends."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from centrifast.admission import Admission
from centrifast.metrics.metrics import Metrics
from centrifast.workers.ledger import Ledger, Line
from tests.client import conftest
from tests.client.conftest import Serve
from tests.client.fakes import Server, config
from tests.fakes import FakeClock

serve = conftest.serve


@contextmanager
def lines(count: int) -> Iterator[tuple[Ledger, list[Line]]]:
    ledger = Ledger(count)
    opened = [Line(ledger.fd, ledger.open_line()) for _ in range(count)]
    try:
        yield ledger, opened
    finally:
        for line in opened:
            line.close()
        ledger.close()


def test_what_one_notes_all_see() -> None:
    with lines(3) as (_, (first, second, third)):
        assert third.clients() == 0
        first.note_clients(5)
        second.note_clients(7)
        second.note_clients(6)
        assert [line.clients() for line in (first, second, third)] == [11] * 3


def test_who_was_last_let_in_anywhere_says_when_the_bucket_is_full() -> None:
    with lines(3) as (_, (first, second, third)):
        first.note_full_at(1000.25)
        second.note_full_at(1000.5)
        first.note_full_at(1000.375)
        assert third.full_at() == 1000.5


def test_the_places_of_a_process_that_has_ended_are_free() -> None:
    with lines(2) as (ledger, (first, second)):
        first.note_clients(5)
        second.note_clients(7)
        first.note_full_at(1000.5)
        ledger.close_line(0)
        assert second.clients() == 7
        assert second.full_at() == 1000.5  # they were let in all the same
        assert ledger.open_line() == 0


def test_there_are_as_many_lines_as_were_made() -> None:
    with lines(2) as (ledger, _), pytest.raises(OSError, match="more workers than were planned for"):
        ledger.open_line()


# ------------------------------------------------------------------ with what keeps the limits


def share(ledger: Ledger, servers: list[Server]) -> None:
    for server in servers:
        server.node.admission.share(Line(ledger.fd, ledger.open_line()))


def admissions(servers: list[Server]) -> list[bool]:
    return [server.node.admission.admits() for server in servers]


def test_the_number_of_connections_holds_over_all_processes(serve: Serve) -> None:
    ledger = Ledger(3)
    servers = [serve(config({"connection_limit": 4})) for _ in range(3)]
    share(ledger, servers)
    clients = [servers[0].connect(), servers[0].connect(), servers[1].connect()]
    assert admissions(servers) == [True] * 3
    servers[1].connect()
    assert admissions(servers) == [False] * 3
    clients[0].vanish()
    assert admissions(servers) == [True] * 3
    servers[2].connect()
    assert admissions(servers) == [False] * 3
    ledger.close_line(1)
    assert admissions(servers) == [True] * 3


def test_the_rate_holds_over_all_processes(serve: Serve) -> None:
    clock = FakeClock()
    ledger = Ledger(3)
    nodes = [serve(config()).node for _ in range(3)]
    limit = config({"connection_rate_limit": 4}).client
    doors = [Admission(limit, clock, node.hub, Metrics().connection_limit) for node in nodes]
    for door in doors:
        door.share(Line(ledger.fd, ledger.open_line()))
    assert [doors[number % 3].admits() for number in range(6)] == [True] * 4 + [False] * 2
    clock.advance(0.5)
    assert [doors[2].admits() for _ in range(3)] == [True, True, False]
    assert not doors[0].admits()
    clock.advance(60)
    assert [doors[number % 2].admits() for number in range(5)] == [True] * 4 + [False]
