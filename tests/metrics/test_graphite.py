"""What Graphite gets, and what happens while it is away; on real sockets."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from centrifast.config.schema_server import GraphiteConfig
from centrifast.metrics.aggregate import Value
from centrifast.metrics.exposition import Row
from centrifast.metrics.graphite import Graphite, lines_of, path_part
from centrifast.metrics.registry import Family, Kind
from tests.fakes import FakeClock
from tests.server.http_peer import until

COUNTER = Family("centrifugo_node_action_count", Kind.COUNTER, "A.", ("action", "channel_namespace"))
LINE = re.compile(rb"(\S+) (\S+) ([0-9]+)\n")


def test_labels_are_parts_of_the_path_or_tags() -> None:
    value = Value("a.b.c", (("path", "/api/publish"), ("version", "1.2 ;~é")), 1.5, False)
    assert (
        lines_of([value], "p.n", 1700000000.9, tags=False)
        == b"p.n.a.b.c.path._api_publish.version.1_2____ 1.5 1700000000\n"
    )
    assert lines_of([value], "p.n", 1.0, tags=True) == b"p.n.a.b.c;path=/api/publish;version=1.2____ 1.5 1\n"


@pytest.mark.parametrize(
    ("number", "written"), [(0, b"0"), (3.0, b"3"), (0.25, b"0.25"), (1e20, b"1" + b"0" * 20), (100, b"100")]
)
def test_numbers_have_no_exponent(number: float, written: bytes) -> None:
    assert lines_of([Value("a", (), number, False)], "p", 1, tags=False) == b"p.a %b 1\n" % written


def test_the_name_of_a_node_is_one_part() -> None:
    assert path_part("host.example.org_8000") == "host_example_org_8000"


class Carbon:
    """A Graphite that takes lines; each push is one connection."""

    def __init__(self) -> None:
        self.pushes: asyncio.Queue[bytes] = asyncio.Queue()

    async def on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pushes.put_nowait(await reader.read())
        writer.close()


class World:
    """A pusher with its clock, and what it counts."""

    def __init__(self, config: GraphiteConfig) -> None:
        self.clock = FakeClock(1_700_000_000)
        self.total = 0
        self.graphite = Graphite(config, "node.1", self.collect, self.clock)
        self.graphite.start()

    def collect(self) -> list[tuple[Family, list[Row]]]:
        return [(COUNTER, [Row(self.total, ("history", ""))])]


@asynccontextmanager
async def carbon(port: int = 0) -> AsyncIterator[tuple[Carbon, int]]:
    taker = Carbon()
    server = await asyncio.start_server(taker.on_connection, "127.0.0.1", port)
    async with server:
        yield taker, server.sockets[0].getsockname()[1]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scenario()

    asyncio.run(whole())


CONFIG = GraphiteConfig(enabled=True, host="127.0.0.1", interval=10.0)


def test_every_interval_is_a_push_of_what_was_added() -> None:
    async def scenario() -> None:
        async with carbon() as (taker, port):
            world = World(replace(CONFIG, port=port))
            name = b"centrifugo.node_1.centrifugo.node.action_count.action.history"
            for total, added, time in ((3, b"3", b"1700000010"), (5, b"2", b"1700000020")):
                world.total = total
                world.clock.advance(10.0)
                assert LINE.findall(await taker.pushes.get()) == [(name, added, time)]
            await world.graphite.close()

    run(scenario)


def test_graphite_is_found_again_and_its_loss_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with carbon() as (_, port):
            pass
        world = World(replace(CONFIG, port=port))
        for _ in range(3):
            world.clock.advance(10.0)
            await until(lambda: world.graphite._push is None)
        async with carbon(port) as (taker, _):
            world.clock.advance(10.0)
            assert LINE.findall(await taker.pushes.get())
            await until(lambda: world.graphite._push is None)
        await world.graphite.close()

    with caplog.at_level(logging.INFO):
        run(scenario)
    assert [record.getMessage() for record in caplog.records if "Graphite" in record.getMessage()] == [
        "metrics are not taken by Graphite",
        "metrics are taken by Graphite again",
    ]


def test_a_push_that_hangs_is_not_followed_by_another_and_ends_with_the_server() -> None:
    async def scenario() -> None:
        released = asyncio.Event()

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await released.wait()
            writer.close()

        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        async with server:
            world = World(replace(CONFIG, port=server.sockets[0].getsockname()[1]))
            world.clock.advance(10.0)
            push = world.graphite._push
            world.clock.advance(10.0)
            assert world.graphite._push is push
            await world.graphite.close()
            assert world.graphite._push is None
            released.set()

    run(scenario)
