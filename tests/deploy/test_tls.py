"""TLS on the server's own port, with clients of the official libraries and an authority of our own."""

import asyncio
import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import cent
import pytest
import requests

from tests.deploy.certificates import Authority
from tests.deploy.conftest import Launch
from tests.raw_websocket import RawWebSocket
from tests.server_process import ServerProcess, free_port

KIB = 1024
CLIENTS = 100
MESSAGES = 50
UPGRADE = (
    b"GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
REFUSED = (ssl.SSLError, ConnectionError, EOFError)


def tls_of(authority: Authority, **more: str) -> dict[str, object]:
    """The option of a server whose certificate the authority has signed."""
    certificate, key = authority.issue("localhost")
    return {"enabled": True, "cert_pem": str(certificate), "key_pem": str(key), **more}


@pytest.fixture
def server(tmp_path: Path, authority: Authority) -> Iterator[ServerProcess]:
    """A server with TLS for everything."""
    changes = {"http_server": {"tls": tls_of(authority)}}
    with ServerProcess(tmp_path, changes, tls=authority.trusting()) as server:
        yield server
        assert server.stop() == 0
        assert '"error"' not in server.log()


@pytest.fixture
def mutual(tmp_path: Path, authority: Authority) -> Iterator[ServerProcess]:
    """A server that wants to know its clients, by an authority of theirs."""
    users = Authority(tmp_path, "users")
    certificate, key = users.issue("user")
    context = authority.trusting()
    context.load_cert_chain(certificate, key)
    changes = {"http_server": {"tls": tls_of(authority, client_ca_pem=str(users.file))}}
    with ServerProcess(tmp_path, changes, tls=context) as server:
        yield server


def ask(port: int, context: ssl.SSLContext) -> bytes:
    """Send a request; the first bytes of the answer, or EOFError."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as sealed,
    ):
        sealed.sendall(UPGRADE)
        answer = sealed.recv(4096)
    if not answer:
        raise EOFError
    return answer


# ------------------------------------------------------------------- clients


def test_messages_go_both_ways_whole(server: ServerProcess, launch: Launch, channel: str) -> None:
    client = launch(server.url)
    client.connect()
    client.subscribe(channel)
    large = "x" * (60 * KIB)
    client.command("publish", channel=channel, data=large)
    client.wait("publication", channel=channel, data=large)
    server.publish(channel, large[::-1] + "y")
    client.wait("publication", channel=channel, data=large[::-1] + "y")


def test_when_the_server_stops_clients_are_told_and_come_back(
    server: ServerProcess, launch: Launch, channel: str
) -> None:
    client = launch(server.url)
    client.connect()
    client.subscribe(channel)
    assert server.stop() == 0
    client.wait("connecting", code=3001, reason="shutdown")
    server.start()
    client.wait("connected")
    client.wait("subscribed", channel=channel)


def test_a_broadcast_arrives_whole_at_everybody(
    server: ServerProcess, authority: Authority, channel: str
) -> None:
    with ExitStack() as stack:
        clients = [
            stack.enter_context(RawWebSocket(server.port, tls=authority.trusting())) for _ in range(CLIENTS)
        ]
        for client in clients:
            client.connect()
            client.subscribe(channel)
        messages = [
            {"n": number, "text": chr(97 + number % 26) * (number * 100)} for number in range(MESSAGES)
        ]
        for message in messages:
            server.publish(channel, message)
        for client in clients:
            assert [client.push()["pub"]["data"] for _ in messages] == messages


def test_a_client_that_trusts_nobody_does_not_connect(server: ServerProcess) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(plain, server_hostname="localhost")
    assert server.get("/health")[0] == 200


def test_an_upgrade_may_come_with_the_end_of_the_handshake(
    server: ServerProcess, authority: Authority
) -> None:
    """As browsers send it: when it is read, the server still has to write its session tickets."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    sealed = authority.trusting().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
        while True:
            try:
                sealed.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(outgoing.read())
                incoming.write(plain.recv(1 << 16))
        assert sealed.version() == "TLSv1.3"
        sealed.write(UPGRADE)
        plain.sendall(outgoing.read())  # the last message of the handshake, and the request
        answer = b""
        while not answer:
            incoming.write(plain.recv(1 << 16))
            try:
                answer = sealed.read()
            except ssl.SSLWantReadError:
                continue
        assert answer.startswith(b"HTTP/1.1 101 ")


# ----------------------------------------------------------------------- API


def test_the_api_is_called_with_the_official_library(
    server: ServerProcess, authority: Authority, launch: Launch, channel: str
) -> None:
    client = launch(server.url)
    client.connect()
    client.subscribe(channel)
    address = f"https://localhost:{server.port}/api"

    async def publish() -> None:
        connector = aiohttp.TCPConnector(ssl=authority.trusting())
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            cent.AsyncClient(address, "key", timeout=20, session=session) as api,
        ):
            await api.publish(cent.PublishRequest(channel=channel, data="asynchronous"))

    with requests.Session() as session, cent.Client(address, "key", timeout=20, session=session) as api:
        session.trust_env = False  # what it says of authorities would count for more
        session.verify = str(authority.file)
        api.publish(cent.PublishRequest(channel=channel, data="synchronous"))
    asyncio.run(publish())
    assert client.publications(channel, 2) == ["synchronous", "asynchronous"]


