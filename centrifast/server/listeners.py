"""Sockets that are listened on, and their TLS (server specification 2.1 and 2.3)."""

import asyncio
import errno
import socket
import ssl
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from centrifast import log
from centrifast.clock import Clock
from centrifast.config.schema_server import HttpServerConfig
from centrifast.config.schema_tls import TlsConfig
from centrifast.server.acceptor import Acceptor
from centrifast.server.pace import Pace
from centrifast.systemd import PassedSocket

BACKLOG = 4096
"""Connections the kernel keeps ready; clients beyond, all coming back at once, wait for a retransmission."""


class ListenError(OSError):
    """A listener can not be opened; the text tells an operator why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; an empty *host* means all interfaces, IPv4 and IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ListenerPlan:
    """The two logical listeners; endpoints of both share one server when the addresses are equal."""

    external: Address
    internal: Address

    @property
    def is_merged(self) -> bool:
        """Whether one server carries all endpoints."""
        return self.external == self.internal


def plan_listeners(config: HttpServerConfig) -> ListenerPlan:
    """Addresses from the configuration. Raises ``ListenError`` if ``internal_port`` is no port."""
    port = config.internal_port
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ListenError(f"http_server.internal_port is {port!r}, expected a number from 0 to 65535")
    return ListenerPlan(
        external=Address(config.address, config.port),
        internal=Address(config.internal_address or config.address, int(port) if port else config.port),
    )


def assign_sockets(
    passed: Sequence[PassedSocket], plan: ListenerPlan
) -> tuple[list[socket.socket], list[socket.socket]]:
    """Which of the sockets opened for this process are the external listener's, and which the internal one's.

    By name (``external``, ``internal``), else by address and port; an empty host takes every address. A merged listener
    counts as external. Raises ``ListenError`` for a socket that is of no use.
    """
    external: list[socket.socket] = []
    internal: list[socket.socket] = []
    for one in passed:
        _check_passed(one)
        if one.name == "internal" and plan.is_merged:
            raise ListenError(
                f"{one.description} is named internal, but there is no listener of its own for internal endpoints; "
                "set http_server.internal_port"
            )
        if one.name == "external" or (one.name != "internal" and _is_on(one.socket, plan.external)):
            external.append(one.socket)
        elif one.name == "internal" or _is_on(one.socket, plan.internal):
            internal.append(one.socket)
        else:
            raise ListenError(
                f"{one.description} was passed to this process but fits no listener: external is {plan.external}, "
                f"internal is {plan.internal}; set http_server.address and port to match, or name it "
                "external or internal (FileDescriptorName=)"
            )
        _prepare(one.socket)
    return external, internal


def _check_passed(passed: PassedSocket) -> None:
    opened = passed.socket
    if opened.family not in (socket.AF_INET, socket.AF_INET6) or opened.type != socket.SOCK_STREAM:
        raise ListenError(f"{passed.description} was passed to this process but is no TCP socket")
    if not opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ListenError(f"{passed.description} was passed to this process but does not listen")


def _is_on(opened: socket.socket, address: Address) -> bool:
    host, port = opened.getsockname()[:2]
    if port != address.port:
        return False
    return not address.host or host in [known for _, known in _hosts(address.host)]


def tls_of(config: HttpServerConfig, *, external: bool) -> ssl.SSLContext | None:
    """TLS of a listener, None for plain; a merged listener counts as external. Raises ``ListenError``."""
    if not external and config.internal_tls.enabled:
        return make_tls_context(config.internal_tls, "http_server.internal_tls")
    if config.tls.enabled and (external or not config.tls_external):
        return make_tls_context(config.tls, "http_server.tls")
    return None


def make_tls_context(config: TlsConfig, section: str) -> ssl.SSLContext:
    """A server's context: TLS 1.2 or newer; client certificates if their authority is configured."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not config.cert_pem or not config.key_pem:
        raise ListenError(f"{section} needs both cert_pem and key_pem")
    try:
        # ssl reads a chain from a file only; this one is readable by its owner alone and gone at once.
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as chain:
            chain.write(f"{config.key_pem}\n{config.cert_pem}\n")
            chain.flush()
            context.load_cert_chain(chain.name, password=lambda: "")
        if config.client_ca_pem:
            context.load_verify_locations(cadata=str(config.client_ca_pem))
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, ValueError) as error:
        raise ListenError(f"{section} can not be used: {error}") from error
    return context


def open_sockets(address: Address, *, reuse_port: bool = False) -> list[socket.socket]:
    """Bound sockets: one, or one per IP version for an empty host. Raises ``ListenError``.

    With *reuse_port* several processes may listen on the same port and share its connections. It also hides
    that somebody else already does, so whoever starts them opens the port once without.
    """
    sockets: list[socket.socket] = []
    try:
        for family, host in _hosts(address.host):
            port = sockets[0].getsockname()[1] if sockets else address.port  # port 0: the same one for both
            sockets.append(_open_socket(family, host, port, reuse_port))
    except OSError as error:
        for opened in sockets:
            opened.close()
        if error.errno == errno.EADDRINUSE:
            raise ListenError(f"port {address.port} is already in use (address {address})") from error
        raise ListenError(f"can not listen on {address}: {error.strerror or error}") from error
    return sockets


def _hosts(host: str) -> list[tuple[socket.AddressFamily, str]]:
    if host:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return list(dict.fromkeys((family, str(place[0])) for family, _, _, _, place in found))
    both = [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
    return both if _ipv6_works() else both[:1]


def _ipv6_works() -> bool:
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:  # switched off in the kernel
        return False
    return True


def _open_socket(family: socket.AddressFamily, host: str, port: int, reuse_port: bool) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _prepare(opened)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((host, port))
        # Between two processes that only bound the port, SO_REUSEADDR hides the clash: listening shows it.
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _prepare(opened: socket.socket) -> None:
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
    opened.setblocking(False)


def place_of(opened: socket.socket) -> Address:
    """Where a socket listens; every address is an empty host."""
    host, port = opened.getsockname()[:2]
    return Address("" if host in ("0.0.0.0", "::") else host, port)


def serve(
    door: Callable[[], asyncio.Protocol],
    sockets: Sequence[socket.socket],
    tls: ssl.SSLContext | None,
    clock: Clock,
    pace: Pace | None = None,
) -> list[Acceptor]:
    """Accept connections on *sockets*, which the acceptors own from here on, at *pace* together if any."""
    return [Acceptor(opened, door, tls, clock, pace) for opened in sockets]


def log_start(names: Sequence[str], address: Address) -> None:
    """Say what is served where, one line a listener, worded as in server specification 2.1."""
    log.info(f"serving {', '.join(names)} endpoints on {address}")
