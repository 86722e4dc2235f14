"""The opening handshake of WebSocket, as far as it is refused (RFC 6455 section 4.2). Sans-I/O."""

import re

from centrifast.protocol.http1 import Request, Response, has_token, text_response

_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")

_NOT_AN_UPGRADE = text_response(400, "Bad Request")
_WRONG_METHOD = Response(405, content_type="", headers=(("Allow", "GET"),))
_WRONG_VERSION = text_response(426, "Upgrade Required", (("Sec-WebSocket-Version", "13"),))


def refusal_of(request: Request) -> Response | None:
    """The answer to a request that opens no WebSocket, or None if it does. Origins are another's business."""
    headers = request.headers
    upgrade = headers.get("upgrade")
    if not request.is_upgrade or upgrade is None or not has_token(upgrade, "websocket"):
        return _NOT_AN_UPGRADE
    if request.method != "GET":
        return _WRONG_METHOD
    if headers.get("sec-websocket-version") != "13":
        return _WRONG_VERSION
    if request.body or not _KEY.fullmatch(headers.get("sec-websocket-key", "")):
        return _NOT_AN_UPGRADE
    return None
