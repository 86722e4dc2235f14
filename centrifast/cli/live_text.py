"""How ``tail`` and ``top`` write what they show: sizes, durations, and one readable line for each event. Pure."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any

import click

Event = Mapping[str, Any]

COLOURS = {
    "publication": "green",
    "push": "cyan",
    "join": "blue",
    "leave": "blue",
    "connect": "magenta",
    "disconnect": "magenta",
    "command": "yellow",
    "reply": "yellow",
    "lost": "red",
    "end": "red",
}


def printable(text: str) -> str:
    """*text* without what a terminal would obey: a payload may hold anything."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)


def size_text(size: float) -> str:
    """Bytes in at most four digits: ``14 B``, ``1.2 KiB``, ``310 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1000 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"


def count_text(number: float) -> str:
    """A number in at most five characters: ``7``, ``0.4``, ``12.3k``, ``4.1M``."""
    for unit in ("", "k", "M", "G"):
        if abs(number) < 999.5 or unit == "G":
            break
        number /= 1000
    digits = f"{number:.1f}" if abs(number) < 99.95 else f"{number:.0f}"
    return digits.removesuffix(".0") + unit


def duration_text(seconds: float) -> str:
    """``850 µs``, ``1.2 ms``, ``3.4 s``."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms" if seconds < 0.01 else f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.1f} s"


def event_line(event: Event, zone: tzinfo | None = None) -> str:
    """One event, with colours; the time in *zone*, by default the machine's."""
    name = str(event.get("event", ""))
    time = datetime.fromtimestamp(float(event.get("time", 0)), zone).strftime("%H:%M:%S.%f")[:-3]
    write = WRITERS.get(name, other)
    parts = [part for part in write(event) if part]
    colour = "red" if "error" in event else COLOURS.get(name)
    label = click.style(f"{printable(name):<11}", fg=colour)
    return f"{click.style(time, dim=True)}  {label}  {printable(' '.join(parts))}"


def opened(event: Event) -> list[str]:
    """What is watched."""
    if "channel" in event:
        return ["channel", str(event["channel"])]
    return ["user", str(event.get("user") or "(anonymous)")]


def publication(event: Event) -> list[str]:
    """Where, which, how large, by whom, what."""
    offset = f"#{event['offset']}" if "offset" in event else ""
    author = f"by {event.get('user') or event['client']}" if "client" in event else ""
    tags = f"tags {compact(event['tags'])}" if "tags" in event else ""
    return [
        str(event.get("channel")),
        offset,
        size_text(event.get("size", 0)),
        author,
        payload(event, "data"),
        tags,
    ]


def member(event: Event) -> list[str]:
    """Where and who."""
    who = ["user", str(event.get("user") or "(anonymous)"), "client", str(event.get("client"))]
    return [str(event.get("channel")), *who, payload(event, "conn_info"), payload(event, "chan_info")]


def connected(event: Event) -> list[str]:
    """Which connection, from where."""
    return ["client", str(event.get("client")), "from", str(event.get("address")), str(event.get("encoding"))]


def disconnected(event: Event) -> list[str]:
    """Which connection, and why."""
    return ["client", str(event.get("client")), str(event.get("code")), str(event.get("reason"))]


def command(event: Event) -> list[str]:
    """Who asks for what."""
    return [*subject(event), compact(event["request"]) if "request" in event else ""]


def reply(event: Event) -> list[str]:
    """How it went, and how long that took."""
    error = event.get("error")
    outcome = f"error {error.get('code')} {error.get('message')}" if isinstance(error, dict) else ""
    took = duration_text(event["duration_ms"] / 1000) if "duration_ms" in event else ""
    result = compact(event["result"]) if "result" in event else ""
    return [*subject(event), outcome, took, size_text(event.get("size", 0)), result]


def push(event: Event) -> list[str]:
    """What the client is told."""
    what = compact(event["push"]) if "push" in event else ""
    kind, channel = str(event.get("kind")), str(event.get("channel"))
    return [short(event), kind, channel, size_text(event.get("size", 0)), what]


def lost(event: Event) -> list[str]:
    """How much is missing, and whose fault it is."""
    return [f"{event.get('lost')} lines: this end reads too slowly"]


def ended(event: Event) -> list[str]:
    """Why nothing follows."""
    return [str(event.get("reason"))]


def other(event: Event) -> list[str]:
    """What a later server may send."""
    return [compact({name: value for name, value in event.items() if name not in ("time", "event")})]


WRITERS: Mapping[str, Callable[[Event], list[str]]] = {
    "open": opened,
    "publication": publication,
    "join": member,
    "leave": member,
    "connect": connected,
    "disconnect": disconnected,
    "command": command,
    "reply": reply,
    "push": push,
    "lost": lost,
    "end": ended,
}


def subject(event: Event) -> list[str]:
    """Which connection, which of its commands, what it is about."""
    number = f"#{event['id']}" if event.get("id") else ""
    return [short(event), number, str(event.get("method", "")), str(event.get("channel", ""))]


def short(event: Event) -> str:
    """Enough of a client id to tell a user's few connections apart."""
    return f"[{str(event.get('client'))[:8]}]"


def payload(event: Event, name: str) -> str:
    """A payload in whichever form it is there."""
    if name in event:
        return compact(event[name])
    if f"b64{name}" in event:
        return f"base64 {event[f'b64{name}']}"
    if f"{name}_cut" in event:
        return f"{event[f'{name}_cut']}… ({size_text(event.get(f'{name}_size', 0))})"
    if f"b64{name}_cut" in event:
        return f"base64 {event[f'b64{name}_cut']}… ({size_text(event.get(f'{name}_size', 0))})"
    return ""


def compact(value: object) -> str:
    """JSON on one line, in letters rather than escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
