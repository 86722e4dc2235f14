"""centrifast help."""

from tests.cli.conftest import Run


def test_without_a_name_everything_is_listed(run: Run) -> None:
    assert run("help").stdout == run("--help").stdout


def test_a_command_by_its_name(run: Run) -> None:
    result = run("help", "gensubtoken")
    assert result.exit_code == 0
    assert "Usage: centrifast gensubtoken" in result.stdout
    assert "--channel" in result.stdout


def test_an_unknown_command_is_a_wrong_command_line(run: Run) -> None:
    for names in (["nope"], ["version", "nope"]):
        result = run("help", *names)
        assert result.exit_code == 2
        assert "No such command 'nope'" in result.stderr
