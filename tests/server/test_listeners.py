import asyncio
import datetime
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from centrifast.config.option import Pem
from centrifast.config.schema_server import HttpServerConfig
from centrifast.config.schema_tls import TlsConfig
from centrifast.server import listeners
from centrifast.server.listeners import (
    Address,
    ListenerPlan,
    ListenError,
    assign_sockets,
    log_start,
    make_tls_context,
    open_sockets,
    place_of,
    plan_listeners,
    serve,
    tls_of,
)
from centrifast.server.routes import Routes
from centrifast.systemd import PassedSocket
from centrifast.transports.front_door import FrontDoor, FrontDoorSettings
from tests.fakes import FakeClock
from tests.server.http_peer import echo, get, run, until

LOCAL = Address("127.0.0.1", 0)


def self_signed(name: str) -> tuple[str, str]:
    """Certificate and key as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


SERVER_CERT, SERVER_KEY = self_signed("localhost")
CLIENT_CERT, CLIENT_KEY = self_signed("client")
TLS = TlsConfig(enabled=True, cert_pem=Pem(SERVER_CERT), key_pem=Pem(SERVER_KEY))
MUTUAL_TLS = TlsConfig(
    enabled=True, cert_pem=Pem(SERVER_CERT), key_pem=Pem(SERVER_KEY), client_ca_pem=Pem(CLIENT_CERT)
)


# ----------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("config", "external", "internal"),
    [
        (HttpServerConfig(), ":8000", ":8000"),
        (HttpServerConfig(address="127.0.0.1", port=9000), "127.0.0.1:9000", "127.0.0.1:9000"),
        (HttpServerConfig(internal_port="9000"), ":8000", ":9000"),
        (HttpServerConfig(internal_port="8000"), ":8000", ":8000"),
        (HttpServerConfig(internal_address="::1"), ":8000", "[::1]:8000"),
    ],
)
def test_the_internal_address_follows_the_external_one(
    config: HttpServerConfig, external: str, internal: str
) -> None:
    plan = plan_listeners(config)
    assert (str(plan.external), str(plan.internal)) == (external, internal)
    assert plan.is_merged == (external == internal)


@pytest.mark.parametrize("port", ["x", "-1", "65536", "80a", "٣"])
def test_an_internal_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(ListenError, match="internal_port"):
        plan_listeners(HttpServerConfig(internal_port=port))


def test_an_empty_host_means_every_interface_of_both_versions() -> None:
    sockets = open_sockets(Address("", 0))
    try:
        assert [opened.family for opened in sockets] == [socket.AF_INET, socket.AF_INET6]
        assert len({opened.getsockname()[1] for opened in sockets}) == 1
    finally:
        for opened in sockets:
            opened.close()


def test_a_machine_without_ipv6_is_served_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_ipv6", False)
    (opened,) = open_sockets(Address("", 0))
    with opened:
        assert opened.family == socket.AF_INET


def test_a_kernel_without_ipv6_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(family: int, kind: int) -> socket.socket:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuse)
    assert not listeners._ipv6_works()


def test_accepted_sockets_send_small_writes_at_once() -> None:
    (opened,) = open_sockets(LOCAL)
    with opened, socket.create_connection(opened.getsockname()):
        opened.setblocking(True)
        accepted, _ = opened.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_in_use_is_named() -> None:
    (first,) = open_sockets(LOCAL)
    with first:
        port = first.getsockname()[1]
        with pytest.raises(ListenError, match=f"port {port} is already in use"):
            open_sockets(Address("127.0.0.1", port))


def test_a_port_in_use_on_the_second_version_leaves_nothing_open() -> None:
    with socket.socket(socket.AF_INET6) as first:
        first.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        first.bind(("::", 0))
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(ListenError):
            open_sockets(Address("", port))
        with socket.socket() as again:
            again.bind(("0.0.0.0", port))


def test_workers_share_a_port() -> None:
    (first,) = open_sockets(LOCAL, reuse_port=True)
    (second,) = open_sockets(Address("127.0.0.1", first.getsockname()[1]), reuse_port=True)
    first.close()
    second.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_a_foreign_address_is_refused(host: str) -> None:
    with pytest.raises(ListenError, match=f"can not listen on {host}"):
        open_sockets(Address(host, 0))


def test_the_start_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    log_start(["websocket", "api"], Address("", 8000))
    assert [record.getMessage() for record in caplog.records] == ["serving websocket, api endpoints on :8000"]


# ----------------------------------------------------------------------- TLS


def test_which_listener_has_tls() -> None:
    internal = TlsConfig(enabled=True, cert_pem=Pem(CLIENT_CERT), key_pem=Pem(CLIENT_KEY))
    for config, external, inside in [
        (HttpServerConfig(), False, False),
        (HttpServerConfig(tls=TLS), True, True),
        (HttpServerConfig(tls=TLS, tls_external=True), True, False),
        (HttpServerConfig(internal_tls=internal), False, True),
        (HttpServerConfig(tls=TLS, tls_external=True, internal_tls=internal), True, True),
    ]:
        assert (tls_of(config, external=True) is not None) is external
        assert (tls_of(config, external=False) is not None) is inside


@pytest.mark.parametrize(
    "config",
    [
        TlsConfig(enabled=True),
        TlsConfig(enabled=True, cert_pem=Pem(SERVER_CERT)),
        TlsConfig(enabled=True, cert_pem=Pem(SERVER_CERT), key_pem=Pem(CLIENT_KEY)),
        TlsConfig(enabled=True, cert_pem=Pem("no certificate"), key_pem=Pem(SERVER_KEY)),
        TlsConfig(
            enabled=True, cert_pem=Pem(SERVER_CERT), key_pem=Pem(SERVER_KEY), client_ca_pem=Pem("nothing")
        ),
    ],
    ids=["nothing", "no key", "foreign key", "no certificate", "no authority"],
)
def test_tls_that_can_not_work_is_refused(config: TlsConfig) -> None:
    with pytest.raises(ListenError, match=r"http_server\.tls"):
        make_tls_context(config, "http_server.tls")


def test_old_tls_is_not_offered() -> None:
    assert make_tls_context(TLS, "tls").minimum_version == ssl.TLSVersion.TLSv1_2


async def ask_over_tls(
    config: TlsConfig, client: ssl.SSLContext, request: bytes = get("/echo", "Connection: close")
) -> bytes:
    routes = Routes()
    routes.add("/echo", "echo", echo)
    clock = FakeClock()
    door = FrontDoor(routes, FrontDoorSettings(), clock)
    sockets = open_sockets(LOCAL)
    port = sockets[0].getsockname()[1]
    acceptors = serve(door, sockets, make_tls_context(config, "tls"), clock)
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname="localhost"
        )
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer
    finally:
        for acceptor in acceptors:
            acceptor.close()
        await door.close()
        await until(lambda: not door.connections)


def client_context(tmp_path: Path, *, with_certificate: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=SERVER_CERT)
    if with_certificate:
        chain = tmp_path / "client.pem"
        chain.write_text(CLIENT_KEY + CLIENT_CERT)
        context.load_cert_chain(chain)
    return context


def test_requests_are_served_over_tls(tmp_path: Path) -> None:
    answer = run(ask_over_tls(TLS, client_context(tmp_path, with_certificate=False)))
    assert answer.endswith(b"GET /echo ")


def test_a_refusal_over_tls_closes_too(tmp_path: Path) -> None:
    client = client_context(tmp_path, with_certificate=False)
    assert run(ask_over_tls(TLS, client, b"\x00")).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_a_client_certificate_is_demanded_when_its_authority_is_configured(tmp_path: Path) -> None:
    answer = run(ask_over_tls(MUTUAL_TLS, client_context(tmp_path, with_certificate=True)))
    assert answer.endswith(b"GET /echo ")
    stranger = client_context(tmp_path, with_certificate=False)
    stranger.maximum_version = ssl.TLSVersion.TLSv1_2  # in 1.3 the client learns of it only when it reads
    with pytest.raises((ssl.SSLError, ConnectionError)):
        run(ask_over_tls(MUTUAL_TLS, stranger))


# --------------------------------------------------- sockets that were passed in


def listening(host: str = "127.0.0.1") -> socket.socket:
    return socket.create_server((host, 0))


def plan_for(external: Address, internal: Address | None = None) -> ListenerPlan:
    return ListenerPlan(external, internal or external)


def test_a_passed_socket_goes_where_its_address_is_configured() -> None:
    with listening() as first, listening() as second:
        plan = plan_for(place_of(first), place_of(second))
        passed = [PassedSocket(second, "unknown"), PassedSocket(first, "")]
        assert assign_sockets(passed, plan) == ([first], [second])
        assert not first.getblocking()
        assert first.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_empty_host_takes_every_address_on_its_port() -> None:
    with listening() as opened, listening("0.0.0.0") as wide:
        for one in (opened, wide):
            port = one.getsockname()[1]
            assert assign_sockets([PassedSocket(one, "")], plan_for(Address("", port))) == ([one], [])
        assert place_of(wide).host == ""


def test_a_name_counts_more_than_an_address() -> None:
    with listening() as first, listening() as second:
        plan = plan_for(place_of(first), place_of(second))
        passed = [PassedSocket(first, "internal"), PassedSocket(second, "external")]
        assert assign_sockets(passed, plan) == ([second], [first])


def test_a_passed_socket_that_fits_nothing_is_a_clear_error() -> None:
    with listening() as opened:
        host, port = opened.getsockname()
        for address in (Address(host, port + 1), Address("127.0.0.2", port)):
            with pytest.raises(ListenError, match=f"port {port}. was passed .* but fits no listener"):
                assign_sockets([PassedSocket(opened, "")], plan_for(address))
        with pytest.raises(ListenError, match=r"set http_server\.internal_port"):
            assign_sockets([PassedSocket(opened, "internal")], plan_for(Address(host, port)))


def test_a_passed_socket_must_listen_on_tcp() -> None:
    with socket.socket() as unbound, pytest.raises(ListenError, match="does not listen"):
        assign_sockets([PassedSocket(unbound, "external")], plan_for(LOCAL))
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams, pytest.raises(ListenError, match="no TCP"):
        assign_sockets([PassedSocket(datagrams, "external")], plan_for(LOCAL))
