"""A daemon that all tests share, and clients of the official libraries, closed when a test ends."""

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import jwt
import pytest

from tests.redis_servers import RedisServer
from tests.sdk.cable import Cable
from tests.sdk.driver import SDKS, DriverPool, Endpoint, Sdk, SdkClient
from tests.server_process import BASE_CONFIG, REDIS, ServerProcess, merged

SECRET = "a secret that is long enough for HMAC with SHA-256"
OPEN = {"allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True}
STREAM = {**OPEN, "history_size": 1000, "history_ttl": "300s", "force_recovery": True}
NAMESPACES: list[dict[str, Any]] = [
    {
        **STREAM,
        "name": "stream",
        "allow_publish_for_subscriber": True,
        "allow_publish_for_anonymous": True,
        "allowed_delta_types": ["fossil"],
        "allow_tags_filter": True,
        "allow_history_for_subscriber": True,
        "allow_history_for_anonymous": True,
    },
    {**STREAM, "name": "short", "history_size": 5},
    {
        **STREAM,
        "name": "wish",
        "force_recovery": False,
        "allow_positioning": True,
        "allow_recovery": True,
    },
    {**STREAM, "name": "delta", "allowed_delta_types": ["fossil"], "delta_publish": True},
    {**STREAM, "name": "cache", "force_recovery_mode": "cache"},
    {**STREAM, "name": "auto_cache", "force_recovery_mode": "cache", "auto_cache_recover": True},
    {
        **OPEN,
        "name": "people",
        "presence": True,
        "join_leave": True,
        "force_push_join_leave": True,
        "allow_presence_for_client": True,
        "allow_presence_for_anonymous": True,
    },
    {
        **OPEN,
        "name": "discreet",
        "presence": True,
        "join_leave": True,
        "allow_presence_for_subscriber": True,
        "allow_presence_for_anonymous": True,
    },
    {"name": "dialog", "allow_user_limited_channels": True},
]
SHARED_CONFIG: dict[str, Any] = {
    "client": {
        "token": {"hmac_secret_key": SECRET},
        "expired_close_delay": "1s",
        "expired_sub_close_delay": "1s",
        "allowed_origins": ["http://127.0.0.1:*"],
    },
    "channel": {"namespaces": [*BASE_CONFIG["channel"]["namespaces"], *NAMESPACES]},
}


def token(*, lifetime: float | None = None, **claims: Any) -> str:
    """A token with these claims that ends in *lifetime* seconds."""
    expiration = {} if lifetime is None else {"exp": int(time.time() + lifetime)}
    return jwt.encode({**claims, **expiration}, SECRET, "HS256")


class Launch(Protocol):
    """Starts a client of the SDK under test, not yet connected."""

    def __call__(
        self, token: str = "", *, get_token: bool = False, server: Endpoint | None = None
    ) -> SdkClient: ...


class LaunchAll(Protocol):
    """Starts a client of every SDK in every encoding: for tests that mostly wait, which they then do at once."""

    def __call__(
        self, token: str = "", *, get_token: bool = False, server: Endpoint | None = None
    ) -> list[SdkClient]: ...


class StartServer(Protocol):
    """Starts a daemon for one test alone."""

    def __call__(self, changes: Mapping[str, Any]) -> ServerProcess: ...


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


@pytest.fixture(scope="session", autouse=True)
def _redis() -> Iterator[None]:
    """A Redis for all daemons, if the session shall have one (``CENTRIFAST_REDIS``)."""
    if not REDIS:
        yield
        return
    with RedisServer() as redis, pytest.MonkeyPatch.context() as patching:
        patching.setattr(ServerProcess, "redis_address", redis.address)
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The daemon that tests share."""
    with clean_server(tmp_path_factory.mktemp("server"), SHARED_CONFIG) as server:
        yield server


@pytest.fixture(scope="session")
def local_server(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One that has delivered a publication when it answers: through Redis it is only on its way then."""
    if not REDIS:
        yield server
        return
    changes = merged(SHARED_CONFIG, {"engine": {"type": "memory"}})
    with clean_server(tmp_path_factory.mktemp("local-server"), changes) as local:
        yield local


@pytest.fixture(params=SDKS, ids="-".join)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    """The client library under test."""
    sdk: Sdk = request.param
    return sdk


@pytest.fixture(scope="session")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DriverPool]:
    """The processes that run clients."""
    with DriverPool(tmp_path_factory.mktemp("drivers")) as drivers:
        yield drivers


@pytest.fixture
def launch_all(drivers: DriverPool, server: ServerProcess) -> Iterator[LaunchAll]:
    """Makes clients, closed at the end of the test."""
    shared = server
    closing = ExitStack()

    def launch_all(
        token: str = "", *, get_token: bool = False, server: Endpoint | None = None
    ) -> list[SdkClient]:
        clients = []
        for sdk in SDKS:
            clients.append(SdkClient(drivers, sdk, (server or shared).url, token=token, get_token=get_token))
            closing.callback(clients[-1].close)
        return clients

    with closing:
        yield launch_all


@pytest.fixture
def launch(sdk: Sdk, drivers: DriverPool, server: ServerProcess) -> Iterator[Launch]:
    """Makes clients, closed at the end of the test."""
    shared = server
    closing = ExitStack()

    def launch(token: str = "", *, get_token: bool = False, server: Endpoint | None = None) -> SdkClient:
        client = SdkClient(drivers, sdk, (server or shared).url, token=token, get_token=get_token)
        closing.callback(client.close)
        return client

    with closing:
        yield launch


@pytest.fixture
def cable(server: ServerProcess) -> Iterator[Cable]:
    """A way to the shared server that can be cut."""
    with Cable(server.port) as cable:
        yield cable


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts a daemon for one test alone."""
    stopping = ExitStack()

    def start(changes: Mapping[str, Any]) -> ServerProcess:
        return stopping.enter_context(clean_server(tmp_path, merged(SHARED_CONFIG, changes)))

    with stopping:
        yield start


@pytest.fixture
def channel() -> str:
    """A channel that no other test uses."""
    return f"channel-{uuid.uuid4()}"


@pytest.fixture
def user() -> str:
    """A user that no other test uses."""
    return f"user-{uuid.uuid4()}"


def publish_all(server: ServerProcess, channel: str, values: Iterable[Any], **options: Any) -> None:
    """Publish one after the other, in one call."""
    commands = [{"publish": {"channel": channel, "data": value, **options}} for value in values]
    replies = server.api("batch", commands=commands)["replies"]
    assert [list(reply) for reply in replies] == [["publish"]] * len(commands)
