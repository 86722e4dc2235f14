"""Keys and what they may verify (server specification 5.3).

The algorithm is the token's choice, but only among those of a family that has a key: the table below is
built from the keys, so a token can never make one key serve another family's algorithm.
"""

from dataclasses import dataclass
from typing import Protocol

from jwt.algorithms import Algorithm, HMACAlgorithm
from jwt.exceptions import InvalidKeyError

from centrifast.auth.claims import InvalidTokenError
from centrifast.auth.jws import SignedToken
from centrifast.config.schema import TokenConfig

HMAC_ALGORITHMS = {
    "HS256": HMACAlgorithm(HMACAlgorithm.SHA256),
    "HS384": HMACAlgorithm(HMACAlgorithm.SHA384),
    "HS512": HMACAlgorithm(HMACAlgorithm.SHA512),
}


class Keys(Protocol):
    """Where signatures are checked: keys of the configuration, or a key set that is fetched."""

    def verify(self, token: SignedToken, now: float) -> None:
        """Return if a key made the signature, else raise InvalidTokenError; *now* in Unix seconds."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key made ready for one algorithm; it counts until *valid_until*, 0 = for ever."""

    algorithm: Algorithm
    key: object
    valid_until: int = 0

    def fits(self, token: SignedToken, now: float) -> bool:
        """Say whether this key counts and made the signature; MACs are compared in constant time."""
        if self.valid_until and self.valid_until <= now:
            return False
        return self.algorithm.verify(token.signing_input, self.key, token.signature)


class StaticKeys:
    """The keys of the configuration, per algorithm, in the order they are tried."""

    def __init__(self, config: TokenConfig) -> None:
        """Make the keys ready. Raises ValueError, naming the option, for one that can not be used."""
        for name in ("rsa_public_key", "ecdsa_public_key", "jwks_public_endpoint"):
            if getattr(config, name):  # else tokens would be refused for no visible reason
                raise ValueError(f"{name} is not supported")
        self._candidates: dict[str, list[Candidate]] = {}
        self._add_hmac("hmac_secret_key", config.hmac_secret_key)
        self._add_hmac(
            "hmac_previous_secret_key",
            config.hmac_previous_secret_key,
            config.hmac_previous_secret_key_valid_until,
        )

    def _add_hmac(self, option: str, secret: str, valid_until: int = 0) -> None:
        if not secret:
            return
        for name, algorithm in HMAC_ALGORITHMS.items():
            try:
                key = algorithm.prepare_key(secret)
            except InvalidKeyError as error:  # a public key given as a secret: whoever has it could sign
                raise ValueError(f"{option}: {error}") from None
            self._candidates.setdefault(name, []).append(Candidate(algorithm, key, valid_until))

    def verify(self, token: SignedToken, now: float) -> None:
        """See ``Keys.verify``."""
        candidates = self._candidates.get(token.header.alg)
        if candidates is None:
            raise InvalidTokenError("no key for the token's algorithm")
        for candidate in candidates:
            if candidate.fits(token, now):
                return
        raise InvalidTokenError("wrong signature")
