"""``centrifast token explain``: why a token is accepted or refused, claim by claim."""

import asyncio
import json
import sys
from collections.abc import Sequence

import click

from centrifast.cli.command import config_option, fail, read_config
from centrifast.doctor.report import lines_of, value_of
from centrifast.doctor.token import Explanation, Question, explain
from centrifast.doctor.token_claims import Kind, Line
from centrifast.doctor.token_rules import Expected
from centrifast.limits import MIB

TOKEN_SIZE = 1 * MIB
"""Characters read from standard input; a token has a few hundred."""


@click.group("token")
def token_group() -> None:
    """Look into tokens."""


@token_group.command("explain")
@config_option
@click.option("--subscription", is_flag=True, help="Explain it as a subscription token.")
@click.option("--channel", help="The channel that a subscription token must be for.")
@click.option("--client", help="The client id that a subscription token may be bound to.")
@click.option("--user", help="The user that a subscription token must be for.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.argument("token")
def explain_token(
    config: str,
    subscription: bool,
    channel: str | None,
    client: str | None,
    user: str | None,
    as_json: bool,
    token: str,
) -> None:
    """Say claim by claim what TOKEN means, which checks pass, and why others fail.

    With - the token is read from standard input and stays out of the shell's history. Exit status: 0 if the
    server would accept the token, 1 if not. Secrets are never shown.
    """
    loaded = read_config(config)
    for warning in loaded.warnings:
        click.echo(warning, err=True)
    wanted = Expected(channel, client, user)
    kind = Kind.SUBSCRIPTION if subscription or wanted != Expected() else Kind.CONNECTION
    text = read_token() if token == "-" else token.strip()
    explanation = asyncio.run(explain(Question(text, kind, loaded.config, wanted)))
    if as_json:
        click.echo(json.dumps(values_of(explanation), indent=2))
    else:
        click.echo("\n".join(text_lines(explanation)))
    raise SystemExit(0 if explanation.accepted else 1)


def read_token() -> str:
    """Read standard input; blanks at the ends are the shell's, not the token's."""
    data = sys.stdin.buffer.read(TOKEN_SIZE + 1)
    if len(data) > TOKEN_SIZE:
        fail(f"error: more than {TOKEN_SIZE} bytes on standard input are no token")
    return data.decode("utf-8", "replace").strip()


def text_lines(explanation: Explanation) -> list[str]:
    """Return the explanation for people."""
    lines: list[str] = []
    for title, members in (("header", explanation.header), ("claims", explanation.claims)):
        if members:
            lines += [title, *table(members), ""]
    lines.append("checks")
    for finding in explanation.findings:
        lines += (f"  {line}" for line in lines_of(finding))
    return [*lines, "", f"{explanation.kind.value} token {explanation.verdict}"]


def table(members: Sequence[Line]) -> list[str]:
    """Align names and values."""
    names = max(len(member.name) for member in members)
    width = min(40, max(len(member.value) for member in members))
    return [
        f"  {member.name:<{names}}  {member.value:<{width}}  {member.meaning}".rstrip() for member in members
    ]


def values_of(explanation: Explanation) -> dict[str, object]:
    """Return the explanation for programs."""
    return {
        "accepted": explanation.accepted,
        "verdict": explanation.verdict,
        "kind": explanation.kind.value,
        "header": [value_of_line(line) for line in explanation.header],
        "claims": [value_of_line(line) for line in explanation.claims],
        "checks": [value_of(finding) for finding in explanation.findings],
    }


def value_of_line(line: Line) -> dict[str, str]:
    """Return a member for programs; its value is JSON as written in the token, shortened."""
    return {"name": line.name, "value": line.value, "meaning": line.meaning}
