"""Why a token is accepted or refused. The verdict is the server's verifier's; the findings only explain it."""

import asyncio
import base64
from collections.abc import Iterable
from dataclasses import dataclass, field

from centrifast import errors
from centrifast.auth.claims import (
    ConnectionClaims,
    InvalidTokenError,
    KeysUnavailableError,
    SubscriptionClaims,
    TokenExpiredError,
)
from centrifast.auth.jws import SignedToken
from centrifast.auth.remote_keys import Fetcher
from centrifast.auth.tokens import TokenVerifier
from centrifast.clock import Clock, SystemClock
from centrifast.config.schema import ClientConfig, Config, TokenConfig
from centrifast.doctor import token_claims, token_form, token_keys, token_rules
from centrifast.doctor.finding import Finding, Level, fail, warn
from centrifast.doctor.token_claims import Kind, Line
from centrifast.doctor.token_rules import Expected
from centrifast.errors import ClientError

Verified = ConnectionClaims | SubscriptionClaims


@dataclass(slots=True)
class Explanation:
    """All there is to say about a token under one configuration."""

    kind: Kind
    header: tuple[Line, ...] = ()
    claims: tuple[Line, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    accepted: bool = False
    verdict: str = ""
    """In words, with the code that a client gets."""


@dataclass(frozen=True, slots=True)
class Question:
    """A token, what it is for, and the configuration it meets."""

    token: str
    kind: Kind
    config: Config
    expected: Expected = Expected()

    @property
    def section(self) -> str:
        """The section of the configuration that verifies tokens of this kind."""
        separate = self.kind is Kind.SUBSCRIPTION and self.config.client.subscription_token.enabled
        return "client.subscription_token" if separate else "client.token"

    @property
    def settings(self) -> TokenConfig:
        """The options of that section."""
        return settings_of(self.config.client, self.kind)


def settings_of(client: ClientConfig, kind: Kind) -> TokenConfig:
    """Return the options that tokens of a kind are verified with."""
    separate = kind is Kind.SUBSCRIPTION and client.subscription_token.enabled
    return client.subscription_token if separate else client.token


async def explain(question: Question, clock: Clock | None = None) -> Explanation:
    """Explain a token. Fetches its key set, if one is configured; each fetch is bounded as in the server."""
    clock = clock or SystemClock(asyncio.get_running_loop())
    explanation = Explanation(question.kind)
    try:
        verifier = TokenVerifier(
            question.settings,
            skip_signature=question.config.client.insecure_skip_token_signature_verify,
            clock=clock,
        )
    except ValueError as error:
        seen = f"{question.section}.{error}"
        explanation.findings.append(fail("configuration", seen, "keys and patterns that can be used"))
        explanation.verdict = "refused: the server does not start with this configuration"
        return explanation
    try:
        await _explain_with(verifier, question, clock.unix(), explanation)
    finally:
        await verifier.close()
    return explanation


async def _explain_with(
    verifier: TokenVerifier, question: Question, now: float, explanation: Explanation
) -> None:
    findings = explanation.findings
    token, mistakes = token_form.untangle(question.token)
    findings += mistakes
    signed, form = token_form.take_apart(token)
    findings.append(form)
    if signed is not None:
        explanation.header = token_claims.header_lines(token_claims.members(_header_of(token)))
        claims = token_claims.members(signed.payload)
        user_claim = question.settings.user_id_claim
        explanation.claims = token_claims.claim_lines(claims, question.kind, user_claim, now)
        findings += await _rules(question, signed, now)
        findings += token_claims.remarks(claims, user_claim, now)
    verified, refusal = await verdict(verifier, question.token, question.kind)
    if verified is None:
        explanation.verdict = f"refused: {refusal}"
        return
    in_use = list(_use(verified, question, now))
    findings += in_use
    failed = [finding for finding in in_use if finding.level is Level.FAIL]
    explanation.accepted = not failed
    user = f'user "{verified.user}"' if verified.user else "the anonymous user"
    explanation.verdict = f"refused: {failed[0].seen}" if failed else f"accepted, for {user}"


async def verdict(verifier: TokenVerifier, token: str, kind: Kind) -> tuple[Verified | None, str]:
    """Ask the server's verifier: the claims, or why they are refused and what a client is told."""
    try:
        if kind is Kind.CONNECTION:
            return await verifier.verify_connection(token), ""
        return await verifier.verify_subscription(token), ""
    except InvalidTokenError as error:
        connection = f"disconnect {errors.INVALID_TOKEN.code}, {errors.INVALID_TOKEN.reason}"
        subscription = f"error {errors.PERMISSION_DENIED.code}, {errors.PERMISSION_DENIED.message}"
        answer = connection if kind is Kind.CONNECTION else subscription
        return None, f"{error} ({answer})"
    except TokenExpiredError as error:
        return None, f"{error} (error {errors.TOKEN_EXPIRED.code}, {errors.TOKEN_EXPIRED.message})"
    except KeysUnavailableError as error:
        return None, f"{error} (error {errors.INTERNAL.code}, temporary: clients try again)"
    except ClientError as error:
        return None, f"b64info is no base64 (error {error.error.code}, {error})"


async def _rules(question: Question, signed: SignedToken, now: float) -> Iterable[Finding]:
    section, settings = question.section, question.settings
    claims, shape = token_rules.read_claims(signed.payload, question.kind)
    found = [shape]
    if claims is None:
        if not settings.jwks_public_endpoint:
            found.append(await token_keys.static_findings(signed, section, settings, question.config, now))
        return found
    variables, patterns = token_rules.look_at_patterns(claims, section, settings)
    found += patterns
    if not any(finding.level is Level.FAIL for finding in patterns):
        found.append(await _signature(question, signed, variables, now))
    found += token_rules.look_at_audience(claims, section, settings)
    found.append(token_rules.look_at_kind(claims, question.kind))
    found += token_rules.look_at_times(claims, now)
    found += token_rules.look_at_payloads(claims)
    found += token_rules.look_at_user_claim(token_claims.members(signed.payload), section, settings)
    return found


async def _signature(
    question: Question, signed: SignedToken, variables: dict[str, str], now: float
) -> Finding:
    section, settings, config = question.section, question.settings, question.config
    if config.client.insecure_skip_token_signature_verify:
        return warn(
            token_keys.CHECK,
            "not checked: client.insecure_skip_token_signature_verify is on, anybody can be anyone",
            "that option off outside of development",
        )
    if not settings.jwks_public_endpoint:
        return await token_keys.static_findings(signed, section, settings, config, now)
    from centrifast.auth.fetching import HttpFetcher

    fetcher: Fetcher = HttpFetcher()
    try:
        return await token_keys.key_set_finding(signed, section, settings, variables, fetcher)
    finally:
        await fetcher.close()


def _use(verified: Verified, question: Question, now: float) -> Iterable[Finding]:
    if isinstance(verified, SubscriptionClaims):
        channels: dict[str, object] = {verified.channel: None}
        yield from token_rules.look_at_fit(
            verified.user, verified.channel, verified.client, question.expected
        )
    else:
        channels = dict(verified.subs)
    yield from token_rules.look_at_use(
        verified.user, verified.expire_at, channels, question.kind, question.config, now
    )


def _header_of(token: str) -> bytes:
    """Decode the first part again, for its members as written; the token has been parsed before."""
    part = token.partition(".")[0]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
