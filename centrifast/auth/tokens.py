"""Verification of tokens: from text to claims, in the order of server specification 5.3."""

from typing import TypeVar

import msgspec

from centrifast.auth import payload
from centrifast.auth.claims import (
    ConnectionClaims,
    InvalidTokenError,
    KeysUnavailableError,
    SubscriptionClaims,
    TokenExpiredError,
)
from centrifast.auth.jws import parse
from centrifast.auth.keys import Keys, StaticKeys
from centrifast.auth.patterns import ClaimPatterns
from centrifast.auth.payload import Claims, RawConnectionClaims, RawSubscriptionClaims
from centrifast.auth.remote_keys import RemoteKeys
from centrifast.clock import Clock
from centrifast.config.schema import ClientConfig, TokenConfig
from centrifast.errors import INTERNAL, ClientError

__all__ = ["InvalidTokenError", "KeysUnavailableError", "TokenExpiredError", "TokenVerifier", "verifiers"]

C = TypeVar("C", bound=Claims)

_connection_decoder = msgspec.json.Decoder(RawConnectionClaims)
_subscription_decoder = msgspec.json.Decoder(RawSubscriptionClaims)
_names_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_user_decoder = msgspec.json.Decoder(str | int | float | None)


class TokenVerifier:
    """Verifies the tokens of one section of the configuration."""

    def __init__(self, config: TokenConfig, *, skip_signature: bool, clock: Clock) -> None:
        """Make ready; *skip_signature* is ``client.insecure_skip_token_signature_verify``.

        Raises ValueError, naming the option, for a key or pattern that can not be used.
        """
        self._patterns = ClaimPatterns(config)
        self._keys: Keys | None = None if skip_signature else make_keys(config, clock)
        self._audience = config.audience
        self._issuer = config.issuer
        self._user_id_claim = config.user_id_claim
        self._clock = clock

    async def verify_connection(self, token: str) -> ConnectionClaims:
        """Return the claims of a connection token (5.2).

        Raises InvalidTokenError, TokenExpiredError, KeysUnavailableError, or ClientError INTERNAL for a
        ``b64info`` that is no base64.
        """
        text, claims = await self._verify(token, _connection_decoder)
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

        Raises InvalidTokenError, TokenExpiredError or KeysUnavailableError.
        """
        text, claims = await self._verify(token, _subscription_decoder)
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

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Algorithms whose signatures are checked here, sorted; none if no signature is."""
        return self._keys.algorithms if self._keys is not None else ()

    async def drain(self) -> None:
        """Return when no token waits for a key any more, for a verifier that gets no new ones."""
        if self._keys is not None:
            await self._keys.drain()

    async def close(self) -> None:
        """Let go of what fetches keys; may be called twice."""
        if self._keys is not None:
            await self._keys.close()

    async def _verify(self, token: str, decoder: "msgspec.json.Decoder[C]") -> tuple[bytes, C]:
        """Steps 1 to 4: form, patterns, signature, audience and issuer."""
        signed = parse(token)
        try:
            signed.payload.decode()  # the decoder does not look at the encoding of raw payloads
            claims = decoder.decode(signed.payload)
        except (ValueError, RecursionError) as error:
            raise InvalidTokenError(f"malformed claims: {type(error).__name__}") from None
        variables = self._patterns.variables(claims.iss, claims.aud)
        if self._keys is not None:
            await self._keys.verify(signed, self._clock.unix(), variables)
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
        if expires is not None and expires <= now:
            raise TokenExpiredError("exp is over")
        if begins is not None and begins > now:
            raise TokenExpiredError("nbf has not come")

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


def make_keys(config: TokenConfig, clock: Clock) -> Keys:
    """Return the keys of a section: with a key set the static ones are not used at all (5.3)."""
    if not config.jwks_public_endpoint:
        return StaticKeys(config)
    from centrifast.auth.fetching import HttpFetcher

    return RemoteKeys(config.jwks_public_endpoint, HttpFetcher(), clock)


def verifiers(client: ClientConfig, clock: Clock) -> tuple[TokenVerifier, TokenVerifier]:
    """Return who verifies connection tokens, and who verifies subscription tokens (5.5): may be the same one.

    The caller closes both. Raises ValueError, naming the option, for a key or pattern that can not be used.
    """

    def made(section: str, config: TokenConfig) -> TokenVerifier:
        try:
            return TokenVerifier(
                config, skip_signature=client.insecure_skip_token_signature_verify, clock=clock
            )
        except ValueError as error:
            raise ValueError(f"client.{section}.{error}") from None

    connection = made("token", client.token)
    if not client.subscription_token.enabled:
        return connection, connection
    return connection, made("subscription_token", client.subscription_token)


def _is_for(audience: str | list[str] | None, wanted: str) -> bool:
    return wanted in audience if isinstance(audience, list) else audience == wanted


def _expire_at(claims: Claims) -> int | None:
    """Return when it ends: ``expire_at`` wins over ``exp``; not positive means never."""
    time = claims.exp if claims.expire_at is None else claims.expire_at
    if time is None:
        return None
    until = int(payload.seconds(time))
    return until if until > 0 else None
