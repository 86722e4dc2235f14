"""What the two encodings have in common: the contract that session and hub use."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Raw

from centrifast.protocol.wire import (
    Command,
    EncodedPresence,
    EncodedPublications,
    Encoding,
    Info,
    Pub,
    Push,
    Reply,
)


class MalformedError(Exception):
    """The peer's bytes are no message of this protocol (client protocol 1.4): Disconnect 3501."""


class NotJsonError(Exception):
    """A payload that is not JSON has no place on a JSON connection (client protocol 2.4): Disconnect 3506."""


class Codec(Protocol):
    """Bytes of one encoding to values and back. Pure: no state, no I/O."""

    encoding: Encoding

    def decode(self, frame: bytes) -> Iterator[tuple[Command, int]]:
        """Commands of one transport frame, lazily: earlier ones take effect before a later one is looked at.

        With each comes its size in bytes, without the newline behind it (JSON) but with its length in front (Protobuf).
        Raises :class:`MalformedError` when the iteration reaches something malformed. An empty command (a
        pong) comes out as ``Command()``; one without a known request as one with its id and nothing else.
        """

    def encode(self, reply: Reply) -> bytes:
        """One message with its separator still missing (JSON) or its length in front (Protobuf).

        Raises :class:`NotJsonError` (JSON only).
        """

    def encode_push(self, push: Push) -> bytes:
        """The same for a bare push, as unidirectional transports send it; empty, it is a ping."""

    def encode_publication(self, channel: str, pub: Pub) -> bytes:
        """The hot message, ``Reply(push=Push(channel=channel, pub=pub))``: made once per publication."""

    def encode_publications(self, publications: Sequence[Pub]) -> EncodedPublications:
        """What many results have in common, made once: ``SubscribeResult.publications`` of this encoding.

        Putting it into a result costs a copy of its bytes. Raises :class:`NotJsonError` (JSON only).
        """

    def encode_infos(self, infos: Mapping[str, Info]) -> bytes:
        """A part of a long answer, for ``encode_presence``. Raises :class:`NotJsonError` (JSON only)."""

    def encode_presence(self, parts: Sequence[bytes]) -> EncodedPresence:
        """``PresenceResult.presence`` of this encoding, made of one or more parts."""

    def text_payload(self, data: bytes) -> Raw:
        """*data*, a payload or a patch, as it travels to those who have agreed on deltas (client protocol 7.3).

        In JSON it is a string that holds the text, with U+FFFD where it is no UTF-8; in Protobuf it is the bytes.
        """
