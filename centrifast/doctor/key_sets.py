"""Can the key sets of the configuration be fetched, and do they hold keys?"""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

from centrifast.auth.key_set import parse_key_set
from centrifast.config.key_set_url import PLACEHOLDER
from centrifast.config.schema import Config
from centrifast.doctor.clock import Skew, skew_of
from centrifast.doctor.finding import Finding, fail, ok, unknown, warn
from centrifast.doctor.wire import reason_of
from centrifast.doctor.wording import foreign
from centrifast.limits import KEY_SET_ATTEMPTS, KEY_SET_SIZE, KEY_SET_TIMEOUT

TIMEOUT = 5.0
"""Seconds; the server itself waits less, and a slow provider should be seen as slow, not as gone."""

DEADLINE = 15.0
"""Seconds for the whole answer, however steadily it comes."""

KIDS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class KeySetFacts:
    """What came of a fetch; *error* is empty if there was a key set."""

    option: str
    url: str
    error: str = ""
    seconds: float = 0.0
    kids: tuple[str, ...] = ()
    skew: Skew | None = None


def endpoints_of(config: Config) -> Iterator[tuple[str, str]]:
    """Give the options that name a key set, with its URL."""
    client = config.client
    if client.token.jwks_public_endpoint:
        yield "client.token.jwks_public_endpoint", client.token.jwks_public_endpoint
    if client.subscription_token.enabled and client.subscription_token.jwks_public_endpoint:
        yield "client.subscription_token.jwks_public_endpoint", client.subscription_token.jwks_public_endpoint


def read_key_set(option: str, url: str) -> KeySetFacts:
    """Fetch a key set, straight like the server: not through proxies of the environment."""
    if PLACEHOLDER.search(url):
        return KeySetFacts(option, url)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    began, started = time.time(), time.monotonic()
    try:
        request = urllib.request.Request(url, headers={"Accept": "application/json"})
        with opener.open(request, timeout=TIMEOUT) as answer:
            date = answer.headers.get("Date", "")
            body = _read(answer, started + DEADLINE)
        keys = parse_key_set(body)
    except urllib.error.HTTPError as error:
        error.close()
        return KeySetFacts(option, url, f"status {error.code}")
    except urllib.error.URLError as error:
        reason = error.reason
        return KeySetFacts(option, url, reason_of(reason) if isinstance(reason, OSError) else str(reason))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return KeySetFacts(option, url, reason_of(error))
    skew = skew_of(date, began, time.time(), foreign(request.host))
    return KeySetFacts(option, url, "", time.monotonic() - started, tuple(keys), skew)


def _read(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    """Read a body within the bounds of size and time. Raises ValueError or TimeoutError."""
    body = b""
    while data := answer.read1(65_536):
        body += data
        if len(body) > KEY_SET_SIZE:
            raise ValueError(f"more than {KEY_SET_SIZE} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError
    return body


def check_key_set(facts: KeySetFacts) -> Finding:
    """Judge one key set."""
    name, url = facts.option, foreign(facts.url)
    if PLACEHOLDER.search(facts.url):
        return unknown(
            name,
            f"{url} depends on claims of a token",
            "a token to look with",
            "centrifast token explain -    # and paste a token",
        )
    if facts.error:
        needed = "a key set; until then every token is answered with the temporary error 100"
        return fail(name, f"{url}: {facts.error}", needed, f"curl -v '{facts.url}'")
    if not facts.kids:
        needed = 'keys with "kid", "use": "sig" and a kind that the server knows: RSA, EC, Ed25519'
        return fail(name, f"{url} has no key that can be used", needed, f"curl '{facts.url}'")
    shown = ", ".join(foreign(kid, 40) for kid in facts.kids[:KIDS_SHOWN])
    seen = f"{url} has {len(facts.kids)} usable, among them {shown}; fetched in {facts.seconds * 1000:.0f} ms"
    if facts.seconds > KEY_SET_TIMEOUT:
        return warn(
            name, seen, f"an answer within {KEY_SET_TIMEOUT:g} s; {KEY_SET_ATTEMPTS} attempts are made"
        )
    return ok(name, seen)
