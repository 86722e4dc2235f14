"""centrifast restart."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Run

HANDLES = "signal.signal(signal.SIGUSR2, lambda *_: sys.exit(7))"
IGNORES = "signal.signal(signal.SIGUSR2, signal.SIG_IGN)"


@contextmanager
def process(code: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has done what *code* says, and waits."""
    script = f"import signal, sys; {code}; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        yield running
        running.kill()


def test_the_process_in_the_file_is_told(run: Run, directory: Path) -> None:
    (directory / "config.json").write_text('{"pid_file": "pid"}')
    with process(HANDLES) as server:
        (directory / "pid").write_text(f"{server.pid}\n")
        result = run("restart")
        assert (result.exit_code, str(server.pid) in result.stdout) == (0, True)
        assert server.wait(20) == 7


def test_a_process_can_be_named(run: Run) -> None:
    with process(HANDLES) as server:
        assert run("restart", "--pid", str(server.pid)).exit_code == 0
        assert server.wait(20) == 7


def test_a_server_with_one_worker_has_none_to_replace(run: Run) -> None:
    with process(IGNORES) as server:
        result = run("restart", "--pid", str(server.pid))
        assert result.exit_code == 1
        assert "has no workers to replace" in result.stdout


def test_a_process_that_does_not_expect_it_is_left_alone(run: Run) -> None:
    with process("pass") as stranger:
        result = run("restart", "--pid", str(stranger.pid))
        assert result.exit_code == 1
        assert "is no server" in result.stdout
        assert stranger.poll() is None


def test_a_process_that_has_ended_is_not_there(run: Run) -> None:
    with process(HANDLES) as server:
        pid = server.pid
    result = run("restart", "--pid", str(pid))
    assert (result.exit_code, "is not there" in result.stdout) == (1, True)


@pytest.mark.parametrize(
    ("config", "content", "message"),
    [
        ("{}", None, "pid_file is not set"),
        ('{"pid_file": "pid"}', None, "pid is not there"),
        ('{"pid_file": "pid"}', "nonsense", "pid has no process id"),
    ],
)
def test_without_a_process_id_there_is_nobody_to_tell(
    config: str, content: str | None, message: str, run: Run, directory: Path
) -> None:
    (directory / "config.json").write_text(config)
    if content is not None:
        (directory / "pid").write_text(content)
    result = run("restart")
    assert (result.exit_code, message in result.stdout) == (1, True)


def test_a_process_that_may_not_be_told_is_an_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    with process(HANDLES) as server, monkeypatch.context() as patch:
        patch.setattr(os, "kill", refuse)
        result = run("restart", "--pid", str(server.pid))
        patch.undo()
    assert (result.exit_code, "Operation not permitted" in result.stdout) == (1, True)


def test_a_wrong_process_id_is_a_wrong_command_line(run: Run) -> None:
    assert run("restart", "--pid", "0").exit_code == 2
