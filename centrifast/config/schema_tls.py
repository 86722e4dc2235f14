"""The TLS object, the same wherever a connection can be encrypted."""

from dataclasses import dataclass

from centrifast.config.option import Pem, option


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """TLS of one listener or one outgoing connection; at least TLS 1.2."""

    enabled: bool = option(False, "Use TLS.")
    cert_pem: Pem = option(Pem(""), "Own certificate, with its chain.")
    key_pem: Pem = option(Pem(""), "Private key of `cert_pem`; both or neither.", secret=True)
    server_ca_pem: Pem = option(
        Pem(""),
        "As client: authority that must have signed the server's certificate; replaces those of the system.",
    )
    client_ca_pem: Pem = option(
        Pem(""),
        "As server: authority of client certificates; when set, a client certificate is required (mTLS).",
    )
    insecure_skip_verify: bool = option(False, "As client: verify neither chain nor host name.")
    server_name: str = option("", "As client: name for SNI and verification.")
