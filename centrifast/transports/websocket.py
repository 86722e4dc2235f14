"""The WebSocket endpoints: from an upgrade request that the front door has checked to a session, or to an echo."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from centrifast import log
from centrifast._framing import Variant
from centrifast.client.session import Session
from centrifast.client.transport import Handler
from centrifast.protocol.deflate import ExtensionsError
from centrifast.protocol.http1 import Request
from centrifast.protocol.negotiation import choose_encoding
from centrifast.transports._connection import Connection, Settings, accept
from centrifast.transports.compression import NO_COMPRESSION, Compression
from centrifast.transports.front_door import UpgradeRefusal
from centrifast.transports.origin import OriginPolicy

if TYPE_CHECKING:
    from centrifast.node import Node
    from centrifast.protocol.codec import Codec
    from centrifast.protocol.wire import Encoding

FORBIDDEN = UpgradeRefusal(403, b"Forbidden")
FULL = UpgradeRefusal(503, b"")
MALFORMED = UpgradeRefusal(400, b"Bad Request: malformed Sec-WebSocket-Extensions")

OPCODE_TEXT = 0x81
OPCODE_BINARY = 0x82


class WebSocketEndpoint:
    """``/connection/websocket``: the bidirectional client protocol (client protocol 1.2, server specification 2.5)."""

    def __init__(
        self,
        node: "Node",
        settings: Settings,
        origins: OriginPolicy,
        encodings: "Mapping[Encoding, tuple[Variant, Codec]]",
        compression: Compression = NO_COMPRESSION,
    ) -> None:
        self._node = node
        self._settings = settings
        self._origins = origins
        self._compression = compression
        self._variants = {encoding: variant for encoding, (variant, _) in encodings.items()}
        self._codecs = {encoding: codec for encoding, (_, codec) in encodings.items()}
        self._factories = {encoding: self._session_factory(codec) for encoding, codec in self._codecs.items()}
        self._user_header = node.config.client.user_id_http_header.lower()

    def _session_factory(self, codec: "Codec", header_user: str = "") -> Callable[[Connection], Handler]:
        return lambda connection: Session(self._node, codec, connection, header_user)

    def upgrade(self, transport: asyncio.Transport, request: Request, rest: bytes) -> UpgradeRefusal | None:
        """Take the connection over, or say why not."""
        if not self._node.admission.admits():
            return FULL
        if not self._origins.allows(request.headers.get("origin")):
            return FORBIDDEN
        encoding, subprotocol = choose_encoding(request.query, request.headers.get("sec-websocket-protocol"))
        try:
            variant, extensions = self._compression.agree(request, self._variants[encoding])
        except ExtensionsError:
            return MALFORMED
        factory = self._factories[encoding]
        header_user = trusted_user(request, self._user_header)
        if header_user:
            factory = self._session_factory(self._codecs[encoding], header_user)
        connection = Connection(self._settings, variant, factory)
        key = request.headers["sec-websocket-key"]
        accept(transport, self._settings, connection, key, subprotocol, rest, extensions)
        return None


def trusted_user(request: Request, header: str) -> str:
    """The user id in the header *header*, a lower-case name; empty if there is none (server specification 5.6).

    A value with a comma can not be told from a header given twice (RFC 9110 section 5.3): one by the proxy, one by a
    client that wants to be somebody else. Neither is believed.
    """
    value = request.headers.get(header, "") if header else ""
    if "," in value:
        log.info("user id header refused: it has a comma, or came twice", header=header)
        return ""
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        log.info("user id header refused: it is not UTF-8", header=header)
        return ""


class EchoEndpoint:
    """``/debug/echo``: sends every message back, on the same stack, for conformance suites."""

    def __init__(
        self, settings: Settings, variant: Variant, compression: Compression = NO_COMPRESSION
    ) -> None:
        self._settings = settings
        self._variant = variant
        self._compression = compression

    def upgrade(self, transport: asyncio.Transport, request: Request, rest: bytes) -> UpgradeRefusal | None:
        """Take the connection over."""
        try:
            variant, extensions = self._compression.agree(request, self._variant)
        except ExtensionsError:
            return MALFORMED
        connection = Connection(self._settings, variant, Echo)
        key = request.headers["sec-websocket-key"]
        accept(transport, self._settings, connection, key, None, rest, extensions)
        return None


class Echo:
    """Handler of an echo connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def on_message(self, payload: bytes, is_text: bool) -> None:
        """Send it back as it came."""
        sink = self._connection.sink
        sink.send_frame(sink.variant.encode(OPCODE_TEXT if is_text else OPCODE_BINARY, payload))

    def on_sink_failed(self, reason: int) -> None:
        """The peer does not read."""
        self._connection.abort()

    def on_wake(self) -> None:
        """No deadline is ever set."""

    def on_closed(self) -> None:
        """Nothing to clean up."""
