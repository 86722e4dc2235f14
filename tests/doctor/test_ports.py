"""Ports of the configuration."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from centrifast.doctor.finding import Level
from centrifast.doctor.ports import PortFacts, addresses_of, check_port, read_port, server_pid
from centrifast.server.listeners import Address
from tests.config.building import config_of
from tests.doctor.scripted_server import answering, http, scripted_server
from tests.server_process import ServerProcess, free_port

TAKEN = PortFacts(Address("", 8000), "port 8000 is already in use", in_use=True)


def test_both_listeners_are_looked_at() -> None:
    assert addresses_of(config_of({})) == (Address("", 8000),)
    grpc = config_of({"grpc_api.enabled": True, "uni_grpc": {"enabled": True, "address": "a", "port": 1}})
    assert addresses_of(grpc) == (Address("", 8000), Address("", 10_000), Address("a", 1))
    assert addresses_of(config_of({"http_server.internal_port": "9000"})) == (
        Address("", 8000),
        Address("", 9000),
    )


def test_a_free_port_is_fine_and_stays_free() -> None:
    address = Address("127.0.0.1", free_port())
    for _ in range(2):
        facts = read_port(config_of({}), address)
        assert facts == PortFacts(address, is_root=os.geteuid() == 0)
        assert check_port(facts).level is Level.OK


def test_an_address_of_another_machine_is_told() -> None:
    for host in ("192.0.2.1", "name.invalid", "a..b"):
        finding = check_port(read_port(config_of({}), Address(host, 8000)))
        assert finding.level is Level.FAIL
        assert "can not listen on" in finding.seen


def test_who_has_the_port_is_named() -> None:
    with scripted_server([answering(http(200, b"hello"))] * 2) as port:
        facts = read_port(config_of({}), Address("127.0.0.1", port))
    assert facts.in_use
    assert not facts.healthy
    assert not facts.serves_websocket
    assert f"process {os.getpid()}" in facts.owner


def test_who_speaks_no_http_is_no_server_of_ours() -> None:
    with scripted_server([answering(b"SSH-2.0-x\r\n\r\n")] * 2) as port:
        facts = read_port(config_of({}), Address("127.0.0.1", port))
    assert facts.in_use
    assert not facts.healthy
    assert not facts.serves_websocket


def test_a_port_of_grpc_is_not_asked() -> None:
    with scripted_server([]) as port:
        facts = read_port(
            config_of({"grpc_api": {"enabled": True, "port": port}}), Address("127.0.0.1", port)
        )
    assert facts.in_use
    assert not facts.speaks_http
    assert f"process {os.getpid()}" in facts.owner


def test_a_running_server_is_recognised(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        facts = read_port(config_of({}), Address("127.0.0.1", server.port))
        assert (facts.in_use, facts.healthy, facts.serves_websocket) == (True, True, True)
        assert f"process {server.pid}" in facts.owner
        finding = check_port(facts)
        assert server_pid(config_of({"http_server.port": server.port})) == server.pid
    assert server_pid(config_of({"http_server.port": server.port})) is None
    assert finding.level is Level.OK
    assert "a running server is there: its health endpoint answers" in finding.seen


@pytest.mark.parametrize(
    ("facts", "level", "seen"),
    [
        (TAKEN, Level.FAIL, "taken by a process that this user can not see"),
        (replace(TAKEN, owner="nginx, process 7 (nginx: master)"), Level.FAIL, "taken by nginx, process 7"),
        (replace(TAKEN, owner="python, process 7 (python -m centrifast)"), Level.UNKNOWN, "answers neither"),
        (replace(TAKEN, owner="a (centrifast)", speaks_http=False), Level.OK, "a running server is there; a"),
        (replace(TAKEN, serves_websocket=True), Level.OK, "its WebSocket endpoint answers"),
        (PortFacts(Address("", 80), "permission denied"), Level.FAIL, "permission denied"),
        (PortFacts(Address("", 80), "odd", is_root=True), Level.FAIL, "odd"),
    ],
)
def test_ports_are_judged(facts: PortFacts, level: Level, seen: str) -> None:
    finding = check_port(facts)
    assert finding.level is level
    assert seen in finding.seen
    assert level is Level.OK or finding.mend


def test_low_ports_need_a_right() -> None:
    finding = check_port(PortFacts(Address("", 80), "permission denied"))
    assert "CAP_NET_BIND_SERVICE" in finding.mend[0]
