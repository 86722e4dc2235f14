"""The shipped nginx files, in a real nginx, in front of the real daemon."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.backend import recording_backend
from tests.deploy.certificates import Authority
from tests.deploy.conftest import Launch
from tests.deploy.proxies import ProxyProcess, ask, nginx, publish
from tests.raw_websocket import RawWebSocket
from tests.server_process import ServerProcess

KIB = 1024
FORWARDED = ("host", "x-real-ip", "x-forwarded-for", "x-forwarded-proto")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path) as server:
        yield server


@pytest.fixture
def proxy(server: ServerProcess, folder: Path) -> Iterator[ProxyProcess]:
    with nginx(folder, server.port) as proxy:
        yield proxy


# ------------------------------------------------------------------- clients


def test_messages_go_both_ways_whole(proxy: ProxyProcess, launch: Launch, channel: str) -> None:
    client = launch(proxy.url)
    client.connect()
    client.subscribe(channel)
    large = "x" * (60 * KIB)
    client.command("publish", channel=channel, data=large)
    client.wait("publication", channel=channel, data=large)
    publish(proxy.port, channel, large[::-1] + "y")
    client.wait("publication", channel=channel, data=large[::-1] + "y")


def test_pings_keep_a_quiet_connection_open(tmp_path: Path, folder: Path, launch: Launch) -> None:
    changes = {"client": {"ping_interval": "2s", "pong_timeout": "1900ms"}}
    with (
        ServerProcess(tmp_path, changes) as server,
        nginx(folder, server.port, {"proxy_read_timeout 60s": "proxy_read_timeout 4s"}) as proxy,
    ):
        client = launch(proxy.url)
        client.connect()
        for _ in range(3):  # two seconds longer than nginx would wait
            client.wait("ping")
        client.refuse("connected", "error")


def test_without_pings_the_connection_is_cut(server: ServerProcess, folder: Path, launch: Launch) -> None:
    with nginx(folder, server.port, {"proxy_read_timeout 60s": "proxy_read_timeout 1s"}) as proxy:
        client = launch(proxy.url)
        client.connect()
        client.wait("connected")  # again, by itself
        assert client.connections == 2


def test_when_the_server_stops_clients_are_told_and_come_back(
    server: ServerProcess, proxy: ProxyProcess, launch: Launch, channel: str
) -> None:
    client = launch(proxy.url)
    client.connect()
    client.subscribe(channel)
    assert server.stop() == 0
    client.wait("connecting", code=3001, reason="shutdown")
    server.start()
    client.wait("connected")
    client.wait("subscribed", channel=channel)
    publish(proxy.port, channel, "again")
    client.wait("publication", channel=channel, data="again")


def test_one_address_has_a_limited_number_of_connections(server: ServerProcess, folder: Path) -> None:
    with (
        nginx(
            folder, server.port, {"limit_conn centrifast_address 1000": "limit_conn centrifast_address 2"}
        ) as proxy,
        RawWebSocket(proxy.port) as first,
        RawWebSocket(proxy.port) as second,
        RawWebSocket(proxy.port) as third,
    ):
        assert [client.status for client in (first, second, third)] == [101, 101, 503]


def test_tls_ends_at_the_proxy(
    server: ServerProcess, folder: Path, authority: Authority, launch: Launch, channel: str
) -> None:
    certificate, key = authority.issue("localhost")
    marks = {
        "# listen 443 ssl;": "",
        "# listen [::]:443 ssl;": "",
        "# ssl_": "ssl_",
        "/etc/nginx/tls/fullchain.pem": str(certificate),
        "/etc/nginx/tls/privkey.pem": str(key),
    }
    proxy = nginx(folder, server.port, {**marks})
    site = folder / "site.conf"
    site.write_text(
        site.read_text().replace(f"listen 127.0.0.1:{proxy.port};", f"listen 127.0.0.1:{proxy.port} ssl;")
    )
    with proxy:
        client = launch(proxy.url.replace("ws://127.0.0.1", "wss://localhost"))
        client.connect()
        client.subscribe(channel)
        server.publish(channel, "sealed")
        client.wait("publication", channel=channel, data="sealed")


# ------------------------------------------------------------------ requests


def test_only_what_is_meant_for_outside_is_served(tmp_path: Path, folder: Path) -> None:
    served = {"prometheus": {"enabled": True}, "quickstart": {"enabled": True}}
    with ServerProcess(tmp_path, served) as server, nginx(folder, server.port) as proxy:
        assert ask(proxy.port, "GET", "/health") == (200, b"{}")
        for path in ("/", "/metrics", "/debug/echo", "/healthy", "/apis", "/connections/", "/emulation/x"):
            assert ask(proxy.port, "GET", path)[0] == 404, path
        assert ask(proxy.port, "POST", "/api/publish", b"{}")[0] == 401


def test_the_api_is_for_private_addresses(server: ServerProcess, folder: Path) -> None:
    public = {"allow 127.0.0.1;": "# 127.0.0.1 is a stranger here"}
    with nginx(folder, server.port, public) as proxy:
        for path in ("/api/publish", "/api", "/health"):
            assert ask(proxy.port, "POST", path, b"{}", X_API_Key="key")[0] == 403
        with RawWebSocket(proxy.port) as client:
            client.connect()


def test_a_large_call_of_the_api_passes(server: ServerProcess, proxy: ProxyProcess) -> None:
    publish(proxy.port, "nobody", "x" * (8 * KIB * KIB))


def test_the_server_learns_who_asks(folder: Path) -> None:
    with recording_backend() as backend, nginx(folder, backend.port) as proxy:
        backend.go_on.set()
        ask(proxy.port, "GET", "/connection/sse", Host="example.com:81", X_Forwarded_For="192.0.2.1",
            X_Real_IP="192.0.2.1")  # fmt: skip
        assert [backend.requests[0][name] for name in FORWARDED] == [
            "example.com", "127.0.0.1", "192.0.2.1, 127.0.0.1", "http",
        ]  # fmt: skip
        assert "connection" not in backend.requests[0]


def test_a_stream_is_not_held_back(folder: Path) -> None:
    with recording_backend() as backend, nginx(folder, backend.port) as proxy:
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
        connection.request("GET", "/connection/http_stream")
        response = connection.getresponse()
        assert response.read(3) == b"one"
        backend.go_on.set()
        assert response.read() == b"two"
        connection.close()
