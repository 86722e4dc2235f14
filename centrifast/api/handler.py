"""The server API over HTTP: key check, body -> method -> answer (server specification 6.1 to 6.4, 6.7)."""

import hmac
from collections.abc import Callable
from urllib.parse import parse_qs

from centrifast import log
from centrifast.api import commands
from centrifast.api.decoding import MalformedError, decoder_of
from centrifast.api.encoding import encode, write
from centrifast.api.messages import EMPTY, BatchResult, Error
from centrifast.api.methods import METHODS, ApiNode, perform
from centrifast.config.schema_server import HttpApiConfig
from centrifast.errors import ApiError, ApiErrorCode
from centrifast.limits import MIB
from centrifast.protocol.http1 import BadRequestError, Request, Response, text_response
from centrifast.server.routes import Handler, Routes, normalize_prefix

BODY_SIZE_LIMIT = 64 * MIB
"""Bytes of one request when ``http_api.max_request_body_size`` says nothing; broadcasts may be large."""

_UNAUTHORIZED = text_response(401)
_BAD_REQUEST = text_response(400, "Bad Request")
_STOPPING = text_response(503, "Service Unavailable")
_EMPTY = Response(body=b'{"result":{}}')


def _never() -> bool:
    return False


class ApiHandler:
    """Every method of the API at its path, and the old command format at the prefix itself.

    *is_stopping*: whether a graceful stop has begun; methods go on, old commands do not (server specification 12.3).
    """

    def __init__(
        self, config: HttpApiConfig, node: ApiNode, is_stopping: Callable[[], bool] = _never
    ) -> None:
        self._config = config
        self._node = node
        self._is_stopping = is_stopping
        self._key = config.key.encode()
        self._body_size_limit = config.max_request_body_size or BODY_SIZE_LIMIT
        self._missing_key_logged = False

    def add_to(self, routes: Routes) -> None:
        """Serve the methods below the configured prefix. Raises ``RouteError`` if a path is taken."""
        prefix = self._prefix
        for name in METHODS:
            routes.add(f"{prefix}/{name}", "api", self._endpoint(name), ("POST",), self.body_limit)
        if prefix:  # else it would take every path that nobody else has
            routes.add(prefix, "api", self._checked(self._serve_commands), ("POST",), self.body_limit)

    def add_endpoint(self, routes: Routes, name: str, serve: Handler) -> None:
        """Serve *name* below the prefix, for callers with the key; it may raise ``ApiError``."""
        routes.add(f"{self._prefix}/{name}", "api", self._checked(serve), ("POST",))

    @property
    def _prefix(self) -> str:
        return normalize_prefix(self._config.handler_prefix).rstrip("/")

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

    def _checked(self, serve: Handler) -> Handler:
        """*serve* for those who have the key; what it can not read is answered with 400."""

        async def serve_checked(request: Request) -> Response:
            if refusal := self._refusal_of(request):
                return refusal
            try:
                return await serve(request)
            except MalformedError:
                return _BAD_REQUEST
            except ApiError as failed:
                return self._error_response(request, failed.error)

        return serve_checked

    def _refusal_of(self, request: Request) -> Response | None:
        if not self.is_authorized(request):
            return _UNAUTHORIZED
        if len(request.body) > self._body_size_limit:
            return text_response(413, "request body too large")
        return None

    def _endpoint(self, name: str) -> Handler:
        """What serves a method. Not ``_checked``: on the way of every publication a coroutine less is 0.3 µs less."""
        decode = decoder_of(METHODS[name][0])

        async def serve(request: Request) -> Response:
            if refusal := self._refusal_of(request):
                return refusal
            try:
                call = decode(request.body)
            except MalformedError:
                return _BAD_REQUEST
            outcome = await perform(self._node, name, call)
            if outcome is EMPTY:
                return _EMPTY
            if isinstance(outcome, ApiErrorCode):
                return self._error_response(request, outcome)
            if isinstance(outcome, BatchResult):
                return Response(
                    body=await write(outcome)
                )  # its replies stand bare (server specification 6.5)
            return Response(body=await write(outcome, b'{"result":', b"}"))

        return serve

    async def _serve_commands(self, request: Request) -> Response:
        if self._is_stopping():
            return _STOPPING
        return Response(body=await commands.answer(self._node, request.body))

    def _error_response(self, request: Request, error: ApiErrorCode) -> Response:
        body = encode(Error(error.code, error.message))
        if "transport" in (self._config.error_mode, request.headers.get("x-centrifugo-error-mode")):
            return Response(error.status, body)
        return Response(body=b'{"error":%b}' % body)
