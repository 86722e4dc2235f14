"""``/metrics``: what Prometheus scrapes (server specification 9.3, engines specification 8.1)."""

from centrifast.metrics.collector import Collector
from centrifast.metrics.exposition import CONTENT_TYPE, write
from centrifast.protocol.http1 import Request, Response
from centrifast.server.routes import Routes


def add_prometheus(routes: Routes, prefix: str, collector: Collector) -> None:
    """Serve the text format, whatever a scraper would rather have. Raises ``RouteError`` if the path is taken."""

    async def metrics(request: Request) -> Response:
        return Response(body=write(collector.collect()), content_type=CONTENT_TYPE)

    routes.add(prefix, "prometheus", metrics, ("GET", "HEAD"))
