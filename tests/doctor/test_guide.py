"""docs/guides/troubleshooting.md says what the commands say."""

import re
from pathlib import Path

import click

from centrifast.cli.doctor import doctor
from centrifast.cli.token_explain import explain_token
from centrifast.doctor.endpoint import nginx_lines
from centrifast.errors import CLIENT_ERRORS, DISCONNECTS, UNSUBSCRIBES

GUIDE = (Path(__file__).resolve().parents[2] / "docs/guides/troubleshooting.md").read_text()


def test_the_lines_for_nginx_are_those_of_the_doctor() -> None:
    assert f"```nginx\n{nginx_lines(8000)}\n```" in GUIDE


def test_every_code_has_its_text() -> None:
    texts = {code.code: code.message for code in CLIENT_ERRORS}
    texts.update({code.code: code.reason for code in (*DISCONNECTS, *UNSUBSCRIBES)})
    rows = re.findall(r"^\| (\d{3,4}) ([a-z ]+) \|", GUIDE, re.MULTILINE)
    assert len(rows) > 20
    for code, text in rows:
        assert texts[int(code)] == text


def test_every_flag_is_told() -> None:
    for command in (doctor, explain_token):
        for option in command.params:
            if isinstance(option, click.Option):
                assert any(f"`{name}" in GUIDE for name in option.opts), option.name


def test_what_is_said_of_exit_statuses_stands_in_the_help_too() -> None:
    for command in (doctor, explain_token):
        assert "Exit status: 0 if" in " ".join((command.help or "").split())
