"""``centrifast tail``: follow a channel or a user."""

import json
import os
import sys
import time
from typing import NoReturn

import click

from centrifast.cli.command import fail
from centrifast.cli.live_client import Api, UnavailableError, api_of, api_options
from centrifast.cli.live_text import event_line, printable

USER = "user:"

FIRST_DELAY, LAST_DELAY = 1.0, 15.0
"""Seconds between two attempts to come back; doubled each time."""


@click.command()
@click.argument("what", metavar="CHANNEL|user:ID")
@api_options
@click.option("--channel", is_flag=True, help="What follows is a channel, even if it begins with user:.")
@click.option("--json", "as_json", is_flag=True, help="Print the lines as the server sends them.")
@click.option("--no-payload", is_flag=True, help="Leave payloads out.")
def tail(
    what: str,
    config: str,
    url: str,
    key: str,
    insecure_tls: bool,
    channel: bool,
    as_json: bool,
    no_payload: bool,
) -> None:
    """Follow a channel, or what one user does.

    \b
    centrifast tail chat:room1     publications, joins and leaves of a channel
    centrifast tail user:42        connects, commands, replies, pushes and publications of a user
    centrifast tail user:          the same of users without an id

    The server has to allow it with http_api.tail_enabled.
    """
    request = request_of(what, is_channel=channel) | ({"no_payload": True} if no_payload else {})
    try:
        follow(api_of(config, url, key, insecure_tls=insecure_tls), request, as_json=as_json)
    except UnavailableError as failure:
        fail(printable(str(failure)))
    except KeyboardInterrupt:
        raise SystemExit(0) from None
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # else the interpreter complains at its end
        raise SystemExit(0) from None


def request_of(what: str, *, is_channel: bool) -> dict[str, object]:
    """What the server is asked for."""
    if what.startswith(USER) and not is_channel:
        return {"user": what.removeprefix(USER)}
    return {"channel": what}


def follow(api: Api, request: dict[str, object], *, as_json: bool) -> NoReturn:
    """Print what comes; come back when the stream ends. Raises ``UnavailableError`` when that makes no sense."""
    was_open = False
    delay = FIRST_DELAY
    while True:
        try:
            for line in api.lines("tail", request):
                was_open, delay = True, FIRST_DELAY
                show(line, as_json=as_json)
            reason = f"{api.url} has ended the stream"
        except UnavailableError as failure:
            if not (was_open and failure.is_temporary):
                raise
            reason = str(failure)
        click.echo(f"{printable(reason)}; trying again in {delay:g} s", err=True)
        time.sleep(delay)
        delay = min(2 * delay, LAST_DELAY)


def show(line: bytes, *, as_json: bool) -> None:
    """Print a line of the server's, readable or as it is."""
    if as_json:
        click.echo(line.rstrip(b"\n"))
        return
    try:
        event = json.loads(line)
        text = event_line(event) if event.get("event") != "alive" else ""
    except (ValueError, TypeError, AttributeError, OverflowError):
        text = printable(line.decode(errors="replace").rstrip("\n"))
    if text:
        click.echo(text)
