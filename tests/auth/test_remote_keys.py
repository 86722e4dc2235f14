"""Keys of a provider: found, rotated, kept, and asked for no more often than they may be."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from centrifast import limits, log
from centrifast.auth import remote_keys
from centrifast.auth.claims import InvalidTokenError, KeysUnavailableError
from centrifast.auth.fetching import HttpFetcher
from centrifast.auth.jws import parse
from centrifast.auth.remote_keys import RemoteKeys
from centrifast.eager import start
from centrifast.errors import INTERNAL
from tests.auth.key_server import KeyServer, key_server
from tests.auth.signing import ED25519, P256, P384, P521, RSA, RSA_OTHER, PrivateKey, jwk_of, sign
from tests.fakes import FakeClock

HOUR = 3600.0


class Provider:
    """Remote keys, their provider, and the time."""

    def __init__(self, server: KeyServer, template: str) -> None:
        self.server = server
        self.clock = FakeClock()
        self.keys = RemoteKeys(server.url + template, HttpFetcher(), self.clock)

    def verify(
        self, key: PrivateKey | str, algorithm: str, kid: str | None, **variables: str
    ) -> Coroutine[Any, Any, None]:
        """Verify a token that this key signed."""
        token = parse(sign({"sub": "42"}, key, algorithm, kid))
        return self.keys.verify(token, self.clock.unix(), variables)

    async def outcome(self, key: PrivateKey | str, algorithm: str, kid: str | None, **variables: str) -> str:
        """Return why the token is refused, empty if it is believed."""
        try:
            await self.verify(key, algorithm, kid, **variables)
        except InvalidTokenError as error:
            return str(error)
        return ""

    @property
    def fetches(self) -> int:
        return len(self.server.paths)

    async def asked(self) -> None:
        """Wait until the provider was asked once more."""
        await self.server.asked.wait()
        self.server.asked.clear()


def providing(work: Callable[[Provider], Awaitable[None]], template: str = "/keys") -> None:
    """Run *work* with a provider."""

    async def main() -> None:
        async with key_server() as server:
            provider = Provider(server, template)
            try:
                await work(provider)
            finally:
                await provider.keys.close()

    asyncio.run(main())


async def waiting(coroutine: Coroutine[Any, Any, str]) -> "asyncio.Task[str]":
    """Start something that has to wait, and let it come to that."""
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    return task


ALGORITHMS: list[tuple[str, PrivateKey]] = [
    ("RS256", RSA),
    ("RS384", RSA),
    ("RS512", RSA),
    ("ES256", P256),
    ("ES384", P384),
    ("ES512", P521),
    ("EdDSA", ED25519),
]


@pytest.mark.parametrize(("algorithm", "key"), ALGORITHMS)
def test_every_public_key_algorithm_is_believed(algorithm: str, key: PrivateKey) -> None:
    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(key, "a")])
        assert await provider.outcome(key, algorithm, "a") == ""
        assert provider.server.paths == ["/keys"]

    providing(work)


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "PS256", "PS512"])
def test_any_other_algorithm_is_refused_without_asking(algorithm: str) -> None:
    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(RSA, "a")])
        key = "s" * 64 if algorithm.startswith("HS") else RSA
        assert await provider.outcome(key, algorithm, "a") == "no key for the token's algorithm"
        assert provider.fetches == 0

    providing(work)


@pytest.mark.parametrize("kid", [None, ""])
def test_token_must_name_its_key(kid: str | None) -> None:
    async def work(provider: Provider) -> None:
        assert await provider.outcome(RSA, "RS256", kid) == "no kid in the token's header"
        assert provider.fetches == 0

    providing(work)


def test_key_must_fit_the_algorithm_and_the_signature() -> None:
    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(P256, "a"), jwk_of(RSA, "b")])
        unfit = "the key of the token's kid does not fit its algorithm"
        assert await provider.outcome(RSA, "RS256", "a") == unfit
        assert await provider.outcome(P384, "ES384", "a") == unfit
        assert await provider.outcome(RSA_OTHER, "RS256", "b") == "wrong signature"
        assert provider.fetches == 1

    providing(work)


def test_all_keys_of_an_answer_are_kept_and_serve_without_waiting() -> None:
    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(RSA, "a"), jwk_of(P256, "b")])
        await provider.verify(RSA, "RS256", "a")
        assert start(provider.verify(P256, "ES256", "b")) is None
        assert start(provider.verify(RSA, "RS512", "a")) is None
        assert provider.fetches == 1

    providing(work)


# ------------------------------------------------------------------ rotation


def test_new_key_is_fetched_and_the_old_one_keeps_working() -> None:
    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(RSA, "old")])
        await provider.verify(RSA, "RS256", "old")
        provider.server.publish([jwk_of(P256, "new")])
        provider.clock.advance(limits.KEY_SET_INTERVAL)
        await provider.verify(P256, "ES256", "new")
        assert start(provider.verify(RSA, "RS256", "old")) is None
        assert provider.fetches == 2

    providing(work)


def test_key_is_forgotten_an_hour_after_its_last_use() -> None:
    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(RSA, "a"), jwk_of(P256, "b")])
        await provider.verify(RSA, "RS256", "a")
        provider.clock.advance(HOUR - 1)
        assert start(provider.verify(RSA, "RS256", "a")) is None
        provider.server.publish([])
        provider.clock.advance(1)
        assert await provider.outcome(P256, "ES256", "b") == "kid not found in the key set"
        assert start(provider.verify(RSA, "RS256", "a")) is None
        provider.clock.advance(HOUR)
        assert await provider.outcome(RSA, "RS256", "a") == "kid not found in the key set"

    providing(work)


def test_wrong_signature_is_no_use_of_a_key() -> None:
    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(RSA, "a")])
        await provider.verify(RSA, "RS256", "a")
        provider.clock.advance(HOUR - 1)
        assert await provider.outcome(RSA_OTHER, "RS256", "a") == "wrong signature"
        provider.server.publish([])
        provider.clock.advance(1)
        assert await provider.outcome(RSA, "RS256", "a") == "kid not found in the key set"

    providing(work)


def test_number_of_keys_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_keys, "KEY_SET_KEYS", 2)

    async def work(provider: Provider) -> None:
        for name in ("a", "b", "c"):
            provider.server.publish([jwk_of(P256, name)])
            await provider.verify(P256, "ES256", name)
            provider.clock.advance(limits.KEY_SET_INTERVAL)
        provider.server.publish([])
        assert start(provider.verify(P256, "ES256", "b")) is None
        assert start(provider.verify(P256, "ES256", "c")) is None
        assert await provider.outcome(P256, "ES256", "a") == "kid not found in the key set"

    providing(work)


# ------------------------------------------------------------------ how often the provider is asked


def test_tokens_that_wait_for_one_key_set_share_a_fetch() -> None:
    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(RSA, "a"), jwk_of(P256, "b")])
        provider.server.may_answer.clear()
        outcomes = [await waiting(provider.outcome(RSA, "RS256", "a")) for _ in range(20)]
        outcomes.append(await waiting(provider.outcome(P256, "ES256", "b")))
        await provider.asked()
        provider.server.may_answer.set()
        assert set(await asyncio.gather(*outcomes)) == {""}
        assert provider.fetches == 1

    providing(work)


def test_flood_of_unknown_ids_asks_once_a_second_and_a_new_key_is_still_found() -> None:
    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(RSA, "old")])
        assert await provider.outcome(P256, "ES256", "made up") == "kid not found in the key set"
        for second in range(1, 4):
            provider.server.publish([jwk_of(P256, f"key {second}")])
            flood = [await waiting(provider.outcome(P256, "ES256", str(number))) for number in range(50)]
            genuine = await waiting(provider.outcome(P256, "ES256", f"key {second}"))
            provider.clock.advance(limits.KEY_SET_INTERVAL - 0.01)
            await asyncio.sleep(0)
            assert provider.fetches == second
            provider.clock.advance(0.01)
            assert await genuine == ""
            assert set(await asyncio.gather(*flood)) == {"kid not found in the key set"}
            assert provider.fetches == second + 1
        assert provider.clock.timers == 0

    providing(work)


def test_who_stops_waiting_does_not_stop_the_others() -> None:
    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(RSA, "a")])
        provider.server.may_answer.clear()
        first = await waiting(provider.outcome(RSA, "RS256", "a"))
        second = await waiting(provider.outcome(RSA, "RS256", "a"))
        await provider.asked()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        provider.server.may_answer.set()
        assert first.cancelled()
        assert await second == ""
        assert provider.fetches == 1

    providing(work)


# ------------------------------------------------------------------ outages


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, b'{"keys":[]}', "status 503"),
        (404, b"", "status 404"),
        (200, b"<html>", "the answer is no key set"),
        (200, b"", "the answer is no key set"),
        (200, b'{"error":"x"}', "the answer is no key set"),
        (200, b" " * (limits.KEY_SET_SIZE + 1), f"more than {limits.KEY_SET_SIZE} bytes"),
    ],
)
def test_key_set_that_can_not_be_had_is_a_temporary_error(status: int, body: bytes, reason: str) -> None:
    async def work(provider: Provider) -> None:
        provider.server.status, provider.server.body = status, body
        with pytest.raises(KeysUnavailableError) as caught:
            await provider.verify(RSA, "RS256", "a")
        assert caught.value.error is INTERNAL
        assert caught.value.error.temporary
        assert str(caught.value) == f"the key set can not be fetched: {reason}"
        assert provider.fetches == limits.KEY_SET_ATTEMPTS

    providing(work)


def test_second_attempt_counts() -> None:
    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(RSA, "a")])
        provider.server.failures = 1
        await provider.verify(RSA, "RS256", "a")
        assert provider.fetches == 2

    providing(work)


def test_known_keys_serve_through_an_outage_and_others_after_it() -> None:
    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(RSA, "a")])
        await provider.verify(RSA, "RS256", "a")
        provider.clock.advance(limits.KEY_SET_INTERVAL)
        provider.server.status = 500
        with pytest.raises(KeysUnavailableError):
            await provider.verify(P256, "ES256", "b")
        assert start(provider.verify(RSA, "RS256", "a")) is None
        provider.server.publish([jwk_of(P256, "b")])
        provider.clock.advance(limits.KEY_SET_INTERVAL)
        await provider.verify(P256, "ES256", "b")

    providing(work)


def test_provider_is_not_hammered_in_an_outage_either() -> None:
    async def work(provider: Provider) -> None:
        provider.server.status = 500
        with pytest.raises(KeysUnavailableError):
            await provider.verify(RSA, "RS256", "a")
        later = asyncio.ensure_future(provider.verify(RSA, "RS256", "a"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert provider.fetches == limits.KEY_SET_ATTEMPTS
        provider.clock.advance(limits.KEY_SET_INTERVAL)
        with pytest.raises(KeysUnavailableError):
            await later
        assert provider.fetches == 2 * limits.KEY_SET_ATTEMPTS

    providing(work)


def test_outage_is_told_once_without_any_part_of_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(log, "error", lambda name, **fields: lines.append((name, fields)))

    async def work(provider: Provider) -> None:
        provider.server.status = 500
        with pytest.raises(KeysUnavailableError):
            await provider.verify(RSA, "RS256", "secret-kid", realm="secret-realm")
        url = f"{provider.server.url}/{{{{realm}}}}/keys"
        assert lines == [("key set can not be fetched", {"jwks_public_endpoint": url, "error": "status 500"})]

    providing(work, "/{{realm}}/keys")


# ------------------------------------------------------------------ several key sets


def test_each_key_set_has_keys_of_its_own() -> None:
    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(RSA, "a")])
        await provider.verify(RSA, "RS256", "a", realm="one")
        provider.server.publish([jwk_of(RSA_OTHER, "a")])
        assert await provider.outcome(RSA, "RS256", "a", realm="two") == "wrong signature"
        assert await provider.outcome(RSA, "RS256", "a", realm="one") == ""
        assert provider.server.paths == ["/one/keys", "/two/keys"]

    providing(work, "/{{realm}}/keys")


def test_claims_that_lead_nowhere_are_refused_without_asking() -> None:
    async def work(provider: Provider) -> None:
        assert "no claim gives {{realm}}" in await provider.outcome(RSA, "RS256", "a")
        assert "unclean path" in await provider.outcome(RSA, "RS256", "a", realm="..")
        assert provider.fetches == 0

    providing(work, "/{{realm}}/keys")


def test_number_of_key_sets_is_bounded_and_the_one_used_last_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_keys, "KEY_SETS", 2)

    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(RSA, "a")])
        for realm in ("one", "two", "one", "three"):
            await provider.verify(RSA, "RS256", "a", realm=realm)
        assert provider.fetches == 3
        assert start(provider.verify(RSA, "RS256", "a", realm="one")) is None
        await provider.verify(RSA, "RS256", "a", realm="two")
        assert provider.fetches == 4

    providing(work, "/{{realm}}/keys")


def test_no_more_key_sets_are_fetched_at_once_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_keys, "KEY_SETS", 1)

    async def work(provider: Provider) -> None:
        provider.server.publish([jwk_of(RSA, "a")])
        provider.server.may_answer.clear()
        outcome = await waiting(provider.outcome(RSA, "RS256", "a", realm="one"))
        await provider.asked()
        with pytest.raises(KeysUnavailableError, match="too many"):
            await provider.verify(RSA, "RS256", "a", realm="two")
        provider.server.may_answer.set()
        assert await outcome == ""

    providing(work, "/{{realm}}/keys")


# ------------------------------------------------------------------ end


def test_closing_ends_fetches_and_who_waits_for_them() -> None:
    async def work(provider: Provider) -> None:
        provider.server.may_answer.clear()
        asking = await waiting(provider.outcome(RSA, "RS256", "a", realm="one"))
        await provider.asked()
        await provider.keys.close()
        await asyncio.gather(asking, return_exceptions=True)
        assert asking.cancelled()
        await provider.keys.close()

    providing(work, "/{{realm}}/keys")


def test_closing_ends_a_pause() -> None:
    async def work(provider: Provider) -> None:
        await provider.outcome(RSA, "RS256", "a")
        pausing = await waiting(provider.outcome(RSA, "RS256", "a"))
        await asyncio.sleep(0)
        assert provider.clock.timers == 1
        await provider.keys.close()
        await asyncio.gather(pausing, return_exceptions=True)
        assert pausing.cancelled()
        assert provider.clock.timers == 0

    providing(work)


def test_draining_lets_those_who_wait_have_their_answer() -> None:
    async def work(provider: Provider) -> None:
        await provider.keys.drain()
        provider.server.publish([jwk_of(RSA, "a")])
        provider.server.may_answer.clear()
        asking = await waiting(provider.outcome(RSA, "RS256", "a", realm="one"))
        await provider.asked()
        draining = asyncio.ensure_future(provider.keys.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        provider.server.may_answer.set()
        await draining
        await provider.keys.close()
        assert await asking == ""

    providing(work, "/{{realm}}/keys")
