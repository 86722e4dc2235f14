"""What the contract suites share."""

from collections.abc import Iterator

import pytest

from tests.contract.servers import Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.close()
