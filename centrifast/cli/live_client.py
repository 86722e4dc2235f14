"""The server API as ``tail`` and ``top`` call it: where it is, with which key, and what to do when it refuses.

Blocking, with the standard library: these commands have nothing else to do while they wait.
"""

import http.client
import ipaddress
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import click

from centrifast.cli.command import config_option, read_config
from centrifast.cli.healthcheck import internal_url, listener_url
from centrifast.config.schema import Config
from centrifast.limits import TAIL_ALIVE_INTERVAL, TAIL_LINE_SIZE

F = TypeVar("F", bound=Callable[..., Any])

KEY_VARIABLE = "CENTRIFAST_API_KEY"

TIMEOUT = 10.0
"""Seconds for an answer."""

SILENCE_LIMIT = 2.5 * TAIL_ALIVE_INTERVAL
"""Seconds without a line after which a stream is given up."""

LINE_LIMIT = 2 * TAIL_LINE_SIZE
"""Bytes of a line; the server writes none as long."""

ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of an answer that are read."""


class UnavailableError(Exception):
    """The API does not answer as asked; the text says what to do. *is_temporary*: it may later."""

    def __init__(self, text: str, *, is_temporary: bool = False) -> None:
        super().__init__(text)
        self.is_temporary = is_temporary


def api_options(command: F) -> F:
    """Add the options that say which server is meant."""
    for add in (
        click.option("--insecure-tls", is_flag=True, help="Accept any certificate."),
        click.option(
            "--key",
            default="",
            envvar=KEY_VARIABLE,
            show_envvar=True,
            help="Key of the API; default: http_api.key. Others on this machine can see what stands here.",
        ),
        click.option("--url", default="", help="The API, such as https://example.com/api; default: see -c."),
        config_option,
    ):
        command = add(command)
    return command


class Api:
    """One server's API."""

    def __init__(self, url: str, key: str, *, insecure_tls: bool = False, hint: str = "") -> None:
        """Raise ``UnavailableError`` if *url* is none. *hint* says where the URL comes from."""
        self.url = url.rstrip("/")
        self._key = "".join(key.split())  # a line break of the file it comes from is no part of it
        self._hint = hint
        try:
            parts = urlsplit(self.url)
            self._host, self._port, self._path = parts.hostname or "", parts.port, parts.path
            if parts.scheme not in ("http", "https") or not self._host:
                raise ValueError(url)
        except ValueError:
            raise UnavailableError(
                f"{url} is no URL of an API; one looks like http://127.0.0.1:8000/api"
            ) from None
        self._context = tls_context(parts, insecure=insecure_tls) if parts.scheme == "https" else None

    def call(self, method: str, request: Mapping[str, object]) -> Any:
        """Result of a call. Raises ``UnavailableError``."""
        connection = self._connection()
        try:
            with self._ask(connection, method, request) as response:
                return self._result_of(method, response.read(ANSWER_LIMIT))
        except (OSError, http.client.HTTPException) as failure:
            raise self._unreachable(failure) from failure
        finally:
            connection.close()

    def lines(self, method: str, request: Mapping[str, object]) -> Iterator[bytes]:
        """Lines of a stream, until it ends. Raises ``UnavailableError``."""
        connection = self._connection()
        try:
            with self._ask(connection, method, request, timeout=SILENCE_LIMIT) as response:
                if response.headers.get_content_type() != "application/x-ndjson":
                    self._result_of(method, response.read(ANSWER_LIMIT))
                    raise UnavailableError(f"{self.url}/{method} answers something else than a stream")
                while line := response.readline(LINE_LIMIT):
                    yield line
        except (OSError, http.client.HTTPException) as failure:
            raise self._unreachable(failure) from failure
        finally:
            connection.close()

    # -------------------------------------------------------------- inside

    def _connection(self) -> http.client.HTTPConnection:
        if self._context is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT, context=self._context)

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        request: Mapping[str, object],
        timeout: float = TIMEOUT,
    ) -> http.client.HTTPResponse:
        connection.connect()
        connection.sock.settimeout(timeout)
        key = self._key.encode(errors="replace")
        connection.request("POST", f"{self._path}/{method}", json.dumps(request), {"X-API-Key": key})
        response = connection.getresponse()
        if response.status == 200:
            return response
        with response:
            raise self._refused(method, response.status, response.read(LINE_LIMIT))

    def _result_of(self, method: str, answer: bytes) -> Any:
        try:
            decoded = json.loads(answer)
            if "error" in decoded:
                error = decoded["error"]
                raise UnavailableError(f"{method} is refused: {error['message']} (code {error['code']})")
            return decoded["result"]
        except (ValueError, KeyError, TypeError) as wrong:
            raise UnavailableError(f"what answers at {self.url} is no centrifast") from wrong

    def _unreachable(self, failure: Exception) -> UnavailableError:
        if isinstance(failure, ssl.SSLCertVerificationError):
            return UnavailableError(
                f"the certificate of {self.url} is not trusted: {failure.verify_message}; --insecure-tls accepts it"
            )
        detail = str(failure) or type(failure).__name__
        return UnavailableError(
            f"can not reach {self.url}: {detail}; is the server running there?{self._hint}", is_temporary=True
        )

    def _refused(self, method: str, status: int, body: bytes) -> UnavailableError:
        if status == 401:
            known = "is not that of the server" if self._key else "is missing"
            return UnavailableError(
                f"the key {known}: it is http_api.key there; give it with {KEY_VARIABLE} or --key"
            )
        if status == 404 and method == "tail":
            return UnavailableError(
                f"{self.url} does not serve tail: switch on http_api.tail_enabled and restart the server "
                "(a tail shows what users send, so it is off by default)"
            )
        if status == 404:
            return UnavailableError(
                f"{self.url} does not serve {method}: is http_api.handler_prefix another?"
            )
        text = body.decode(errors="replace").strip()[:200]
        return UnavailableError(
            f"{self.url} answers {status}{': ' if text else ''}{text}", is_temporary=status >= 500
        )


def api_of(config_path: str, url: str, key: str, *, insecure_tls: bool) -> Api:
    """Return the API that the options mean. Raises ``UnavailableError``."""
    config = read_config(config_path).config
    key = key or config.http_api.key
    if url:
        return Api(url, key, insecure_tls=insecure_tls)
    if config.http_api.disabled:
        raise UnavailableError(f"http_api.disabled is on in {config_path}: this needs the API")
    hint = f" Its address is read from {config_path}; -c names another file, --url an address."
    return Api(api_url(config), key, insecure_tls=insecure_tls, hint=hint)


def api_url(config: Config) -> str:
    """Return where the configuration serves the API."""
    server = config.http_server
    if config.http_api.external:
        base = listener_url("https" if server.tls.enabled else "http", server.address, server.port)
    else:
        base = internal_url(server)
    return base + "/" + config.http_api.handler_prefix.strip("/")


def tls_context(url: SplitResult, *, insecure: bool) -> ssl.SSLContext:
    """How much a server has to prove. On this machine nothing: its certificate names the host the world knows."""
    context = ssl.create_default_context()
    if insecure or is_loopback(url.hostname or ""):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def is_loopback(host: str) -> bool:
    """Whether this machine is meant."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
