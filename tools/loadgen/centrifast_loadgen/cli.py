"""Command line: options to Settings, report to standard output, progress to standard error."""

import json
import sys

import click

from centrifast_loadgen.run import WorkerDied, execute
from centrifast_loadgen.settings import (
    DEFAULT_API_URL,
    DEFAULT_URL,
    MAX_PAYLOAD,
    MAX_PROCESSES,
    Protocol,
    Settings,
    SettingsError,
)

NATURAL = click.IntRange(min=0)
POSITIVE = click.IntRange(min=1)
NOT_NEGATIVE = click.FloatRange(min=0)


class ProcessCount(click.ParamType[int]):
    """A number of processes, or ``auto``."""

    name = "auto|N"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """0 for auto."""
        if value in ("auto", 0):
            return 0
        try:
            count = int(value)
        except ValueError:
            count = 0
        if not 1 <= count <= MAX_PROCESSES:
            self.fail(f"{value!r} is neither auto nor a number from 1 to {MAX_PROCESSES}", param, ctx)
        return count


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--url", default=DEFAULT_URL, help="WebSocket endpoint.")
@click.option("--connections", default=1000, type=POSITIVE, help="Connections to open.")
@click.option("--processes", default="auto", type=ProcessCount(), help="Worker processes.")
@click.option(
    "--connect-rate", default=0.0, type=NOT_NEGATIVE, help="New connections per second; 0: no limit."
)
@click.option("--channels", default=1, type=POSITIVE, help="Channels the connections are spread over.")
@click.option("--channels-per-connection", default=1, type=POSITIVE, help="Subscriptions of each connection.")
@click.option("--channel-prefix", default="bench", help="Channel names are this and a number from 0.")
@click.option("--protocol", default="json", type=click.Choice(["json", "protobuf"]), help="Encoding.")
@click.option("--token", default="", help="Connection token (JWT).")
@click.option("--api-url", default=DEFAULT_API_URL, help="HTTP API; /publish is appended.")
@click.option("--api-key", default="", envvar="CENTRIFAST_LOADGEN_API_KEY", help="Sent as X-API-Key.")
@click.option("--rate", default=0.0, type=NOT_NEGATIVE, help="Publications per second; 0: back to back.")
@click.option("--messages", default=100, type=NATURAL, help="Publications; 0: only connect.")
@click.option(
    "--inflight", default=0, type=NATURAL, help="Publications not yet delivered to all; 0: no limit."
)
@click.option(
    "--payload", default=100, type=click.IntRange(32, MAX_PAYLOAD), help="Bytes of each publication."
)
@click.option(
    "--duration", default=0.0, type=NOT_NEGATIVE, help="Publish for at most this many seconds; 0: no limit."
)
@click.option("--hold", default=0.0, type=NOT_NEGATIVE, help="Seconds of idling before publishing.")
@click.option(
    "--pid", default=0, type=NATURAL, help="Server process: report CPU and memory of it and its children."
)
@click.option(
    "--no-protocol", is_flag=True, help="Plain WebSocket; publish by POST of the bare text to --api-url."
)
@click.option(
    "--raw-subscribe", default="", metavar="TEXT", help="With --no-protocol: sent after the handshake."
)
@click.option(
    "--connect-timeout", default=30.0, type=click.FloatRange(min=0.1), help="Seconds for one connection."
)
@click.option(
    "--stall-timeout", default=15.0, type=click.FloatRange(min=0.1), help="Give up after that much silence."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON line instead of the table, and no progress."
)
def main(no_protocol: bool, as_json: bool, protocol: str, **options: object) -> None:
    """Load a real-time messaging server: open WebSocket connections, subscribe, publish, count deliveries.

    Exit code 1 when a connection failed or was closed, a publish failed, or a delivery was lost or doubled.
    """
    try:
        kind = Protocol.RAW if no_protocol else Protocol(protocol)
        settings = Settings(protocol=kind, **options)  # type: ignore[arg-type]  # click has converted them
        report = execute(settings, (lambda text: None) if as_json else show_progress)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    except WorkerDied as error:
        raise click.ClickException(str(error)) from error
    if not as_json:
        show_progress("")
    click.echo(json.dumps(report.as_dict()) if as_json else report.as_table())
    sys.exit(0 if report.complete else 1)


def show_progress(text: str) -> None:
    """Overwrite the progress line, when somebody watches."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", err=True, nl=False)
