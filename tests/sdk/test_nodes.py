"""Client libraries at different nodes that share one Redis."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.redis_servers import RedisServer, eventually
from tests.sdk.cable import Cable
from tests.sdk.conftest import SHARED_CONFIG, Launch, LaunchAll, clean_server, token
from tests.sdk.driver import SdkClient
from tests.server_process import ServerProcess, merged

ENOUGH = 30
"""Publications before the node dies, until clients look for another one, and after they have found it."""

SAME = "much that stays the same " * 10


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """What the nodes share."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def config(redis: RedisServer) -> dict[str, Any]:
    """Of every node."""
    changes = {
        "engine": {"type": "redis", "redis": {"address": redis.address, "prefix": "nodes"}},
        "client": {"recovery_max_publication_limit": 1000},
    }
    return merged(SHARED_CONFIG, changes)


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[ServerProcess]:
    """The node that the test asks."""
    with clean_server(tmp_path_factory.mktemp("near"), config) as server:
        yield server


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[ServerProcess]:
    """Another node."""
    with clean_server(tmp_path_factory.mktemp("far"), config) as server:
        yield server


def connected_at(launch: Launch, server: ServerProcess, user: str) -> tuple[SdkClient, str]:
    """A client and its id."""
    client = launch(token(sub=user), server=server)
    return client, client.connect()


def test_publications_of_one_node_arrive_at_the_other(
    launch: Launch, near: ServerProcess, far: ServerProcess, channel: str, user: str
) -> None:
    stream = f"stream:{channel}"
    clients = [connected_at(launch, server, user)[0] for server in (near, far)]
    for client in clients:
        client.subscribe(stream)
    near.publish(stream, "api")
    for client in clients:
        assert client.publications(stream, 1) == ["api"]
    for client in clients:
        client.call("publish", channel=stream, data="client")
        for each in clients:
            assert each.publications(stream, 1) == ["client"]
    histories = [client.call("history", channel=stream, limit=10) for client in clients]
    assert [pub["data"] for pub in histories[0]["publications"]] == ["api", "client", "client"]
    assert histories[0] == histories[1]


def test_presence_shows_a_client_of_each(
    launch: Launch, near: ServerProcess, far: ServerProcess, channel: str, user: str
) -> None:
    people = f"people:{channel}"
    (first, first_id), (second, second_id) = (connected_at(launch, server, user) for server in (near, far))
    first.subscribe(people)
    second.subscribe(people)
    assert first.wait("join", channel=people)["info"]["client"] == first_id
    assert first.wait("join", channel=people)["info"]["client"] == second_id
    for client in (first, second):
        assert set(client.call("presence", channel=people)) == {first_id, second_id}
        assert client.call("presence_stats", channel=people) == {"num_clients": 2, "num_users": 1}
    second.command("unsubscribe", channel=people)
    assert first.wait("leave", channel=people)["info"]["client"] == second_id


def test_the_api_of_one_node_disconnects_clients_of_the_other(
    launch: Launch, near: ServerProcess, far: ServerProcess, user: str
) -> None:
    client, _ = connected_at(launch, far, user)
    near.api("disconnect", user=user)
    assert client.wait("disconnected")["code"] == 3503


def test_the_api_of_one_node_subscribes_clients_of_the_other(
    launch: Launch, near: ServerProcess, far: ServerProcess, channel: str, user: str
) -> None:
    stream = f"stream:{channel}"
    client, _ = connected_at(launch, far, user)
    near.api("subscribe", user=user, channel=stream)
    client.wait("server_subscribed", channel=stream)
    near.publish(stream, "for who was subscribed")
    assert client.publications(stream, 1, "server_publication") == ["for who was subscribed"]
    near.api("unsubscribe", user=user, channel=stream)
    client.wait("server_unsubscribed", channel=stream)


class Publisher:
    """Publishes at a node without a pause: the same but for a number, which counts from 0."""

    def __init__(self, server: ServerProcess, channel: str) -> None:
        self.count = 0
        self._server = server
        self._channel = channel
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "Publisher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def wait_for_more(self) -> None:
        enough = self.count + ENOUGH
        eventually(lambda: self.count >= enough, "no publications")

    def _work(self) -> None:
        while not self._ends.is_set():
            self._server.publish(self._channel, {"text": SAME, "number": self.count})
            self.count += 1


@pytest.mark.parametrize("options", [{}, {"delta": "fossil"}], ids=["whole", "delta"])
def test_clients_of_a_killed_node_recover_at_the_other(
    launch_all: LaunchAll,
    near: ServerProcess,
    config: dict[str, Any],
    tmp_path: Path,
    channel: str,
    options: dict[str, Any],
) -> None:
    stream = f"delta:{channel}"
    with ExitStack() as stack:
        dying = stack.enter_context(ServerProcess(tmp_path, config))
        cable = stack.enter_context(Cable(dying.port))
        clients = launch_all(server=cable)
        for client in clients:
            client.connect()
            client.subscribe(stream, **options)
        with Publisher(near, stream) as publisher:
            publisher.wait_for_more()
            dying.signal(signal.SIGKILL)
            dying.wait()
            for client in clients:
                client.wait("subscribing", channel=stream)
            publisher.wait_for_more()
            cable.lead_to(near.port)
            for client in clients:
                client.wait("subscribed", channel=stream, was_recovering=True, recovered=True)
            publisher.wait_for_more()
        for client in clients:
            seen = client.publications(stream, publisher.count)
            assert [data["number"] for data in seen] == list(range(publisher.count))
            assert all(data["text"] == SAME for data in seen)
            client.refuse("publication")
            assert any(client.patches) == bool(options)


def test_a_stream_outlives_the_nodes(
    launch_all: LaunchAll, config: dict[str, Any], tmp_path: Path, channel: str
) -> None:
    stream = f"stream:{channel}"
    with clean_server(tmp_path, config) as server, Cable(server.port) as cable:
        clients = launch_all(server=cable)
        for client in clients:
            client.connect()
            client.subscribe(stream)
        server.publish(stream, "before")
        cable.pull()
        assert server.stop() == 0
        server.start()
        server.publish(stream, "meanwhile")
        cable.plug()
        for client in clients:
            client.wait("subscribed", channel=stream, was_recovering=True, recovered=True)
            assert client.publications(stream, 2) == ["before", "meanwhile"]