def test_plain_requests_get_no_answer(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in plain.recv(4096)


def test_only_http_1_1_is_negotiated(server: ServerProcess, authority: Authority) -> None:
    context = authority.trusting()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as sealed,
    ):
        assert sealed.selected_alpn_protocol() == "http/1.1"


# ---------------------------------------------------------- who may connect


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_both_versions_in_use_are_spoken(server: ServerProcess, authority: Authority, version: str) -> None:
    context = authority.trusting()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with RawWebSocket(server.port, tls=context) as client:
        client.connect()


def test_old_versions_are_refused(server: ServerProcess, authority: Authority) -> None:
    context = authority.trusting()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else this side would not even try
    with pytest.deprecated_call():
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert ask(server.port, context).startswith(b"HTTP/1.1 101 ")
    with pytest.deprecated_call():
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(REFUSED):
        ask(server.port, context)


def test_with_an_authority_for_clients_nobody_comes_in_without_a_certificate(
    mutual: ServerProcess, authority: Authority, launch: Launch, tmp_path: Path
) -> None:
    assert mutual.get("/health") == (200, b"{}")  # with one
    mutual.publish("nobody", 1)
    stranger = authority.trusting()
    certificate, key = Authority(tmp_path, "others").issue("other")
    signed_by_others = authority.trusting()
    signed_by_others.load_cert_chain(certificate, key)
    for context in (stranger, signed_by_others):
        with pytest.raises(REFUSED):
            ask(mutual.port, context)
    client = launch(mutual.url)
    client.command("connect")
    client.wait("error")
    client.refuse("connected")
    assert mutual.get("/health") == (200, b"{}")


def test_the_internal_port_may_stay_plain(
    tmp_path: Path, authority: Authority, launch: Launch, channel: str
) -> None:
    changes = {"http_server": {"tls": tls_of(authority), "tls_external": True, "internal_port": free_port()}}
    server = ServerProcess(tmp_path, changes)
    external_port, server.port = server.port, changes["http_server"]["internal_port"]  # type: ignore[assignment]
    with server:
        client = launch(f"wss://localhost:{external_port}/connection/websocket")
        client.connect()
        client.subscribe(channel)
        server.publish(channel, "from inside")
        client.wait("publication", channel=channel, data="from inside")
        outside = http.client.HTTPSConnection(
            "localhost", external_port, timeout=20, context=authority.trusting()
        )
        for path in ("/api/info", "/health"):
            outside.request("POST", path, b"{}", {"X-API-Key": "key"})
            response = outside.getresponse()
            assert (response.status, response.read()) == (404, b"404 page not found")
        outside.close()
