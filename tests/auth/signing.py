"""Keys of every family, and tokens signed with them, by PyJWT as an identity provider would."""

import datetime
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA = rsa.generate_private_key(65_537, 2048)
RSA_OTHER = rsa.generate_private_key(65_537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
P521 = ec.generate_private_key(ec.SECP521R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()


def sign(claims: Mapping[str, Any], key: PrivateKey | str, algorithm: str, kid: str | None = None) -> str:
    """Return a token; a text is an HMAC secret."""
    return jwt.encode(dict(claims), key, algorithm, headers={"kid": kid} if kid is not None else None)


def jwk_of(key: PrivateKey, kid: str, **members: object) -> dict[str, object]:
    """Return the public key as a member of a key set, for signatures."""
    public: dict[str, object]
    if isinstance(key, rsa.RSAPrivateKey):
        public = dict(RSAAlgorithm.to_jwk(key.public_key(), as_dict=True))
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        public = dict(ECAlgorithm.to_jwk(key.public_key(), as_dict=True))
    else:
        public = dict(OKPAlgorithm.to_jwk(key.public_key(), as_dict=True))
    public.pop("key_ops", None)
    return {**public, "kid": kid, "use": "sig", **members}


def public_pem_of(key: PrivateKey) -> str:
    """Return the public key as PEM text."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem_of(key: PrivateKey) -> str:
    """Return the whole key as PEM text."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def certificate_of(key: PrivateKey) -> str:
    """Return a certificate of the key by itself, as PEM text."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=1))
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM).decode()
