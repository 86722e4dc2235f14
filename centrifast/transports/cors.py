"""What tells a browser that a page of another origin may read an answer (server specification 2.4)."""

from centrifast.protocol.http1 import Request
from centrifast.transports.origin import OriginPolicy


def cors_headers(origins: OriginPolicy, request: Request) -> tuple[tuple[str, str], ...]:
    """Return the headers of an answer; none for an origin that is not allowed, whose page then cannot read it."""
    origin = request.headers.get("origin")
    if not origins.allows(origin):
        return ()
    headers = [("Access-Control-Allow-Origin", origin or ""), ("Access-Control-Allow-Credentials", "true")]
    wanted = request.headers.get("access-control-request-headers", "")
    if wanted and wanted.lower() != "null":
        headers.append(("Access-Control-Allow-Headers", wanted))
    return tuple(headers)
