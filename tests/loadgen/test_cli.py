import json
from pathlib import Path

import pytest
from centrifast_loadgen import cli
from centrifast_loadgen.cli import main
from click.testing import CliRunner, Result

from tests.loadgen.server import Behaviour, Server, running


def invoke(*options: str) -> Result:
    return CliRunner().invoke(main, options)


def load(server: Server, *options: str) -> Result:
    return invoke(
        "--url", server.url, "--api-url", server.api_url, "--connections", "2", "--messages", "3",
        "--stall-timeout", "0.3", *options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--connections", "0"], "'--connections'"),
        (["--processes", "many"], "neither auto nor a number from 1 to 256"),
        (["--processes", "257"], "neither auto nor a number"),
        (["--payload", "5"], "'--payload'"),
        (["--rate", "-1"], "'--rate'"),
        (["--protocol", "xml"], "'--protocol'"),
        (["--url", "ftp://x"], "expected ws://HOST:PORT/PATH"),
        (["--channels", "2", "--channels-per-connection", "5"], "5 of 2 channels"),
        (["--raw-subscribe", "x"], "--raw-subscribe needs --no-protocol"),
        (["--connections", "100000000"], "raise the hard descriptor limit"),
        (["--nonsense"], "No such option"),
    ],
)
def test_a_bad_option_is_refused_with_its_name_and_code_2(options: list[str], text: str) -> None:
    result = invoke(*options)
    assert result.exit_code == 2
    assert text in result.output


def test_a_complete_run_ends_with_0_and_a_table() -> None:
    with running() as server:
        result = load(server)
    assert result.exit_code == 0, result.output
    assert "6 of 6" in result.output
    assert "complete" in result.output


def test_json_is_one_line_of_output() -> None:
    with running() as server:
        result = load(server, "--json", "--protocol", "protobuf", "--processes", "1", "--inflight", "1")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["delivered"] == 6
    assert result.stdout.count("\n") == 1


def test_a_loss_ends_with_1() -> None:
    with running(Behaviour(copies=0)) as server:
        result = load(server)
    assert result.exit_code == 1
    assert "INCOMPLETE" in result.output


def test_help_names_every_unit() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    assert "per second" in result.output


SCENARIOS = ["fanout", "channels", "storm", "recover", "presence", "slow", "soak"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_explains_its_options(scenario: str) -> None:
    result = invoke(scenario, "--help")
    assert result.exit_code == 0
    assert "--connections" in result.output


def test_help_without_a_scenario_names_all_and_the_options_of_fanout() -> None:
    output = invoke("--help").output
    for scenario in SCENARIOS:
        assert f"  {scenario} " in output
    assert "--inflight" in output


def test_a_named_fanout_is_the_same_as_none() -> None:
    with running() as server:
        options = ["--url", server.url, "--api-url", server.api_url, "--connections", "1", "--messages", "1"]
        figures = [json.loads(invoke(*words, *options, "--json").stdout) for words in (["fanout"], [])]
    assert [item["scenario"] for item in figures] == ["fanout", "fanout"]
    assert figures[0]["settings"] == figures[1]["settings"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["slow", "--slow", "0"], "leaves 0 slow ones"),
        (["slow", "--channels", "3"], "everybody in all channels"),
        (["storm", "--waves", "0"], "'--waves'"),
        (["presence", "--leave", "2"], "'--leave'"),
        (["presence", "--channels", "2"], "No such option"),
        (["recover", "--missed", "-1"], "'--missed'"),
        (["soak", "--duration", "0"], "soak needs a --duration"),
        (["fanout", "--token", "a", "--token-secret", "b"], "exclude each other"),
        (["fanout", "--users", "3"], "--users needs --token-secret"),
        (["compare", "only-one"], "does not exist"),
    ],
)
def test_a_bad_option_of_a_scenario_is_refused(options: list[str], text: str) -> None:
    result = invoke(*options)
    assert result.exit_code == 2
    assert text in result.output


def test_a_report_is_written_beside_the_table(tmp_path: Path) -> None:
    with running() as server:
        result = load(server, "--report", str(tmp_path / "report.html"))
    assert result.exit_code == 0, result.output
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "6 of 6" in page


def test_a_report_that_can_not_be_written_is_an_error_after_the_table(tmp_path: Path) -> None:
    with running() as server:
        result = load(server, "--report", str(tmp_path / "nowhere" / "report.html"))
    assert result.exit_code == 1
    assert "6 of 6" in result.output
    assert "No such file or directory" in result.output


@pytest.mark.parametrize("words", [["--compare"], ["compare"]])
def test_two_runs_are_compared(tmp_path: Path, words: list[str]) -> None:
    paths = [str(tmp_path / name) for name in ("a.json", "b.json")]
    with running() as server:
        for path in paths:
            Path(path).write_text(load(server, "--json").stdout)
    result = invoke(*words, *paths)
    assert result.exit_code == 0, result.output
    assert "a.json" in result.output
    assert "latency_us.p99" in result.output


def test_what_is_no_run_can_not_be_compared(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    result = invoke("--compare", str(tmp_path / "a.json"), str(tmp_path / "a.json"))
    assert result.exit_code == 2
    assert "not the output of a run with --json" in result.output


def test_json_never_tells_secrets() -> None:
    with running() as server:
        result = load(server, "--json", "--api-key", "hush-hush", "--token-secret", "hush-hush")
    assert "hush-hush" not in result.output
    assert json.loads(result.stdout)["settings"]["token_secret"] == "..."


def test_progress_overwrites_one_line_of_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    show = cli.progress_printer()
    show("one")
    show("two")
    assert capsys.readouterr().err == "\r\x1b[Kone\r\x1b[Ktwo"


def test_progress_is_plain_lines_elsewhere_and_not_too_many(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.progress_printer()("at once, so not shown")
    monkeypatch.setattr(cli, "PLAIN_INTERVAL", 0.0)
    cli.progress_printer()("shown")
    assert capsys.readouterr().err == "shown\n"
