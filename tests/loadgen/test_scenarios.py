"""Every scenario against a real daemon, in small; and how a run that is interrupted or misconfigured ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from centrifast_loadgen import run
from centrifast_loadgen.details import Recover, Slow, Soak, Storm
from centrifast_loadgen.report import Report
from centrifast_loadgen.settings import Protocol, Scenario, Settings, SettingsError

from tests.server_process import ServerProcess

OPEN = {"allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True}
CONFIG: dict[str, Any] = {
    "client": {"queue_max_size": 65536, "allowed_origins": ["http://good.example"]},
    "websocket": {"compression": True},
    "channel": {
        "namespaces": [
            {"name": "stream", "history_size": 1000, "history_ttl": "60s", "force_recovery": True, **OPEN},
            {"name": "room", "presence": True, "join_leave": True, "force_push_join_leave": True, **OPEN},
            {"name": "closed"},
        ]
    },
}
PROTOCOLS = [Protocol.JSON, Protocol.PROTOBUF]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("daemon"), CONFIG) as daemon:
        yield daemon


def settings_for(server: ServerProcess, scenario: Scenario, **options: Any) -> Settings:
    base = Settings(
        scenario=scenario,
        url=server.url,
        api_url=f"http://127.0.0.1:{server.port}/api",
        api_key="key",
        connections=20,
        messages=5,
        pid=server.pid,
        stall_timeout=5.0,
        connect_timeout=20.0,
        duration=1.5 if scenario is Scenario.SOAK else 0.0,
    )
    return replace(base, **options)


def play(server: ServerProcess, scenario: Scenario, **options: Any) -> Report:
    return run.execute(settings_for(server, scenario, **options), lambda text: None)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_fanout_with_a_user_for_each_connection(server: ServerProcess, protocol: Protocol) -> None:
    report = play(server, Scenario.FANOUT, protocol=protocol, token_secret="secret", channel_prefix="fan")
    assert report.complete, report.as_table()
    assert report.delivered == 100


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_compressed_messages_in_both_encodings(server: ServerProcess, protocol: Protocol) -> None:
    report = play(
        server, Scenario.STORM, protocol=protocol, deflate=True, payload=2000, channel_prefix="flat", waves=1
    )
    assert report.complete, report.as_table()
    assert report.deflated == report.handshakes == 40
    assert report.wire_bytes < report.message_bytes / 5


def test_users_are_those_of_the_tokens(server: ServerProcess) -> None:
    settings = settings_for(
        server, Scenario.PRESENCE, token_secret="secret", users=3, channel_prefix="room:users", leave=0.0
    )
    answers = []

    def ask(text: str) -> None:
        answers.append(server.api("presence_stats", channel="room:users0")["result"])

    assert run.execute(settings, ask).complete
    assert answers[-1] == {"num_clients": 20, "num_users": 3}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_many_channels(server: ServerProcess, protocol: Protocol) -> None:
    report = play(
        server, Scenario.CHANNELS, protocol=protocol, channels=40, channels_per_connection=10, messages=80,
        channel_prefix="many", processes=2,
    )  # fmt: skip
    assert report.complete, report.as_table()
    assert report.delivered == 80 * 20 * 10 // 40


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_storm_comes_back_as_often_as_it_drops(server: ServerProcess, protocol: Protocol) -> None:
    report = play(server, Scenario.STORM, protocol=protocol, waves=2, messages=1, processes=2, retry=20.0)
    assert report.complete, report.as_table()
    assert isinstance(report.details, Storm)
    assert [(wave.dropped, wave.back, wave.attempts) for wave in report.details.waves] == [(20, 20, 20)] * 2
    assert all(0 < wave.connect_us.p50 <= wave.connect_us.max for wave in report.details.waves)
    assert report.delivered == 3 * 20
    assert "wave 2" in report.as_table()


def test_a_storm_can_be_held_back(server: ServerProcess) -> None:
    report = play(server, Scenario.STORM, waves=1, connect_rate=100.0, messages=0)
    assert report.complete, report.as_table()
    assert isinstance(report.details, Storm)
    assert report.details.waves[0].seconds >= 0.19  # 20 connections of 10 ms each, the first at once


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("live", [0, 10])
def test_what_all_missed_is_recovered_exactly(server: ServerProcess, protocol: Protocol, live: int) -> None:
    report = play(
        server, Scenario.RECOVER, protocol=protocol, missed=30, live=live, processes=2,
        channel_prefix=f"stream:{protocol.value}{live}-",
    )  # fmt: skip
    assert report.complete, report.as_table()
    assert isinstance(report.details, Recover)
    assert report.details.recoveries == 20
    assert report.details.expected == 600
    assert report.delivered == report.expected == 20 * (5 + 30 + live)
    assert (report.lost, report.surplus, report.offset_gaps, report.offset_repeats) == (0, 0, 0, 0)


def test_recovery_of_several_channels(server: ServerProcess) -> None:
    report = play(
        server,
        Scenario.RECOVER,
        channels=4,
        channels_per_connection=2,
        missed=9,
        channel_prefix="stream:several",
    )
    assert report.complete, report.as_table()
    assert isinstance(report.details, Recover)
    assert report.details.subscriptions == 40
    assert report.details.recovered == report.details.expected == 9 * 10


def test_where_nothing_can_be_recovered_the_namespace_is_named(server: ServerProcess) -> None:
    with pytest.raises(SettingsError, match="'bench0' need history_size, history_ttl and force_recovery"):
        play(server, Scenario.RECOVER)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_everybody_sees_who_enters_and_who_leaves(server: ServerProcess, protocol: Protocol) -> None:
    report = play(
        server, Scenario.PRESENCE, protocol=protocol, processes=2, leave=0.25,
        channel_prefix=f"room:{protocol.value}",
    )  # fmt: skip
    assert report.complete, report.as_table()
    assert report.details == replace(
        report.details,  # type: ignore[type-var]  # a dataclass of this scenario
        joins=210, joins_expected=210, leaves=75, leaves_expected=75, doubled=0, unseen=0, left=5, present=20,
        present_after=15,
    )  # fmt: skip


def test_where_nobody_sees_a_join_the_namespace_is_named(server: ServerProcess) -> None:
    with pytest.raises(SettingsError, match="needs presence, join_leave"):
        play(server, Scenario.PRESENCE, stall_timeout=0.3)


def test_slow_clients_that_get_too_far_behind_are_disconnected(server: ServerProcess) -> None:
    report = play(
        server, Scenario.SLOW, slow=0.2, messages=600, payload=20_000, inflight=4, channel_prefix="slow"
    )
    assert isinstance(report.details, Slow)
    assert report.complete, report.as_table()
    assert (report.details.slow, report.details.disconnected, report.details.behind) == (4, 4, 0)
    assert report.delivered == report.expected == 16 * 600


def test_slow_clients_that_are_not_far_behind_catch_up(server: ServerProcess) -> None:
    report = play(server, Scenario.SLOW, slow=0.2, messages=50, processes=2, channel_prefix="slowly")
    assert report.complete, report.as_table()
    assert report.details == replace(
        report.details,  # type: ignore[type-var]  # a dataclass of this scenario
        slow=4, disconnected=0, caught_up=4, behind=0, delivered=200,
    )  # fmt: skip
    assert report.delivered == report.expected == 16 * 50


@pytest.mark.parametrize("prefix", ["stream:soak", "soak"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_soak_loses_nothing_to_who_comes_and_goes(
    server: ServerProcess, prefix: str, protocol: Protocol
) -> None:
    report = play(
        server, Scenario.SOAK, channel_prefix=f"{prefix}{protocol.value}", protocol=protocol, churn=40.0, retry=20.0,
        channels=6, channels_per_connection=3, rate=100.0, messages=10**9, processes=2,
    )  # fmt: skip
    assert report.complete, report.as_table()
    assert isinstance(report.details, Soak)
    assert report.details.churned > 10
    assert report.details.recoverable == prefix.startswith("stream")
    assert bool(report.details.subscriptions_recovered) == report.details.recoverable
    assert report.details.rss_end


# ---------------------------------------------------------------- what goes wrong says what to do


@pytest.mark.parametrize(
    ("options", "reason", "hint"),
    [
        ({"api_key": "wrong"}, "publish: HTTP 401", "--api-key"),
        ({"channel_prefix": "closed:"}, "subscribe: 103", "allow_subscribe_for_client"),
        ({"channel_prefix": "unknown:"}, "subscribe: 102", "--channel-prefix"),
        ({"token_secret": "wrong"}, "3500 invalid token", "hmac_secret_key"),
        ({"token": "nonsense"}, "3500 invalid token", "hmac_secret_key"),
        ({"origin": "http://evil.example"}, "HTTP 403", "--origin"),
    ],
)
def test_a_refusal_says_what_to_do(
    server: ServerProcess, options: dict[str, Any], reason: str, hint: str
) -> None:
    report = play(server, Scenario.FANOUT, connections=2, **options)
    assert not report.complete
    assert reason in next(iter(report.reasons))
    assert hint in report.as_table().split("hint")[1]


def test_a_good_origin_is_accepted(server: ServerProcess) -> None:
    assert play(server, Scenario.FANOUT, connections=2, origin="http://good.example").complete


def test_a_wrong_path_says_what_to_do(server: ServerProcess) -> None:
    report = play(server, Scenario.FANOUT, connections=2, url=f"ws://127.0.0.1:{server.port}/nowhere")
    assert report.reasons == {"the handshake was refused: HTTP 404 Not Found": 2}
    assert "/connection/websocket" in report.as_table()


def test_a_port_where_nobody_listens_says_what_to_do(server: ServerProcess) -> None:
    report = play(server, Scenario.FANOUT, connections=2, url="ws://127.0.0.1:1/", pid=0)
    assert report.reasons == {"Connection refused": 2}
    assert "is the server running" in report.as_table()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_reports_what_was_measured(server: ServerProcess, number: int) -> None:
    channel = f"room:interrupted{number}-"
    command = [
        sys.executable, "-m", "centrifast_loadgen", "fanout", "--json", "--connections", "10", "--rate", "200",
        "--messages", "1000000", "--channel-prefix", channel, "--url", server.url, "--api-key", "key",
        "--api-url", f"http://127.0.0.1:{server.port}/api",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        end = time.monotonic() + 30
        while server.api("presence_stats", channel=f"{channel}0")["result"]["num_clients"] < 10:
            assert time.monotonic() < end
        # Ctrl-C reaches the whole group, as from a terminal; SIGTERM only the process it is sent to.
        os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        output = process.communicate(timeout=30)[0]
    figures = json.loads(output)
    assert process.returncode == 130
    assert figures["interrupted"]
    assert figures["connected"] == 10
    assert figures["lost"] == figures["failed"] == figures["closed"] == 0
    assert figures["delivered"] == figures["expected"]
