"""Keys of an identity provider, fetched when a token asks for one that is not known (server specification 5.3).

How it works: the claims of a token say which key set (the URL), its header which key (``kid``). A known key serves
at once. An unknown one makes the token wait for a fetch, and every other token that waits for the same key set
shares it. Fetches of one key set begin at least ``KEY_SET_INTERVAL`` apart; who comes earlier waits for the next
one. So made-up ids can not make this server hammer the provider, and a key the provider has just begun to use is
still found.

A key is forgotten ``KEY_LIFETIME`` after it verified its last token, whether or not the provider still lists it.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from centrifast import log
from centrifast.auth.claims import InvalidTokenError, KeysUnavailableError
from centrifast.auth.jws import SignedToken
from centrifast.auth.key_set import parse_key_set
from centrifast.auth.keys import NO_KEY, PUBLIC_KEY_ALGORITHMS, Candidate
from centrifast.clock import Clock
from centrifast.config.key_set_url import resolve
from centrifast.limits import KEY_LIFETIME, KEY_SET_ATTEMPTS, KEY_SET_INTERVAL, KEY_SET_KEYS, KEY_SETS


class FetchError(Exception):
    """An answer did not come, or not in time, or not as it should be; the text is for the log."""


class Fetcher(Protocol):
    """Gets the text behind a URL."""

    async def get(self, url: str) -> bytes:
        """Return the body of a 200, within the bounds of time and size; else raise FetchError."""

    async def close(self) -> None:
        """End what is open."""


class CachedKey:
    """A key for one or more algorithms, and until when (on the monotonic clock) it counts."""

    __slots__ = ("candidates", "until")

    def __init__(self, candidates: Mapping[str, Candidate], until: float) -> None:
        self.candidates = candidates
        self.until = until


class KeySet:
    """What is known of the keys behind one URL; at most ``KEY_SET_KEYS``, the last to be listed stay."""

    __slots__ = ("_keys", "fetching", "next_fetch", "url")

    def __init__(self, url: str) -> None:
        self.url = url
        self.fetching: asyncio.Task[str] | None = None
        """Ends with the reason of a failure; empty if there was none."""
        self.next_fetch = 0.0
        self._keys: dict[str, CachedKey] = {}

    def find(self, kid: str, now: float) -> CachedKey | None:
        """Return the key with this id, if it is known and counts."""
        key = self._keys.get(kid)
        return key if key is not None and key.until > now else None

    def add(self, fetched: Mapping[str, Mapping[str, Candidate]], now: float) -> None:
        """Take over what a fetch gave; keys no longer listed stay for their time."""
        keep = {kid: key for kid, key in self._keys.items() if key.until > now and kid not in fetched}
        keep.update({kid: CachedKey(candidates, now + KEY_LIFETIME) for kid, candidates in fetched.items()})
        self._keys = dict(list(keep.items())[-KEY_SET_KEYS:])


class RemoteKeys:
    """Implements ``keys.Keys`` with key sets, of which it keeps the ``KEY_SETS`` used last."""

    def __init__(self, template: str, fetcher: Fetcher, clock: Clock) -> None:
        """*template* is ``jwks_public_endpoint``; the fetcher is closed with this."""
        self._template = template
        self._fetcher = fetcher
        self._clock = clock
        self._key_sets: dict[str, KeySet] = {}  # by URL, the one used last at the end

    async def verify(self, token: SignedToken, now: float, variables: Mapping[str, str]) -> None:
        """See ``Keys.verify``; waits only for a key that is not known."""
        algorithm, kid = token.header.alg, token.header.kid
        if algorithm not in PUBLIC_KEY_ALGORITHMS:
            raise InvalidTokenError(NO_KEY)
        if not kid:
            raise InvalidTokenError("no kid in the token's header")
        try:
            url = resolve(self._template, variables)
        except ValueError as error:
            raise InvalidTokenError(str(error)) from None
        key = await self._key(self._key_set(url), kid)
        candidate = key.candidates.get(algorithm)
        if candidate is None:
            raise InvalidTokenError("the key of the token's kid does not fit its algorithm")
        if not candidate.fits(token, now):
            raise InvalidTokenError("wrong signature")
        key.until = self._clock.monotonic() + KEY_LIFETIME

    @property
    def algorithms(self) -> tuple[str, ...]:
        """See ``Keys.algorithms``."""
        return tuple(sorted(PUBLIC_KEY_ALGORITHMS))

    async def drain(self) -> None:
        """See ``Keys.drain``: whoever waits, waits for a fetch, and for no second one."""
        while fetches := self._fetches():
            await asyncio.wait(fetches)

    async def close(self) -> None:
        """End fetches and connections; who still waits is cancelled."""
        fetches = self._fetches()
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)
        await self._fetcher.close()

    def _fetches(self) -> "list[asyncio.Task[str]]":
        return [keys.fetching for keys in self._key_sets.values() if keys.fetching is not None]

    def _key_set(self, url: str) -> KeySet:
        keys = self._key_sets.pop(url, None)
        if keys is None:
            if len(self._key_sets) >= KEY_SETS:
                self._forget_one()
            keys = KeySet(url)
        self._key_sets[url] = keys
        return keys

    def _forget_one(self) -> None:
        """Make room: the set that was not used for the longest time goes, but none that is being fetched."""
        for url, keys in self._key_sets.items():
            if keys.fetching is None:
                del self._key_sets[url]
                return
        raise KeysUnavailableError("too many key sets are being fetched")

    async def _key(self, keys: KeySet, kid: str) -> CachedKey:
        key = keys.find(kid, self._clock.monotonic())
        if key is not None:
            return key
        if keys.fetching is None:
            keys.fetching = asyncio.get_running_loop().create_task(self._fetch(keys))
        failure = await asyncio.shield(keys.fetching)  # others wait for it too
        if failure:
            raise KeysUnavailableError(f"the key set can not be fetched: {failure}")
        key = keys.find(kid, self._clock.monotonic())
        if key is None:
            raise InvalidTokenError("kid not found in the key set")
        return key

    async def _fetch(self, keys: KeySet) -> str:
        """Fetch when it is time; return the reason of a failure, empty if there was none."""
        failure = ""
        try:
            await self._pause(keys.next_fetch - self._clock.monotonic())
            keys.next_fetch = self._clock.monotonic() + KEY_SET_INTERVAL
            for _ in range(KEY_SET_ATTEMPTS):
                try:
                    fetched = parse_key_set(await self._fetcher.get(keys.url))
                except (FetchError, ValueError) as error:
                    failure = str(error)
                else:
                    keys.add(fetched, self._clock.monotonic())
                    return ""
        finally:
            keys.fetching = None
        # The template, not the URL: that holds parts of a token.
        log.error("key set can not be fetched", jwks_public_endpoint=self._template, error=failure)
        return failure

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            return
        over = asyncio.Event()
        timer = self._clock.call_later(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()
