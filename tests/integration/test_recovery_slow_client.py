"""A client that does not read is disconnected, and has all it missed when it comes back, or is told that it has not."""

import json
from pathlib import Path
from typing import Any

from tests.raw_websocket import CLOSE, TEXT, Frame, RawWebSocket
from tests.server_process import ServerProcess

CHANNEL = "stream:1"
QUEUE = 64 * 1024
FILLER = "x" * 8192
ROUND = 20
"""Publications in one request."""

MANY = 2000
"""Publications that no socket buffer holds: 16 MiB."""


def config(history_size: int) -> dict[str, Any]:
    """A small queue for each client, and a stream that keeps *history_size*."""
    return {
        "client": {"queue_max_size": QUEUE, "recovery_max_publication_limit": MANY},
        "channel": {
            "namespaces": [
                {
                    "name": "stream",
                    "history_size": history_size,
                    "history_ttl": "300s",
                    "force_recovery": True,
                    "allow_subscribe_for_client": True,
                    "allow_subscribe_for_anonymous": True,
                }
            ]
        },
    }


def publish(server: ServerProcess, count: int) -> None:
    command = {"publish": {"channel": CHANNEL, "data": {"filler": FILLER}}}
    replies = server.api("batch", commands=[command] * count)["replies"]
    assert all("publish" in reply for reply in replies), replies


def publish_until_it_is_given_up(server: ServerProcess) -> int:
    """Publish until the only client is disconnected; how many publications."""
    for published in range(ROUND, MANY, ROUND):
        publish(server, ROUND)
        if not server.api("info")["result"]["nodes"][0]["num_clients"]:
            return published
    raise AssertionError("everything was taken")


def read_to_the_end(client: RawWebSocket) -> tuple[list[int], Frame]:
    """Offsets of the publications that still arrive, and the close frame behind them."""
    offsets: list[int] = []
    while True:
        received = client.receive()
        assert received is not None, "closed without a close frame"
        if received.opcode == CLOSE:
            return offsets, received
        assert received.opcode == TEXT
        offsets += [json.loads(line)["push"]["pub"]["offset"] for line in received.payload.split(b"\n")]


def lose_a_slow_client(server: ServerProcess) -> tuple[int, str, int]:
    """A client that reads nothing gets 3008; the offset and epoch it knows then, and the top of the stream."""
    with RawWebSocket(server.port, receive_buffer=4096) as slow:
        slow.connect()
        epoch = slow.subscribe(CHANNEL)["epoch"]
        top = publish_until_it_is_given_up(server)
        offsets, close = read_to_the_end(slow)
    assert close == Frame(CLOSE, (3008).to_bytes(2, "big") + b"slow")
    assert offsets == list(range(1, len(offsets) + 1))
    assert len(offsets) < top
    return len(offsets), epoch, top


def test_a_slow_client_recovers_all_that_it_did_not_read(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, config(history_size=MANY)) as server:
        offset, epoch, top = lose_a_slow_client(server)
        with RawWebSocket(server.port) as client:
            client.connect()
            result = client.subscribe(CHANNEL, recover=True, offset=offset, epoch=epoch)
            assert result["recovered"]
            assert result["offset"] == offset
            assert [pub["offset"] for pub in result["publications"]] == list(range(offset + 1, top + 1))
            publish(server, 1)
            assert client.push()["pub"]["offset"] == top + 1


def test_a_slow_client_is_told_what_can_not_be_recovered(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, config(history_size=1)) as server:
        offset, epoch, top = lose_a_slow_client(server)
        assert top - offset > 1
        with RawWebSocket(server.port) as client:
            client.connect()
            result = client.subscribe(CHANNEL, recover=True, offset=offset, epoch=epoch)
            assert "recovered" not in result
            assert "publications" not in result
            assert (result["offset"], result["epoch"], result["was_recovering"]) == (top, epoch, True)
            publish(server, 1)
            assert client.push()["pub"]["offset"] == top + 1
