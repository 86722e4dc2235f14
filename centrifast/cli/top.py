"""``centrifast top``: a server at work, in a terminal."""

import json
import sys
import time
from collections.abc import Callable, Sequence

import click

from centrifast.cli.command import fail
from centrifast.cli.live_client import Api, UnavailableError, api_of, api_options
from centrifast.cli.live_text import printable
from centrifast.cli.terminal import Screen, is_terminal
from centrifast.cli.top_numbers import Meter, View
from centrifast.cli.top_view import ASCII_BARS, BARS, Line, frame

MOST_SLOW = 10
ONCE_WIDTH = 120
HELP = "q quits, space pauses"


@click.command()
@api_options
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--once", is_flag=True, help="Print one picture as text; takes one interval, for the rates.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers once, as the API answers them.")
def top(
    config: str, url: str, key: str, insecure_tls: bool, interval: float, once: bool, as_json: bool
) -> None:
    """Watch a server work: connections, rates, latencies, slow clients, memory.

    Keys: q quits, space pauses.
    """
    try:
        api = api_of(config, url, key, insecure_tls=insecure_tls)
        if as_json:
            click.echo(json.dumps(api.call("stats", {"slow": MOST_SLOW})))
        elif once:
            click.echo(picture_of(api, interval))
        elif is_terminal():
            watch(api, interval)
        else:
            fail("this is no terminal: --once prints a picture, --json the numbers")
    except UnavailableError as failure:
        fail(printable(str(failure)))
    except KeyboardInterrupt:
        raise SystemExit(0) from None


def view_of(api: Api, meter: Meter) -> View:
    """Ask, and reckon. Raises ``UnavailableError``."""
    answer = api.call("stats", {"slow": MOST_SLOW})
    try:
        return meter.read(answer["nodes"], most_slow=MOST_SLOW)
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise UnavailableError(f"{api.url} answers stats in another way; is it of this version?") from wrong


def picture_of(api: Api, interval: float, sleep: Callable[[float], None] = time.sleep) -> str:
    """One picture, from two looks. Raises ``UnavailableError``."""
    meter = Meter(interval)
    view_of(api, meter)
    sleep(interval)
    lines = frame(view_of(api, meter), api.url, ONCE_WIDTH, bars=bars())
    return "\n".join(line.text for line in lines)


def watch(api: Api, interval: float) -> None:
    """Draw until q is pressed. Raises ``UnavailableError`` if the server was never there, or refuses."""
    meter = Meter(interval)
    view = view_of(api, meter)
    with Screen() as screen:
        note, paused = HELP, False
        next_look = time.monotonic() + interval
        while True:
            width, height = screen.size
            screen.draw(painted(frame(view, api.url, width, height, bars=bars(), note=note)))
            key = screen.key(3600 if paused else next_look - time.monotonic())
            if key in ("q", "Q"):
                return
            if key == " ":
                paused = not paused
                note = "paused; space goes on" if paused else HELP
            if paused or time.monotonic() < next_look:
                continue
            next_look = time.monotonic() + interval
            try:
                view, note = view_of(api, meter), HELP
            except UnavailableError as failure:
                if not failure.is_temporary:
                    raise
                note = printable(str(failure))


def painted(lines: Sequence[Line]) -> list[str]:
    """Lines as the terminal gets them."""
    return [click.style(line.text, bold=True) if line.heading else line.text for line in lines]


def bars() -> str:
    """Bars that standard output can show."""
    try:
        BARS.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return ASCII_BARS
    return BARS
