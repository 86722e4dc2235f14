"""Deployments of several nodes on Redis, and names that no other test uses."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.redis_nodes import CONFIG, Nodes, on_redis
from tests.integration.workers import WorkersDaemon
from tests.redis_servers import RedisCluster, RedisServer
from tests.server_process import merged

SHAPES = ("one Redis", "two shards", "cluster", "lists and users", "two places", "two workers and a node")


def engine(shape: str, stack: ExitStack) -> dict[str, Any]:
    """Start what Redis servers a shape needs; the part of the configuration that names them."""
    if shape == "cluster":
        return on_redis(cluster_address=stack.enter_context(RedisCluster()).addresses)
    servers = [stack.enter_context(RedisServer()) for _ in range(2 if shape.startswith("two ") else 1)]
    if shape == "two places":
        broker, presence = (
            {"enabled": True, "type": "redis", "redis": {"address": each.address}} for each in servers
        )
        return {"broker": broker, "presence_manager": presence}
    options = {"history_use_lists": True, "presence_user_mapping": True} if "lists" in shape else {}
    return on_redis(address=[each.address for each in servers], **options)


@pytest.fixture(scope="module", params=SHAPES)
def nodes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two daemons that the tests leave as they are, and that had nothing to complain of."""
    folder = tmp_path_factory.mktemp("nodes")
    with ExitStack() as stack:
        config = merged(CONFIG, engine(request.param, stack))
        workers = 2 if "workers" in request.param else 1
        near = WorkersDaemon(folder, config, workers=workers) if workers > 1 else Daemon(folder, config)
        nodes = Nodes(stack.enter_context(near), stack.enter_context(Daemon(folder, config)))
        yield nodes
        for daemon in nodes.daemons:
            assert [event for event in daemon.events() if event["level"] == "error"] == []


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what a test opens."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def room() -> str:
    """A channel with presence, joins and leaves."""
    return f"room:{uuid.uuid4()}"


@pytest.fixture
def stream() -> str:
    """A channel with history."""
    return f"stream:{uuid.uuid4()}"


@pytest.fixture
def user() -> str:
    """A user."""
    return f"user-{uuid.uuid4()}"
