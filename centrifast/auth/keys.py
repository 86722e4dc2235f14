"""Keys and what they may verify (server specification 5.3).

The algorithm is the token's choice, but only among those of a family that has a key: the tables below are built
from the keys, so a token can never make one key serve another family's algorithm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt.algorithms import Algorithm, ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from centrifast.auth.claims import InvalidTokenError
from centrifast.auth.jws import SignedToken
from centrifast.config.schema import TokenConfig

HMAC_ALGORITHMS = {
    "HS256": HMACAlgorithm(HMACAlgorithm.SHA256),
    "HS384": HMACAlgorithm(HMACAlgorithm.SHA384),
    "HS512": HMACAlgorithm(HMACAlgorithm.SHA512),
}
RSA_ALGORITHMS = {
    "RS256": RSAAlgorithm(RSAAlgorithm.SHA256),
    "RS384": RSAAlgorithm(RSAAlgorithm.SHA384),
    "RS512": RSAAlgorithm(RSAAlgorithm.SHA512),
}
ECDSA_ALGORITHMS = {
    SECP256R1.name: ("ES256", ECAlgorithm(ECAlgorithm.SHA256)),
    SECP384R1.name: ("ES384", ECAlgorithm(ECAlgorithm.SHA384)),
    SECP521R1.name: ("ES512", ECAlgorithm(ECAlgorithm.SHA512)),
}
"""By the name of the curve, of which each algorithm has its own (RFC 7518 section 3.4)."""

EDDSA = OKPAlgorithm()

PUBLIC_KEY_ALGORITHMS = frozenset(
    {*RSA_ALGORITHMS, *(name for name, _ in ECDSA_ALGORITHMS.values()), "EdDSA"}
)

RSA_BITS = range(1024, 16_384 + 1)
"""Smaller keys can be broken and are refused by Go, hence by Centrifugo; OpenSSL verifies with no larger ones."""

NO_KEY = "no key for the token's algorithm"


class Keys(Protocol):
    """Where signatures are checked: keys of the configuration, or a key set that is fetched."""

    async def verify(self, token: SignedToken, now: float, variables: Mapping[str, str]) -> None:
        """Return if a key made the signature, else raise InvalidTokenError.

        *now* in Unix seconds; *variables* are what patterns found in the claims, to find the key set. Raises
        KeysUnavailableError if there is no telling.
        """

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Algorithms that may have a key."""

    async def drain(self) -> None:
        """Return when nobody waits here any more; nobody comes any more."""

    async def close(self) -> None:
        """Let go of connections and tasks."""


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
        self._candidates: dict[str, list[Candidate]] = {}
        self._add_hmac("hmac_secret_key", config.hmac_secret_key)
        self._add_hmac(
            "hmac_previous_secret_key",
            config.hmac_previous_secret_key,
            config.hmac_previous_secret_key_valid_until,
        )
        self._add_public("rsa_public_key", config.rsa_public_key, RSAPublicKey)
        self._add_public("ecdsa_public_key", config.ecdsa_public_key, EllipticCurvePublicKey)

    def _add_hmac(self, option: str, secret: str, valid_until: int = 0) -> None:
        if not secret:
            return
        for name, algorithm in HMAC_ALGORITHMS.items():
            try:
                key = algorithm.prepare_key(secret)
            except InvalidKeyError as error:  # a public key given as a secret: whoever has it could sign
                raise ValueError(f"{option}: {error}") from None
            self._candidates.setdefault(name, []).append(Candidate(algorithm, key, valid_until))

    def _add_public(self, option: str, pem: str, family: type[object]) -> None:
        if not pem:
            return
        try:
            key = load_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):  # without their text: it may show the key
            raise ValueError(f"{option}: neither a public key nor a certificate in PEM form") from None
        candidates = candidates_of(key) if isinstance(key, family) else {}
        if not candidates:
            raise ValueError(
                f"{option}: a key of another family, or of a curve or size that is not supported"
            )
        for name, candidate in candidates.items():
            self._candidates[name] = [candidate]

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Algorithms there is a key for, whether or not it still counts."""
        return tuple(sorted(self._candidates))

    async def verify(self, token: SignedToken, now: float, variables: Mapping[str, str]) -> None:
        """See ``Keys.verify``; never waits."""
        candidates = self._candidates.get(token.header.alg)
        if candidates is None:
            raise InvalidTokenError(NO_KEY)
        for candidate in candidates:
            if candidate.fits(token, now):
                return
        raise InvalidTokenError("wrong signature")

    async def drain(self) -> None:
        """See ``Keys.drain``; nobody ever waits."""

    async def close(self) -> None:
        """See ``Keys.close``; nothing is open."""


def load_public_key(pem: str) -> object:
    """Read a public key, or that of a certificate. Raises ValueError or UnsupportedAlgorithm."""
    data = pem.encode()
    if b"-----BEGIN CERTIFICATE-----" in data:
        return load_pem_x509_certificate(data).public_key()
    return load_pem_public_key(data)


def candidates_of(key: object) -> dict[str, Candidate]:
    """Return what a public key may verify, by algorithm; nothing for a kind, curve or size not supported."""
    if isinstance(key, RSAPublicKey) and key.key_size in RSA_BITS:
        return {name: Candidate(algorithm, key) for name, algorithm in RSA_ALGORITHMS.items()}
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in ECDSA_ALGORITHMS:
        name, ecdsa = ECDSA_ALGORITHMS[key.curve.name]
        return {name: Candidate(ecdsa, key)}
    if isinstance(key, Ed25519PublicKey):
        return {"EdDSA": Candidate(EDDSA, key)}
    return {}
