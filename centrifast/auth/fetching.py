"""GET over HTTP, with bounds: the one module that knows aiohttp.

Imported only where a key set is configured: aiohttp takes 0.13 s and some 15 MB to import.
"""

import aiohttp

from centrifast.auth.remote_keys import FetchError
from centrifast.limits import KEY_SET_REDIRECTS, KEY_SET_SIZE, KEY_SET_TIMEOUT, KEY_SETS


class HttpFetcher:
    """``remote_keys.Fetcher`` on one aiohttp session, which is opened with the first request."""

    def __init__(self, timeout: float = KEY_SET_TIMEOUT) -> None:
        """*timeout* is for a whole request, from looking up the name to the last byte."""
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str) -> bytes:
        """See ``Fetcher.get``."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=KEY_SETS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                auto_decompress=False,  # so that the limit below counts what is held
                timeout=self._timeout,
            )
        try:
            async with self._session.get(url, max_redirects=KEY_SET_REDIRECTS) as response:
                if response.status != 200:
                    raise FetchError(f"status {response.status}")
                return await _body(response)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # a timeout is an OSError
            raise FetchError(type(error).__name__) from error

    async def close(self) -> None:
        """See ``Fetcher.close``."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > KEY_SET_SIZE:
            raise FetchError(f"more than {KEY_SET_SIZE} bytes")
    return bytes(body)
