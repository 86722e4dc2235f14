"""``centrifast tail`` against a daemon: what it prints, what it survives, how it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from centrifast.cli import tail
from centrifast.cli.tail import request_of
from tests.cli.conftest import Run
from tests.raw_websocket import RawWebSocket
from tests.server_process import ServerProcess

WAIT = 30.0
ON = {"http_api": {"tail_enabled": True}}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, ON) as server:
        yield server


@contextmanager
def following(server: ServerProcess, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """The command as a process."""
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "centrifast",
            "tail",
            "--url",
            f"http://127.0.0.1:{server.port}/api",
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CENTRIFAST_API_KEY": "key"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline().rstrip("\n")


def event(process: "subprocess.Popen[str]") -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(line(process.stdout))
    return decoded


def test_a_channel_as_lines_for_scripts(daemon: ServerProcess) -> None:
    with following(daemon, "history:a", "--json") as process:
        assert event(process)["event"] == "open"
        daemon.publish("history:a", {"text": "hi"})
        shown = event(process)
        assert (shown["offset"], shown["data"], shown["size"]) == (1, {"text": "hi"}, 14)
        assert daemon.api("channels")["result"]["channels"] == {}
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT) == 0
    daemon.stop()
    assert '"watched": "channel history:a"' in daemon.log()


def test_a_user_as_lines_for_people(daemon: ServerProcess) -> None:
    with following(daemon, "user:", "--no-payload") as process:
        assert line(process.stdout)[14:] == "open         user (anonymous)"
        with RawWebSocket(daemon.port) as client:
            name = client.connect()["client"]
            assert f"client {name} from 127.0.0.1 json" in line(process.stdout)
            assert line(process.stdout).endswith(f"command      [{name[:8]}] #1 connect")
            assert f"reply        [{name[:8]}] #1 connect " in line(process.stdout)
            client.subscribe("news")
            assert line(process.stdout).endswith(f"command      [{name[:8]}] #2 subscribe news")
            assert f"reply        [{name[:8]}] #2 subscribe news " in line(process.stdout)
            daemon.publish("news", {"text": "hi"})
            assert line(process.stdout)[14:] == "publication  news 14 B"
            assert client.push()["pub"] == {"data": {"text": "hi"}}
        assert line(process.stdout)[14:] == f"disconnect   client {name} 3000 connection closed"


def test_it_comes_back_after_a_restart(daemon: ServerProcess) -> None:
    with following(daemon, "news", "--json") as process:
        assert event(process)["event"] == "open"
        daemon.stop()
        last = event(process)
        assert (last["event"], last["reason"]) == ("end", "the server stops")
        assert line(process.stderr).endswith("/api has ended the stream; trying again in 1 s")
        daemon.start()
        assert event(process)["event"] == "open"
        daemon.publish("news", 1)
        assert event(process)["data"] == 1


def test_who_reads_no_further_ends_it_in_peace(daemon: ServerProcess) -> None:
    with following(daemon, "news") as process:
        assert "open" in line(process.stdout)
        assert process.stdout is not None
        process.stdout.close()
        daemon.publish("news", 1)
        daemon.publish("news", 2)
        assert process.wait(WAIT) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_where_tail_is_off_the_command_says_how_to_switch_it_on(tmp_path: Path, run: Run) -> None:
    with ServerProcess(tmp_path) as server:
        url = f"http://127.0.0.1:{server.port}/api"
        assert server.request("POST", "/api/tail", b'{"channel":"a"}', {"X-API-Key": "key"})[0] == 404
        result = run("tail", "news", "--url", url, "--key", "key")
        assert result.exit_code == 1
        assert "switch on http_api.tail_enabled and restart the server" in result.output
        result = run("tail", "nope:a", "--url", url, "--key", "wrong")
        assert result.exit_code == 1


def test_what_can_not_be_followed_ends_the_command(daemon: ServerProcess, run: Run) -> None:
    url = f"http://127.0.0.1:{daemon.port}/api"
    result = run("tail", "news", "--url", url, "--key", "wrong")
    assert (result.exit_code, "the key is not that of the server" in result.output) == (1, True)
    result = run("tail", "nope:a", "--url", url, "--key", "key")
    assert (result.exit_code, result.output) == (1, "tail is refused: unknown channel (code 102)\n")
    daemon.stop()
    result = run("tail", "news", "--url", url)
    assert (result.exit_code, "is the server running there?" in result.output) == (1, True)


def test_what_is_asked_for() -> None:
    assert request_of("user:42", is_channel=False) == {"user": "42"}
    assert request_of("user:", is_channel=False) == {"user": ""}
    assert request_of("user:42", is_channel=True) == {"channel": "user:42"}
    assert request_of("chat:1", is_channel=False) == {"channel": "chat:1"}


def test_lines_that_are_no_events_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    for odd in (b"\x1b[2J\n", b"[1]\n", b'{"event":"open","time":"x"}\n', b'{"event":"alive","time":1}\n'):
        tail.show(odd, as_json=False)
    assert capsys.readouterr().out == '\\u001b[2J\n[1]\n{"event":"open","time":"x"}\n'
