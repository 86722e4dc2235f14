"""Several daemons on the same Redis servers: clients and backends of every node, a node being one process."""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import jwt

from tests.fuzz.fuzz_fossil import apply_delta
from tests.integration.daemon import Daemon, eventually
from tests.integration.workers import ApiConnection, WorkersDaemon
from tests.raw_websocket import RawWebSocket

SECRET = "a secret that is long enough for HMAC with SHA-256"
OPEN = {"allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True}
ROOM = {
    **OPEN,
    "name": "room",
    "presence": True,
    "join_leave": True,
    "force_push_join_leave": True,
    "allow_presence_for_subscriber": True,
    "allow_presence_for_anonymous": True,
}
STREAM = {
    **OPEN,
    "name": "stream",
    "history_size": 100_000,
    "history_ttl": "300s",
    "force_recovery": True,
    "allowed_delta_types": ["fossil"],
    "allow_publish_for_subscriber": True,
    "allow_publish_for_anonymous": True,
    "allow_history_for_subscriber": True,
    "allow_history_for_anonymous": True,
}
CACHE = {
    **OPEN,
    "name": "cache",
    "history_size": 1,
    "history_ttl": "300s",
    "force_recovery": True,
    "force_recovery_mode": "cache",
}
CONFIG: dict[str, Any] = {
    "client": {
        "token": {"hmac_secret_key": SECRET},
        "recovery_max_publication_limit": 100_000,
        "channel_position_check_delay": "1s",
    },
    "channel": {"namespaces": [ROOM, STREAM, CACHE]},
    "http_api": {"tail_enabled": True},
    "prometheus": {"enabled": True},
}


def on_redis(**redis: Any) -> dict[str, Any]:
    """The engine on a Redis with these options."""
    return {"engine": {"type": "redis", "redis": redis}}


class NodeClient(RawWebSocket):
    """A client that knows its id, and which payloads it has been pushed."""

    id = ""

    def sign_in(self, user: str = "", **claims: Any) -> "NodeClient":
        """Connect, with a token unless *user* is empty."""
        signed = jwt.encode({"sub": user, **claims}, SECRET, "HS256") if user else ""
        self.id = self.connect(token=signed)["client"]
        return self

    def has_push(self) -> bool:
        """Whether a push came with what has been read so far."""
        return any("push" in message for message in self._inbox)

    def data(self, count: int) -> list[Any]:
        """The payloads of the next pushes, which must be publications."""
        return [self.push()["pub"]["data"] for _ in range(count)]


class Payloads:
    """Payloads of one subscription with deltas: patches and whole ones are strings there (client protocol 7.4)."""

    def __init__(self) -> None:
        self._base = b""

    def of(self, publication: Mapping[str, Any]) -> Any:
        """The value of the publication that follows the last one."""
        data = publication["data"].encode()
        self._base = apply_delta(self._base, data) if publication.get("delta") else data
        return json.loads(self._base)


class Nodes:
    """Running daemons that share an engine; all their processes know each other."""

    def __init__(self, *daemons: Daemon) -> None:
        self.daemons = daemons
        self._wait_until_all_are_known()

    def clients(self, stack: ExitStack, user: str = "", **claims: Any) -> list[NodeClient]:
        """A client that is connected to each node; anonymous if *user* is empty."""
        clients: list[NodeClient] = self._one_each(stack, NodeClient)
        return [client.sign_in(user, **claims) for client in clients]

    def apis(self, stack: ExitStack) -> list[ApiConnection]:
        """A connection of a backend to each node."""
        connections: list[ApiConnection] = self._one_each(stack, ApiConnection)
        return connections

    def _one_each(self, stack: ExitStack, open_one: Callable[[int], Any]) -> list[Any]:
        found: list[Any] = []
        for daemon in self.daemons:
            if isinstance(daemon, WorkersDaemon):
                found += daemon.one_each(stack, partial(open_one, daemon.port)).values()
            else:
                found.append(stack.enter_context(open_one(daemon.port)))
        return found

    def _wait_until_all_are_known(self) -> None:
        with ExitStack() as stack:
            apis = self.apis(stack)
            for api in apis:
                eventually(lambda: len(api.call("info")["nodes"]) == len(apis), "all nodes")  # noqa: B023
