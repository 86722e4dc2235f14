"""The file that names the process."""

import os
from pathlib import Path

import pytest

from centrifast.pid_file import PidFile


def test_it_names_the_process_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    PidFile(path).write()
    assert path.read_text() == f"{os.getpid()}\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_dead_process_has_left_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("99999999 and more than that\n")
    path.chmod(0o644)
    PidFile(path).write()
    assert path.read_text() == f"{os.getpid()}\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    file = PidFile(path)
    file.write()
    file.remove()
    assert not path.exists()
    file.remove()


def test_one_that_another_process_has_written_stays(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    file = PidFile(path)
    file.write()
    path.write_text("1\n")
    file.remove()
    assert path.read_text() == "1\n"


def test_one_that_holds_no_text_stays(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_bytes(b"\xff")
    PidFile(path).remove()
    assert path.exists()


def test_a_folder_that_is_absent_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="absent"):
        PidFile(tmp_path / "absent" / "pid").write()


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OSError, match="No such device"):
        PidFile(path).write()
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(OSError, match="no regular file"):
            PidFile(path).write()
    finally:
        os.close(reader)
