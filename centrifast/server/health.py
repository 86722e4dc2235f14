"""``/health``: the process serves HTTP. ``/health/ready``: it can do its work (server specification 9.1)."""

from collections.abc import Callable

from centrifast.protocol.http1 import Request, Response
from centrifast.server.routes import Routes, normalize_prefix

_OK = Response(body=b"{}")
_NOT_READY = Response(503, b"{}")


def add_health(routes: Routes, prefix: str, is_ready: Callable[[], bool]) -> None:
    """Serve both, for any method. *is_ready*: the engine is connected and the server is not stopping."""

    async def health(request: Request) -> Response:
        return _OK

    async def ready(request: Request) -> Response:
        return _OK if is_ready() else _NOT_READY

    path = normalize_prefix(prefix)
    routes.add(path, "health", health)
    routes.add(f"{path.rstrip('/')}/ready", "health", ready)
