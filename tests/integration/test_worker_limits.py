"""Limits of connections hold for the node, whichever worker answers."""

import os
import signal
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import eventually
from tests.integration.workers import WorkersDaemon
from tests.raw_websocket import RawWebSocket

LIMIT, COMERS = 30, 60
FULL = "HTTP/1.1 503 Service Unavailable"


class Door:
    """Where clients come and go."""

    def __init__(self, server: WorkersDaemon, stack: ExitStack) -> None:
        self._server = server
        self._stack = stack
        self.inside: list[RawWebSocket] = []
        self.refusals: list[str] = []

    def come(self, count: int) -> list[bool]:
        """So many come one after another; who of them got in."""
        return [self.come_in() for _ in range(count)]

    def come_in(self) -> bool:
        client = self._stack.enter_context(RawWebSocket(self._server.port))
        if client.status != 101:
            self.refusals.append(client.response)
            return False
        client.connect()
        self.inside.append(client)
        return True

    def by_worker(self) -> Counter[int]:
        """How many each worker has, by its process id."""
        return Counter(map(self._server.pid_of, self.inside))


def node_has(server: WorkersDaemon, clients: int) -> bool:
    """Whether the node's workers have so many clients together."""
    nodes = server.api("info")["result"]["nodes"]
    return sum(int(node["num_clients"]) for node in nodes) == clients


def limited(folder: Path, client: Mapping[str, Any]) -> WorkersDaemon:
    return WorkersDaemon(folder, {"client": {**client}})


def test_the_number_of_connections_holds_for_all_workers_together(tmp_path: Path) -> None:
    with limited(tmp_path, {"connection_limit": LIMIT}) as server, ExitStack() as stack:
        door = Door(server, stack)
        assert door.come(COMERS) == [True] * LIMIT + [False] * (COMERS - LIMIT)
        assert len(door.by_worker()) > 1
        assert {answer.split("\r\n")[0] for answer in door.refusals} == {FULL}

        leaving, door.inside = door.inside[:7], door.inside[7:]
        for client in leaving:
            client.__exit__()
        eventually(lambda: node_has(server, LIMIT - 7), "their end")
        assert door.come(10) == [True] * 7 + [False] * 3


def test_the_places_of_a_dead_worker_are_free(tmp_path: Path) -> None:
    with limited(tmp_path, {"connection_limit": LIMIT}) as server, ExitStack() as stack:
        door = Door(server, stack)
        door.come(LIMIT)
        ((victim, lost),) = door.by_worker().most_common(1)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: len(server.events("worker serves")) == 4, "a new worker")
        assert door.come(lost + 5) == [True] * lost + [False] * 5


def test_the_places_of_workers_that_were_replaced_are_free(tmp_path: Path) -> None:
    with limited(tmp_path, {"connection_limit": LIMIT}) as server, ExitStack() as stack:
        door = Door(server, stack)
        door.come(LIMIT)
        in_their_order = sorted(door.inside, key=server.pid_of)
        server.signal(signal.SIGUSR2)
        for client in in_their_order:
            client.send_frame(8, client.receive_close().payload[:2])
        server.event("workers replaced")
        assert door.come(LIMIT + 5) == [True] * LIMIT + [False] * 5


def test_a_reload_changes_the_number_for_all(tmp_path: Path) -> None:
    with limited(tmp_path, {"connection_limit": 5}) as server, ExitStack() as stack:
        door = Door(server, stack)
        assert sum(door.come(8)) == 5
        server.write_config({"client": {"connection_limit": 12}})
        server.reload()
        assert door.come(10) == [True] * 7 + [False] * 3


@pytest.mark.parametrize("rate", [1, 40])
def test_the_rate_holds_for_all_workers_together(tmp_path: Path, rate: int) -> None:
    """A bucket of so many that fills again in a second: who comes at once finds that, and what time adds meanwhile."""
    with limited(tmp_path, {"connection_rate_limit": rate}) as server, ExitStack() as stack:
        door = Door(server, stack)
        assert door.come(rate) == [True] * rate
        eventually(lambda: not door.come_in(), "the first who is refused")
        eventually(door.come_in, "a place in the next second")
