"""What one run does, checked; no I/O except asking for the descriptor limit."""

import math
import os
import resource
from dataclasses import dataclass, fields
from enum import Enum
from urllib.parse import urlsplit

DEFAULT_URL = "ws://127.0.0.1:8000/connection/websocket"
DEFAULT_API_URL = "http://127.0.0.1:8000/api"
MARKER_SIZE = 32  # bytes that hold "#t=" + 19 digits + "#"
MAX_PAYLOAD = 1 << 20
MAX_PROCESSES = 256
# Descriptors of a worker that are not connections: interpreter, event loop, pipes, shared memory.
RESERVED_DESCRIPTORS = 64
# One local port range (Linux: 28,232 ports by default) per source address; a round number below it.
CONNECTIONS_PER_SOURCE = 20_000


class SettingsError(ValueError):
    """A combination of options that cannot work; the text says which and what to do."""


class Protocol(Enum):
    """What is spoken over the WebSocket."""

    JSON = "json"
    PROTOBUF = "protobuf"
    RAW = "raw"  # nothing but an optional text after the handshake


class Scenario(Enum):
    """What a run is about; each has a module of its own in ``scenarios``."""

    FANOUT = "fanout"
    CHANNELS = "channels"
    STORM = "storm"
    RECOVER = "recover"
    PRESENCE = "presence"
    SLOW = "slow"
    SOAK = "soak"


RECOVERING = {Scenario.RECOVER, Scenario.SOAK}
SECRETS = {"token", "token_secret", "api_key"}
ALWAYS_TOLD = {"scenario", "url", "connections", "protocol", "payload"}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL points."""

    host: str
    port: int
    path: str  # with the query

    @property
    def netloc(self) -> str:
        """Host and port, as they stand in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str, scheme: str) -> "Target":
        """Split *url*, which must have this scheme. Raises SettingsError."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise SettingsError(f"{url}: {error}") from error
        if parts.scheme != scheme or not parts.hostname:
            hint = " (TLS is not supported: load the plain port)" if parts.scheme == f"{scheme}s" else ""
            raise SettingsError(f"{url}: expected {scheme}://HOST:PORT/PATH{hint}")
        path = parts.path or "/"
        return cls(parts.hostname, port or 80, f"{path}?{parts.query}" if parts.query else path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One run. Durations are seconds, sizes bytes."""

    scenario: Scenario = Scenario.FANOUT
    url: str = DEFAULT_URL
    origin: str = ""  # header of the handshake; empty: none, as of a client that is no browser
    deflate: bool = False  # offer permessage-deflate
    connections: int = 1000
    processes: int = 0  # 0: as many as needed
    connect_rate: float = 0.0  # connections per second over all processes; 0: as fast as they are accepted
    connect_timeout: float = 30.0  # for the handshake and the replies of one connection
    handshakes: int = 128  # in progress at a time, in one process
    retry: float = 0.0  # try a connection again for this long when it fails; 0: never
    channels: int = 1
    channels_per_connection: int = 1
    channel_prefix: str = "bench"
    protocol: Protocol = Protocol.JSON
    token: str = ""
    token_secret: str = ""  # sign a token for each connection
    users: int = 0  # the tokens are for so many users; 0: one each
    raw_subscribe: str = ""  # sent after the handshake when the protocol is RAW
    api_url: str = DEFAULT_API_URL
    api_key: str = ""
    rate: float = 0.0  # publications per second; 0: back to back
    messages: int = 100  # 0: connect only
    inflight: int = 0  # publications not yet delivered to all; 0: no limit
    payload: int = 100
    duration: float = 0.0  # stop publishing after this long; 0: after `messages` only
    hold: float = 0.0  # stay idle between connecting and publishing
    stall_timeout: float = 15.0  # give up when nothing at all was delivered for this long
    pid: int = 0  # of the server, for CPU and memory; 0: unknown
    waves: int = 3  # storm: how often all drop and come back
    wave_timeout: float = 120.0  # storm, recover: seconds for all to be back
    pause: float = 0.0  # storm, recover: seconds between dropping and coming back
    missed: int = 50  # recover: publications while all are away
    live: int = 0  # recover: publications while they come back
    leave: float = 0.5  # presence: share of the clients that leave again
    slow: float = 0.1  # slow: share of the clients that do not read
    churn: float = 10.0  # soak: connections dropped and opened again per second

    def __post_init__(self) -> None:
        """Check everything that does not depend on the machine. Raises SettingsError."""
        Target.parse(self.url, "ws")
        Target.parse(self.api_url, "http")
        if self.channels_per_connection > self.channels:
            raise SettingsError(
                f"a connection cannot have {self.channels_per_connection} of {self.channels} channels: "
                "raise --channels or lower --channels-per-connection"
            )
        if not MARKER_SIZE <= self.payload <= MAX_PAYLOAD:
            raise SettingsError(
                f"--payload must be {MARKER_SIZE} to {MAX_PAYLOAD} bytes: it carries a time stamp"
            )
        if self.protocol is Protocol.RAW and self.channels > 1:
            raise SettingsError(
                "--channels has no meaning with --no-protocol: every connection gets everything"
            )
        if self.protocol is not Protocol.RAW and self.raw_subscribe:
            raise SettingsError("--raw-subscribe needs --no-protocol")
        if self.duration and not self.messages:
            raise SettingsError("--duration needs publications: leave --messages 0 out")
        self._check_tokens()
        self._check_scenario()

    def _check_tokens(self) -> None:
        if self.token and self.token_secret:
            raise SettingsError("--token and --token-secret exclude each other")
        if self.users and not self.token_secret:
            raise SettingsError("--users needs --token-secret, to sign a token for each")
        if self.protocol is Protocol.RAW and (self.token or self.token_secret):
            raise SettingsError("--token and --token-secret have no meaning with --no-protocol")

    def _check_scenario(self) -> None:
        if self.scenario is not Scenario.FANOUT and self.protocol is Protocol.RAW:
            raise SettingsError(f"--no-protocol is for fanout only: {self.scenario.value} needs replies")
        for name, share in (("leave", self.leave), ("slow", self.slow)):
            if not 0 <= share <= 1:
                raise SettingsError(f"--{name} is a share from 0 to 1, not {share:g}")
        if self.scenario is Scenario.SLOW and not 0 < self.slow_count < self.connections:
            raise SettingsError(
                f"--slow {self.slow:g} of {self.connections} connections leaves {self.slow_count} slow ones: "
                "some must be slow and some not"
            )
        if self.scenario is Scenario.SLOW and self.channels > self.channels_per_connection:
            raise SettingsError(
                "slow needs everybody in all channels: --channels-per-connection as --channels"
            )
        if self.scenario is Scenario.PRESENCE and self.channels > 1:
            raise SettingsError("presence is about one channel: leave --channels out")
        if self.scenario is Scenario.SOAK and not self.duration:
            raise SettingsError("soak needs a --duration")

    def as_dict(self) -> dict[str, object]:
        """What differs from the defaults, without secrets, for people and JSON."""
        told: dict[str, object] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if value != item.default or item.name in ALWAYS_TOLD:
                told[item.name] = "..." if item.name in SECRETS else getattr(value, "value", value)
        return told

    @property
    def recoverable(self) -> bool:
        """Whether subscriptions ask to be recoverable."""
        return self.scenario in RECOVERING

    @property
    def join_leave(self) -> bool:
        """Whether subscriptions ask for joins and leaves."""
        return self.scenario is Scenario.PRESENCE

    @property
    def comes_back(self) -> bool:
        """Whether a connection that the server closes is opened again, as by a client."""
        return self.scenario in {Scenario.STORM, Scenario.SOAK}

    @property
    def slow_count(self) -> int:
        """Connections that do not read for a while."""
        return int(self.connections * self.slow) if self.scenario is Scenario.SLOW else 0

    def is_slow(self, number: int) -> bool:
        """Whether a connection is one of `slow_count`, which are spread evenly."""
        count = self.slow_count
        return (number + 1) * count // self.connections > number * count // self.connections

    def channel(self, index: int) -> str:
        """Name of a channel."""
        return f"{self.channel_prefix}{index}"


