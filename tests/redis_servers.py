"""Redis servers of their own for tests: started on free ports, frozen, killed and started again by their handle.

Each has a Unix socket too, by which a test commands it whatever its ports, TLS or cluster mode are.
"""

import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.server_process import free_port

TIMEOUT = 30.0
"""Seconds for anything that must come true."""

PORTS_TRIED = 10


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Return when *condition* holds."""
    end = time.monotonic() + TIMEOUT
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, what
        pause.wait(0.005)


def each(servers: Iterable["RedisServer"], condition: Callable[["RedisServer"], bool], what: str) -> None:
    """Return when *condition* has held for every server."""
    for server in servers:
        eventually(partial(condition, server), what)


class RedisServer:
    """One ``redis-server``, empty and without persistence. Use as a context manager.

    *arguments* are further ones of its command line; *user* and *password* are what the test itself needs. With *tls*
    it takes nothing else on its port.
    """

    def __init__(
        self,
        *arguments: str,
        user: str = "",
        password: str = "",
        tls: bool = False,
        program: str = "redis-server",
    ) -> None:
        self.port = 0
        self.arguments = list(arguments)
        self._program = program
        self._tls = tls
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self.folder = Path(self._folder.name)
        self.socket_path = str(self.folder / "redis.sock")
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Any = redis.Redis(
            unix_socket_path=self.socket_path,
            username=user or None,
            password=password or None,
            socket_timeout=TIMEOUT,
            protocol=2,
        )
        self._client.response_callbacks.clear()  # answers are as Redis gives them, whatever redis-py's version

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, on the port that it had before, and wait until it answers."""
        for _ in range(PORTS_TRIED):
            port = self.port or free_port()
            self._process = self._spawn(port)
            if self._answers():
                self.port = port
                return
            if self.port:
                break
        raise AssertionError(f"{self._program} does not start:\n{self.log()}")

    def command(self, *words: Any) -> Any:
        """Its answer to a command; Redis' errors are raised as redis-py has them."""
        return self._client.execute_command(*words)

    def freeze(self) -> None:
        """Stop it as it is: connections stay open, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._client.connection_pool.disconnect()

    def restart(self) -> None:
        """Kill it and start it again, empty, on the same port."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """End it, for good."""
        self.kill()
        self._client.close()
        self._folder.cleanup()

    def log(self) -> str:
        """What it has logged so far."""
        file = self.folder / "log.txt"
        return file.read_text() if file.exists() else ""

    # -------------------------------------------------------------- inside

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(self._command_line(port), stdout=log, stderr=log)

    def _command_line(self, port: int) -> list[str]:
        options = {
            "--port": 0 if self._tls else port,
            "--tls-port": port if self._tls else 0,
            "--bind": "127.0.0.1",
            "--unixsocket": self.socket_path,
            "--dir": self.folder,
            "--save": "",
            "--appendonly": "no",
            "--daemonize": "no",
        }
        return [self._program, *(str(word) for pair in options.items() for word in pair), *self.arguments]

    def _answers(self) -> bool:
        """Whether it came up; it did not when somebody else has taken the port."""

        def answers() -> bool:
            assert self._process is not None
            if self._process.poll() is not None:
                return True
            try:
                return bool(self.command("PING") == b"PONG")
            except (redis.ConnectionError, redis.BusyLoadingError):
                return False

        eventually(answers, f"{self._program} does not answer")
        assert self._process is not None
        return self._process.poll() is None


class _Sentinel(RedisServer):
    """A Sentinel; it rewrites its configuration file, so it has one."""

    def __init__(self, lines: Sequence[str], *, password: str = "", tls: bool = False) -> None:
        super().__init__(password=password, tls=tls, program="redis-sentinel")
        self._lines = lines

    def _command_line(self, port: int) -> list[str]:
        file = self.folder / "sentinel.conf"
        if not self.port:
            ports = f"port 0\ntls-port {port}" if self._tls else f"port {port}"
            head = [ports, "bind 127.0.0.1", f"unixsocket {self.socket_path}", f"dir {self.folder}"]
            file.write_text("\n".join([*head, *self._lines, ""]))
        return [self._program, str(file)]


def _is_connected(replica: RedisServer) -> bool:
    return bool(replica.command("ROLE")[3] == b"connected")


class Sentinels:
    """A master, a replica, and Sentinels that agree about them. Use as a context manager.

    *down_after_ms* is how long a master must be silent until it counts as down: by default longer than a test lasts.
    """

    NAME = "main"

    def __init__(
        self,
        count: int = 1,
        *,
        down_after_ms: int = 60_000,
        arguments: Sequence[str] = (),
        sentinel_lines: Sequence[str] = (),
        sentinel_password: str = "",
        sentinel_tls: bool = False,
    ) -> None:
        self._stack = ExitStack()
        self._count = count
        self._down_after_ms = down_after_ms
        self._sentinel_lines = sentinel_lines
        self._sentinel_password = sentinel_password
        self._sentinel_tls = sentinel_tls
        self.master = RedisServer(*arguments)
        self.replica = RedisServer(*arguments)
        self.sentinels: list[RedisServer] = []

    def __enter__(self) -> "Sentinels":
        with self._stack:
            self._start()
            self._stack = self._stack.pop_all()  # all runs; else what runs ends here
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def addresses(self) -> str:
        """Of all Sentinels, with commas."""
        return ",".join(sentinel.address for sentinel in self.sentinels)

    def master_port(self) -> int:
        """What the first Sentinel thinks where the master is."""
        _, port = self.sentinels[0].command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.NAME)
        return int(port)

    def fail_over(self) -> None:
        """Have the replica made master, in good order: the old master becomes its replica."""
        eventually(self._starts_failover, "the Sentinel does not begin")

    def wait_for_master(self, server: RedisServer) -> None:
        """Return when all Sentinels know, and *server* itself knows, that it is the master."""
        place = [b"127.0.0.1", b"%d" % server.port]

        def knows(sentinel: RedisServer) -> bool:
            return bool(sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.NAME) == place)

        each(self.sentinels, knows, "no Sentinel has made it the master")
        eventually(lambda: server.command("ROLE")[0] == b"master", "it is no master")

    def _start(self) -> None:
        self._stack.enter_context(self.master)
        self.replica.arguments += [
            "--replicaof",
            "127.0.0.1",
            str(self.master.port),
            "--repl-diskless-sync-delay",
            "0",
        ]
        self.master.command("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        self._stack.enter_context(self.replica)
        each([self.replica], _is_connected, "the replica does not find its master")
        quorum = self._count // 2 + 1
        lines = [
            f"sentinel monitor {self.NAME} 127.0.0.1 {self.master.port} {quorum}",
            f"sentinel down-after-milliseconds {self.NAME} {self._down_after_ms}",
            f"sentinel failover-timeout {self.NAME} 2000",
            *self._sentinel_lines,
        ]
        for _ in range(self._count):
            sentinel: RedisServer = _Sentinel(lines, password=self._sentinel_password, tls=self._sentinel_tls)
            self.sentinels.append(self._stack.enter_context(sentinel))
        each(self.sentinels, self._knows_all, "the Sentinels do not find each other")

    def _starts_failover(self) -> bool:
        try:
            return bool(self.sentinels[0].command("SENTINEL", "FAILOVER", self.NAME) == b"OK")
        except redis.ResponseError as error:
            if "NOGOODSLAVE" not in str(error):
                raise
            return False  # it has not looked at the replica for long enough

    def _knows_all(self, sentinel: RedisServer) -> bool:
        words = iter(sentinel.command("SENTINEL", "MASTER", self.NAME))
        state = dict(zip(words, words, strict=True))
        found = int(state[b"num-slaves"]), int(state[b"num-other-sentinels"]), state[b"flags"]
        return bool(found == (1, self._count - 1, b"master"))


class RedisCluster:
    """Three masters that share the slots, each with *replicas* of its own. Use as a context manager.

    *node_timeout_ms* is how long a member must be silent until it counts as down.
    """

    MASTERS = 3
    SLOTS = 16384

    def __init__(
        self, *, replicas: int = 0, node_timeout_ms: int = 5000, arguments: Sequence[str] = ()
    ) -> None:
        self._stack = ExitStack()
        self._arguments = (
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "1000",  # members find each other in a fraction of that
            "--cluster-replica-validity-factor",
            "0",  # however long its master was away, a replica may take over
            "--repl-diskless-sync-delay",
            "0",
            "--repl-ping-replica-period",
            "1",  # a replica whose offset is 0 is not shown
            *arguments,
        )
        self._replicas = replicas
        self._node_timeout_ms = node_timeout_ms
        self.masters: list[RedisServer] = []
        self.replicas: list[RedisServer] = []
        """In the order of their masters."""

    def __enter__(self) -> "RedisCluster":
        with self._stack:
            self._start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def servers(self) -> list[RedisServer]:
        """All of them."""
        return [*self.masters, *self.replicas]

    @property
    def addresses(self) -> str:
        """Of all members, with commas."""
        return ",".join(server.address for server in self.servers)

    def master_of(self, key: str) -> RedisServer:
        """Who has the slot of a key as the cluster was made."""
        slot = int(self.masters[0].command("CLUSTER", "KEYSLOT", key))
        return self.masters[slot * self.MASTERS // self.SLOTS]

    def begin_move(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """Give a slot away: keys that *source* does not have are asked for at *target* (``ASK``)."""
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(target))

    def move_slot(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """Give away a slot without keys; other masters learn it in time."""
        self.begin_move(slot, source, target)
        for server in (target, source):
            server.command("CLUSTER", "SETSLOT", slot, "NODE", self.id_of(target))

    @staticmethod
    def id_of(server: RedisServer) -> str:
        """The name of a member in its cluster."""
        return str(server.command("CLUSTER", "MYID").decode())

    def flush(self) -> None:
        """Forget all data."""
        for server in self.masters:
            server.command("FLUSHALL")

    # -------------------------------------------------------------- inside

    def _start(self) -> None:
        count = self.MASTERS * (1 + self._replicas)
        servers = [self._member(number) for number in range(count)]
        self.masters, self.replicas = servers[: self.MASTERS], servers[self.MASTERS :]
        for number, server in enumerate(self.masters):
            first = -(-number * self.SLOTS // self.MASTERS)
            last = -(-(number + 1) * self.SLOTS // self.MASTERS) - 1
            server.command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for server in servers[1:]:
            bus = server.arguments[-1]
            servers[0].command("CLUSTER", "MEET", "127.0.0.1", server.port, bus)
        each(servers, lambda server: self._nodes(server) == count, "the members do not find each other")
        for number, server in enumerate(self.replicas):
            server.command("CLUSTER", "REPLICATE", self.id_of(self.masters[number % self.MASTERS]))
        each(servers, self._is_ready, "the cluster does not come up")
        each(self.replicas, _is_connected, "a replica does not find its master")
        for server in servers:
            server.command("CONFIG", "SET", "cluster-node-timeout", self._node_timeout_ms)

    def _member(self, number: int) -> RedisServer:
        server = RedisServer(*self._arguments, "--cluster-port", str(free_port()))
        self._stack.enter_context(server)
        server.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        return server

    @staticmethod
    def _nodes(server: RedisServer) -> int:
        lines = bytes(server.command("CLUSTER", "NODES")).splitlines()
        return sum(b"handshake" not in line for line in lines)

    def _is_ready(self, server: RedisServer) -> bool:
        state = bytes(server.command("CLUSTER", "INFO"))
        slots = server.command("CLUSTER", "SLOTS")
        members = sum(len(row) - 2 for row in slots)
        return b"cluster_state:ok" in state and members == len(self.servers)


# -------------------------------------------------------------------- fixtures


@pytest.fixture(scope="session")
def shared_redis_server() -> Iterator[RedisServer]:
    """One server for all tests that leave it running; see ``redis_server``."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_server(shared_redis_server: RedisServer) -> RedisServer:
    """A server that is empty, has no scripts and its usual settings."""
    shared_redis_server.command("FLUSHALL")
    shared_redis_server.command("SCRIPT", "FLUSH")
    return shared_redis_server


@pytest.fixture(scope="session")
def shared_redis_cluster() -> Iterator[RedisCluster]:
    """One cluster for all tests that leave it as it is; see ``redis_cluster``."""
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture
def redis_cluster(shared_redis_cluster: RedisCluster) -> RedisCluster:
    """A cluster that is empty."""
    shared_redis_cluster.flush()
    return shared_redis_cluster
