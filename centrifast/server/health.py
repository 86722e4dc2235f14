"""``/health``: the process serves HTTP. ``/health/ready``: it can do its work (server specification 9.1)."""

from collections.abc import Callable, Sequence

from msgspec.json import encode

from centrifast.protocol.http1 import Request, Response
from centrifast.server.routes import Routes, normalize_prefix

_OK = Response(body=b"{}")


def add_health(
    routes: Routes, prefix: str, is_ready: Callable[[], bool], away: Callable[[], Sequence[str]]
) -> None:
    """Serve both, for any method. *is_ready*: the server is not stopping; *away*: what the engine can not reach."""

    async def health(request: Request) -> Response:
        return _OK

    async def ready(request: Request) -> Response:
        missing = away()
        if is_ready() and not missing:
            return _OK
        return Response(503, encode({"away": missing}) if missing else b"{}")

    path = normalize_prefix(prefix)
    routes.add(path, "health", health)
    routes.add(f"{path.rstrip('/')}/ready", "health", ready)
