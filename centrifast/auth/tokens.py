"""Verification of tokens: from text to claims, in the order of server specification 5.3."""

from typing import TypeVar

import msgspec

from centrifast.auth import payload
from centrifast.auth.claims import ConnectionClaims, InvalidTokenError, SubscriptionClaims, TokenExpiredError
from centrifast.auth.jws import parse
from centrifast.auth.keys import Keys, StaticKeys
from centrifast.auth.payload import Claims, RawConnectionClaims, RawSubscriptionClaims
from centrifast.clock import Clock
from centrifast.config.schema import TokenConfig
from centrifast.errors import INTERNAL, ClientError

__all__ = ["InvalidTokenError", "TokenExpiredError", "TokenVerifier"]

C = TypeVar("C", bound=Claims)

_connection_decoder = msgspec.json.Decoder(RawConnectionClaims)
_subscription_decoder = msgspec.json.Decoder(RawSubscriptionClaims)
_names_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_user_decoder = msgspec.json.Decoder(str | int | float | None)


class TokenVerifier:
    """Verifies the tokens of one section of the configuration."""

    def __init__(self, config: TokenConfig, *, skip_signature: bool, clock: Clock) -> None:
        """Make ready; *skip_signature* is ``client.insecure_skip_token_signature_verify``.

        Raises ValueError for a key that can not be used.
        """
        for name in ("audience_regex", "issuer_regex"):
            if getattr(config, name):
                raise ValueError(f"{name} is not supported")
        self._keys: Keys | None = None if skip_signature else StaticKeys(config)
        self._audience = config.audience
        self._issuer = config.issuer
        self._user_id_claim = config.user_id_claim
        self._clock = clock

    async def verify_connection(self, token: str) -> ConnectionClaims:
        """Return the claims of a connection token (5.2).

        Raises InvalidTokenError, TokenExpiredError, or ClientError INTERNAL for a ``b64info`` that is no
        base64.
        """
        text, claims = self._verify(token, _connection_decoder)
        if claims.channel:
            raise InvalidTokenError("a subscription token is no connection token")
        self._check_time(claims)
        try:
            info = payload.payload(claims.info, claims.b64info)
        except InvalidTokenError as error:
            raise ClientError(INTERNAL) from error
        return ConnectionClaims(
            user=self._user(claims, text),
            expire_at=_expire_at(claims),
            info=info,
            subs=payload.subscriptions(claims),
            meta=payload.json_payload(claims.meta),
        )

    async def verify_subscription(self, token: str) -> SubscriptionClaims:
        """Return the claims of a subscription token (5.5); whether they fit is for the caller to compare.

        Raises InvalidTokenError or TokenExpiredError.
        """
        text, claims = self._verify(token, _subscription_decoder)
        self._check_time(claims)
        if not claims.channel:
            raise InvalidTokenError("no channel in a subscription token")
        options = payload.subscription(claims)
        return SubscriptionClaims(
            user=self._user(claims, text),
            channel=claims.channel,
            client=claims.client or "",
            expire_at=_expire_at(claims),
            info=options.info,
            data=options.data,
            override=options.override,
        )

    def _verify(self, token: str, decoder: "msgspec.json.Decoder[C]") -> tuple[bytes, C]:
        """Steps 1 to 4: form, signature, audience and issuer."""
        signed = parse(token)
        if self._keys is not None:
            self._keys.verify(signed, self._clock.unix())
        try:
            signed.payload.decode()  # the decoder does not look at the encoding of raw payloads
            claims = decoder.decode(signed.payload)
        except (ValueError, RecursionError) as error:
            raise InvalidTokenError(f"malformed claims: {type(error).__name__}") from None
        if self._audience and not _is_for(claims.aud, self._audience):
            raise InvalidTokenError("wrong audience")
        if self._issuer and claims.iss != self._issuer:
            raise InvalidTokenError("wrong issuer")
        return signed.payload, claims

    def _check_time(self, claims: Claims) -> None:
        """Step 6: valid only while ``exp`` is in the future and ``nbf`` is not."""
        if claims.exp is None and claims.nbf is None:
            return
        now = self._clock.unix()
        expires = None if claims.exp is None else payload.seconds(claims.exp)
        begins = None if claims.nbf is None else payload.seconds(claims.nbf)
        if (expires is not None and expires <= now) or (begins is not None and begins > now):
            raise TokenExpiredError

    def _user(self, claims: Claims, text: bytes) -> str:
        """Return the user id; empty = anonymous."""
        if not self._user_id_claim:
            return claims.sub or ""
        raw = bytes(_names_decoder.decode(text).get(self._user_id_claim, b"null"))
        try:
            user = _user_decoder.decode(raw)
        except msgspec.DecodeError:
            raise InvalidTokenError("the user id claim is neither text nor number") from None
        if user is None:
            return ""
        return user if isinstance(user, str) else raw.decode()  # a number as it was written


def _is_for(audience: str | list[str] | None, wanted: str) -> bool:
    return wanted in audience if isinstance(audience, list) else audience == wanted


def _expire_at(claims: Claims) -> int | None:
    """Return when it ends: ``expire_at`` wins over ``exp``; not positive means never."""
    time = claims.exp if claims.expire_at is None else claims.expire_at
    if time is None:
        return None
    until = int(payload.seconds(time))
    return until if until > 0 else None
