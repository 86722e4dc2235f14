"""Which connections have their messages deflated, and with which window (RFC 7692)."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from centrifast._framing import Variant
from centrifast.config.schema_transport import WebSocketOptions
from centrifast.protocol.deflate import WINDOWS, Deflater, agree
from centrifast.protocol.http1 import Request

T = TypeVar("T")


class Compression:
    """The variants of an endpoint whose connections agreed on permessage-deflate.

    Each of the *plain* ones has one for each size of the window. They are made at start, so their number is bounded,
    and hence how often one publication is deflated; with ``websocket.compression`` off there are none.
    """

    def __init__(self, options: WebSocketOptions, plain: Iterable[Variant]) -> None:
        level, min_size = options.compression_level, options.compression_min_size
        deflaters = {bits: Deflater(level, min_size, bits) for bits in WINDOWS} if options.compression else {}
        self._variants = {
            variant: {bits: variant.deflating(deflater) for bits, deflater in deflaters.items()}
            for variant in plain
        }

    def expanded(self, values: Mapping[Variant, T]) -> dict[Variant, T]:
        """What is known for plain variants, also for those that deflate."""
        deflating = {
            variant: value
            for plain, value in values.items()
            for variant in self._variants.get(plain, {}).values()
        }
        return {**values, **deflating}

    def agree(self, request: Request, plain: Variant) -> tuple[Variant, str | None]:
        """The variant of a connection that would be *plain*, and the Sec-WebSocket-Extensions that says so, if any.

        Raises ``ExtensionsError``.
        """
        variants, header = self._variants.get(plain), request.headers.get("sec-websocket-extensions")
        if not variants or header is None:
            return plain, None
        agreement = agree(header)
        if agreement is None:
            return plain, None
        return variants[agreement.window_bits], agreement.header


NO_COMPRESSION = Compression(WebSocketOptions(), ())
