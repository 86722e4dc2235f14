"""The terminal that is drawn on: keys, sizes, and that it is given back whatever happens."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from centrifast.cli.terminal import CLEAN, RESTORE, Screen
from tests.cli.pseudo_terminal import PseudoTerminal

PROGRAM = """
from centrifast.cli.terminal import Screen, is_terminal
assert is_terminal()
with Screen() as screen:
    while True:
        screen.draw(["size %d %d" % screen.size])
        key = screen.key(60)
        screen.draw([f"key <{key}>"])
        if key == "q":
            break
        if key == "x":
            raise RuntimeError("broken")
print("after")
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[PseudoTerminal]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with PseudoTerminal([sys.executable, str(program)]) as running:
        yield running


def test_keys_need_no_enter_and_are_not_shown(terminal: PseudoTerminal) -> None:
    assert terminal.until("size 100 30").startswith(CLEAN)
    terminal.press("ab")  # typed ahead: the first one counts
    terminal.until("key <a>")
    terminal.press("q")
    assert terminal.wait() == 0
    assert terminal.output.endswith(f"{RESTORE}after\r\n")
    assert terminal.settings() == terminal.before


def test_a_new_size_is_drawn_at_once(terminal: PseudoTerminal) -> None:
    terminal.until("size 100 30")
    terminal.resize(40, 10)
    terminal.until("key <>")
    terminal.until("size 40 10")


def test_a_bug_gives_the_terminal_back_and_then_shows_itself(terminal: PseudoTerminal) -> None:
    terminal.until("size 100 30")
    assert terminal.settings() != terminal.before
    terminal.press("x")
    assert terminal.wait() == 1
    _, _, after = terminal.output.partition(RESTORE)
    assert "RuntimeError: broken" in after
    assert terminal.settings() == terminal.before


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, -signal.SIGINT)],
)
def test_signals_give_the_terminal_back(terminal: PseudoTerminal, number: int, code: int) -> None:
    terminal.until("size 100 30")
    terminal.process.send_signal(number)
    assert terminal.wait() == code
    assert RESTORE in terminal.output
    assert terminal.settings() == terminal.before


def test_without_a_terminal_there_is_no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/null") as nowhere:
        monkeypatch.setattr(sys, "stdin", nowhere)
        monkeypatch.setattr(sys, "stdout", nowhere)
        with pytest.raises(Exception, match="Inappropriate ioctl"):
            Screen().__enter__()
