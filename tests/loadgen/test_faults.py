"""Every kind of loss is found, against a server that makes them on purpose; each exactly as often as it was made."""

from dataclasses import replace
from typing import Any

import pytest
from centrifast_loadgen import run
from centrifast_loadgen.report import Report
from centrifast_loadgen.settings import Scenario, Settings

from tests.loadgen.server import Behaviour, running

BASE = Settings(connections=4, messages=10, stall_timeout=0.5, connect_timeout=10.0, inflight=1)


def execute(behaviour: Behaviour, **options: Any) -> Report:
    with running(behaviour) as server:
        settings = replace(BASE, url=server.url, api_url=server.api_url, **options)
        return run.execute(settings, lambda text: None)


@pytest.mark.parametrize(
    ("behaviour", "lost", "surplus", "disordered"),
    [
        (Behaviour(lose=frozenset({3, 4, 8})), 12, 0, 0),
        (Behaviour(lose=frozenset({10})), 4, 0, 0),  # the last: nothing comes after it
        (Behaviour(double=frozenset({2, 10})), 0, 8, 0),
        (Behaviour(swap=frozenset({5})), 0, 0, 4),
        (Behaviour(lose=frozenset({1}), double=frozenset({2}), swap=frozenset({6})), 4, 4, 4),
    ],
)
def test_faults_of_delivery_are_counted(
    behaviour: Behaviour, lost: int, surplus: int, disordered: int
) -> None:
    report = execute(behaviour, inflight=0)
    assert (report.lost, report.surplus, report.disordered) == (lost, surplus, disordered)
    assert not report.complete
    assert "INCOMPLETE" in report.as_table()


def test_faults_in_one_of_several_channels_are_counted() -> None:
    report = execute(
        Behaviour(lose=frozenset({3})), inflight=0, channels=2, channels_per_connection=1, processes=2
    )
    assert (report.lost, report.delivered, report.expected) == (2, 18, 20)


def test_a_skipped_offset_is_found_though_nothing_is_lost() -> None:
    behaviour = Behaviour(history=True, skip_offset=5)
    report = execute(behaviour, scenario=Scenario.RECOVER, messages=10, missed=0)
    assert (report.lost, report.offset_gaps) == (0, 4)
    assert "4 offsets skipped" in report.as_table()


def test_recovery_that_loses_is_found() -> None:
    behaviour = Behaviour(history=True, recover_from=2)
    report = execute(behaviour, scenario=Scenario.RECOVER, messages=1, missed=5)
    assert report.lost == report.offset_gaps == 8
    assert "12 publications recovered, not 20" in report.as_table()


def test_recovery_that_is_refused_is_found() -> None:
    behaviour = Behaviour(history=True, refuse_recovery=True)
    report = execute(behaviour, scenario=Scenario.RECOVER, messages=1, missed=5)
    assert "4 subscriptions did not recover" in report.as_table()
    assert report.lost == 20


def test_recovery_that_works_is_complete() -> None:
    assert execute(Behaviour(history=True), scenario=Scenario.RECOVER, messages=1, missed=5).complete


def test_a_join_that_does_not_come_is_found() -> None:
    behaviour = Behaviour(joins=True, lose_joins=1)
    report = execute(behaviour, scenario=Scenario.PRESENCE, leave=0.0, messages=0, handshakes=1)
    assert report.faults() == ["1 joins lost", "1 own joins unseen"]


def test_joins_that_all_come_are_complete() -> None:
    report = execute(Behaviour(joins=True), scenario=Scenario.PRESENCE, leave=0.0, messages=0, handshakes=1)
    assert report.complete, report


def test_a_connection_that_is_not_answered_is_tried_again() -> None:
    report = execute(
        Behaviour(ignore_connections=2),
        scenario=Scenario.STORM,
        waves=1,
        retry=60.0,
        connect_timeout=0.5,
        messages=1,
    )
    assert report.complete, report
    assert report.reasons == {"retried: no answer within 0.5 s": 2}
    assert "--connect-timeout" in report.as_table()


def test_a_connection_that_is_not_answered_is_given_up_without_retries() -> None:
    report = execute(Behaviour(ignore_connections=1), connect_timeout=0.5)
    assert (report.connected, report.failed) == (3, 1)
    assert report.reasons == {"no answer within 0.5 s": 1}
