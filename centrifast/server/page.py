"""Pages of our own: one file with its script and style inside, which needs nothing from elsewhere."""

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from pathlib import Path

from centrifast.protocol.http1 import Response

_FOLDER = Path(__file__).parent


def load_page(name: str, values: Mapping[str, str]) -> Response:
    """The page in *name*, each ``%KEY%`` in it replaced by the escaped value; to be loaded once, at start."""
    text = (_FOLDER / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"%{key}%", html.escape(value))
    return Response(200, text.encode(), "text/html; charset=utf-8", _security_headers(text))


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
