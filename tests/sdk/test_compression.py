"""permessage-deflate (RFC 7692) with the client libraries, which offer it by themselves, and with others beside."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from tests.raw_websocket import RSV1, RawWebSocket
from tests.sdk.cable import Cable
from tests.sdk.conftest import SHARED_CONFIG, Launch, LaunchAll, StartServer, clean_server, publish_all
from tests.server_process import ServerProcess, merged

LARGE = 60 * 1024
CHANGES = {"websocket": {"compression": True, "compression_level": 6}}


@pytest.fixture(scope="module")
def deflating_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A daemon that deflates for all who want it."""
    with clean_server(tmp_path_factory.mktemp("deflating"), merged(SHARED_CONFIG, CHANGES)) as server:
        yield server


@pytest.fixture
def deflating_cable(deflating_server: ServerProcess) -> Iterator[Cable]:
    """A way to it that counts bytes and can be cut."""
    with Cable(deflating_server.port) as cable:
        yield cable


def words(size: int, seed: int = 0) -> str:
    """A text of *size* characters that can be made a good deal smaller."""
    chance = random.Random(seed)
    vocabulary = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(200)]
    return " ".join(chance.choices(vocabulary, k=size // 8 + 1))[:size]


def test_messages_of_every_size_arrive_and_are_small_on_the_way(
    launch: Launch, deflating_server: ServerProcess, deflating_cable: Cable, channel: str
) -> None:
    client = launch(server=deflating_cable)
    client.connect()
    client.subscribe(channel)
    payloads = [words(size, size) for size in (0, 1, 50, 120, 1000, 10_000, LARGE)]
    before = deflating_cable.received
    publish_all(deflating_server, channel, payloads)
    assert client.publications(channel, len(payloads)) == payloads
    assert deflating_cable.received - before < sum(map(len, payloads)) / 2


def test_large_messages_go_both_ways(
    launch: Launch, deflating_server: ServerProcess, deflating_cable: Cable, channel: str
) -> None:
    """Larger ones than ``message_size_limit``, which counts them as they come."""
    stream = f"stream:{channel}"
    client = launch(server=deflating_cable)
    client.connect()
    client.subscribe(stream)
    for size in (LARGE, 3 * LARGE):
        client.call("publish", channel=stream, data=words(size))
        assert client.publications(stream, 1) == [words(size)]


def test_everything_missed_is_recovered(
    launch: Launch, deflating_server: ServerProcess, deflating_cable: Cable, channel: str
) -> None:
    stream = f"stream:{channel}"
    client = launch(server=deflating_cable)
    client.connect()
    client.subscribe(stream)
    missed = [words(2000, number) for number in range(30)]
    for _ in range(2):
        deflating_cable.pull()
        client.wait("connecting")
        client.wait("subscribing", channel=stream)
        publish_all(deflating_server, stream, missed)
        before = deflating_cable.received
        deflating_cable.plug()
        client.wait("subscribed", channel=stream, was_recovering=True, recovered=True)
        assert client.publications(stream, len(missed)) == missed
        assert deflating_cable.received - before < sum(map(len, missed)) * 3 / 4


def test_deltas_are_deflated_too(
    launch: Launch, deflating_server: ServerProcess, deflating_cable: Cable, channel: str
) -> None:
    stream = f"delta:{channel}"
    client = launch(server=deflating_cable)
    client.connect()
    client.subscribe(stream, delta="fossil")
    payloads = [{"text": words(3000), "number": number} for number in range(5)]
    publish_all(deflating_server, stream, payloads)
    assert client.publications(stream, len(payloads)) == payloads
    assert client.patches == [False, True, True, True, True]


def test_everybody_gets_the_same_whoever_agreed_on_what(
    launch_all: LaunchAll, deflating_server: ServerProcess, channel: str
) -> None:
    clients = launch_all(server=deflating_server)
    for client in clients:
        client.connect()
        client.subscribe(channel)
    payloads = [{"number": number, "text": words(400, number)} for number in range(20)]
    with RawWebSocket(deflating_server.port) as plain:
        plain.connect()
        plain.subscribe(channel)
        asyncio.run(others(deflating_server, channel, payloads))
        found = [plain.push()["pub"]["data"] for _ in payloads]
        assert found == payloads
    for client in clients:
        assert client.publications(channel, len(payloads)) == payloads


async def others(server: ServerProcess, channel: str, payloads: list[Any]) -> None:
    """Clients of the ``websockets`` library with windows of every size hear what is published meanwhile."""
    async with (
        subscriber(server, channel, 9) as smallest,
        subscriber(server, channel, 11) as small,
        subscriber(server, channel, 14) as middle,
        subscriber(server, channel, None) as largest,
        subscriber(server, channel, 0) as plain,
    ):
        await asyncio.to_thread(publish_all, server, channel, payloads)
        for socket in (smallest, small, middle, largest, plain):
            assert await publications(socket, len(payloads)) == payloads


@asynccontextmanager
async def subscriber(
    server: ServerProcess, channel: str, bits: int | None
) -> AsyncIterator[ClientConnection]:
    """A client that wants the server's window no larger than this; 0 = nothing deflated."""
    extensions = [] if bits == 0 else [ClientPerMessageDeflateFactory(server_max_window_bits=bits)]
    async with connect(server.url, extensions=extensions, compression=None, proxy=None) as socket:
        assert socket.response is not None
        answer = socket.response.headers.get("Sec-WebSocket-Extensions")
        assert (answer is None) == (bits == 0)
        await socket.send('{"id":1,"connect":{}}')
        await socket.send(json.dumps({"id": 2, "subscribe": {"channel": channel}}))
        while '"id":2' not in str(await socket.recv()):
            pass
        yield socket


async def publications(socket: ClientConnection, count: int) -> list[Any]:
    """The payloads of the next publications."""
    found: list[Any] = []
    while len(found) < count:
        lines = str(await socket.recv()).split("\n")
        found += [json.loads(line)["push"]["pub"]["data"] for line in lines if "push" in line]
    return found


def test_small_frames_stay_as_they_are(own_server: StartServer, channel: str) -> None:
    server = own_server({"websocket": {"compression": True, "compression_min_size": 500}})
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    with RawWebSocket(server.port, headers=offer) as client:
        client.connect()
        client.subscribe(channel)
        for size, is_deflated in ((300, False), (600, True)):
            server.publish(channel, "a" * size)
            received = client.receive()
            assert received is not None
            assert (received.rsv == RSV1) == is_deflated
