"""A daemon that all tests share, and clients of the official libraries, closed when a test ends."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import jwt
import pytest

from tests.sdk.driver import SDKS, Sdk, SdkClient
from tests.server_process import ServerProcess

SECRET = "a secret that is long enough for HMAC with SHA-256"
SHARED_CONFIG: dict[str, Any] = {
    "client": {
        "token": {"hmac_secret_key": SECRET},
        "expired_close_delay": "1s",
        "expired_sub_close_delay": "1s",
        "allowed_origins": ["http://127.0.0.1:*"],
    },
}


def token(*, lifetime: float | None = None, **claims: Any) -> str:
    """A token with these claims that ends in *lifetime* seconds."""
    expiration = {} if lifetime is None else {"exp": int(time.time() + lifetime)}
    return jwt.encode({**claims, **expiration}, SECRET, "HS256")


class Launch(Protocol):
    """Starts a client of the SDK under test, not yet connected."""

    def __call__(
        self, token: str = "", *, get_token: bool = False, server: ServerProcess | None = None
    ) -> SdkClient: ...


@contextmanager
def clean_server(folder: Path, config: Mapping[str, Any]) -> Iterator[ServerProcess]:
    """A daemon that must stop cleanly and have logged no error."""
    with ServerProcess(folder, config) as server:
        yield server
        code = server.stop()
        errors = [line for line in server.log().splitlines() if not is_harmless(line)]
        assert (code, errors) == (0, [])


def is_harmless(line: str) -> bool:
    """Whether a line of the log is an event below the level of an error."""
    try:
        return json.loads(line)["level"] in ("debug", "info", "warn")
    except ValueError:  # what something else than the log has written
        return False


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The daemon that tests share."""
    with clean_server(tmp_path_factory.mktemp("server"), SHARED_CONFIG) as server:
        yield server


@pytest.fixture(params=SDKS, ids="-".join)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    """The client library under test."""
    sdk: Sdk = request.param
    return sdk


@pytest.fixture
def launch(sdk: Sdk, server: ServerProcess, tmp_path: Path) -> Iterator[Launch]:
    """Makes clients, closed at the end of the test."""
    shared = server
    closing = ExitStack()

    def launch(token: str = "", *, get_token: bool = False, server: ServerProcess | None = None) -> SdkClient:
        client = SdkClient(sdk, tmp_path, (server or shared).url, token=token, get_token=get_token)
        closing.callback(client.close)
        return client

    with closing:
        yield launch


@pytest.fixture
def channel() -> str:
    """A channel that no other test uses."""
    return f"channel-{uuid.uuid4()}"


@pytest.fixture
def user() -> str:
    """A user that no other test uses."""
    return f"user-{uuid.uuid4()}"
