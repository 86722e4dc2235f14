"""Which encoding a bidirectional WebSocket connection uses (client protocol 1.2)."""

from urllib.parse import parse_qsl

from centrifast.protocol.wire import Encoding

_SUBPROTOCOLS = {"centrifuge-json": Encoding.JSON, "centrifuge-protobuf": Encoding.PROTOBUF}
_FORMAT_PARAMETERS = frozenset({("format", "protobuf"), ("cf_protocol", "protobuf")})


def choose_encoding(query: str, subprotocols: str | None) -> tuple[Encoding, str | None]:
    """The encoding, and the subprotocol to echo, of an upgrade request.

    *query* is the URL's, without the question mark; *subprotocols* the value of ``Sec-WebSocket-Protocol``,
    several headers joined by commas, or None. Nothing is refused: without a name we know, nothing is echoed.
    """
    encoding = Encoding.JSON
    if query and not _FORMAT_PARAMETERS.isdisjoint(parse_qsl(query)):
        encoding = Encoding.PROTOBUF
    for name in (subprotocols or "").split(","):
        subprotocol = name.strip()
        if subprotocol in _SUBPROTOCOLS:
            if _SUBPROTOCOLS[subprotocol] is Encoding.PROTOBUF:
                encoding = Encoding.PROTOBUF
            return encoding, subprotocol
    return encoding, None
