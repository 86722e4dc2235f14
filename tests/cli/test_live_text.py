"""What people read: sizes, numbers, durations, and a line for each event."""

from datetime import UTC
from typing import Any

import click
import pytest

from centrifast.cli.live_text import count_text, duration_text, event_line, printable, size_text

TIME = 1_700_000_000.1239
ID = "8f14e45f-ceea-4167-a5c3-5d1d3f0a0001"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (14, "14 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (310 * 1024**2, "310 MiB"),
        (2.5 * 1024**3, "2.5 GiB"),
        (2000 * 1024**4, "2000 TiB"),
    ],
)
def test_sizes(size: float, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.44, "0.4"),
        (7, "7"),
        (99.9, "99.9"),
        (250, "250"),
        (999.6, "1k"),
        (12_345, "12.3k"),
        (4_120_000, "4.1M"),
        (7e12, "7000G"),
    ],
)
def test_numbers(number: float, text: str) -> None:
    assert count_text(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 µs"), (0.00085, "850 µs"), (0.0012, "1.2 ms"), (0.034, "34 ms"), (3.41, "3.4 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_nothing_reaches_the_terminal_that_it_would_obey() -> None:
    assert printable("häßlich 🙂") == "häßlich 🙂"
    assert printable("a\x1b[2Jb\u202ec\x9b\n") == "a\\u001b[2Jb\\u202ec\\u009b\\u000a"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"event": "open", "channel": "news"}, "open         channel news"),
        ({"event": "open", "user": ""}, "open         user (anonymous)"),
        (
            {
                **{"event": "publication", "channel": "news", "offset": 3, "epoch": "abcd", "size": 14},
                **{"user": "42", "client": ID, "data": {"text": "hä"}, "tags": {"lang": "en"}},
            },
            'publication  news #3 14 B by 42 {"text":"hä"} tags {"lang":"en"}',
        ),
        (
            {"event": "publication", "channel": "news", "size": 2, "client": ID, "b64data": "/wA="},
            f"publication  news 2 B by {ID} base64 /wA=",
        ),
        (
            {"event": "publication", "channel": "news", "size": 9000, "data_cut": "abc", "data_size": 9000},
            "publication  news 8.8 KiB abc… (8.8 KiB)",
        ),
        (
            {"event": "publication", "channel": "news", "size": 9000, "b64data_cut": "/w", "data_size": 9000},
            "publication  news 8.8 KiB base64 /w… (8.8 KiB)",
        ),
        (
            {"event": "join", "channel": "news", "user": "", "client": ID, "conn_info": {"a": 1}},
            f'join         news user (anonymous) client {ID} {{"a":1}}',
        ),
        (
            {"event": "leave", "channel": "news", "user": "42", "client": ID},
            f"leave        news user 42 client {ID}",
        ),
        (
            {"event": "connect", "client": ID, "address": "192.0.2.1:5", "encoding": "json"},
            f"connect      client {ID} from 192.0.2.1:5 json",
        ),
        (
            {"event": "disconnect", "client": ID, "code": 3001, "reason": "shutdown"},
            f"disconnect   client {ID} 3001 shutdown",
        ),
        (
            {
                "event": "command",
                "client": ID,
                "id": 2,
                "method": "publish",
                "channel": "news",
                "request": {},
            },
            "command      [8f14e45f] #2 publish news {}",
        ),
        ({"event": "command", "client": ID, "id": 0, "method": "send"}, "command      [8f14e45f] send"),
        (
            {
                "event": "reply",
                "client": ID,
                "id": 2,
                "method": "rpc",
                "duration_ms": 1.2,
                "size": 9,
                "result": {},
            },
            "reply        [8f14e45f] #2 rpc 1.2 ms 9 B {}",
        ),
        (
            {"event": "reply", "client": ID, "id": 2, "size": 9, "error": {"code": 103, "message": "denied"}},
            "reply        [8f14e45f] #2 error 103 denied 9 B",
        ),
        (
            {
                "event": "push",
                "client": ID,
                "kind": "unsubscribe",
                "channel": "news",
                "size": 9,
                "push": {"code": 1},
            },
            'push         [8f14e45f] unsubscribe news 9 B {"code":1}',
        ),
        ({"event": "lost", "lost": 12}, "lost         12 lines: this end reads too slowly"),
        ({"event": "end", "reason": "the server stops"}, "end          the server stops"),
        ({"event": "later", "a": "\x1b[2J"}, 'later        {"a":"\\u001b[2J"}'),
    ],
)
def test_events_to_the_letter(event: dict[str, Any], text: str) -> None:
    line = event_line({"time": TIME, **event}, UTC)
    assert click.unstyle(line) == f"22:13:20.123  {text}"
    assert line != click.unstyle(line)


def test_a_channel_can_not_paint_the_terminal() -> None:
    line = event_line({"time": TIME, "event": "publication", "channel": "\x1b[2J", "data": "\x9b2J"}, UTC)
    assert "\\u001b[2J" in line
    assert "\\u009b2J" in line
