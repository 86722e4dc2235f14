import json

import pytest
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
