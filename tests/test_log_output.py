"""Output of the log: at once, by the thread, and what happens when the place for it does not take it."""

import os
import select
import threading
from pathlib import Path

import pytest

from centrifast.log_output import FileSink, Output, pieces, write_all

WAIT = 20.0


class Gate:
    """A sink that takes nothing while it is shut, and fails when it is told to."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.open = threading.Event()
        self.entered = threading.Event()
        self.failing = False
        self.fails_to_reopen = False

    def write(self, data: bytes) -> None:
        self.entered.set()
        assert self.open.wait(WAIT)
        if self.failing:
            raise OSError("no space left")
        self.written.append(data)

    def reopen(self) -> None:
        if self.fails_to_reopen:
            raise OSError("no such directory")

    def close(self) -> None:
        pass

    @property
    def lines(self) -> list[str]:
        return b"".join(self.written).decode().splitlines()


def note(name: str, fields: dict[str, object]) -> bytes:
    return f"{name} {fields}\n".encode()


def make(sink: Gate | FileSink, size: int = 100) -> Output:
    return Output(sink, note, size)


def test_a_line_is_written_at_once_without_a_thread() -> None:
    gate = Gate()
    gate.open.set()
    make(gate).write(b"one\n")
    assert gate.lines == ["one"]


def test_nobody_waits_for_a_place_that_takes_nothing_and_the_loss_is_told() -> None:
    gate = Gate()
    output = make(gate)
    output.start()
    output.write(b"first\n")
    assert gate.entered.wait(WAIT)
    for _ in range(50):
        output.write(b"123456789\n")  # 9 of them fit beside the first line
    gate.open.set()
    output.stop(WAIT)
    assert gate.lines == ["first", *["123456789"] * 9, "log lines dropped {'dropped': 41}"]


def test_the_end_does_not_wait_for_a_place_that_takes_nothing() -> None:
    gate = Gate()
    output = make(gate)
    output.start()
    output.write(b"first\n")
    assert gate.entered.wait(WAIT)
    output.stop(0)
    output.write(b"late\n")  # dropped: the thread still hangs
    output.close()
    gate.open.set()


def test_lines_that_could_not_be_written_are_told_with_the_next_that_can() -> None:
    gate = Gate()
    gate.open.set()
    gate.failing = True
    output = make(gate)
    output.start()
    output.write(b"one\n")
    output.write(b"two\n")
    output.stop(WAIT)
    gate.failing = False
    output.start()
    output.write(b"three\n")
    output.stop(WAIT)
    assert gate.lines == ["three", "log lines dropped {'dropped': 2}"]


def test_a_failure_at_once_is_no_error_of_the_caller() -> None:
    gate = Gate()
    gate.open.set()
    gate.failing = True
    make(gate).write(b"one\n")
    assert gate.lines == []


def test_a_file_that_can_not_be_opened_again_is_told_in_the_old_one() -> None:
    gate = Gate()
    gate.open.set()
    gate.fails_to_reopen = True
    output = make(gate)
    output.start()
    output.reopen()
    output.stop(WAIT)
    assert "can not be reopened" in gate.lines[0]


def test_a_descriptor_that_does_not_block_gets_all() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    received = bytearray()

    def read() -> None:
        while part := os.read(reader, 4096):
            received.extend(part)

    thread = threading.Thread(target=read)
    data = b"x" * 1_000_000
    thread.start()
    write_all(writer, data)
    os.close(writer)
    thread.join(WAIT)
    os.close(reader)
    assert bytes(received) == data


def test_a_file_is_appended_to_and_can_be_closed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    output = make(FileSink(str(path)))
    output.write(b"after\n")
    output.close()
    assert path.read_text() == "before\nafter\n"
    with pytest.raises(OSError, match="absent"):
        FileSink(str(tmp_path / "absent" / "log"))


def test_what_several_processes_write_to_one_pipe_goes_in_whole_lines() -> None:
    lines = [bytes([97 + number % 26]) * (number * 37 % 1500) + b"\n" for number in range(200)]
    lines[50:50] = [b"x" * 10_000 + b"\n"]
    data = b"".join(lines)
    found = list(pieces(data))
    assert b"".join(found) == data
    assert all(piece.endswith(b"\n") for piece in found)
    assert [len(piece) > select.PIPE_BUF for piece in found].count(True) == 1
    assert list(pieces(b"")) == []
    assert list(pieces(b"y" * 5000)) == [b"y" * 5000]
