"""A key set as a provider publishes it (RFC 7517), and from there to keys; pure."""

from collections.abc import Callable, Mapping

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from centrifast.auth.keys import Candidate, candidates_of
from centrifast.limits import KEY_SET_KEYS

FAMILIES: Mapping[str, Callable[[dict[str, str]], object]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}


class PublicJwk(msgspec.Struct, frozen=True, omit_defaults=True):
    """The members of a key that are read; private ones are not."""

    kty: str = ""
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""


class JwkLabel(msgspec.Struct, frozen=True):
    """What tells whether a key is wanted at all."""

    kid: str = ""
    use: str = ""


class JwkSet(msgspec.Struct, frozen=True):
    """The answer; each key is read for itself, so that a strange one does not spoil the others."""

    keys: list[msgspec.Raw]


_set_decoder = msgspec.json.Decoder(JwkSet)
_label_decoder = msgspec.json.Decoder(JwkLabel)
_key_decoder = msgspec.json.Decoder(PublicJwk)


def parse_key_set(body: bytes) -> dict[str, Mapping[str, Candidate]]:
    """Return the signature keys by ``kid``, each by algorithm; what can not be used is left out.

    Several keys may share a ``kid`` if they are of different families (RFC 7517 section 4.5); of two for one
    algorithm the first counts. Reads at most ``KEY_SET_KEYS``. Raises ValueError for what is no key set.
    """
    try:
        written = _set_decoder.decode(body).keys
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("the answer is no key set") from None
    found: dict[str, dict[str, Candidate]] = {}
    looked_at = 0
    for raw in written:
        label = _label(raw)
        if not label.kid or label.use != "sig":
            continue
        looked_at += 1
        if looked_at > KEY_SET_KEYS:
            break
        candidates = _candidates(raw)
        if candidates:
            known = found.setdefault(label.kid, {})
            known.update({name: candidates[name] for name in candidates if name not in known})
    return dict(found)


def _label(raw: msgspec.Raw) -> JwkLabel:
    try:
        return _label_decoder.decode(raw)
    except msgspec.DecodeError:
        return JwkLabel()


def _candidates(raw: msgspec.Raw) -> Mapping[str, Candidate]:
    try:
        jwk = msgspec.to_builtins(_key_decoder.decode(raw))
        read = FAMILIES.get(jwk.get("kty", ""))
        return {} if read is None else candidates_of(read(jwk))
    except (ValueError, OverflowError, InvalidKeyError, UnsupportedAlgorithm):
        return {}
