"""Files that the server writes."""

import os
from pathlib import Path

import pytest

from centrifast.doctor.files import FileFacts, check_file, read_files, read_server_pid
from centrifast.doctor.finding import Level
from tests.config.building import config_of


def test_files_of_the_configuration_are_looked_at_and_not_made(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    config = config_of({"pid_file": str(tmp_path / "pid"), "log.file": str(tmp_path / "log")})
    facts = read_files(config)
    assert [(fact.option, fact.folder_exists, fact.writable) for fact in facts] == [
        ("pid_file", True, True),
        ("log.file", True, True),
    ]
    assert not (tmp_path / "pid").exists()
    assert read_files(config_of({})) == []


def test_a_folder_that_is_missing_or_in_the_way_is_told(tmp_path: Path) -> None:
    config = config_of({"pid_file": str(tmp_path / "absent" / "pid"), "log.file": str(tmp_path)})
    absent, folder = read_files(config)
    assert not absent.folder_exists
    assert not folder.writable


@pytest.mark.parametrize(
    ("facts", "level", "told"),
    [
        (FileFacts("pid_file", "/run/x/pid", True, True, 7), Level.OK, "user id 7"),
        (FileFacts("pid_file", "/run/x/pid", False, False, 7), Level.FAIL, "install -d -o centrifast /run/x"),
        (FileFacts("pid_file", "/run/x/pid", True, False, 7), Level.FAIL, "chown centrifast /run/x"),
    ],
)
def test_files_are_judged(facts: FileFacts, level: Level, told: str) -> None:
    finding = check_file(facts)
    assert finding.level is level
    assert told in " ".join([finding.seen, *finding.mend])


def test_a_running_server_is_found_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    assert read_server_pid("") is None
    assert read_server_pid(str(file)) is None
    for text, pid in ((f"{os.getpid()}\n", os.getpid()), ("x", None), ("0", None), ("-1", None)):
        file.write_text(text)
        assert read_server_pid(str(file)) == pid
