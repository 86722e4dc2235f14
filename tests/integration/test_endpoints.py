"""Which listener of the real daemon serves what, when there are two (server specification 2.1)."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server_process import ServerProcess, free_port

ADMIN = {"enabled": True, "insecure": True}
SERVED = {"admin": ADMIN, "swagger": {"enabled": True}}
PATHS = {
    "/api/info": "POST",
    "/api": "POST",
    "/admin/api": "POST",
    "/admin/init": "GET",
    "/swagger/": "GET",
    "/swagger/openapi.json": "GET",
    "/health": "GET",
    "/": "GET",  # the quickstart page
}
CALL = b'{"method": "info"}'


def start(folder: Path, changes: dict[str, Any]) -> tuple[ServerProcess, int]:
    """A daemon whose own port is the internal one, and its external port."""
    external = free_port()
    server = ServerProcess(folder, SERVED | changes)
    server.config["http_server"] = {"port": external, "internal_port": str(server.port)}
    return server, external


def found(port: int) -> set[str]:
    """Those of the paths that are served on a port."""
    served = set()
    for path, method in PATHS.items():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request(method, path, CALL if method == "POST" else None, {"X-API-Key": "key"})
        response = connection.getresponse()
        response.read()
        connection.close()
        assert response.status in (200, 404), (path, response.status)
        if response.status == 200:
            served.add(path)
    return served


@pytest.fixture(params=[False, True], ids=["internal", "external"])
def two_ports(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[bool, int, int]]:
    """Whether API and administrators are served outside, and the two ports."""
    outside = {"http_api": {"external": request.param}, "admin": {**ADMIN, "external": request.param}}
    server, external = start(tmp_path, outside)
    with server:
        yield request.param, server.port, external


def test_each_listener_serves_its_own(two_ports: tuple[bool, int, int]) -> None:
    outside, internal, external = two_ports
    movable = {"/api/info", "/api", "/admin/api", "/admin/init"}
    fixed = {"/swagger/", "/swagger/openapi.json", "/health"}
    assert found(internal) == fixed | (set() if outside else movable)
    assert found(external) == {"/"} | (movable if outside else set())


def test_the_api_page_knows_whether_the_api_is_elsewhere(two_ports: tuple[bool, int, int]) -> None:
    outside, internal, _ = two_ports
    connection = http.client.HTTPConnection("127.0.0.1", internal, timeout=20)
    connection.request("GET", "/swagger/")
    page = connection.getresponse().read()
    connection.close()
    assert (b'data-api="elsewhere"' in page) == outside


def test_switched_off_means_not_there(tmp_path: Path) -> None:
    off = {"admin": {"enabled": False}, "swagger": {"enabled": False}, "http_api": {"disabled": True}}
    server, _ = start(tmp_path, off)
    with server:
        assert found(server.port) == {"/health"}
