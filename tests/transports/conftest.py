"""What tests of transports share."""

from collections.abc import Iterator

import pytest

from tests.in_process_server import InProcessServer


@pytest.fixture
def server() -> Iterator[InProcessServer]:
    """The WebSocket stack in this process; at the end every connection must have gone and nothing been logged."""
    with InProcessServer() as running:
        yield running
