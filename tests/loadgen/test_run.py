"""Whole runs against a small server: the worker processes are real."""

import os
from dataclasses import replace

import pytest
from centrifast_loadgen import run
from centrifast_loadgen.report import Report
from centrifast_loadgen.settings import Protocol, Settings, SettingsError

from tests.loadgen.server import Behaviour, Server, running

BASE = Settings(connections=6, messages=5, stall_timeout=0.3, connect_timeout=10.0)


def execute(server: Server, settings: Settings) -> Report:
    settings = replace(settings, url=server.url, api_url=server.api_url)
    return run.execute(settings, lambda text: None)


@pytest.mark.parametrize("protocol", [Protocol.JSON, Protocol.PROTOBUF])
@pytest.mark.parametrize(
    "behaviour",
    [Behaviour(), Behaviour(fragment=7), Behaviour(chop=3), Behaviour(fragment=5, chop=2, ping_first=True)],
    ids=["whole", "fragmented", "split over reads", "all of it, with pings"],
)
def test_every_delivery_is_counted(protocol: Protocol, behaviour: Behaviour) -> None:
    with running(behaviour) as server:
        report = execute(server, replace(BASE, protocol=protocol))
    assert report.complete, report
    assert report.delivered == report.expected == 30
    assert report.published == 5
    assert 0 < report.latency_us.p50 <= report.latency_us.p99 <= report.latency_us.max
    assert report.pings == (30 if behaviour.ping_first else 0)


def test_several_messages_in_one_frame_are_each_counted() -> None:
    with running(Behaviour(copies=2)) as server:
        report = execute(server, BASE)
    assert report.delivered == 60
    assert report.websocket_messages < report.delivered
    assert report.surplus == 30
    assert not report.complete


def test_pings_are_answered() -> None:
    with running(Behaviour(ping_first=True)) as server:
        # With one in flight a pong is read before the next publication; only the last may come too late.
        execute(server, replace(BASE, inflight=1))
        assert server.pongs >= 24


def test_connections_are_divided_among_processes_and_channels() -> None:
    settings = replace(
        BASE, processes=2, channels=3, channels_per_connection=2, inflight=1, channel_prefix="ch"
    )
    with running() as server:
        report = execute(server, settings)
        assert {b'{"channel":"ch%d"' % index for index in range(3)} == {
            body[:16] for body in server.published
        }
    assert report.complete, report
    assert report.processes == 2
    assert report.delivered == 20  # each channel has 4 of the 6 connections


def test_a_lost_delivery_is_told_and_ends_the_wait() -> None:
    with running(Behaviour(copies=0)) as server:
        report = execute(server, BASE)
    assert not report.complete
    assert (report.delivered, report.expected, report.lost) == (0, 30, 30)


def test_a_refused_subscription_is_a_failed_connection() -> None:
    with running(Behaviour(refuse_channel="bench0")) as server:
        report = execute(server, replace(BASE, channels=2))
    assert report.connected == report.failed == 3
    assert report.reasons == {"subscribe: 103 permission denied": 3}
    assert not report.complete


def test_a_refused_protobuf_subscription_is_a_failed_connection() -> None:
    with running(Behaviour(refuse_channel="bench0")) as server:
        report = execute(server, replace(BASE, protocol=Protocol.PROTOBUF))
    assert report.failed == 6
    assert report.reasons == {"subscribe: 103 denied": 6}


def test_a_refused_upgrade_is_a_failed_connection() -> None:
    with running(Behaviour(refuse_upgrade=True)) as server:
        report = execute(server, BASE)
    assert report.failed == 6
    assert report.published == 0
    assert "503" in next(iter(report.reasons))


def test_a_connection_that_ends_before_the_answer_is_a_failed_one_at_once() -> None:
    with running(Behaviour(drop_upgrade=True)) as server:
        report = execute(server, BASE)
    assert report.failed == 6
    assert report.reasons == {"connection lost": 6}  # not: no answer within 10 s


def test_a_closed_connection_is_told_with_code_and_reason() -> None:
    with running(Behaviour(close_on_publish=True)) as server:
        report = execute(server, replace(BASE, messages=1))
    assert report.closed == 6
    assert report.reasons == {"closed by the server: 3008 slow": 6}
    assert not report.complete


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (
            Behaviour(publish_response=b'{"error":{"code":102,"message":"unknown channel"}}'),
            "102 unknown channel",
        ),
        (Behaviour(publish_status=401, publish_response=b"no"), "HTTP 401 no"),
    ],
)
def test_a_refused_publication_is_an_error_and_expects_no_deliveries(
    behaviour: Behaviour, reason: str
) -> None:
    with running(behaviour) as server:
        report = execute(server, BASE)
    assert (report.published, report.publish_errors, report.expected) == (0, 5, 0)
    assert report.reasons == {f"publish: {reason}": 5}
    assert not report.complete


def test_without_protocol_the_text_is_sent_and_bare_bodies_are_counted() -> None:
    settings = replace(BASE, protocol=Protocol.RAW, raw_subscribe="join room")
    with running(Behaviour(raw=True)) as server:
        report = execute(server, settings)
        assert server.texts == [b"join room"] * 6
        assert all(body.startswith(b"#t=") for body in server.published)
    assert report.complete, report


def test_without_protocol_a_publication_may_be_answered_by_accepted() -> None:
    with running(Behaviour(raw=True, publish_status=202)) as server:
        report = execute(server, replace(BASE, protocol=Protocol.RAW))
    assert report.complete, report


def test_without_messages_nothing_is_published() -> None:
    with running() as server:
        report = execute(server, replace(BASE, messages=0, hold=0.01, connect_rate=10_000.0))
        assert server.published == []
    assert report.complete
    assert report.connects_per_s > 0


def test_the_server_is_measured() -> None:
    with running() as server:
        report = execute(server, replace(BASE, pid=os.getpid(), rate=1000.0))
    assert report.rss is not None
    assert report.rss > 0
    assert report.connect_cpu_us is not None
    assert report.delivery_cpu_us is not None


def test_publishing_stops_after_the_duration() -> None:
    with running() as server:
        report = execute(server, replace(BASE, messages=10**9, duration=0.05, rate=200.0))
    assert report.complete, report
    assert 0 < report.published < 100


def test_progress_is_told() -> None:
    lines: list[str] = []
    with running() as server:
        run.execute(replace(BASE, url=server.url, api_url=server.api_url), lines.append)
    assert lines[0].startswith("connecting · ")


def test_an_unknown_host_is_an_error() -> None:
    with pytest.raises(SettingsError, match="invalid"):
        run.execute(replace(BASE, url="ws://host.invalid/"), lambda text: None)


def test_an_unknown_process_is_an_error() -> None:
    with running() as server, pytest.raises(SettingsError, match="no such process"):
        execute(server, replace(BASE, pid=2**22 + 1))
