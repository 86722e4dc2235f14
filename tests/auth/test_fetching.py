"""Fetching is bounded in time and size, and every failure is one kind of error."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from centrifast.auth.fetching import HttpFetcher
from centrifast.auth.remote_keys import FetchError
from centrifast.limits import KEY_SET_REDIRECTS, KEY_SET_SIZE
from tests.auth.key_server import KeyServer, key_server

UNREACHABLE = "http://127.0.0.1:1/keys"


def fetching(work: Callable[[HttpFetcher, KeyServer], Awaitable[None]], timeout: float = 30.0) -> None:
    """Run *work* with a fetcher and a server."""

    async def main() -> None:
        fetcher = HttpFetcher(timeout)
        try:
            async with key_server() as server:
                await work(fetcher, server)
                await fetcher.close()
        finally:
            await fetcher.close()

    asyncio.run(main())


def test_body_of_an_answer_is_returned_and_the_connection_kept() -> None:
    async def work(fetcher: HttpFetcher, server: KeyServer) -> None:
        server.body = b'{"keys": 1}'
        assert await fetcher.get(f"{server.url}/a/keys.json?x=1") == b'{"keys": 1}'
        assert await fetcher.get(f"{server.url}/b") == b'{"keys": 1}'
        assert server.paths == ["/a/keys.json?x=1", "/b"]
        assert "Accept-Encoding: identity" in server.heads[0]
        assert "cookie" not in server.heads[1].lower()

    fetching(work)


@pytest.mark.parametrize("status", [201, 204, 304, 400, 403, 404, 429, 500, 503])
def test_any_other_status_is_a_failure(status: int) -> None:
    async def work(fetcher: HttpFetcher, server: KeyServer) -> None:
        server.status, server.body = status, b""
        with pytest.raises(FetchError, match=f"status {status}"):
            await fetcher.get(server.url)

    fetching(work)


def test_slow_answer_is_given_up() -> None:
    async def work(fetcher: HttpFetcher, server: KeyServer) -> None:
        server.may_answer.clear()
        with pytest.raises(FetchError, match="Timeout"):
            await fetcher.get(server.url)

    fetching(work, timeout=0.05)


def test_huge_body_is_not_read_to_its_end() -> None:
    async def work(fetcher: HttpFetcher, server: KeyServer) -> None:
        server.body = b" " * KEY_SET_SIZE
        assert len(await fetcher.get(server.url)) == KEY_SET_SIZE
        server.body += b" "
        with pytest.raises(FetchError, match=f"more than {KEY_SET_SIZE} bytes"):
            await fetcher.get(server.url)

    fetching(work)


def test_compressed_body_is_not_unpacked() -> None:
    async def work(fetcher: HttpFetcher, server: KeyServer) -> None:
        server.headers, server.body = ["Content-Encoding: gzip"], b"\x1f\x8b not really"
        assert await fetcher.get(server.url) == server.body

    fetching(work)


def test_body_cut_short_is_a_failure() -> None:
    async def work(fetcher: HttpFetcher, server: KeyServer) -> None:
        server.headers, server.body = ["Transfer-Encoding: chunked"], b"x\r\n"
        with pytest.raises(FetchError):
            await fetcher.get(server.url)

    fetching(work)


def test_redirects_are_followed_but_not_for_ever() -> None:
    async def work(fetcher: HttpFetcher, server: KeyServer) -> None:
        server.status, server.headers = 302, ["Location: /again"]
        with pytest.raises(FetchError, match="Redirects"):
            await fetcher.get(f"{server.url}/first")
        assert server.paths == ["/first", *["/again"] * (KEY_SET_REDIRECTS - 1)]

    fetching(work)


@pytest.mark.parametrize(
    "url", [UNREACHABLE, "http://", "http://[x/", "ftp://127.0.0.1/", "http://a b/", "x"]
)
def test_server_that_can_not_be_reached_is_a_failure(url: str) -> None:
    async def work(fetcher: HttpFetcher, server: KeyServer) -> None:
        with pytest.raises(FetchError):
            await fetcher.get(url)

    fetching(work)


def test_fetcher_that_was_never_used_is_closed() -> None:
    asyncio.run(HttpFetcher().close())
