"""TLS certificates."""

from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from cryptography.x509 import load_pem_x509_certificate

from centrifast.doctor.certificate import check_certificate, read_der, read_pem
from centrifast.doctor.finding import Level
from tests.auth.signing import RSA, RSA_OTHER, private_pem_of
from tests.doctor.certificates import DAY, make_certificate

NOW = 1_700_000_000.0


def check(
    begins: float = -DAY, ends: float = 90 * DAY, names: Sequence[str] = ("a.example",)
) -> list[tuple[Level, str]]:
    pem = make_certificate(RSA, NOW + begins, NOW + ends, names)
    findings = check_certificate("tls", read_pem(pem, private_pem_of(RSA)), NOW)
    return [(finding.level, finding.seen) for finding in findings]


def test_a_good_certificate_is_fine() -> None:
    validity, names = check(names=["a.example", "b.example"])
    assert validity == (Level.OK, "counts until 2024-02-12 22:13:20 UTC, in 90 days")
    assert names == (Level.OK, "a.example, b.example")


@pytest.mark.parametrize(
    ("begins", "ends", "level", "seen"),
    [
        (-9 * DAY, -DAY, Level.FAIL, "expired: 2023-11-13 22:13:20 UTC, 1 day ago"),
        (-9 * DAY, 13 * DAY, Level.WARN, "expires 2023-11-27 22:13:20 UTC, in 13 days"),
        (DAY, 90 * DAY, Level.FAIL, "not valid before 2023-11-15 22:13:20 UTC, in 1 day"),
    ],
)
def test_its_time_is_told(begins: float, ends: float, level: Level, seen: str) -> None:
    assert check(begins, ends)[0] == (level, seen)


def test_names_are_shown_up_to_a_number() -> None:
    assert check(names=[f"n{number}" for number in range(7)])[1][1] == "n0, n1, n2, n3, n4 and 2 more"
    assert check(names=[])[1][0] is Level.WARN


def test_it_must_belong_to_its_key() -> None:
    pem = make_certificate(RSA, NOW - DAY, NOW + 90 * DAY)
    first, *_ = check_certificate("tls", read_pem(pem, private_pem_of(RSA_OTHER)), NOW)
    assert first.level is Level.FAIL
    assert "does not belong to the private key" in first.seen


def test_what_a_server_shows_has_no_key() -> None:
    pem = make_certificate(RSA, NOW - DAY, NOW + DAY)
    facts = read_der(load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER))
    assert facts.fits_key is None
    assert facts.ends == NOW + DAY


def test_what_can_not_be_read_is_told() -> None:
    pem = make_certificate(RSA, NOW - DAY, NOW + DAY)
    locked = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()
    for cert, key, told in (
        ("x", private_pem_of(RSA), "cert_pem holds no certificate"),
        (pem, "x", "key_pem holds no private key"),
        (pem, locked, "key_pem is encrypted"),
    ):
        with pytest.raises(ValueError, match=told):
            read_pem(cert, key)
