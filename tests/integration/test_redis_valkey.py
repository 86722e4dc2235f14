"""Nodes on a Valkey: that it does as a Redis does."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from tests.contract.servers import valkey_program
from tests.raw_websocket import RawWebSocket
from tests.redis_servers import RedisServer, eventually
from tests.server_process import ServerProcess

ROOM = {
    "name": "room",
    "presence": True,
    "join_leave": True,
    "force_push_join_leave": True,
    "allow_subscribe_for_client": True,
    "allow_subscribe_for_anonymous": True,
}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two, on the same Valkey, whose fields of hashes have lives of their own; each knows the other."""
    folder = tmp_path_factory.mktemp("valkey")
    with ExitStack() as stack:
        valkey = stack.enter_context(RedisServer(program=valkey_program()))
        changes = {
            "engine": {
                "type": "redis",
                "redis": {"address": valkey.address, "presence_hash_field_ttl": True},
            },
            "channel": {"namespaces": [{"name": "history", "history_size": 10, "history_ttl": "60s"}, ROOM]},
        }
        first, second = (stack.enter_context(ServerProcess(folder, changes)) for _ in range(2))
        for node in (first, second):
            eventually(partial(knows_two, node), "the other node")
        yield first, second


def knows_two(node: ServerProcess) -> bool:
    """Whether it knows the other one."""
    return len(node.api("info")["result"]["nodes"]) == 2


def is_empty(node: ServerProcess) -> bool:
    """Whether it sees nobody in the room."""
    stats = node.api("presence_stats", channel="room:a")["result"]
    return bool(stats == {"num_clients": 0, "num_users": 0})


def test_what_is_published_at_one_arrives_at_the_other(nodes: tuple[ServerProcess, ServerProcess]) -> None:
    first, second = nodes
    with RawWebSocket(second.port) as client:
        client.connect()
        client.subscribe("news")
        first.api("publish", channel="news", data={"text": "hello"})
        assert client.push() == {"channel": "news", "pub": {"data": {"text": "hello"}}}


def test_history_is_one(nodes: tuple[ServerProcess, ServerProcess]) -> None:
    positions = [
        node.api("publish", channel="history:a", data=index)["result"] for index, node in enumerate(nodes)
    ]
    assert [position["offset"] for position in positions] == [1, 2]
    assert len({position["epoch"] for position in positions}) == 1
    for node in nodes:
        publications = node.api("history", channel="history:a", limit=10)["result"]["publications"]
        assert [publication["data"] for publication in publications] == [0, 1]


def test_who_is_at_one_is_seen_at_the_other(nodes: tuple[ServerProcess, ServerProcess]) -> None:
    first, second = nodes
    with RawWebSocket(second.port) as watcher:
        watcher.connect()
        watcher.subscribe("room:a")
        assert "join" in watcher.push()
        with RawWebSocket(first.port) as client:
            ident = client.connect()["client"]
            client.subscribe("room:a")
            assert watcher.push()["join"]["info"]["client"] == ident
            assert ident in second.api("presence", channel="room:a")["result"]["presence"]
        assert watcher.push()["leave"]["info"]["client"] == ident
    for node in nodes:
        eventually(partial(is_empty, node), "nobody is left")
