"""Claims as they stand in a token, and from there to ``claims`` (server specification 5.2, 5.5).

A null is as good as an absent claim, as in Centrifugo.
"""

import binascii

import msgspec

from centrifast.auth.claims import NO_OVERRIDE, InvalidTokenError, SubscriptionOptions, SubscriptionOverride

NOTHING = msgspec.Raw(b"")

Number = int | float | str | None
"""A point in time in Unix seconds; a string that holds a number counts too."""


class Claims(msgspec.Struct):
    """What both kinds of token have."""

    sub: str | None = None
    exp: Number = None
    nbf: Number = None
    aud: str | list[str] | None = None
    iss: str | None = None
    channel: str | None = None
    expire_at: int | float | None = None
    info: msgspec.Raw = NOTHING
    b64info: str | None = None


class Flag(msgspec.Struct):
    """A boolean that is there or not."""

    value: bool | None = None


class Override(msgspec.Struct):
    """``override`` as written."""

    presence: Flag | None = None
    join_leave: Flag | None = None
    force_push_join_leave: Flag | None = None
    force_recovery: Flag | None = None
    force_positioning: Flag | None = None


class Sub(msgspec.Struct):
    """A value of ``subs``."""

    info: msgspec.Raw = NOTHING
    b64info: str | None = None
    data: msgspec.Raw = NOTHING
    b64data: str | None = None
    override: Override | None = None


class RawConnectionClaims(Claims):
    """A connection token."""

    channels: list[str] | None = None
    subs: dict[str, Sub | None] | None = None
    meta: msgspec.Raw = NOTHING


class RawSubscriptionClaims(Claims):
    """A subscription token."""

    client: str | None = None
    data: msgspec.Raw = NOTHING
    b64data: str | None = None
    override: Override | None = None


def subscriptions(claims: RawConnectionClaims) -> dict[str, SubscriptionOptions]:
    """Return the server-side subscriptions; empty names are skipped (client protocol 8.1)."""
    if claims.subs:
        return {channel: subscription(sub) for channel, sub in claims.subs.items() if channel}
    if claims.channels:
        return {channel: PLAIN for channel in claims.channels if channel}
    return {}


PLAIN = SubscriptionOptions()


def subscription(sub: Sub | RawSubscriptionClaims | None) -> SubscriptionOptions:
    """Return the options of one subscription. Raises InvalidTokenError."""
    if sub is None:
        return PLAIN
    return SubscriptionOptions(
        info=payload(sub.info, sub.b64info),
        data=payload(sub.data, sub.b64data),
        override=NO_OVERRIDE if sub.override is None else override(sub.override),
    )


def override(written: Override) -> SubscriptionOverride:
    """Return what is overridden; a flag without value is off."""
    return SubscriptionOverride(
        *(
            None if flag is None else bool(flag.value)
            for flag in (
                written.presence,
                written.join_leave,
                written.force_push_join_leave,
                written.force_recovery,
                written.force_positioning,
            )
        )
    )


def payload(raw: msgspec.Raw, encoded: str | None) -> bytes:
    """Return a payload from its two forms, of which base64 wins. Raises InvalidTokenError for bad base64."""
    if encoded:
        try:
            return binascii.a2b_base64(encoded, strict_mode=True)
        except ValueError:
            raise InvalidTokenError("bad base64 in a payload") from None
    return json_payload(raw)


def json_payload(raw: msgspec.Raw) -> bytes:
    """Return JSON on one line: newlines separate messages, and between JSON tokens they mean nothing."""
    text = bytes(raw)
    if text == b"null":
        return b""
    return text.replace(b"\n", b"").replace(b"\r", b"") if b"\n" in text or b"\r" in text else text


def seconds(value: Number) -> float:
    """Return a point in time. Raises InvalidTokenError for what is none."""
    try:
        if isinstance(value, str):
            return msgspec.json.decode(value, type=float)
        return float(value or 0)
    except (msgspec.DecodeError, OverflowError):
        raise InvalidTokenError("a time in the token is not a number") from None