def raise_descriptor_limit() -> int:
    """Raise the soft descriptor limit of this process to the hard one, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def choose_processes(connections: int, wanted: int, descriptor_limit: int, cores: int) -> int:
    """How many worker processes hold *connections*; *wanted* 0 means as few as work well.

    Descriptors decide first. Beyond that half of the cores, as the server is usually on the same machine,
    and not less than 2,500 connections each. Raises SettingsError when the descriptors do not suffice.
    """
    room = descriptor_limit - RESERVED_DESCRIPTORS
    needed = math.ceil(connections / room) if room > 0 else MAX_PROCESSES + 1
    if wanted and wanted < needed <= MAX_PROCESSES:
        raise SettingsError(
            f"{wanted} processes of at most {room} connections each (descriptor limit {descriptor_limit}) "
            f"cannot hold {connections}: use --processes {needed} or more, or raise the hard limit "
            "(ulimit -Hn, LimitNOFILE=)"
        )
    if max(needed, wanted) > MAX_PROCESSES:
        raise SettingsError(
            f"{connections} connections do not fit into {MAX_PROCESSES} processes of at most {max(room, 0)}: "
            "lower --connections or raise the hard descriptor limit (ulimit -Hn, LimitNOFILE=)"
        )
    return wanted or max(needed, min(max(cores // 2, 1), math.ceil(connections / 2500)))


def usable_cores() -> int:
    """Cores this process may run on (taskset counts)."""
    return len(os.sched_getaffinity(0))
