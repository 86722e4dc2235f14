"""Header and claims of a token, one by one: what they say, and what the server does with them."""

import base64
import binascii
import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

import msgspec

from centrifast.doctor.finding import Finding, warn
from centrifast.doctor.wording import foreign, moment

MILLISECONDS_FROM = 1e11
"""A time beyond this, the year 5138 in seconds, is one in milliseconds."""

CLOCKS = ("timedatectl        # on both machines: is the clock synchronised?",)


class Kind(Enum):
    """What a token is for."""

    CONNECTION = "connection"
    SUBSCRIPTION = "subscription"


@dataclass(frozen=True, slots=True)
class Line:
    """A member of header or claims: as written, and what it means here."""

    name: str
    value: str
    meaning: str


BOTH: Mapping[str, str] = {
    "sub": "user id",
    "exp": "valid until",
    "nbf": "valid from",
    "iat": "issued at (not checked)",
    "jti": "id of the token; not used",
    "aud": "audience",
    "iss": "issuer",
    "info": "shown to others",
    "b64info": "shown to others, as bytes; wins over `info`",
    "expire_at": "when it expires, instead of `exp`; 0 = never",
}
OF_KIND: Mapping[Kind, Mapping[str, str]] = {
    Kind.CONNECTION: {
        "channels": "server-side subscriptions",
        "subs": "server-side subscriptions with options",
        "meta": "kept by the server for backends",
    },
    Kind.SUBSCRIPTION: {
        "channel": "the channel it is for",
        "client": "the connection it is for; any if absent",
        "data": "given to the client when it subscribes",
        "b64data": "given to the client when it subscribes, as bytes; wins over `data`",
        "override": "options in place of the namespace's",
    },
}
USER_NAMES = frozenset({"user", "user_id", "userid", "uid", "userId", "username", "id"})
TIMES = frozenset({"exp", "nbf", "iat", "expire_at"})

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_time = msgspec.json.Decoder(int | float | str | None)


def members(text: bytes) -> dict[str, bytes]:
    """Return the members of a JSON object as written; none if it is no object."""
    try:
        text.decode()
        return {name: bytes(raw) for name, raw in _members.decode(text).items()}
    except (ValueError, RecursionError):
        return {}


def header_lines(header: Mapping[str, bytes]) -> tuple[Line, ...]:
    """Explain the header."""
    known = {"alg": "algorithm of the signature", "kid": "names the key of a key set", "typ": "not checked"}
    return tuple(
        Line(foreign(name), foreign(raw.decode()), known.get(name, "not used"))
        for name, raw in header.items()
    )


def claim_lines(claims: Mapping[str, bytes], kind: Kind, user_id_claim: str, now: float) -> tuple[Line, ...]:
    """Explain the claims, in the order they stand in the token."""
    known = {**BOTH, **OF_KIND[kind]}
    if user_id_claim:
        known |= {"sub": f"not used: the user id comes from `{user_id_claim}`", user_id_claim: "user id"}
    if claims.get("subs", b"null") not in (b"null", b"{}"):
        known |= {"channels": "not used: `subs` is there"} if kind is Kind.CONNECTION else {}
    return tuple(
        Line(foreign(name), foreign(raw.decode()), _meaning(name, raw, kind, known, now))
        for name, raw in claims.items()
    )


def _meaning(name: str, raw: bytes, kind: Kind, known: Mapping[str, str], now: float) -> str:
    if name not in known:
        return _unknown(name, kind, known)
    if raw == b"null":
        return f"{known[name]}: null is as good as absent"
    if name in TIMES:
        time = time_of(raw)
        return known[name] if not time else f"{known[name]}: {moment(time, now)}"
    if name.startswith("b64"):
        return f"{known[name]}: {_decoded(raw)}"
    return known[name]


def _unknown(name: str, kind: Kind, known: Mapping[str, str]) -> str:
    other = Kind.CONNECTION if kind is Kind.SUBSCRIPTION else Kind.SUBSCRIPTION
    if name in OF_KIND[other]:
        return f"not used: it belongs into {other.value} tokens"
    close = difflib.get_close_matches(name, known, 1, 0.8)
    return f"not used; did you mean `{close[0]}`?" if close else "not used by the server"


def _decoded(raw: bytes) -> str:
    try:
        decoded = base64.b64decode(msgspec.json.decode(raw, type=str), validate=True)
    except (msgspec.DecodeError, binascii.Error, ValueError):
        return "no base64"
    return f"{len(decoded)} bytes, {foreign(ascii(decoded)[1:], 60)}"


def time_of(raw: bytes) -> float:
    """Return a time in Unix seconds, 0 for what is none; a string that holds a number counts."""
    try:
        time = float(_time.decode(raw) or 0)
        return time if math.isfinite(time) else 0.0
    except (ValueError, OverflowError):
        return 0.0


def remarks(claims: Mapping[str, bytes], user_id_claim: str, now: float) -> Iterator[Finding]:
    """Tell what is most likely a mistake although no rule of the server minds it."""
    for name in sorted(TIMES & claims.keys()):
        time = time_of(claims[name])
        if time > MILLISECONDS_FROM:
            yield warn(
                name,
                f"{time:.0f} looks like milliseconds: in seconds it is {moment(time, now)}",
                f"Unix seconds: {time / 1000:.0f} would be {moment(time / 1000, now)}",
                f"write {name} = time in milliseconds / 1000",
            )
        elif name == "iat" and time > now + 1:
            yield warn(
                "clock",
                f"`iat` is ahead of this machine's clock: {moment(time, now)}",
                "clocks that agree within a second, or `nbf` and `exp` will surprise too",
                *CLOCKS,
            )
    if not user_id_claim and claims.get("sub", b'""') in (b'""', b"null"):
        others = sorted(USER_NAMES & claims.keys())
        yield warn(
            "user",
            "there is no `sub`: the user is anonymous"
            + (f", although the token has `{others[0]}`" if others else ""),
            "a `sub`, unless that is meant",
            *(f'set client.token.user_id_claim to "{name}", or issue `sub`' for name in others[:1]),
        )
