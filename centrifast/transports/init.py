"""``/connection/init``: a page measures how far away the server is before it connects (server specification 9.1)."""

from collections.abc import Callable

from centrifast.protocol.http1 import Request, Response
from centrifast.server.routes import Routes
from centrifast.transports.cors import cors_headers
from centrifast.transports.origin import OriginPolicy

METHOD_NOT_ALLOWED = 405
FULL = Response(503, content_type="")


def add_init(routes: Routes, prefix: str, origins: OriginPolicy, admits: Callable[[], bool]) -> None:
    """Answer GET with ``{}``; *admits* tells whether one more connection may open, and counts it."""

    async def init(request: Request) -> Response:
        if not admits():
            return FULL
        headers = cors_headers(origins, request)
        if request.method != "GET":
            return Response(METHOD_NOT_ALLOWED, content_type="", headers=(("Allow", "GET"), *headers))
        return Response(200, b"{}", headers=headers)

    routes.add(prefix, "init", init)
