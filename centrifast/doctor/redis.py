"""Can Redis be reached as the configuration says? PING over a plain socket, in RESP (Redis protocol specification)."""

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from centrifast.config.schema import Config, TlsConfig
from centrifast.config.schema_redis import RedisConnectionConfig
from centrifast.doctor.finding import Finding, fail, ok, warn
from centrifast.doctor.wire import reason_of
from centrifast.doctor.wording import foreign
from centrifast.engine.redis.settings import Kind, Place, client_tls_context, read_shards
from centrifast.limits import KIB

TARGETS = 16
"""Addresses that are tried at most."""

REPLY_SIZE = 64 * KIB
COMMANDS = 4
"""Commands sent to one address at most; all of them together have as many timeouts."""

SLOW = 0.05
"""Seconds for a PING from which on every publication is felt to be slow."""


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """One address; *path* is that of a Unix socket. Never show user or password."""

    host: str
    port: int
    path: str = ""
    tls: TlsConfig | None = None
    user: str = ""
    password: str = ""
    db: int = 0
    master: str = ""
    """Name that a Sentinel is asked for; empty for a Redis."""

    @property
    def place(self) -> str:
        """Where it is, without secrets."""
        return str(Place(self.host, self.port, self.path))


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """What came of it; *error* is empty if the PING was answered."""

    section: str
    place: str
    error: str = ""
    seconds: float = 0.0
    master: str = ""


def sections_of(config: Config) -> Iterator[tuple[str, RedisConnectionConfig]]:
    """Give every section of the configuration that uses Redis."""
    if config.engine.type == "redis" or config.redis_api.enabled:
        yield "engine.redis", config.engine.redis
    if config.broker.enabled and config.broker.type == "redis":
        yield "broker.redis", config.broker.redis
    if config.presence_manager.enabled and config.presence_manager.type == "redis":
        yield "presence_manager.redis", config.presence_manager.redis
    if config.map_broker.type == "redis":
        yield "map_broker.redis", config.map_broker.redis
    for index, consumer in enumerate(config.consumers):
        if consumer.enabled and consumer.type in ("redis_stream", "redis_list"):
            own = consumer.redis_stream if consumer.type == "redis_stream" else consumer.redis_list
            yield f"consumers.[{index}].{consumer.type}", own


# ------------------------------------------------------------------- addresses


def targets_of(section: RedisConnectionConfig) -> list[RedisTarget]:
    """Return the addresses of a section. Raises ValueError, without showing the address: it may hold a password."""
    return list(islice(_targets_of(section), TARGETS))


def _targets_of(section: RedisConnectionConfig) -> Iterator[RedisTarget]:
    for shard in read_shards(section):
        is_sentinel = shard.kind is Kind.SENTINEL
        login = shard.sentinel if is_sentinel else shard.login
        for place in shard.places:
            yield RedisTarget(
                host=place.host,
                port=place.port,
                path=place.path,
                tls=login.tls if login.tls.enabled and not place.path else None,
                user=login.user,
                password=login.password,
                db=0 if is_sentinel else shard.db,
                master=shard.master_name if is_sentinel else "",
            )


# ---------------------------------------------------------------------- talking


def ping(section: str, target: RedisTarget, connect_timeout: float, io_timeout: float) -> RedisFacts:
    """Connect, log in, PING; ask a Sentinel for the master. Each step ends within its timeout."""
    try:
        with _connect(target, connect_timeout) as wire:
            wire.settimeout(io_timeout)
            talk = _Talk(wire, time.monotonic() + COMMANDS * io_timeout)
            if target.password:
                talk.call("AUTH", *filter(None, [target.user]), target.password)
            if target.db:
                talk.call("SELECT", str(target.db))
            began = time.monotonic()
            answer = talk.call("PING")
            seconds = time.monotonic() - began
            if answer != "PONG":
                return RedisFacts(
                    section, target.place, f"PING is answered with {foreign(str(answer), 40)!r}"
                )
            master = ""
            if target.master:
                found = talk.call("SENTINEL", "get-master-addr-by-name", target.master)
                if not isinstance(found, list) or len(found) != 2:
                    return RedisFacts(
                        section, target.place, f"the Sentinel knows no master {foreign(target.master, 40)!r}"
                    )
                master = ":".join(foreign(str(part), 60) for part in found)
            return RedisFacts(section, target.place, "", seconds, master)
    except (OSError, ValueError) as error:
        return RedisFacts(section, target.place, reason_of(error))


