"""``/metrics``: what Prometheus scrapes (server specification 9.3, engines specification 8.1)."""

from collections.abc import Awaitable, Callable, Sequence

from centrifast.errors import ClientError
from centrifast.metrics.collector import Collected
from centrifast.metrics.exposition import CONTENT_TYPE, write
from centrifast.protocol.http1 import Request, Response, text_response
from centrifast.server.routes import Routes

_AWAY = text_response(503, "other processes of this node do not answer")


def add_prometheus(
    routes: Routes, prefix: str, collect: Callable[[], Awaitable[Sequence[Collected]]]
) -> None:
    """Serve the text format, whatever a scraper would rather have. Raises ``RouteError`` if the path is taken.

    *collect* raises ClientError when not all can be asked: a part would look like a fall of every counter.
    """

    async def metrics(request: Request) -> Response:
        try:
            collected = await collect()
        except ClientError:
            return _AWAY
        return Response(body=write(collected), content_type=CONTENT_TYPE)

    routes.add(prefix, "prometheus", metrics, ("GET", "HEAD"))
