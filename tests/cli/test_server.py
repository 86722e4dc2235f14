"""Running the server: what happens before the application takes over."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from centrifast import log
from centrifast.config.loader import LoadedConfig
from centrifast.pid_file import PidFile
from tests.cli.conftest import Run


class Application(ModuleType):
    """Stands where the application would be; notes what it is given."""

    loaded: LoadedConfig
    pid = ""

    def run(self, loaded: LoadedConfig, pid_file: PidFile | None, *, strict: bool) -> int:
        self.loaded = loaded
        if loaded.config.pid_file:
            self.pid = Path(loaded.config.pid_file).read_text()
        return 7


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
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
def application(monkeypatch: pytest.MonkeyPatch) -> Application:
    stand_in = Application("centrifast.daemon")
    monkeypatch.setitem(sys.modules, "centrifast.daemon", stand_in)
    return stand_in


def lines(text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_exit_code_is_that_of_the_application(
    run: Run, application: Application, directory: Path
) -> None:
    (directory / "config.json").write_text('{"pid_file": "x"}')
    result = run("-p", "9000", "--client.insecure", "--http_api.insecure=false")
    assert result.exit_code == 7
    config = application.loaded.config
    assert (config.pid_file, config.http_server.port, config.client.insecure) == ("x", 9000, True)
    assert not config.http_api.insecure


def test_the_pid_file_is_there_while_it_runs(run: Run, application: Application, directory: Path) -> None:
    (directory / "config.json").write_text('{"pid_file": "pid"}')
    run()
    assert application.pid == f"{os.getpid()}\n"
    assert not (directory / "pid").exists()


def test_the_pid_file_comes_before_the_rules(run: Run, application: Application, directory: Path) -> None:
    (directory / "config.json").write_text('{"pid_file": "absent/pid", "client.ping_interval": "1s"}')
    result = run()
    assert result.exit_code == 1
    (line,) = lines(result.stderr)
    assert (line["message"], line["path"]) == ("pid file can not be written", "absent/pid")
    (directory / "config.json").write_text('{"pid_file": "pid", "client.ping_interval": "1s"}')
    assert run().exit_code == 1
    assert not (directory / "pid").exists()


def test_a_missing_file_is_a_warning_only(run: Run, application: Application) -> None:
    result = run()
    assert result.exit_code == 7
    (line,) = lines(result.stderr)
    assert line["level"] == "warn"
    assert "config.json not found" in line["reason"]


def test_dotenv_is_read(
    run: Run, application: Application, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENTRIFUGO_NODE_NAME", "kept")
    monkeypatch.setenv("CENTRIFUGO_PID_FILE", "")  # so that what the file sets is taken back at the end
    monkeypatch.delenv("CENTRIFUGO_PID_FILE")
    (directory / ".env").write_text("CENTRIFUGO_NODE_NAME=other\nCENTRIFUGO_PID_FILE=from-dotenv\nnonsense\n")
    result = run()
    assert application.loaded.config.node.name == "kept"
    assert application.loaded.config.pid_file == "from-dotenv"
    assert "line 3" in result.stderr


def test_each_unknown_key_and_variable_is_a_warning(
    run: Run, application: Application, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "config.json").write_text('{"one": 1, "client": {"insecur": true}}')
    monkeypatch.setenv("CENTRIFUGO_TYPO_ONE", "1")
    monkeypatch.setenv("CENTRIFUGO_TYPO_TWO", "1")
    keys, variables = lines(run().stderr)[:2], lines(run().stderr)[2:]
    assert {line["message"] for line in keys} == {"unknown key in configuration file"}
    assert {line["key"]: line.get("hint") for line in keys} == {
        "one": None,
        "client.insecur": "did you mean `client.insecure`?",
    }
    assert {line["message"] for line in variables} == {"unknown var in environment"}
    assert [line["var"] for line in variables] == ["CENTRIFUGO_TYPO_ONE", "CENTRIFUGO_TYPO_TWO"]


def test_strict_refuses_unknown_keys(run: Run, application: Application, directory: Path) -> None:
    (directory / "config.json").write_text('{"one": 1}')
    result = run("--strict")
    assert result.exit_code == 1
    assert lines(result.stderr)[-1]["level"] == "fatal"
    assert "`one`" in lines(result.stderr)[-1]["error"]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ("{", "cannot be read"),
        ('{"http_server.port": "x"}', "http_server.port: expected a whole number"),
        ('{"client.ping_interval": "1s"}', "client.ping_interval must be greater"),
        ('{"broker": {"enabled": true, "type": "nats"}}', "not supported by this version: broker."),
        ('{"log.file": "absent/log"}', "absent/log"),
    ],
)
def test_what_cannot_run_ends_with_one(
    tree: str, message: str, run: Run, application: Application, directory: Path
) -> None:
    (directory / "config.json").write_text(tree)
    result = run()
    assert result.exit_code == 1
    assert message in lines(result.stderr)[-1]["error"]


def test_what_is_odd_but_allowed_is_warned_about(run: Run, application: Application, directory: Path) -> None:
    (directory / "config.json").write_text(
        '{"log.level": "loud", "client.insecure": true, "opentelemetry.enabled": true}'
    )
    result = run()
    assert result.exit_code == 7
    assert [line.get("reason", line["message"]) for line in lines(result.stderr)] == [
        "unknown log level, using info",
        "not supported by this version, without effect: opentelemetry.enabled",
        "insecure mode is on: client.insecure",
    ]


def test_the_log_file_is_used(run: Run, application: Application, directory: Path) -> None:
    (directory / "config.json").write_text('{"log.file": "log.json", "client.insecure": true}')
    assert run().stderr == ""
    assert "client.insecure" in (directory / "log.json").read_text()
