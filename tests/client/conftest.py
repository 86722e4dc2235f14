"""A server for each test, which must be empty again when the test is over."""

from collections.abc import Callable, Iterator

import pytest

from centrifast.config.schema import Config
from tests.client.fakes import Server

Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Make servers; every client is disconnected in the end and must leave nothing behind."""
    servers: list[Server] = []

    def start(config: Config | None = None) -> Server:
        servers.append(Server(config))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def server(serve: Serve) -> Server:
    """A server in which everybody may do everything."""
    return serve()
