"""Endpoints for an administrator's page: a login by password, and the API for who has logged in (specification 9.2).

A token is the second at which it ends and a signature of it with ``admin.secret``: nothing is kept of a login, every
node with the same secret takes it, and another secret ends them all.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from email import policy
from email.errors import MessageError
from email.message import EmailMessage
from email.parser import BytesParser
from urllib.parse import parse_qs

import msgspec

from centrifast import log
from centrifast.admission import RateLimit
from centrifast.api import commands
from centrifast.api.decoding import MalformedError
from centrifast.api.handler import BODY_SIZE_LIMIT
from centrifast.api.methods import ApiNode
from centrifast.clock import Clock
from centrifast.config.schema_server import AdminConfig
from centrifast.protocol.http1 import BadRequestError, Request, Response, text_response
from centrifast.server.routes import NOT_FOUND, Routes, normalize_prefix
from centrifast.server.web_files import WebFilesError, read_folder

TOKEN_LIFETIME = 30 * 24 * 3600
"""Seconds (server specification 9.2)."""

LOGINS_PER_SECOND = 5
"""Right or wrong, and as many at once: a list of a million passwords takes days, which the log shows."""

FORM_SIZE_LIMIT = 8192
"""Bytes of a login."""

_INSECURE_TOKEN = "insecure"
"""It opens nothing, but a page that asks for a token expects one."""

_UNAUTHORIZED = text_response(401)
_BAD_REQUEST = text_response(400, "Bad Request")
_TOO_MANY = text_response(429, "Too Many Requests", (("Retry-After", "1"),))
_STOPPING = text_response(503, "Service Unavailable")

_TOKEN = re.compile(r"([0-9]{1,12})\.[A-Za-z0-9_-]{43}")


class AdminEndpoints:
    """Login, what a page asks first, and the API in the old command format."""

    def __init__(
        self, config: AdminConfig, node: ApiNode, clock: Clock, is_stopping: Callable[[], bool]
    ) -> None:
        self._config = config
        self._node = node
        self._clock = clock
        self._is_stopping = is_stopping
        self._logins = RateLimit(LOGINS_PER_SECOND, clock.monotonic())

    def add_to(self, routes: Routes) -> None:
        """Serve all below the configured prefix. Raises ``RouteError``, or ``WebFilesError`` about the page."""
        prefix = normalize_prefix(self._config.handler_prefix).rstrip("/")
        routes.add(f"{prefix}/admin/auth", "admin", self.log_in, ("POST",))
        routes.add(f"{prefix}/admin/init", "admin", self.init, ("GET", "HEAD"))
        routes.add(f"{prefix}/admin/api", "admin", self.call, ("POST",), self.body_limit)
        if self._config.web_path:
            self._add_page(routes, f"{prefix}/")

    def _add_page(self, routes: Routes, prefix: str) -> None:
        try:
            files = {**read_folder(self._config.web_path, prefix)}
        except WebFilesError as error:
            raise WebFilesError(f"admin.web_path: {error}") from error
        files.setdefault(normalize_prefix(prefix), Response(301, b"", "", (("Location", prefix),)))

        async def page(request: Request) -> Response:
            return files.get(request.path, NOT_FOUND)

        routes.add_tree(prefix, "admin", page, ("GET", "HEAD"))

    async def log_in(self, request: Request) -> Response:
        """A token for the password in a form."""
        config = self._config
        if config.insecure:
            return _json({"token": _INSECURE_TOKEN})
        if not self._logins.take(self._clock.monotonic()):
            return _TOO_MANY
        if not config.password or not config.secret:
            log.error("admin login is refused: admin.password or admin.secret is not set")
            return _BAD_REQUEST
        given = password_of(request)
        if given is None or not hmac.compare_digest(given.encode(), config.password.encode()):
            log.warn("admin login refused: wrong password")
            return _BAD_REQUEST
        log.info("admin logged in")
        return _json({"token": make_token(config.secret, int(self._clock.unix()) + TOKEN_LIFETIME)})

    async def init(self, request: Request) -> Response:
        """What a page has to know before it shows a login."""
        known = self.is_authorized(request)
        return _json({"insecure": self._config.insecure, "edition": "oss", "authenticated": known})

    async def call(self, request: Request) -> Response:
        """Commands in the old format (server specification 6.7)."""
        if not self.is_authorized(request):
            return _UNAUTHORIZED
        if self._is_stopping():
            return _STOPPING
        try:
            return Response(body=await commands.answer(self._node, request.body))
        except MalformedError:
            return _BAD_REQUEST

    def body_limit(self, request: Request) -> int:
        """Only who has logged in may send a large body."""
        if not self.is_authorized(request):
            raise BadRequestError(401, "")
        return BODY_SIZE_LIMIT

    def is_authorized(self, request: Request) -> bool:
        """Whether the request carries a token that is still good."""
        if self._config.insecure:
            return True
        words = request.headers.get("authorization", "").split()
        if len(words) != 2 or words[0].lower() != "token":
            return False
        return bool(self._config.secret) and is_good_token(self._config.secret, words[1], self._clock.unix())


def make_token(secret: str, expires_at: int) -> str:
    """A token that ends at this Unix second."""
    signature = hmac.digest(secret.encode(), b"centrifast admin %d" % expires_at, "sha256")
    return f"{expires_at}.{urlsafe_b64encode(signature).decode().rstrip('=')}"


def is_good_token(secret: str, token: str, now: float) -> bool:
    """Whether the token was made with this secret and has not ended."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return False
    expires_at = int(match[1])
    return hmac.compare_digest(token, make_token(secret, expires_at)) and now < expires_at


def password_of(request: Request) -> str | None:
    """The field ``password`` of a form in either coding a browser may send it in; None if there is none."""
    if len(request.body) > FORM_SIZE_LIMIT:
        return None
    content_type = request.headers.get("content-type", "")
    if content_type.lower().startswith("multipart/form-data"):
        return _password_in_parts(content_type, request.body)
    try:
        fields = parse_qs(request.body.decode(), max_num_fields=10)
    except ValueError:
        return None
    return fields.get("password", [None])[0]


def _password_in_parts(content_type: str, body: bytes) -> str | None:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    try:
        form = BytesParser(EmailMessage, policy=policy.HTTP).parsebytes(head + body)
        for part in form.iter_parts() if form.is_multipart() else ():
            if part.get_param("name", header="content-disposition") == "password":
                content = part.get_payload(decode=True)
                return content.decode() if isinstance(content, bytes) else None
    except (MessageError, ValueError):
        pass  # no form: as good as a wrong password
    return None


def _json(value: object) -> Response:
    return Response(200, msgspec.json.encode(value), headers=(("Cache-Control", "no-store"),))
