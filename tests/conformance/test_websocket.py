"""Every case of the tables, sent in one piece, frame by frame and byte by byte."""

import socket
from collections.abc import Iterable, Iterator

import pytest

from tests.conformance.deflated_cases import DEFLATED_CASES, PLAIN_CASES
from tests.conformance.websocket_cases import CASES, Case, close_frame
from tests.in_process_server import InProcessServer
from tests.raw_websocket import CLOSE, DEFLATE, PING, PONG, Frame, RawWebSocket

BYTE_BY_BYTE_LIMIT = 2000  # bytes of a case that is worth one system call each


@pytest.fixture(scope="module")
def running() -> Iterator[InProcessServer]:
    with InProcessServer({"websocket.compression": True}) as server:
        yield server


@pytest.fixture
def server(running: InProcessServer) -> Iterator[InProcessServer]:
    """The server of this module, idle again after each test."""
    yield running
    running.wait_until(lambda: running.open_connections == 0)
    assert running.take_errors() == []


def serve(server: InProcessServer, case: Case, pieces: Iterable[bytes], *, deflates: bool = False) -> None:
    """Send *pieces* and demand what the case says, and an orderly end; with *deflates* that has been agreed on."""
    with server.echo(headers=DEFLATE if deflates else None) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.send_bytes(piece)
        for expected in case.back:
            received = client.receive()
            if deflates and received is not None:
                received = received.inflated
            assert received == expected
        if case.close is None:
            leave(client)
        else:
            assert client.receive() == Frame(CLOSE, case.close_payload)
            if not any(piece[0] & 0x0F == CLOSE for piece in case.sent):
                client.send_frame(CLOSE, case.close_payload)
            assert client.receive() is None


def leave(client: RawWebSocket) -> None:
    """See that the connection still works, then close it."""
    client.send_frame(PING, b"still there")
    assert client.receive() == Frame(PONG, b"still there")
    client.send_bytes(close_frame(1000, b"done"))
    assert client.receive() == Frame(CLOSE, b"\x03\xe8")
    assert client.receive() is None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_in_one_piece(server: InProcessServer, case: Case) -> None:
    serve(server, case, [b"".join(case.sent)])


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if len(case.sent) > 1 and not case.together],
    ids=lambda case: case.name,
)
def test_frame_by_frame(server: InProcessServer, case: Case) -> None:
    serve(server, case, case.sent)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if sum(map(len, case.sent)) <= BYTE_BY_BYTE_LIMIT and not case.together],
    ids=lambda case: case.name,
)
def test_byte_by_byte(server: InProcessServer, case: Case) -> None:
    data = b"".join(case.sent)
    serve(server, case, (data[index : index + 1] for index in range(len(data))))


@pytest.mark.parametrize("case", [*DEFLATED_CASES, *PLAIN_CASES], ids=lambda case: case.name)
def test_in_one_piece_where_deflating_is_agreed_on(server: InProcessServer, case: Case) -> None:
    serve(server, case, [b"".join(case.sent)], deflates=True)


@pytest.mark.parametrize(
    "case", [case for case in DEFLATED_CASES if len(case.sent) > 1], ids=lambda case: case.name
)
def test_frame_by_frame_where_deflating_is_agreed_on(server: InProcessServer, case: Case) -> None:
    serve(server, case, case.sent, deflates=True)


@pytest.mark.parametrize(
    "case",
    [case for case in DEFLATED_CASES if sum(map(len, case.sent)) <= BYTE_BY_BYTE_LIMIT],
    ids=lambda case: case.name,
)
def test_byte_by_byte_where_deflating_is_agreed_on(server: InProcessServer, case: Case) -> None:
    data = b"".join(case.sent)
    serve(server, case, (data[index : index + 1] for index in range(len(data))), deflates=True)


def test_names_of_cases_differ() -> None:
    cases = [*CASES, *DEFLATED_CASES]
    assert len({case.name for case in cases}) == len(cases)
