"""The examples that the documentation shows, run as they are against the daemon."""

import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdk.driver import HERE, WAIT_TIMEOUT, node_command
from tests.server_process import ServerProcess

EXAMPLES = HERE.parent.parent / "examples"


def copy_of(example: Path, folder: Path) -> Path:
    """A JavaScript example, where the packages of the tests are installed next to it."""
    copy = folder / example.name
    copy.write_bytes(example.read_bytes())
    (folder / "node_modules").symlink_to(HERE / "javascript/node_modules")
    return copy


class Program:
    """A running example and the lines that it prints."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self, text: str) -> str:
        """Wait for a line with this text."""
        end = time.monotonic() + WAIT_TIMEOUT
        seen = []
        while time.monotonic() < end:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                break
            if line is None:
                break
            if text in line:
                return line
            seen.append(line)
        raise AssertionError(f"no {text!r} in {seen}")

    def close(self) -> None:
        """End it, as the user does with Ctrl+C."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(WAIT_TIMEOUT)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            assert self._process.stdout is not None
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)


@pytest.fixture(params=["javascript", "python"])
def program(request: pytest.FixtureRequest, server: ServerProcess, tmp_path: Path) -> Iterator[Program]:
    """The example of a language, connected to the daemon."""
    if request.param == "javascript":
        command = [node_command(), str(copy_of(EXAMPLES / "javascript/node.mjs", tmp_path))]
    else:
        command = [sys.executable, str(EXAMPLES / "python/client.py")]
    program = Program(*command, server.url)
    yield program
    program.close()


def test_the_example_prints_what_is_published(program: Program, server: ServerProcess) -> None:
    program.wait("subscribed")
    server.publish("news", {"text": "hello from the api"})
    assert "hello from the api" in program.wait("received")
