"""A TLS certificate: can it be read, does it fit its key, until when does it count, for which names?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from centrifast.doctor.finding import Finding, fail, ok, warn
from centrifast.doctor.wording import DAY, foreign, moment

SOON = 14 * DAY
"""Seconds before the end of a certificate from which on it is worth a warning."""

NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate says; *fits_key* is None where there is no key to compare."""

    names: tuple[str, ...]
    begins: float
    ends: float
    chain: int
    fits_key: bool | None = None


def read_pem(cert_pem: str, key_pem: str) -> CertificateFacts:
    """Read a certificate with its chain, and its key. Raises ValueError, without showing any of it."""
    try:
        chain = x509.load_pem_x509_certificates(cert_pem.encode())
    except ValueError:
        raise ValueError("cert_pem holds no certificate that can be read") from None
    try:
        key = load_pem_private_key(key_pem.encode(), None)
    except TypeError:
        raise ValueError("key_pem is encrypted; the server can not ask for a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("key_pem holds no private key that can be read") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fits = chain[0].public_key().public_bytes(*form) == key.public_key().public_bytes(*form)
    return _facts(chain, fits)


def read_der(certificate: bytes) -> CertificateFacts:
    """Read the certificate that a server has shown. Raises ValueError."""
    return _facts([x509.load_der_x509_certificate(certificate)], None)


def _facts(chain: Sequence[x509.Certificate], fits_key: bool | None) -> CertificateFacts:
    own = chain[0]
    try:
        found = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(name.value) for name in found if isinstance(name, x509.DNSName | x509.IPAddress)]
    except (x509.ExtensionNotFound, ValueError):
        names = []
    return CertificateFacts(
        names=tuple(names),
        begins=own.not_valid_before_utc.timestamp(),
        ends=own.not_valid_after_utc.timestamp(),
        chain=len(chain),
        fits_key=fits_key,
    )


def check_certificate(name: str, facts: CertificateFacts, now: float) -> Iterator[Finding]:
    """Judge a certificate; *name* says whose it is."""
    if facts.fits_key is False:
        yield fail(
            name,
            "the certificate does not belong to the private key",
            "a pair; the certificate of the server comes first in cert_pem, its chain behind it",
            "openssl x509 -noout -pubkey -in cert.pem; openssl pkey -pubout -in key.pem    # must be the same",
        )
    renew = "certbot renew    # or however it is issued; then reload the server"
    if facts.begins > now:
        yield fail(
            name, f"not valid before {moment(facts.begins, now)}", "a certificate that counts, a right clock"
        )
    elif facts.ends <= now:
        yield fail(name, f"expired: {moment(facts.ends, now)}", "a certificate that counts", renew)
    elif facts.ends - now < SOON:
        yield warn(name, f"expires {moment(facts.ends, now)}", "a new one before that", renew)
    else:
        yield ok(name, f"counts until {moment(facts.ends, now)}")
    if facts.names:
        shown = ", ".join(foreign(found, 80) for found in facts.names[:NAMES_SHOWN])
        more = f" and {len(facts.names) - NAMES_SHOWN} more" if len(facts.names) > NAMES_SHOWN else ""
        yield ok(f"{name} names", shown + more)
    else:
        yield warn(
            f"{name} names",
            "it has no subject alternative names",
            "the host names that clients use, as DNS names: browsers look at nothing else",
        )
