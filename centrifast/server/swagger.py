"""A page below ``/swagger/`` that explains the HTTP API and calls it, and the document it is made of.

The page is our own and needs nothing from elsewhere; the paths are those of Centrifugo (server specification 2.1).
"""

import msgspec

from centrifast.api.openapi import document
from centrifast.config.schema_server import HttpApiConfig
from centrifast.protocol.http1 import Request, Response
from centrifast.server.page import load_page
from centrifast.server.routes import NOT_FOUND, Routes, normalize_prefix

_NO_CACHE = (("Cache-Control", "no-cache"),)


def add_swagger(routes: Routes, prefix: str, api: HttpApiConfig, *, is_api_here: bool) -> None:
    """Serve both below *prefix*; *is_api_here*: the same listener serves the API, so that the page can call it.

    Raises ``RouteError`` if the path is taken.
    """
    path = normalize_prefix(prefix)
    folder = f"{path.rstrip('/')}/"
    described = document(normalize_prefix(api.handler_prefix), insecure=api.insecure)
    pages = {
        folder: load_page("swagger.html", {"API": "here" if is_api_here else "elsewhere"}),
        f"{folder}openapi.json": Response(200, msgspec.json.encode(described), headers=_NO_CACHE),
    }
    if path != folder:
        pages[path] = Response(301, content_type="", headers=(("Location", folder),))

    async def swagger(request: Request) -> Response:
        return pages.get(request.path, NOT_FOUND)

    routes.add_tree(path, "swagger", swagger, ("GET", "HEAD"))
