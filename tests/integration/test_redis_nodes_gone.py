"""Nodes on the same Redis that stop and die, and what becomes of those who were there."""

import json
import os
import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.consumers.running import add, publication, push
from tests.integration.daemon import Daemon, eventually
from tests.integration.redis_nodes import CONFIG, NodeClient, Nodes, Payloads, on_redis
from tests.integration.workers import ApiConnection, WorkersDaemon
from tests.redis_servers import RedisServer
from tests.server_process import merged

STREAM = "stream:1"
ENOUGH = 50
"""Publications that must come before the node dies, and after everybody has come back."""


def two_nodes(folder: Path, stack: ExitStack, redis: RedisServer, changes: dict[str, Any]) -> Nodes:
    config = merged(merged(CONFIG, on_redis(address=redis.address)), changes)
    return Nodes(*(stack.enter_context(Daemon(folder, config)) for _ in range(2)))


def kill(daemon: Daemon) -> None:
    daemon.signal(signal.SIGKILL)
    daemon.wait()


def names(api: ApiConnection) -> list[str]:
    return sorted(node["name"] for node in api.call("info")["nodes"])


# ------------------------------------------------------------- what is left


def test_a_node_that_stops_says_so(tmp_path: Path, stack: ExitStack, redis_server: RedisServer) -> None:
    nodes = two_nodes(tmp_path, stack, redis_server, {})
    leaving, staying = nodes.daemons
    client = stack.enter_context(NodeClient(leaving.port)).sign_in()
    client.subscribe("room:1")
    assert len(staying.api("presence", channel="room:1")["result"]["presence"]) == 1
    leaving.signal(signal.SIGTERM)
    assert client.receive_close().close_code == 3001
    client.socket.close()
    assert leaving.wait() == 0
    eventually(lambda: len(staying.api("info")["result"]["nodes"]) == 1, "the node to be gone")
    assert staying.events("a node has left")
    assert not staying.events("a node is not heard of any more")
    assert staying.api("presence", channel="room:1")["result"]["presence"] == {}


def test_a_dead_node_is_forgotten_with_everybody_who_was_there(
    tmp_path: Path, stack: ExitStack, redis_server: RedisServer
) -> None:
    changes = {
        "engine": {"redis": {"presence_ttl": "3s"}},
        "client": {"presence_update_interval": "1s"},
    }
    nodes = two_nodes(tmp_path, stack, redis_server, changes)
    dying, staying = nodes.daemons
    (lost, client), (_, api) = nodes.clients(stack, "42"), nodes.apis(stack)
    for one in (lost, client):
        one.subscribe("room:1")
    kill(dying)
    api.call("disconnect", user="43")  # asks nobody, and waits for nobody
    channels = api.call("channels")["channels"]  # waits for the dead one until it is known to be dead
    assert channels == {"room:1": {"num_clients": 1}}
    assert len(names(api)) == 1
    assert staying.events("a node is not heard of any more")
    eventually(
        lambda: set(api.call("presence", channel="room:1")["presence"]) == {client.id}, "it to be gone"
    )
    last = stack.enter_context(NodeClient(staying.port)).sign_in()
    last.subscribe("room:1")
    joined = [client.push()["join"]["info"]["client"] for _ in range(2)]
    assert joined == [client.id, last.id]  # and nobody is said to have left: who could say so is dead


# -------------------------------------------------------- who comes back elsewhere


class Publisher:
    """Publishes at a node without a pause, each time the number that the offset must be."""

    def __init__(self, daemon: Daemon) -> None:
        self.count = 0
        """Publications that the node has accepted."""
        self._daemon = daemon
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "Publisher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def wait_for_more(self) -> None:
        """Return when it has published some more."""
        enough = self.count + ENOUGH
        eventually(lambda: self.count >= enough, "publications")

    def _work(self) -> None:
        with ApiConnection(self._daemon.port) as api:
            while not self._ends.is_set():
                data = {"number": self.count + 1, "text": "much that stays the same " * 10}
                assert api.call("publish", channel=STREAM, data=data, delta=True)["offset"] == self.count + 1
                self.count += 1


