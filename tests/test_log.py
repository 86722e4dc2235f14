"""Lines of the log: their two forms, levels, and what never breaks them."""

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from centrifast import log


class Stream(io.StringIO):
    """Standard error, or standard output that pretends to be a terminal."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)
    logging.getLogger("centrifast").setLevel(log.INFO)


@pytest.fixture
def pipe() -> Stream:
    return Stream(terminal=False)


@pytest.fixture
def terminal() -> Stream:
    return Stream(terminal=True)


def configure(stream: Stream, level: str = "info", file: str = "", worker: int = 0) -> bool:
    other = Stream(terminal=False)
    out, err = (stream, other) if stream.terminal else (other, stream)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        return log.configure(level, file, worker=worker)


def test_a_pipe_gets_json_with_flat_fields(pipe: Stream) -> None:
    assert configure(pipe)
    log.info("client connected", client="c1", code=3008, user="", reason=None)
    line = json.loads(pipe.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {"level": "info", "message": "client connected", "client": "c1", "code": 3008}


def test_lines_of_a_worker_carry_its_number(
    pipe: Stream, terminal: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(pipe, worker=2)
    log.info("client connected", client="c1")
    assert json.loads(pipe.getvalue())["worker"] == 2
    monkeypatch.setenv("NO_COLOR", "1")
    configure(terminal, worker=3)
    log.info("client connected", client="c1")
    assert terminal.getvalue().endswith("client connected worker=3 client=c1\n")


def test_a_terminal_gets_one_readable_line(terminal: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    configure(terminal)
    log.warn("limit reached", limit=3, text='a "b"\nc')
    line = terminal.getvalue()
    assert line.endswith('WARN  limit reached limit=3 text="a \\"b\\"\\nc"\n')
    assert line.count("\n") == 1


def test_a_terminal_gets_colours_unless_it_has_none(
    terminal: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    configure(terminal)
    log.error("failed")
    assert "\x1b[31mERROR\x1b[0m failed\n" in terminal.getvalue()
    assert not log.wants_colours({"TERM": "dumb"})
    assert not log.wants_colours({"NO_COLOR": "1"})
    assert log.wants_colours({"NO_COLOR": ""})


def test_nothing_a_client_sends_can_move_the_cursor(
    terminal: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    configure(terminal)
    log.info("sent \x1b[2J", channel="\x1b[31m\x7f\r\u202e")
    assert terminal.getvalue().rstrip("\n").isprintable()


def test_a_field_can_not_take_the_place_of_another(pipe: Stream) -> None:
    configure(pipe)
    log.info("event", level="loud", time="never", message="other")
    line = json.loads(pipe.getvalue())
    assert (line["level"], line["message"]) == ("info", "event")


def test_text_that_is_no_unicode_is_escaped(pipe: Stream) -> None:
    configure(pipe)
    log.info("event", channel="a\udc80b")
    assert json.loads(pipe.getvalue())["channel"] == "a\udc80b"


def test_what_waits_for_the_thread_is_written_at_the_end(tmp_path: Path, pipe: Stream) -> None:
    path = tmp_path / "log.json"
    configure(pipe, "info", str(path))
    log.start_thread()
    for number in range(1000):
        log.info("event", number=number)
    log.stop_thread()
    log.info("after the end")
    *lines, last = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["number"] for line in lines] == list(range(1000))
    assert last["message"] == "after the end"


def test_a_file_that_was_moved_away_is_opened_again(tmp_path: Path, pipe: Stream) -> None:
    path, moved = tmp_path / "log.json", tmp_path / "log.json.1"
    configure(pipe, "info", str(path))
    log.start_thread()
    log.info("first")
    log.stop_thread()
    path.rename(moved)
    log.start_thread()
    log.reopen()
    log.info("second")
    log.stop_thread()
    assert json.loads(moved.read_text())["message"] == "first"
    assert json.loads(path.read_text())["message"] == "second"
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_gets_json_and_is_appended_to(tmp_path: Path, terminal: Stream) -> None:
    path = tmp_path / "log.json"
    path.write_text("before\n")
    configure(terminal, "info", str(path))
    log.error("failed", error=ValueError("no"))
    before, line = path.read_text().splitlines()
    assert before == "before"
    assert json.loads(line)["error"] == "no"
    assert terminal.getvalue() == ""


def test_an_exception_carries_its_traceback(pipe: Stream) -> None:
    configure(pipe)
    try:
        raise ValueError("boom")
    except ValueError:
        log.exception("command failed", client="c1")
    line = json.loads(pipe.getvalue())
    assert line["level"] == "error"
    assert line["traceback"].endswith("ValueError: boom")


def test_an_exception_in_text_follows_the_line(terminal: Stream) -> None:
    configure(terminal)
    try:
        raise ValueError("boom")
    except ValueError:
        log.exception("command failed")
    assert terminal.getvalue().splitlines()[-1] == "ValueError: boom"


def test_an_exception_outside_a_handler_is_a_plain_error(pipe: Stream) -> None:
    configure(pipe)
    log.exception("command failed")
    assert "traceback" not in json.loads(pipe.getvalue())


@pytest.mark.parametrize("level", ["trace", "debug", "info", "warn", "error", "fatal"])
def test_a_level_lets_itself_and_everything_above_through(level: str, pipe: Stream) -> None:
    configure(pipe, level)
    for write in (log.trace, log.debug, log.info, log.warn, log.error, log.fatal):
        write("event")
    written = [json.loads(line)["level"] for line in pipe.getvalue().splitlines()]
    names = ["trace", "debug", "info", "warn", "error", "fatal"]
    assert written == names[names.index(level) :]
    assert log.enabled(log.LEVELS[level])
    assert not log.enabled(log.LEVELS[level] - 1)


def test_level_none_silences_everything(pipe: Stream) -> None:
    configure(pipe, "none")
    log.fatal("event")
    logging.getLogger("other").critical("event")
    assert pipe.getvalue() == ""


def test_an_unknown_level_is_info(pipe: Stream) -> None:
    assert not configure(pipe, "loud")
    log.debug("quiet")
    log.info("heard")
    assert json.loads(pipe.getvalue())["message"] == "heard"


def test_other_libraries_are_heard_with_their_name(pipe: Stream) -> None:
    configure(pipe, "trace")
    logging.getLogger("asyncio").warning("task %s failed", 7)
    logging.getLogger("asyncio").info("not heard")
    line = json.loads(pipe.getvalue())
    assert (line["message"], line["logger"]) == ("task 7 failed", "asyncio")


def test_configuring_again_replaces_the_output(pipe: Stream) -> None:
    configure(pipe)
    configure(pipe)
    log.info("once")
    assert len(pipe.getvalue().splitlines()) == 1


def test_an_unopenable_file_is_reported(tmp_path: Path, pipe: Stream) -> None:
    with pytest.raises(OSError, match="absent"):
        configure(pipe, "info", str(tmp_path / "absent" / "log"))
