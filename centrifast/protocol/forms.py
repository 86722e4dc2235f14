"""One publication in every form that its subscribers need, each encoded once (invariant 3; client protocol 7)."""

from collections.abc import Iterator, Sequence
from enum import IntEnum, auto

from msgspec import Raw

from centrifast._fossil import create_delta
from centrifast.limits import DELTA_WASTE
from centrifast.model import ClientInfo, Publication
from centrifast.protocol.codec import Codec
from centrifast.protocol.wire import NO_DATA, Encoding, Info, Pub


class Form(IntEnum):  # hashed for every publication, which Enum does in Python
    """How a subscriber gets a publication. Whoever has agreed on deltas gets it whole, or as a patch."""

    NOTHING = auto()
    PLAIN = auto()
    WHOLE = auto()
    PATCH = auto()


class Forms:
    """A publication of *channel*, and *previous*, the one before it in the stream where a patch may be sent."""

    __slots__ = ("_channel", "_made", "_patch", "_previous", "_publication")

    def __init__(self, channel: str, publication: Publication, previous: Publication | None = None) -> None:
        self._channel = channel
        self._publication = publication
        self._previous = previous
        self._patch: bytes | None = None
        self._made: dict[tuple[Form, Codec], bytes] = {}

    def encoded(self, form: Form, codec: Codec) -> bytes:
        """The message for one encoding. Raises ``NotJsonError`` for PLAIN in JSON (client protocol 2.4)."""
        message = self._made.get((form, codec))
        if message is None:
            message = codec.encode_publication(self._channel, self._form(form, codec))
            self._made[form, codec] = message
        return message

    def _form(self, form: Form, codec: Codec) -> Pub:
        if form is Form.PLAIN:
            return to_wire(self._publication)
        return delta_form(codec, self._publication, self._usable_patch(codec) if form is Form.PATCH else None)

    def _usable_patch(self, codec: Codec) -> bytes | None:
        """The difference to the previous publication, unless the whole is shorter or a patch is not possible."""
        if self._previous is None:
            return None
        if self._patch is None:
            self._patch = create_delta(self._previous.data, self._publication.data)
        return self._patch if is_usable(codec, self._patch, self._previous, self._publication) else None


def is_usable(codec: Codec, patch: bytes, base: Publication, publication: Publication) -> bool:
    """Whether the patch is worth sending, and survives the way to the client.

    To a JSON client it travels as text, so it must be UTF-8 (7.3); and so must its base, because what is not was
    replaced on the way when it was sent as a whole.
    """
    if len(patch) >= len(publication.data):
        return False
    return codec.encoding is not Encoding.JSON or (is_utf8(patch) and is_utf8(base.data))


def is_utf8(data: bytes) -> bool:
    """Whether *data* is text."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def delta_form(codec: Codec, publication: Publication, patch: bytes | None) -> Pub:
    """A publication for those who have agreed on deltas, whole if there is no *patch* (7.2, 7.3)."""
    return Pub(
        data=codec.text_payload(publication.data if patch is None else patch),
        info=None if publication.info is None else info_to_wire(publication.info),
        offset=publication.offset,
        tags=publication.tags or None,
        delta=patch is not None,
    )


def delta_chain(codec: Codec, publications: Sequence[Publication]) -> Iterator[Pub]:
    """Recovered publications: the first whole, each next one as a patch against the one before it (7.2).

    Where patches do not pay, none are looked for after a while: 300 payloads of 64 KiB would take 0.4 s.
    """
    base: Publication | None = None
    searched_in_vain = 0
    for publication in publications:
        patch = None
        if base is not None and searched_in_vain < DELTA_WASTE:
            patch = create_delta(base.data, publication.data)
            if not is_usable(codec, patch, base, publication):
                patch = None
                searched_in_vain += len(publication.data)
        yield delta_form(codec, publication, patch)
        base = publication


def to_wire(publication: Publication) -> Pub:
    """A publication as clients see it."""
    info = publication.info
    return Pub(
        data=Raw(publication.data),
        info=None if info is None else info_to_wire(info),
        offset=publication.offset,
        tags=publication.tags or None,
        epoch=publication.epoch if publication.offset == 1 else "",
    )


def info_to_wire(info: ClientInfo) -> Info:
    """Client info as clients see it."""
    return Info(
        user=info.user,
        client=info.client,
        conn_info=Raw(info.conn_info) if info.conn_info else NO_DATA,
        chan_info=Raw(info.chan_info) if info.chan_info else NO_DATA,
    )
