"""A page at ``/`` to try the server with: what is published to ``news`` appears in it."""

from centrifast.protocol.http1 import Request, Response
from centrifast.server.page import load_page
from centrifast.server.routes import Routes, normalize_prefix


def add_quickstart(routes: Routes, *, websocket_prefix: str, api_prefix: str) -> None:
    """Serve the page at ``/``, where nothing else may be."""
    paths = {"WEBSOCKET_PATH": normalize_prefix(websocket_prefix), "API_PATH": normalize_prefix(api_prefix)}
    page = load_page("quickstart.html", paths)

    async def quickstart(request: Request) -> Response:
        return page

    routes.add("/", "quickstart", quickstart, ("GET", "HEAD"), exact=True)
