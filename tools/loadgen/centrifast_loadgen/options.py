"""Options of the command line, in groups that scenarios share. Defaults of a scenario override those here."""

from collections.abc import Callable
from typing import Any

import click

from centrifast_loadgen.settings import DEFAULT_API_URL, DEFAULT_URL, MAX_PAYLOAD, MAX_PROCESSES

NATURAL = click.IntRange(min=0)
POSITIVE = click.IntRange(min=1)
NOT_NEGATIVE = click.FloatRange(min=0)
ABOVE_ZERO = click.FloatRange(min=0.1)
SHARE = click.FloatRange(0, 1)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


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


OPTIONS: dict[str, dict[str, Any]] = {
    "url": {"default": DEFAULT_URL, "help": "WebSocket endpoint."},
    "origin": {"default": "", "help": "Origin header of the handshake."},
    "connections": {"default": 1000, "type": POSITIVE, "help": "Connections to open."},
    "processes": {"default": "auto", "type": ProcessCount(), "help": "Worker processes."},
    "connect-rate": {
        "default": 0.0, "type": NOT_NEGATIVE, "help": "New connections per second; 0: no limit."
    },
    "handshakes": {
        "default": 128, "type": POSITIVE, "help": "Connections being opened at a time, in each process."
    },
    "retry": {
        "default": 0.0, "type": NOT_NEGATIVE,
        "help": "Seconds to try a failed connection again, with growing pauses; 0: never.",
    },
    "protocol": {"default": "json", "type": click.Choice(["json", "protobuf"]), "help": "Encoding."},
    "deflate": {"is_flag": True, "help": "Offer permessage-deflate, without context takeover."},
    "token": {"default": "", "help": "Connection token (JWT), the same for all."},
    "token-secret": {
        "default": "", "envvar": "CENTRIFAST_LOADGEN_TOKEN_SECRET",
        "help": "Sign a token for each connection with this key (HS256).",
    },
    "users": {"default": 0, "type": NATURAL, "help": "Different users of those tokens; 0: one each."},
    "channels": {"default": 1, "type": POSITIVE, "help": "Channels the connections are spread over."},
    "channels-per-connection": {
        "default": 1, "type": POSITIVE, "help": "Subscriptions of each connection."
    },
    "channel-prefix": {"default": "bench", "help": "Channel names are this and a number from 0."},
    "api-url": {"default": DEFAULT_API_URL, "help": "HTTP API; /publish is appended."},
    "api-key": {"default": "", "envvar": "CENTRIFAST_LOADGEN_API_KEY", "help": "Sent as X-API-Key."},
    "rate": {"default": 0.0, "type": NOT_NEGATIVE, "help": "Publications per second; 0: back to back."},
    "messages": {"default": 100, "type": NATURAL, "help": "Publications; 0: only connect."},
    "inflight": {
        "default": 0, "type": NATURAL, "help": "Publications not yet delivered to all; 0: no limit."
    },
    "payload": {
        "default": 100, "type": click.IntRange(32, MAX_PAYLOAD), "help": "Bytes of each publication."
    },
    "duration": {
        "default": 0.0, "type": NOT_NEGATIVE, "help": "Publish for at most this many seconds; 0: no limit."
    },
    "hold": {"default": 0.0, "type": NOT_NEGATIVE, "help": "Seconds of idling before publishing."},
    "pid": {
        "default": 0, "type": NATURAL,
        "help": "Server process: report CPU and memory of it and its children.",
    },
    "connect-timeout": {"default": 30.0, "type": ABOVE_ZERO, "help": "Seconds for one connection."},
    "stall-timeout": {"default": 15.0, "type": ABOVE_ZERO, "help": "Give up after that much silence."},
    "waves": {"default": 3, "type": POSITIVE, "help": "How often all drop and come back."},
    "wave-timeout": {"default": 120.0, "type": ABOVE_ZERO, "help": "Seconds for all to be back."},
    "pause": {"default": 0.0, "type": NOT_NEGATIVE, "help": "Seconds between dropping and coming back."},
    "missed": {"default": 50, "type": NATURAL, "help": "Publications while all are away."},
    "live": {"default": 0, "type": NATURAL, "help": "Publications while all come back."},
    "leave": {"default": 0.5, "type": SHARE, "help": "Share of the clients that leave again."},
    "slow": {"default": 0.1, "type": SHARE, "help": "Share of the clients that do not read."},
    "churn": {
        "default": 10.0, "type": NOT_NEGATIVE, "help": "Connections dropped and opened again per second."
    },
    "no-protocol": {
        "is_flag": True, "help": "Plain WebSocket; publish by POST of the bare text to --api-url."
    },
    "raw-subscribe": {
        "default": "", "metavar": "TEXT", "help": "With --no-protocol: sent after the handshake."
    },
    "json": {
        "is_flag": True, "help": "Print one JSON line instead of the table, and no progress.",
    },
    "report": {
        "default": None, "type": click.Path(dir_okay=False, writable=True),
        "help": "Also write a page with charts, as one HTML file.",
    },
}  # fmt: skip

CONNECTING = [
    "url", "origin", "connections", "processes", "connect-rate", "handshakes", "retry", "protocol", "deflate",
    "token", "token-secret", "users", "connect-timeout",
]  # fmt: skip
CHANNELS = ["channels", "channels-per-connection", "channel-prefix"]
PUBLISHING = ["api-url", "api-key", "rate", "messages", "payload", "stall-timeout"]
OUTPUT = ["hold", "pid", "json", "report"]


def options(*names: str, **defaults: object) -> Decorator:
    """These options, with these defaults in place of the usual ones."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            settings = dict(OPTIONS[name])
            parameter = name.replace("-", "_")
            if parameter in defaults:
                settings["default"] = defaults[parameter]
            declarations = [f"--{name}", "as_json"] if name == "json" else [f"--{name}"]
            function = click.option(*declarations, **settings)(function)
        return function

    return decorate
