"""The picture to the letter, on terminals of every size."""

from datetime import UTC

import pytest

from centrifast.cli.top_numbers import Meter, View
from centrifast.cli.top_view import ASCII_BARS, Line, frame, shortened, sparkline
from tests.cli.snapshots import NOTHING, later, node

URL = "http://127.0.0.1:8000/api"
SLOW = [
    {"client": "8f14e45f-ceea-4167-a5c3-5d1d3f0a0001", "user": "42", "bytes": 1_200_000},
    {"client": "8f14e45f-ceea-4167-a5c3-5d1d3f0a0002", "user": "", "bytes": 900},
]

WIDE = """\
centrifast 0.1.0  http://127.0.0.1:8000/api  1 process                                                          22:13:22
connections 12.3k   users 11.8k   channels 1.2k   subscriptions 48.1k
messages out          182k/s      17 MiB/s   ▄█
messages in           1.2k/s     310 KiB/s   ▁█
publications            90/s                 ▁█
queued             1.1 MiB for clients, 7 to be written, 3 disconnected as slow
latency                  p50      p99    p99.9
publish to socket     120 µs   1.1 ms   3.2 ms
client command         80 µs   900 µs   2.0 ms
API command           200 µs   1.5 ms    12 ms
loop lag               50 µs   2.1 ms    34 ms

PROCESS                   CONNS  USERS  CHANS   SUBS  OUT/S   IN/S  PUB/S   CPU   MEMORY   QUEUED  LAG p99          FDS
web-1                     12.3k  11.8k   1.2k  48.1k   182k   1.2k     90   63%  310 MiB  1.1 MiB   2.1 ms  12.3k/65.5k

SLOW CLIENT                              QUEUED  USER
8f14e45f-ceea-4167-a5c3-5d1d3f0a0001    1.1 MiB  42
8f14e45f-ceea-4167-a5c3-5d1d3f0a0002      900 B  (anonymous)
q quits"""

NARROW = """\
centrifast 0.1.0  http://127.0.0.1:8000/
connections 12.3k   users 11.8k   channe
messages out          182k/s      17 MiB
messages in           1.2k/s     310 KiB
publications            90/s
queued             1.1 MiB for clients,
latency                  p50      p99
publish to socket     120 µs   1.1 ms
client command         80 µs   900 µs
API command           200 µs   1.5 ms
loop lag               50 µs   2.1 ms

PROCESS                   CONNS  OUT/S
web-1                     12.3k   182k"""


def view(*, slow: bool = True) -> View:
    """One process, three seconds long."""
    meter = Meter()
    meter.read([first := node(messages_received=0)])
    meter.read([second := later(first, messages_sent=91_000)])
    more = {"messages_sent": 182_000, "bytes_sent": 18_245_000, "messages_received": 1200, "publications": 90}
    third = later(second, bytes_received=317_440, cpu_seconds=0.63, **more)
    return meter.read([{**third, "slow": SLOW if slow else []}])


def text(lines: list[Line]) -> str:
    return "\n".join(line.text for line in lines)


def test_a_wide_terminal() -> None:
    lines = frame(view(), URL, 120, zone=UTC, note="q quits")
    assert text(lines) == WIDE
    assert [line.text.split()[0] for line in lines if line.heading] == [
        "centrifast",
        "latency",
        "PROCESS",
        "SLOW",
    ]


def test_a_narrow_terminal() -> None:
    assert text(frame(view(slow=False), URL, 40, zone=UTC)) == NARROW


@pytest.mark.parametrize("width", [1, 20, 40, 80, 120, 300])
@pytest.mark.parametrize("height", [1, 2, 12, 14, 16, 18, 100])
def test_nothing_is_larger_than_the_terminal(width: int, height: int) -> None:
    lines = frame(view(), URL, width, height, zone=UTC, note="q quits")
    assert len(lines) <= height
    assert all(len(line.text) <= width for line in lines)
    assert lines[-1].text == {1: "u"}.get(width, "q quits") or height < 3


def test_two_processes_have_a_sum() -> None:
    meter = Meter()
    other = node("u2", name="a-very-long-name-of-a-process", open_descriptors=-1, loop_lag=NOTHING)
    nodes = [node(), other]
    meter.read(nodes)
    seen = meter.read([later(one, publications=5, cpu_seconds=2) for one in nodes])
    lines = text(frame(seen, URL, 100, zone=UTC))
    assert "  2 processes " in lines
    assert lines.split("\n")[13:] == [
        "a-very-long-name-of-a-p…  12.3k  11.8k   1.2k  48.1k      0      0      5  200%  310 MiB        -",
        "web-1                     12.3k  11.8k   1.2k  48.1k      0      0      5  200%  310 MiB   2.1 ms",
        "sum                       24.6k  23.6k   2.4k  96.2k      0      0     10  400%  620 MiB   2.1 ms",
    ]
    assert text(frame(meter.read([other]), URL, 120, zone=UTC)).endswith("        -      ?/65.5k")


def test_what_is_not_known_yet_is_a_dash() -> None:
    lines = text(frame(Meter().read([node(publish_to_socket=NOTHING)]), URL, 120, zone=UTC)).split("\n")
    assert lines[2] == "messages out             -/s           -/s"
    assert lines[7] == "publish to socket          -        -        -"
    assert "      -      -      -     -  310 MiB" in lines[13]


def test_sparklines() -> None:
    assert sparkline([0, 1, 4, 8, None, 2], 10) == "▁▁▄█ ▂"
    assert sparkline([0, 1, 4, 8], 2) == "▄█"
    assert sparkline([0, 0], 10) == "▁▁"
    assert sparkline([5.0], 0) == ""
    assert sparkline([None], 5) == " "
    assert sparkline([0, 1, 4, 8], 9, ASCII_BARS) == "__=#"


def test_names_can_not_paint_the_terminal() -> None:
    slow = [{"client": "c", "user": "\x1b[2J", "bytes": 1}]
    lines = text(
        frame(Meter().read([node(name="\x1b[2J", version="\x1b", slow=slow)]), "\x1b", 120, zone=UTC)
    )
    assert "\x1b" not in lines


def test_shortened() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"
