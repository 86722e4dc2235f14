"""Clients of the official libraries, and an authority that they trust."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.deploy.certificates import Authority
from tests.sdk.driver import DriverPool, Sdk, SdkClient

SDKS = [Sdk("javascript", "json"), Sdk("python", "protobuf")]
"""Every language and every encoding; the rest of their product is tested without a proxy."""


class Launch(Protocol):
    """Starts a client of the SDK under test, not yet connected."""

    def __call__(self, url: str) -> SdkClient: ...


@pytest.fixture(scope="package")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the certificates of servers."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="package")
def drivers(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[DriverPool]:
    """Processes that run clients, which trust the authority."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NODE_EXTRA_CA_CERTS", str(authority.file))
        environment.setenv("SSL_CERT_FILE", str(authority.file))
        with DriverPool(tmp_path_factory.mktemp("drivers")) as drivers:
            yield drivers


@pytest.fixture(params=SDKS, ids="-".join)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    """The client library under test."""
    sdk: Sdk = request.param
    return sdk


@pytest.fixture
def launch(sdk: Sdk, drivers: DriverPool) -> Iterator[Launch]:
    """Makes clients, closed at the end of the test."""
    closing = ExitStack()

    def launch(url: str) -> SdkClient:
        client = SdkClient(drivers, sdk, url)
        closing.callback(client.close)
        return client

    with closing:
        yield launch


@pytest.fixture
def channel() -> str:
    """A channel that no other test uses."""
    return f"channel-{uuid.uuid4()}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a proxy keeps its files."""
    folder = tmp_path / "proxy"
    folder.mkdir()
    return folder
