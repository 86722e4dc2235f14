"""The sets of sockets that workers accept on."""

import socket
from collections.abc import Sequence

import pytest

from centrifast.server.listeners import Address, ListenError
from centrifast.systemd import PassedSocket
from centrifast.workers.sockets import SocketSet, SocketSets, listeners_of
from tests.config.building import config_of
from tests.server_process import free_port

LOCAL = {"http_server.address": "127.0.0.1"}


def ports(opened: SocketSet) -> Sequence[int]:
    return [one.socket.getsockname()[1] for one in opened]


def test_what_is_merged_is_one_listener() -> None:
    assert listeners_of(config_of({})) == (("external", Address("", 8000)),)


@pytest.mark.parametrize(
    ("tree", "sides"),
    [
        ({}, ["external", "internal"]),
        ({"http_api.disabled": True}, ["external"]),
        ({"websocket.disabled": True}, ["internal"]),
        ({"websocket.disabled": True, "quickstart.enabled": True}, ["external", "internal"]),
        ({"http_api.external": True, "health.enabled": True}, ["external", "internal"]),
    ],
)
def test_a_listener_that_would_carry_nothing_is_not_opened(tree: dict[str, object], sides: list[str]) -> None:
    config = config_of({"http_server.internal_port": "9000", **tree})
    assert [side for side, _ in listeners_of(config)] == sides


def test_nothing_at_all_is_served_by_nobody() -> None:
    assert listeners_of(config_of({"websocket.disabled": True, "http_api.disabled": True})) == ()


def test_sets_share_their_ports() -> None:
    sets = SocketSets(
        config_of({**LOCAL, "http_server.port": free_port(), "http_server.internal_port": str(free_port())})
    )
    sets.check()
    first, second = sets.open(), sets.open()
    assert ports(first) == ports(second)
    assert [one.name for one in first] == ["external", "internal"]
    with socket.create_connection(("127.0.0.1", ports(first)[0]), timeout=20):
        sets.close(first)
        sets.close(second)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports_of_closed(sets)), timeout=20)


def ports_of_closed(sets: SocketSets) -> int:
    return sets._listeners[0][1].port


def test_any_port_is_the_same_one_for_all() -> None:
    sets = SocketSets(config_of({**LOCAL, "http_server.port": 0}))
    sets.check()
    first, second = sets.open(), sets.open()
    assert ports(first) == ports(second) != [0]
    sets.close(first)
    sets.close(second)


def test_a_port_in_use_is_noticed_although_it_could_be_shared() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        tree = {**LOCAL, "http_server.port": other.getsockname()[1]}
        with pytest.raises(ListenError, match="already in use"):
            SocketSets(config_of(tree)).check()
        SocketSets(config_of({**tree, "http_server.reuse_port": True})).check()


def test_a_set_that_can_not_be_opened_whole_is_not_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = free_port()
        tree = {**LOCAL, "http_server.port": port, "http_server.internal_port": str(other.getsockname()[1])}
        with pytest.raises(ListenError, match="already in use"):
            SocketSets(config_of(tree)).open()
        socket.create_server(("127.0.0.1", port)).close()


def test_what_was_passed_is_shared_and_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        passed = [PassedSocket(listening, "")]
        sets = SocketSets(config_of({**LOCAL, "http_server.port": listening.getsockname()[1]}), passed)
        sets.check()
        first, second = sets.open(), sets.open()
        assert [(one.socket, one.name) for one in first] == [(listening, "external")]
        assert first == second
        sets.close(first)
        assert listening.fileno() >= 0


def test_a_socket_for_a_listener_without_endpoints_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = config_of({"http_server.internal_port": "9000", "http_api.disabled": True})
        with pytest.raises(ListenError, match="nothing is configured"):
            SocketSets(config, [PassedSocket(listening, "internal")])
