"""``centrifast doctor``: what is wrong with this machine, this configuration, this proxy, and what mends it."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from centrifast.cli.command import config_option
from centrifast.cli.token_explain import read_token
from centrifast.doctor.checkup import CONNECTIONS, Checkup, Plan
from centrifast.doctor.finding import Finding, exit_code
from centrifast.doctor.machine import Machine
from centrifast.doctor.report import lines_of, summary, value_of


@click.command()
@config_option
@click.option(
    "--connections",
    type=click.IntRange(1, 100_000_000),
    help=f"Connections that the machine must carry; default: client.connection_limit, or {CONNECTIONS:,}.",
)
@click.option("--url", default="", help="Look at this WebSocket URL from outside, proxy included.")
@click.option(
    "--origin", default="", help="Origin of the pages that connect there; default: that of the URL."
)
@click.option("--token", default="", help="Token to connect there with; - reads it from standard input.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(config: str, connections: int | None, url: str, origin: str, token: str, as_json: bool) -> None:
    """Look at machine, configuration and proxy, and say what to change.

    Each finding is OK, WARN, FAIL, or UNKNOWN for what can not be looked at from here, with what was seen, what
    is needed, and the command that mends it. Exit status: 0 if nothing fails, 1 if something does.
    """
    token = read_token() if token == "-" else token
    plan = Plan(Path(config), connections or 0, url, origin, token)
    findings: list[Finding] = []
    for finding in Checkup(plan, os.environ, Machine(), show_progress).run():
        findings.append(finding)
        if not as_json:
            click.echo("\n".join(lines_of(finding)))
            sys.stdout.flush()
    code = exit_code(findings)
    click.echo(as_text(findings, code) if as_json else f"\n{summary(findings)}")
    raise SystemExit(code)


def show_progress(step: str) -> None:
    """Say on standard error what is being looked at: some steps take seconds."""
    click.echo(f"... {step}", err=True)


def as_text(findings: Sequence[Finding], code: int) -> str:
    """Return the findings for programs."""
    return json.dumps(
        {
            "ok": code == 0,
            "summary": summary(findings),
            "findings": [value_of(finding) for finding in findings],
        },
        indent=2,
    )
