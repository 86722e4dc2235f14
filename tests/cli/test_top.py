"""``centrifast top`` in a terminal of its own, against a daemon."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from centrifast.cli.live_client import Api, UnavailableError
from centrifast.cli.terminal import RESTORE
from centrifast.cli.top import HELP, bars, picture_of
from centrifast.cli.top_view import ASCII_BARS, BARS
from tests.cli.conftest import Run
from tests.cli.pseudo_terminal import PseudoTerminal
from tests.raw_websocket import RawWebSocket
from tests.server_process import ServerProcess


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path) as server:
        yield server


def api_of(server: ServerProcess) -> str:
    return f"http://127.0.0.1:{server.port}/api"


def watching(server: ServerProcess, *arguments: str) -> PseudoTerminal:
    command = [
        sys.executable,
        "-m",
        "centrifast",
        "top",
        "--url",
        api_of(server),
        "--interval",
        "0.1",
        *arguments,
    ]
    return PseudoTerminal(command, {"CENTRIFAST_API_KEY": "key"})


def test_connections_come_and_go_before_ones_eyes(daemon: ServerProcess) -> None:
    with watching(daemon) as terminal:
        terminal.until("connections 0 ")
        with RawWebSocket(daemon.port) as client:
            client.connect()
            client.subscribe("news")
            terminal.until("connections 1   users 1   channels 1   subscriptions 1")
            terminal.resize(40, 20)
            terminal.until("connections 1   users 1   channels 1   s\x1b[K")
        terminal.until("connections 0 ")
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.output.endswith(RESTORE)
        assert terminal.settings() == terminal.before


def test_it_rests_while_it_is_paused(daemon: ServerProcess) -> None:
    with watching(daemon) as terminal:
        terminal.until(HELP)
        terminal.press(" ")
        terminal.until("paused; space goes on")
        terminal.press("x")  # draws once more, and asks nothing
        terminal.until("paused; space goes on")
        terminal.press(" ")
        terminal.until(HELP)
        terminal.press("\x03")
        assert terminal.wait() == 0
        assert terminal.settings() == terminal.before


def test_a_restart_of_the_server_is_survived(daemon: ServerProcess) -> None:
    with watching(daemon) as terminal:
        terminal.until(HELP)
        daemon.stop()
        terminal.until("Connection refused")
        daemon.start()
        terminal.until(HELP)
        terminal.press("q")
        assert terminal.wait() == 0


def test_a_server_that_has_another_key_now_ends_it_with_a_sentence(daemon: ServerProcess) -> None:
    with watching(daemon) as terminal:
        terminal.until(HELP)
        daemon.stop()
        daemon.config["http_api"] = {"key": "another"}
        daemon.start()
        assert terminal.wait() == 1
        assert "the key is not that of the server" in terminal.output.partition(RESTORE)[2]
        assert terminal.settings() == terminal.before


def test_once_and_json_are_for_scripts(daemon: ServerProcess, run: Run) -> None:
    options = ("--url", api_of(daemon), "--key", "key")
    picture = run("top", "--once", "--interval", "0.1", *options)
    assert picture.exit_code == 0, picture.output
    assert picture.stdout.startswith(f"centrifast 0.1.0  {api_of(daemon)}  1 process ")
    assert "\x1b" not in picture.stdout
    numbers = run("top", "--json", *options)
    assert numbers.exit_code == 0
    (node,) = json.loads(numbers.stdout)["nodes"]
    assert (node["pid"], node["num_clients"], node["slow"]) == (daemon.pid, 0, [])
    nowhere = run("top", *options)
    assert (nowhere.exit_code, nowhere.output) == (
        1,
        "this is no terminal: --once prints a picture, --json the numbers\n",
    )


def test_what_is_refused_ends_the_command(daemon: ServerProcess, run: Run) -> None:
    wrong = run("top", "--once", "--url", api_of(daemon), "--key", "wrong")
    assert (wrong.exit_code, "the key is not that of the server" in wrong.output) == (1, True)
    gone = run("top", "--json", "--url", "http://127.0.0.1:1/api")
    assert (gone.exit_code, "is the server running there?" in gone.output) == (1, True)
    assert run("top", "--interval", "0").exit_code == 2


def test_an_answer_of_another_version_is_told_from_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in ({"nodes": [{"name": "a"}]}, {}, {"nodes": [1]}):
        monkeypatch.setattr(Api, "call", lambda self, method, request, answer=answer: answer)
        with pytest.raises(UnavailableError, match="is it of this version"):
            picture_of(Api("http://127.0.0.1/api", ""), 1.0, lambda seconds: None)


def test_bars_are_those_the_terminal_can_show(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for encoding, expected in (("utf-8", BARS), ("ascii", ASCII_BARS)):
        with (tmp_path / "out").open("w", encoding=encoding) as out:
            monkeypatch.setattr(sys, "stdout", out)
            assert bars() == expected
