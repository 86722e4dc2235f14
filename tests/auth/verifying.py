"""A verifier for tests: with keys of the configuration a check never waits, so it is a plain call."""

from centrifast.auth.claims import ConnectionClaims, SubscriptionClaims
from centrifast.auth.tokens import TokenVerifier
from centrifast.config.schema import TokenConfig
from centrifast.eager import start
from tests.fakes import FakeClock


class Verifier:
    """Runs the checks of a ``TokenVerifier`` to their end, outside of any event loop."""

    def __init__(self, config: TokenConfig, *, skip_signature: bool, now: float) -> None:
        self._verifier = TokenVerifier(config, skip_signature=skip_signature, clock=FakeClock(now))

    def verify_connection(self, token: str) -> ConnectionClaims:
        claims = start(self._verifier.verify_connection(token))
        assert isinstance(claims, ConnectionClaims)
        return claims

    def verify_subscription(self, token: str) -> SubscriptionClaims:
        claims = start(self._verifier.verify_subscription(token))
        assert isinstance(claims, SubscriptionClaims)
        return claims
