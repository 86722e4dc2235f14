"""Which path is served by what (server specification 2.1). Paths match exactly, but for the trees of pages."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from centrifast.protocol.http1 import BadRequestError, Request, Response, text_response

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
"""Serves a request whose body is complete. It runs without a task until it first waits."""

BodyLimit = Callable[[Request], int]
"""Largest body allowed for a request, 0 for any; may raise ``BadRequestError`` with another reason."""

NOT_FOUND = text_response(404, "404 page not found")


class RouteError(ValueError):
    """Two endpoints want the same path; the text names both."""


@dataclass(frozen=True, slots=True)
class UpgradeRefusal:
    """Why a WebSocket is not opened: status and body of the answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


UpgradeHandler = Callable[[asyncio.Transport, Request, bytes], UpgradeRefusal | None]
"""Takes a connection over with ``transport.set_protocol``, given the bytes behind the request, or refuses."""


@dataclass(frozen=True, slots=True)
class Route:
    """What one path is served by: *handler* for plain requests, or *upgrade* for WebSocket.

    *path* is what metrics call all that it serves.
    """

    name: str
    handler: Handler | None = None
    upgrade: UpgradeHandler | None = None
    methods: frozenset[str] | None = None  # None = any
    body_limit: BodyLimit | None = None
    path: str = ""

    def refusal_of(self, method: str) -> Response | None:
        """The answer to a request whose method the route does not serve."""
        if self.methods is None or method in self.methods:
            return None
        return Response(405, content_type="", headers=(("Allow", ", ".join(sorted(self.methods))),))


def normalize_prefix(prefix: str) -> str:
    """A configured path: without trailing slashes, with a leading one; empty becomes ``/``."""
    return "/" + prefix.strip("/")


class Routes:
    """Endpoints of one listener; *name* is what the start log says of each."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._trees: list[tuple[str, Route]] = []  # by prefix with its slash, longest first
        self._catch_all: Route | None = None

    def add(
        self,
        path: str,
        name: str,
        handler: Handler,
        methods: Sequence[str] | None = None,
        body_limit: BodyLimit | None = None,
        *,
        exact: bool = False,
    ) -> None:
        """Serve *path*; ``/`` also serves what nothing else does, unless *exact*.

        Raises ``RouteError`` if it is taken.
        """
        allowed = None if methods is None else frozenset(methods)
        path = normalize_prefix(path)
        route = Route(name, handler=handler, methods=allowed, body_limit=body_limit, path=path)
        self._put(path, route, exact=exact)

    def add_tree(
        self, prefix: str, name: str, handler: Handler, methods: Sequence[str] | None = None
    ) -> None:
        """Serve *prefix* and all below it that nothing else serves. Raises ``RouteError`` if it is taken."""
        allowed = None if methods is None else frozenset(methods)
        prefix = normalize_prefix(prefix)
        route = Route(name, handler=handler, methods=allowed, path=prefix)
        self._put(prefix, route)
        self._trees.append((f"{prefix.rstrip('/')}/", route))
        self._trees.sort(key=lambda tree: len(tree[0]), reverse=True)

    def add_upgrade(self, path: str, name: str, handler: UpgradeHandler) -> None:
        """Serve WebSocket upgrades on *path*. Raises ``RouteError`` if the path is taken."""
        path = normalize_prefix(path)
        self._put(path, Route(name, upgrade=handler, path=path))

    def _put(self, path: str, route: Route, *, exact: bool = False) -> None:
        taken = self._routes.setdefault(path, route)
        if taken is not route:
            raise RouteError(f"path {path} is configured for both {taken.name} and {route.name}")
        if path == "/" and not exact:
            self._catch_all = route

    def find(self, path: str) -> Route | None:
        """The route of a path, or None: 404."""
        route = self._routes.get(path)
        if route is not None:
            return route
        return next((tree for prefix, tree in self._trees if path.startswith(prefix)), self._catch_all)

    def body_limit(self, request: Request) -> int:
        """For ``RequestParser``: what is larger than a small body is read only for a path that takes it."""
        route = self.find(request.path)
        if route is None or route.body_limit is None:
            raise BadRequestError(413, "request body too large")
        if refusal := route.refusal_of(request.method):
            raise BadRequestError(refusal.status, "")
        return route.body_limit(request)

    @property
    def names(self) -> list[str]:
        """Names of what is served, each once, in the order it was added."""
        return list(dict.fromkeys(route.name for route in self._routes.values()))
