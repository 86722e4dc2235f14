"""Between a connection and its session: what each may ask of the other."""

from typing import Protocol

from centrifast._core import Sink
from centrifast.errors import DisconnectCode


class Handler(Protocol):
    """What a connection tells whoever handles it, such as a session."""

    def on_message(self, payload: bytes, is_text: bool) -> None:
        """A whole message has arrived."""

    def on_sink_failed(self, reason: int) -> None:
        """The sink can not go on; *reason* is one of ``_core``'s."""

    def on_wake(self) -> None:
        """The moment set with ``sink.wake_in`` has come."""

    def on_closed(self) -> None:
        """The peer is gone or going; called once, and nothing after it."""


class ClientTransport(Protocol):
    """One open connection. Bytes leave through ``sink`` only (invariant 1)."""

    @property
    def sink(self) -> Sink:
        """Its output, closed when the connection is lost."""

    @property
    def remote_address(self) -> str:
        """The peer's address, for the log."""

    def close(self, code: int, reason: bytes, flush: bool = True) -> None:
        """Say why and end; with *flush* what is queued leaves first."""

    def abort(self) -> None:
        """Drop the connection at once."""

    def pause_reading(self) -> None:
        """Take nothing more from the peer until ``resume_reading``."""

    def resume_reading(self) -> None:
        """Go on reading."""


def close_with(transport: ClientTransport, disconnect: DisconnectCode, *, flush: bool = True) -> None:
    """Close with a row of the table."""
    transport.close(disconnect.code, disconnect.reason.encode(), flush)
