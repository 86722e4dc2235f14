"""Redis with TLS in tests: one certificate, which everybody has and trusts."""

import time
from pathlib import Path

from centrifast.config.option import Pem
from tests.auth.signing import RSA, private_pem_of
from tests.doctor.certificates import DAY, make_certificate

KEY_PEM = Pem(private_pem_of(RSA))


def certificate_in(folder: Path) -> tuple[Pem, dict[str, str]]:
    """Make it, for the name ``localhost``; and the options by which a server finds it."""
    certificate = make_certificate(RSA, time.time() - DAY, time.time() + DAY)
    (folder / "own.crt").write_text(certificate)
    (folder / "own.key").write_text(KEY_PEM)
    return Pem(certificate), {
        "tls-cert-file": f"{folder}/own.crt",
        "tls-key-file": f"{folder}/own.key",
        "tls-ca-cert-file": f"{folder}/own.crt",
    }


def arguments_of(options: dict[str, str]) -> list[str]:
    """The same as arguments of a command line."""
    return [word for name, value in options.items() for word in (f"--{name}", value)]
