"""The server API over HTTP: key check, body -> method -> answer (server specification 6.1 to 6.4)."""

import hmac
import re
from urllib.parse import parse_qs

import msgspec

from centrifast import log
from centrifast.api.decoding import MalformedError, decoder_of
from centrifast.api.messages import EMPTY, BatchResult, Error
from centrifast.api.methods import METHODS, ApiNode, perform
from centrifast.config.schema_server import HttpApiConfig
from centrifast.errors import ApiErrorCode
from centrifast.limits import MIB
from centrifast.protocol.http1 import BadRequestError, Request, Response, text_response
from centrifast.server.routes import Handler, Routes, normalize_prefix

BODY_SIZE_LIMIT = 64 * MIB
"""Bytes of one request when ``http_api.max_request_body_size`` says nothing; broadcasts may be large."""

_UNAUTHORIZED = text_response(401)
_BAD_REQUEST = text_response(400, "Bad Request")
_EMPTY = Response(body=b'{"result":{}}')

_encoder = msgspec.json.Encoder()
_SPECIAL = re.compile(rb"[<>&]|\xe2\x80[\xa8\xa9]")
_ESCAPES = {
    b"<": rb"\u003c",
    b">": rb"\u003e",
    b"&": rb"\u0026",
    b"\xe2\x80\xa8": rb"\u2028",
    b"\xe2\x80\xa9": rb"\u2029",
}


def encode(value: object) -> bytes:
    """Compact JSON with the characters escaped that Centrifugo escapes; they occur only inside strings."""
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], _encoder.encode(value))


class ApiHandler:
    """Every method of the API at its path."""

    def __init__(self, config: HttpApiConfig, node: ApiNode) -> None:
        self._config = config
        self._node = node
        self._key = config.key.encode()
        self._body_size_limit = config.max_request_body_size or BODY_SIZE_LIMIT
        self._missing_key_logged = False

    def add_to(self, routes: Routes) -> None:
        """Serve the methods below the configured prefix. Raises ``RouteError`` if a path is taken."""
        prefix = normalize_prefix(self._config.handler_prefix).rstrip("/")
        for name in METHODS:
            routes.add(f"{prefix}/{name}", "api", self._endpoint(name), ("POST",), self.body_limit)

    def body_limit(self, request: Request) -> int:
        """Only a caller with the key may send a large body."""
        if not self.is_authorized(request):
            raise BadRequestError(401, "")
        return self._body_size_limit

    def is_authorized(self, request: Request) -> bool:
        """Whether the call carries the key: in either header, else in the query."""
        if self._config.insecure:
            return True
        if not self._key:
            if not self._missing_key_logged:
                self._missing_key_logged = True
                log.error("api calls are refused: http_api.key is not set")
            return False
        headers = request.headers
        given = headers.get("x-api-key")
        if given is None:
            words = headers.get("authorization", "").split()
            given = words[1] if len(words) == 2 and words[0].lower() == "apikey" else ""
        if given and hmac.compare_digest(given.encode("latin-1"), self._key):
            return True
        if not request.query:
            return False
        asked = parse_qs(request.query).get("api_key", [""])[0]
        return hmac.compare_digest(asked.encode(), self._key)

    def _endpoint(self, name: str) -> Handler:
        decode = decoder_of(METHODS[name][0])

        async def serve(request: Request) -> Response:
            if not self.is_authorized(request):
                return _UNAUTHORIZED
            body = request.body
            if len(body) > self._body_size_limit:
                return text_response(413, "request body too large")
            try:
                call = decode(body)
            except MalformedError:
                return _BAD_REQUEST
            outcome = await perform(self._node, name, call)
            if outcome is EMPTY:
                return _EMPTY
            if isinstance(outcome, ApiErrorCode):
                return self._error_response(request, outcome)
            if isinstance(outcome, BatchResult):
                return Response(body=encode(outcome))  # its replies stand bare (server specification 6.5)
            return Response(body=b'{"result":%b}' % encode(outcome))

        return serve

    def _error_response(self, request: Request, error: ApiErrorCode) -> Response:
        body = encode(Error(error.code, error.message))
        mode = request.headers.get("x-centrifugo-error-mode") or self._config.error_mode
        if mode == "transport":
            return Response(error.status, body)
        return Response(body=b'{"error":%b}' % body)
