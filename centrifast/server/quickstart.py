"""A page at ``/`` to try the server with: what is published to ``news`` appears in it."""

import base64
import hashlib
import html
import re
from pathlib import Path

from centrifast.protocol.http1 import Request, Response
from centrifast.server.routes import NOT_FOUND, Routes, normalize_prefix

_PAGE = Path(__file__).with_name("quickstart.html")


def add_quickstart(routes: Routes, *, websocket_prefix: str, api_prefix: str) -> None:
    """Serve the page at ``/``, where nothing else may be."""
    page = _PAGE.read_text(encoding="utf-8")
    for name, path in (("WEBSOCKET_PATH", websocket_prefix), ("API_PATH", api_prefix)):
        page = page.replace(f"%{name}%", html.escape(normalize_prefix(path)))
    response = Response(200, page.encode(), "text/html; charset=utf-8", _security_headers(page))

    async def quickstart(request: Request) -> Response:
        return response if request.path == "/" else NOT_FOUND

    routes.add("/", "quickstart", quickstart, ("GET", "HEAD"))


def _security_headers(page: str) -> tuple[tuple[str, str], ...]:
    """Only the page's own script and style may run, and it may talk to this server only."""
    sources = {}
    for element in ("script", "style"):
        match = re.search(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        assert match is not None
        digest = base64.b64encode(hashlib.sha256(match[1].encode()).digest()).decode()
        sources[element] = f"'sha256-{digest}'"
    policy = (
        f"default-src 'none'; script-src {sources['script']}; style-src {sources['style']}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return (
        ("Content-Security-Policy", policy),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-cache"),
    )
