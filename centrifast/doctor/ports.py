"""The ports of the configuration: free, or who has them?"""

import errno
import os
from contextlib import suppress
from dataclasses import dataclass

from centrifast.config.schema import Config
from centrifast.doctor.finding import Finding, fail, ok, unknown
from centrifast.doctor.wire import ProbeError, Target, get
from centrifast.server.listeners import Address, ListenError, open_sockets, plan_listeners

TIMEOUT = 3.0
"""Seconds for the answer of whoever has the port."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that listens: its id, its name, the begin of its command line."""

    pid: int
    name: str
    line: str

    def __str__(self) -> str:
        return f"{self.name}, process {self.pid} ({self.line})"


@dataclass(frozen=True, slots=True)
class PortFacts:
    """Whether an address can be listened on; if not, who is there."""

    address: Address
    problem: str = ""
    in_use: bool = False
    healthy: bool = False
    """Whether the health endpoint answers as this server's does."""
    serves_websocket: bool = False
    """Whether the path of the WebSocket answers a plain request as this server does, with 400."""
    owner: str = ""
    """Name and id of the process, where that can be seen."""
    is_root: bool = False
    speaks_http: bool = True
    """False for gRPC: who is there can not be asked."""


def addresses_of(config: Config) -> tuple[Address, ...]:
    """Return where the server listens, external first. Raises ListenError for a port that is none."""
    plan = plan_listeners(config.http_server)
    found = [plan.external] if plan.is_merged else [plan.external, plan.internal]
    found += (
        Address(section.address, section.port)
        for section in (config.grpc_api, config.uni_grpc)
        if section.enabled
    )
    return tuple(found)


def read_port(config: Config, address: Address) -> PortFacts:
    """Try to listen, for a moment; if that fails, ask who is there."""
    is_root = os.geteuid() == 0
    try:
        for opened in open_sockets(address):
            opened.close()
    except ListenError as error:
        cause = error.__cause__
        in_use = isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
        if not in_use:
            return PortFacts(address, str(error), is_root=is_root)
        owner = owner_of(address.port)
        name = "" if owner is None else str(owner)
        grpc = {config.grpc_api.port, config.uni_grpc.port} - {config.http_server.port}
        if address.port in grpc:
            return PortFacts(address, str(error), True, owner=name, is_root=is_root, speaks_http=False)
        healthy = _answers(config, address, config.health.handler_prefix or "/", 200, b"{}")
        websocket = _answers(config, address, config.websocket.handler_prefix, 400, b"Bad Request")
        return PortFacts(address, str(error), True, healthy, websocket, name, is_root)
    except (OSError, UnicodeError) as error:  # a host name that can not be resolved, or is none
        return PortFacts(address, f"can not listen on {address}: {error}", is_root=is_root)
    return PortFacts(address, is_root=is_root)


def _answers(config: Config, address: Address, path: str, status: int, body: bytes) -> bool:
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    server = config.http_server
    for tls in sorted({server.tls.enabled or server.internal_tls.enabled, False}, reverse=True):
        try:
            answer = get(Target(tls, host, address.port, path), TIMEOUT, verify=False)
        except ProbeError:
            continue
        if answer.status == status and answer.body.strip() == body:
            return True
    return False


def owner_of(port: int) -> Owner | None:
    """Find the process that listens; None if that can not be seen, as for processes of other users."""
    import psutil  # only here: it takes its time to load

    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            place = connection.laddr
            if (
                connection.status != psutil.CONN_LISTEN
                or not place
                or place.port != port
                or not connection.pid
            ):
                continue
            process = psutil.Process(connection.pid)
            return Owner(connection.pid, process.name(), " ".join(process.cmdline()[:4]))
    return None


def server_pid(config: Config) -> int | None:
    """Return the process id of a running server by its port, None if there is none."""
    owner = owner_of(config.http_server.port)
    return owner.pid if owner is not None and "centrifast" in owner.line else None


def check_port(facts: PortFacts) -> Finding:
    """Judge one address: free or held by a running server is fine."""
    name = f"port {facts.address.port}"
    where = f"{facts.address.host or 'all addresses'}, port {facts.address.port}"
    if not facts.problem:
        return ok(name, f"free on {where}")
    if facts.in_use:
        return _check_taken(facts, name)
    if facts.address.port < 1024 and not facts.is_root:
        return fail(
            name,
            facts.problem,
            "the right to listen below port 1024",
            "systemctl edit centrifast    # [Service] AmbientCapabilities=CAP_NET_BIND_SERVICE",
            "http_server.port: 8000    # with a proxy in front",
        )
    needed = "an address of this machine in http_server.address (internal_address)"
    return fail(name, facts.problem, needed, "ip -brief address")


def _check_taken(facts: PortFacts, name: str) -> Finding:
    owner = facts.owner or "a process that this user can not see"
    if facts.healthy or facts.serves_websocket:
        how = "its health endpoint answers" if facts.healthy else "its WebSocket endpoint answers"
        return ok(name, f"a running server is there: {how}; {owner}")
    if "centrifast" in facts.owner and not facts.speaks_http:
        return ok(name, f"a running server is there; {owner}")
    if "centrifast" in facts.owner:
        return unknown(
            name,
            f"{owner} has it, but answers neither as health nor as WebSocket endpoint",
            "an answer of the running server",
            'set "health": {"enabled": true}, and use the configuration file of the running server here',
        )
    return fail(
        name,
        f"taken by {owner}",
        "a free port for the server",
        f"ss -ltnp 'sport = :{facts.address.port}'    # as root: who is it?",
        "change http_server.port, or stop the other one",
    )