class Follower:
    """A client that may lose its node, and must see every publication of the stream from the first one on."""

    def __init__(self, stack: ExitStack, *, delta: bool) -> None:
        self.offset = 0
        """Of the last publication it has seen."""
        self._stack = stack
        self._options = {"delta": "fossil"} if delta else {}
        self._epoch = ""
        self._client: NodeClient
        self._payloads = Payloads()

    def come_to(self, daemon: Daemon) -> int:
        """Connect and go on where it was; how many publications it is given that it has missed."""
        self._client = self._stack.enter_context(NodeClient(daemon.port)).sign_in()
        resume = {"recover": True, "offset": self.offset, "epoch": self._epoch} if self._epoch else {}
        self._payloads = Payloads()
        result = self._client.subscribe(STREAM, **resume, **self._options)
        assert result.get("recovered", False) == bool(resume)
        self._epoch = result["epoch"]
        missed = result.get("publications", [])
        for each in missed:
            self._see(each)
        return len(missed)

    def read_until(self, offset: int) -> None:
        """See all up to an offset."""
        while self.offset < offset:
            self._see(self._client.push()["pub"])

    def _see(self, pub: dict[str, Any]) -> None:
        self.offset += 1
        data = self._payloads.of(pub) if self._options else pub["data"]
        assert pub["offset"] == data["number"] == self.offset


@pytest.mark.parametrize("delta", [False, True], ids=["whole", "delta"])
def test_clients_of_a_killed_node_go_on_at_the_other_without_a_gap(
    tmp_path: Path, stack: ExitStack, redis_server: RedisServer, delta: bool
) -> None:
    dying, staying = two_nodes(tmp_path, stack, redis_server, {}).daemons
    followers = [Follower(stack, delta=delta) for _ in range(8)]
    for follower in followers:
        follower.come_to(dying)
    with Publisher(staying) as publisher:
        publisher.wait_for_more()
        for number, follower in enumerate(followers):
            follower.read_until(number * ENOUGH // len(followers) + 1)
        kill(dying)
        publisher.wait_for_more()
        for follower in followers:
            assert follower.come_to(staying) >= ENOUGH
        publisher.wait_for_more()
    for follower in followers:
        follower.read_until(publisher.count)


# ---------------------------------------------------------- two supervisors


def test_each_worker_of_two_supervisors_is_a_node(
    tmp_path: Path, stack: ExitStack, redis_server: RedisServer
) -> None:
    config = merged(CONFIG, on_redis(address=redis_server.address))
    daemons = [stack.enter_context(WorkersDaemon(tmp_path, config, workers=2)) for _ in range(2)]
    nodes = Nodes(*daemons)
    apis = nodes.apis(stack)
    assert len(set(names(apis[0]))) == 4
    assert [names(api) for api in apis] == [names(apis[0])] * 4
    clients = nodes.clients(stack)
    for client in clients:
        client.subscribe("stream:1")
    before = names(apis[0])
    victim = daemons[1].pid_of(clients[3])
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: victim not in daemons[1].pids() and len(daemons[1].pids()) == 2, "another worker")
    eventually(lambda: names(apis[0]) == before, "four nodes again, under the same names")
    follower = stack.enter_context(NodeClient(daemons[1].port)).sign_in()
    follower.subscribe("stream:1")
    apis[0].call("publish", channel="stream:1", data="all")
    for client in (*clients[:3], follower):
        assert client.data(1) == ["all"]


# ---------------------------------------------------------------- consumers


def test_commands_of_lists_and_streams_reach_clients_of_every_node(
    tmp_path: Path, stack: ExitStack, redis_server: RedisServer
) -> None:
    own = {"address": redis_server.address, "streams": ["jobs"], "consumer_group": "group"}
    changes = {
        "redis_api": {"enabled": True},
        "consumers": [{"name": "jobs", "enabled": True, "type": "redis_stream", "redis_stream": own}],
    }
    nodes = two_nodes(tmp_path, stack, redis_server, changes)
    clients = nodes.clients(stack)
    for client in clients:
        client.subscribe("stream:list")
        client.subscribe("stream:entries")
    for number in range(20):
        push(redis_server, "centrifugo.api", publication(number, "stream:list"))
        add(redis_server, "jobs", publication(number, "stream:entries"))
    for client in clients:
        came: dict[str, list[int]] = {"stream:list": [], "stream:entries": []}
        for _ in range(40):
            arrived = client.push()
            came[arrived["channel"]].append(arrived["pub"]["data"]["n"])
        assert came["stream:list"] == list(range(20))
        assert sorted(came["stream:entries"]) == list(range(20))
    push(redis_server, "centrifugo.api", json.dumps({"method": "disconnect", "params": {"user": ""}}))
    assert [client.receive_close().close_code for client in clients] == [3503] * len(clients)