def _connect(target: RedisTarget, timeout: float) -> socket.socket:
    if target.path:
        wire = socket.socket(socket.AF_UNIX)
        wire.settimeout(timeout)
        try:
            wire.connect(target.path)
        except OSError:
            wire.close()
            raise
        return wire
    wire = socket.create_connection((target.host, target.port), timeout)
    if target.tls is None:
        return wire
    try:
        return client_tls_context(target.tls).wrap_socket(
            wire, server_hostname=target.tls.server_name or target.host
        )
    except (OSError, ValueError):
        wire.close()
        raise


class _Talk:
    """Commands and replies of RESP2, which every Redis speaks first."""

    def __init__(self, wire: socket.socket, deadline: float) -> None:
        self._wire = wire
        self._deadline = deadline
        self._buffer = b""

    def call(self, *words: str) -> object:
        """Send a command and return its reply. Raises ValueError for an error reply, OSError for I/O."""
        parts = [word.encode() for word in words]
        request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self._wire.sendall(request)
        return self._reply(3)

    def _reply(self, depth: int) -> object:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == "+":
            return rest
        if kind == "-":
            raise ValueError(foreign(rest, 120))
        if kind in ":*$" and rest.lstrip("-").isdecimal():
            number = int(rest)
            if kind == ":":
                return number
            if number < 0:
                return None
            if kind == "$":
                return self._take(min(number, REPLY_SIZE) + 2)[:-2].decode("utf-8", "replace")
            if depth and number <= 16:
                return [self._reply(depth - 1) for _ in range(number)]
        raise ValueError(f"the answer is not Redis's: {foreign(line, 40)!r}")

    def _line(self) -> str:
        while b"\r\n" not in self._buffer:
            self._fill()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode("utf-8", "replace")

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _fill(self) -> None:
        if len(self._buffer) > 2 * REPLY_SIZE:
            raise ValueError("the answer is too long")
        if time.monotonic() > self._deadline:
            raise TimeoutError  # each byte came in time, but there is no end of them
        data = self._wire.recv(4096)
        if not data:
            raise ConnectionResetError("the connection was closed")
        self._buffer += data


# --------------------------------------------------------------------- judging


def check_redis(facts: RedisFacts) -> Finding:
    """Judge one address."""
    name = facts.section
    if not facts.error:
        master = f"; the master is {facts.master}" if facts.master else ""
        seen = f"{facts.place} answers a PING after {facts.seconds * 1000:.1f} ms{master}"
        if facts.seconds > SLOW:
            return warn(name, seen, "less than 50 ms: each publication with history waits for Redis")
        return ok(name, seen)
    return fail(name, f"{facts.place}: {facts.error}", "a Redis that answers", *_mends(facts))


def _mends(facts: RedisFacts) -> Iterator[str]:
    host, _, port = facts.place.rpartition(":")
    if facts.error.startswith(("NOAUTH", "WRONGPASS", "ERR invalid password", "ERR AUTH")):
        yield f"set {facts.section}.password (and .user, if Redis has an access list)"
    elif "NOPERM" in facts.error:
        yield f"let the user of {facts.section}.user run all commands on the keys with the configured prefix"
    elif "certificate" in facts.error or "ssl" in facts.error or "wrong version" in facts.error:
        yield f"compare {facts.section}.tls with the server: enabled, server_ca_pem, server_name"
    elif host:
        yield f"redis-cli -h {host} -p {port} ping    # from this machine"
    else:
        yield f"redis-cli -s {facts.place} ping    # as the user of the server"


def read_redis(config: Config) -> Iterator[RedisFacts]:
    """Try every address of every section that is used."""
    for name, section in sections_of(config):
        try:
            targets = targets_of(section)
        except ValueError as error:
            yield RedisFacts(name, "address", str(error))
            continue
        for target in targets:
            yield ping(name, target, section.connect_timeout or 1.0, section.io_timeout or 4.0)
