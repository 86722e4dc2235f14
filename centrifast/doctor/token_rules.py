"""What else the server demands of a token, rule by rule, in the order of server specification 5.3.

These findings explain; whether the token is accepted is the verifier's to say, see ``token``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from centrifast.auth import payload
from centrifast.auth.claims import InvalidTokenError
from centrifast.auth.patterns import ClaimPatterns
from centrifast.auth.payload import Claims, RawConnectionClaims, RawSubscriptionClaims
from centrifast.channels import ChannelRules
from centrifast.config.schema import Config, TokenConfig
from centrifast.doctor.finding import Finding, fail, ok, warn
from centrifast.doctor.token_claims import CLOCKS, Kind
from centrifast.doctor.wording import foreign, moment
from centrifast.errors import ClientError

_user = msgspec.json.Decoder(str | int | float | None)

SMALL_SKEW = 120
"""Seconds; a token that is off by less is more likely issued on a machine whose clock is off."""

DECODERS: Mapping[
    Kind, "msgspec.json.Decoder[RawConnectionClaims] | msgspec.json.Decoder[RawSubscriptionClaims]"
] = {
    Kind.CONNECTION: msgspec.json.Decoder(RawConnectionClaims),
    Kind.SUBSCRIPTION: msgspec.json.Decoder(RawSubscriptionClaims),
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What a subscription token is going to be used for; None = not told."""

    channel: str | None = None
    client: str | None = None
    user: str | None = None


def read_claims(text: bytes, kind: Kind) -> tuple[Claims | None, Finding]:
    """Decode the claims as the server does, or say which one has the wrong type."""
    try:
        text.decode()
        return DECODERS[kind].decode(text), ok("claims", "an object, the types of its members are right")
    except msgspec.ValidationError as error:
        hint = 'ids are text: write "sub": "42", not "sub": 42' if "`$.sub`" in str(error) else ""
        return None, fail(
            "claims", foreign(str(error)), "claims of the types that the server reads", *filter(None, [hint])
        )
    except (ValueError, RecursionError) as error:
        return None, fail("claims", f"no JSON: {foreign(str(error))}", "a JSON object in UTF-8")


def look_at_patterns(
    claims: Claims, section: str, settings: TokenConfig
) -> tuple[dict[str, str], list[Finding]]:
    """Try ``issuer_regex`` and ``audience_regex``; return what they found for the URL of a key set, too."""
    try:
        variables = ClaimPatterns(settings).variables(claims.iss, claims.aud)
    except InvalidTokenError as error:
        said = f"iss is {_shown(claims.iss)}, aud is {_shown(claims.aud)}"
        return {}, [fail("patterns", f"{error}: {said}", f"claims that match the patterns of {section}")]
    names = [name for name in ("issuer_regex", "audience_regex") if getattr(settings, name)]
    return variables, [ok("patterns", f"{' and '.join(names)} match")] if names else []


def look_at_audience(claims: Claims, section: str, settings: TokenConfig) -> Iterator[Finding]:
    """Compare ``aud`` and ``iss`` with what is configured."""
    audience = claims.aud if isinstance(claims.aud, list) else [claims.aud]
    for name, wanted, fits, claim in (
        ("audience", settings.audience, settings.audience in audience, claims.aud),
        ("issuer", settings.issuer, settings.issuer == claims.iss, claims.iss),
    ):
        if wanted and fits:
            yield ok(name, f"is {foreign(wanted)!r}")
        elif wanted:
            yield fail(name, f"the token says {_shown(claim)}", f"{foreign(wanted)!r}, see {section}.{name}")


def _shown(claim: object) -> str:
    return "absent" if claim is None else foreign(repr(claim))


def look_at_kind(claims: Claims, kind: Kind) -> Finding:
    """Tell connection tokens and subscription tokens apart: one has a channel."""
    if kind is Kind.CONNECTION and claims.channel:
        return fail(
            "kind",
            f"it has a `channel`, {foreign(claims.channel)!r}: it is a subscription token",
            "a connection token (no `channel`) for connect; `channels` subscribes on the server's side",
            "centrifast token explain --subscription -      # to check it as a subscription token",
        )
    if kind is Kind.SUBSCRIPTION and not claims.channel:
        return fail(
            "kind",
            "it has no `channel`: it is a connection token",
            "a subscription token for this channel",
            "centrifast gensubtoken -u USER -s CHANNEL",
        )
    return ok("kind", f"a {kind.value} token")


