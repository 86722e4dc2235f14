import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from centrifast_loadgen.publisher import Publisher, PublishError
from centrifast_loadgen.settings import Target

from tests.loadgen.server import Behaviour, running

BODY = b'{"channel":"a","data":1}'


def post_to(port: int, times: int = 1) -> list[tuple[int, bytes]]:
    publisher = Publisher(Target("127.0.0.1", port, "/api/publish"), {"X-API-Key": "k"})
    try:
        return [publisher.post(BODY) for _ in range(times)]
    finally:
        publisher.close()


@contextmanager
def answering(response: bytes) -> Iterator[int]:
    """A server that answers one request with these bytes and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(response)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_connection_serves_many_posts() -> None:
    with running() as server:
        assert post_to(server.port, times=3) == [(200, b"{}")] * 3
        assert server.published == [BODY] * 3
        assert server.api_connections == 1


def test_a_connection_the_server_closes_is_opened_again() -> None:
    with running(Behaviour(close_api=True)) as server:
        assert post_to(server.port, times=2) == [(200, b"{}")] * 2
        assert server.api_connections == 2


@pytest.mark.parametrize("chop", [0, 1, 7])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_response_is_read_however_it_is_framed_and_split(chop: int, chunked: bool) -> None:
    text = b'{"result":{"offset":12345}}'
    with running(Behaviour(chop=chop, chunked=chunked, publish_response=text)) as server:
        assert post_to(server.port, times=2) == [(200, text)] * 2


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    ],
)
def test_a_response_that_cannot_be_read_is_an_error(response: bytes) -> None:
    with answering(response) as port, pytest.raises(PublishError):
        post_to(port)


def test_an_endless_response_is_an_error() -> None:
    endless = b"HTTP/1.1 200 OK\r\nX: " + b"x" * (3 << 20)
    with answering(endless) as port, pytest.raises(PublishError, match="more than"):
        post_to(port)


def test_a_server_that_is_not_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(PublishError, match="refused"):
        post_to(port)
