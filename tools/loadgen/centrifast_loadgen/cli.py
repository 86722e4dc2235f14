"""Command line: options to Settings, report to standard output, progress to standard error."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from centrifast_loadgen import compare
from centrifast_loadgen.options import CHANNELS, CONNECTING, OUTPUT, PUBLISHING, options
from centrifast_loadgen.page import render
from centrifast_loadgen.run import Outcome, WorkerDied, perform
from centrifast_loadgen.settings import Protocol, Scenario, Settings, SettingsError

PLAIN_INTERVAL = 5.0  # seconds between lines of progress where nobody sees them overwritten
INTERRUPTED = 130  # exit code, as of a program that SIGINT ended
CONTEXT = {"help_option_names": ["-h", "--help"], "show_default": True}


class DefaultsToFanout(click.Group):
    """Without a scenario it is fanout; ``--compare`` is short for the command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put in the command that is meant."""
        if args[:1] == ["--compare"]:
            args = ["compare", *args[1:]]
        elif not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["fanout", *args]
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of fanout, as they need no command."""
        command = self.commands["fanout"]
        formatter.write_paragraph()
        formatter.write_text("Without a scenario the options are those of fanout:")
        command.format_options(click.Context(command, info_name="fanout", parent=ctx), formatter)


@click.group(cls=DefaultsToFanout, context_settings=CONTEXT)
def main() -> None:
    """Load a real-time messaging server: open WebSocket connections, subscribe, publish, count deliveries.

    Exit code 1 when a connection failed or was closed, a publish failed, or a delivery was lost, doubled or out of
    order; 130 when the run was interrupted. Figures of two runs, each printed with --json into a file, side by side:
    --compare A.json B.json.
    """


@main.command(context_settings=CONTEXT)
@options(*CONNECTING, *CHANNELS, *PUBLISHING, "inflight", "duration", "no-protocol", "raw-subscribe", *OUTPUT)
def fanout(no_protocol: bool, protocol: str, **given: Any) -> None:
    """Publish to many subscribers (the default)."""
    start(Scenario.FANOUT, "raw" if no_protocol else protocol, **given)


@main.command(context_settings=CONTEXT)
@options(
    *CONNECTING, *CHANNELS, *PUBLISHING, "inflight", "duration", *OUTPUT,
    channels=1000, channels_per_connection=10, messages=10_000,
)  # fmt: skip
def channels(**given: Any) -> None:
    """Many small channels, publications spread over them."""
    start(Scenario.CHANNELS, **given)


@main.command(context_settings=CONTEXT)
@options(
    *CONNECTING, *CHANNELS, *PUBLISHING, "waves", "wave-timeout", "pause", *OUTPUT, messages=1, retry=60.0
)
def storm(**given: Any) -> None:
    """All drop at once and come back, in waves."""
    start(Scenario.STORM, **given)


@main.command(context_settings=CONTEXT)
@options(
    *CONNECTING, *CHANNELS, *PUBLISHING, "missed", "live", "pause", "wave-timeout", *OUTPUT,
    messages=1, retry=60.0,
)  # fmt: skip
def recover(**given: Any) -> None:
    """All drop, miss publications, come back and recover exactly those."""
    start(Scenario.RECOVER, **given)


@main.command(context_settings=CONTEXT)
@options(*CONNECTING, "channel-prefix", *PUBLISHING, "leave", *OUTPUT, connections=500, messages=1)
def presence(**given: Any) -> None:
    """Enter one channel with presence, join and leave."""
    start(Scenario.PRESENCE, **given)


@main.command(context_settings=CONTEXT)
@options(
    *CONNECTING, *CHANNELS, *PUBLISHING, "inflight", "duration", "slow", *OUTPUT,
    messages=2000, payload=2000, rate=200.0,
)  # fmt: skip
def slow(**given: Any) -> None:
    """Some clients do not read; what do the others notice?"""
    start(Scenario.SLOW, **given)


@main.command(context_settings=CONTEXT)
@options(
    *CONNECTING, *CHANNELS, *PUBLISHING, "duration", "churn", *OUTPUT,
    channels=100, channels_per_connection=5, messages=10**9, rate=50.0, duration=3600.0, retry=60.0,
)  # fmt: skip
def soak(**given: Any) -> None:
    """Connections, churn and publications for hours."""
    start(Scenario.SOAK, **given)


@main.command("compare", context_settings=CONTEXT)
@click.argument("first", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("second", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def compare_command(first: Path, second: Path) -> None:
    """Figures of two runs side by side, with ratios."""
    try:
        mine, other = compare.load(first.read_text()), compare.load(second.read_text())
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(compare.as_table(mine, other, (first.name, second.name)))


def start(
    scenario: Scenario, protocol: str, as_json: bool = False, report: str | None = None, **given: Any
) -> None:
    """Run, print, write, and end the program."""
    try:
        settings = Settings(scenario=scenario, protocol=Protocol(protocol), **given)
        outcome = perform(settings, silent if as_json else progress_printer())
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    except WorkerDied as error:
        raise click.ClickException(str(error)) from error
    if not as_json and sys.stderr.isatty():
        overwrite("")
    figures = outcome.report
    click.echo(json.dumps(as_dict(outcome)) if as_json else figures.as_table())
    if report is not None:
        write(report, outcome)
    sys.exit(INTERRUPTED if figures.interrupted else 0 if figures.complete else 1)


def as_dict(outcome: Outcome) -> dict[str, object]:
    """The JSON line: the figures, and with what settings they were reached."""
    return {**outcome.report.as_dict(), "settings": outcome.settings.as_dict()}


def write(path: str, outcome: Outcome) -> None:
    """Write the page. An error ends the program, after the table was shown."""
    try:
        Path(path).write_text(render(outcome))
    except OSError as error:
        raise click.ClickException(f"--report {path}: {error.strerror}") from error


def silent(text: str) -> None:
    """No progress."""


def overwrite(text: str) -> None:
    """Replace the progress line."""
    click.echo(f"\r\x1b[K{text}", err=True, nl=False)


def progress_printer() -> Callable[[str], None]:
    """Overwrites one line on a terminal; elsewhere prints a line now and then."""
    if sys.stderr.isatty():
        return overwrite
    due = time.monotonic() + PLAIN_INTERVAL

    def print_line(text: str) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + PLAIN_INTERVAL
            click.echo(text, err=True)

    return print_line
