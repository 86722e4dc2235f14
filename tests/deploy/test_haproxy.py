"""The shipped HAProxy file, in a real HAProxy, in front of the real daemon."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.backend import recording_backend
from tests.deploy.certificates import Authority
from tests.deploy.conftest import Launch
from tests.deploy.proxies import DEPLOY, ProxyProcess, ask, command_path, haproxy, publish
from tests.raw_websocket import RawWebSocket
from tests.server_process import ServerProcess, free_port

KIB = 1024
HEALTH_CHECK = " check inter 2s\n    #"
"""Of the first node: a backend that answers with something else would never be used."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path) as server:
        yield server


@pytest.fixture
def proxy(server: ServerProcess, folder: Path) -> Iterator[ProxyProcess]:
    with haproxy(folder, server.port) as proxy:
        yield proxy


def test_the_file_is_right_as_it_is_shipped() -> None:
    file = DEPLOY / "haproxy/haproxy.cfg"
    subprocess.run([command_path("haproxy"), "-c", "-f", str(file)], check=True, timeout=30)


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
        haproxy(folder, server.port, {"timeout tunnel 1h": "timeout tunnel 4s"}) as proxy,
    ):
        client = launch(proxy.url)
        client.connect()
        for _ in range(3):  # two seconds longer than HAProxy would wait
            client.wait("ping")
        client.refuse("connected", "error")


def test_when_a_node_stops_clients_are_told_and_come_to_another(
    tmp_path: Path, server: ServerProcess, folder: Path, launch: Launch, channel: str
) -> None:
    with ServerProcess(tmp_path) as other:
        second = {"# server node2 127.0.0.1:8001": f"server node2 127.0.0.1:{other.port}"}
        with haproxy(folder, server.port, second) as proxy:
            client = launch(proxy.url)
            client.connect()
            client.subscribe(channel)
            nodes = {node.port: node for node in (server, other)}
            (used,) = [port for port, node in nodes.items() if clients_of(node)]
            assert nodes.pop(used).stop() == 0
            client.wait("connecting", code=3001, reason="shutdown")
            client.wait("connected")
            client.wait("subscribed", channel=channel)
            (left,) = nodes.values()
            left.publish(channel, "from the other node")
            client.wait("publication", channel=channel, data="from the other node")


def clients_of(server: ServerProcess) -> int:
    """How many clients are connected to it."""
    return int(server.api("info")["result"]["nodes"][0]["num_clients"])


def test_one_address_has_a_limited_number_of_connections(server: ServerProcess, folder: Path) -> None:
    with (
        haproxy(folder, server.port, {"sc0_conn_cur gt 1000": "sc0_conn_cur gt 2"}) as proxy,
        RawWebSocket(proxy.port) as first,
        RawWebSocket(proxy.port) as second,
        RawWebSocket(proxy.port) as third,
    ):
        assert [client.status for client in (first, second, third)] == [101, 101, 503]


def test_tls_ends_at_the_proxy(
    server: ServerProcess, folder: Path, authority: Authority, launch: Launch, channel: str
) -> None:
    chain = folder / "chain.pem"
    chain.write_bytes(b"".join(file.read_bytes() for file in authority.issue("localhost")))
    port = free_port()
    tls = {"# bind :443": f"bind 127.0.0.1:{port}", "/etc/haproxy/tls/centrifast.pem": str(chain)}
    with haproxy(folder, server.port, tls):
        client = launch(f"wss://localhost:{port}/connection/websocket")
        client.connect()
        client.subscribe(channel)
        server.publish(channel, "sealed")
        client.wait("publication", channel=channel, data="sealed")


def test_only_what_is_meant_for_outside_is_served(tmp_path: Path, folder: Path) -> None:
    served = {"prometheus": {"enabled": True}, "quickstart": {"enabled": True}}
    with ServerProcess(tmp_path, served) as server, haproxy(folder, server.port) as proxy:
        assert ask(proxy.port, "GET", "/health") == (200, b"{}")
        for path in ("/", "/metrics", "/debug/echo", "/healthy", "/apis", "/connections/", "/emulation/x"):
            assert ask(proxy.port, "GET", path) == (404, b"404 page not found"), path
        assert ask(proxy.port, "POST", "/api/publish", b"{}")[0] == 401


def test_the_api_is_for_private_addresses(server: ServerProcess, folder: Path) -> None:
    with haproxy(folder, server.port, {"127.0.0.0/8 ": ""}) as proxy:
        for path in ("/api/publish", "/api", "/health"):
            assert ask(proxy.port, "POST", path, b"{}", X_API_Key="key")[0] == 403
        with RawWebSocket(proxy.port) as client:
            client.connect()


def test_the_server_learns_who_asks(folder: Path) -> None:
    with (
        recording_backend() as backend,
        haproxy(folder, backend.port, {HEALTH_CHECK: "\n    #"}) as proxy,
    ):
        backend.go_on.set()
        ask(proxy.port, "GET", "/connection/sse", Host="example.com", X_Real_IP="192.0.2.1")
        seen = backend.requests[0]
        assert [seen[name] for name in ("host", "x-real-ip", "x-forwarded-for", "x-forwarded-proto")] == [
            "example.com", "127.0.0.1", "127.0.0.1", "http",
        ]  # fmt: skip