def look_at_times(claims: Claims, now: float) -> Iterator[Finding]:
    """Valid only while ``exp`` is in the future and ``nbf`` is not."""
    try:
        expires = None if claims.exp is None else payload.seconds(claims.exp)
        begins = None if claims.nbf is None else payload.seconds(claims.nbf)
    except InvalidTokenError as error:
        yield fail("time", str(error), "Unix seconds as a number, or a text that holds one")
        return
    if expires is not None and expires <= now:
        clocks = CLOCKS if now - expires < SMALL_SKEW else ()
        needed = "a token whose `exp` is in the future; clients fetch one when they get error 109"
        yield fail("exp", f"over: {moment(expires, now)}", needed, *clocks)
    else:
        yield ok(
            "exp", "none: it never expires" if expires is None else f"valid until {moment(expires, now)}"
        )
    if begins is not None and begins > now:
        clocks = CLOCKS if begins - now < SMALL_SKEW else ()
        yield fail(
            "nbf", f"not valid yet: {moment(begins, now)}", "an `nbf` that is not in the future", *clocks
        )


def look_at_payloads(claims: Claims) -> Iterator[Finding]:
    """Base64 claims must be base64, also inside ``subs``."""
    try:
        if isinstance(claims, RawConnectionClaims):
            payload.payload(claims.info, claims.b64info)
            payload.subscriptions(claims)
        elif isinstance(claims, RawSubscriptionClaims):
            payload.subscription(claims)
    except InvalidTokenError as error:
        yield fail("payloads", str(error), "standard base64 with padding in b64info and b64data")


def look_at_user_claim(claims: Mapping[str, bytes], section: str, settings: TokenConfig) -> Iterator[Finding]:
    """The claim that ``user_id_claim`` names is text or a number."""
    name = settings.user_id_claim
    if not name:
        return
    raw = claims.get(name, b"null")
    try:
        user = _user.decode(raw)
    except msgspec.DecodeError:
        seen = f"`{name}` is {foreign(raw.decode())}"
        yield fail("user", seen, f"text or a number, see {section}.user_id_claim")
        return
    if user is None:
        yield warn("user", f"there is no `{name}`: the user is anonymous", f"see {section}.user_id_claim")


# --------------------------------------- after verification: the server's own rules


def look_at_use(
    user: str, expire_at: int | None, channels: Mapping[str, object], kind: Kind, config: Config, now: float
) -> Iterator[Finding]:
    """What the server checks of a token that is genuine."""
    client = config.client
    if kind is Kind.CONNECTION and not user and client.disallow_anonymous_connection_tokens:
        needed = "a user id: client.disallow_anonymous_connection_tokens is on"
        yield fail("user", "the user is anonymous (disconnect 3507)", needed)
    if expire_at is not None and expire_at <= now and not (client.insecure and kind is Kind.CONNECTION):
        yield fail("expire_at", f"over: {moment(expire_at, now)} (error 110)", "a time in the future, or 0")
    yield from _look_at_channels(channels, config)
    if kind is Kind.CONNECTION and len(channels) > client.channel_limit:
        seen = f"{len(channels)} server-side subscriptions (disconnect 3505)"
        yield fail("channels", seen, f"at most client.channel_limit = {client.channel_limit}")


def _look_at_channels(channels: Mapping[str, object], config: Config) -> Iterator[Finding]:
    rules = ChannelRules(config.channel)
    for channel in channels:
        try:
            rules.options_of(channel)
        except ClientError:
            name = foreign(rules.namespace_of(channel), 60)
            yield fail(
                "namespace",
                f"channel {foreign(channel, 60)!r} is in namespace {name!r}, which does not exist (error 102)",
                f"a namespace {name!r} in channel.namespaces, or a channel without it",
            )


def look_at_fit(user: str, channel: str, client: str, expected: Expected) -> Iterator[Finding]:
    """Compare a subscription token with what it is going to be used for (disconnect 3500)."""
    for name, said, wanted in (
        ("channel", channel, expected.channel),
        ("user", user, expected.user),
        ("client", client, expected.client),
    ):
        if wanted is None or (name == "client" and not said):
            continue
        if said == wanted:
            yield ok(name, f"is {foreign(said)!r}")
        else:
            needed = f"{foreign(wanted)!r}: the token must be for the {name} that uses it"
            yield fail(name, f"the token is for {foreign(said)!r} (disconnect 3500)", needed)
