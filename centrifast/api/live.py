"""``POST <prefix>/tail``: what happens in a channel or to a user, one JSON object a line, until either side closes.

An extension; off unless ``http_api.tail_enabled``, because it shows what users send each other.

    Taps ──▶ Tail ──▶ ResponseStream ──▶ peer
               └ a peer that reads too slowly misses lines and is told how many
"""

from typing import Protocol

from centrifast import errors, log
from centrifast.api.decoding import decoder_of
from centrifast.api.live_events import (
    Event,
    command_event,
    connect_event,
    disconnect_event,
    encode_line,
    member_event,
    publication_event,
    sent_event,
)
from centrifast.api.messages import Request
from centrifast.clock import Clock, TimerHandle
from centrifast.config.schema import ChannelOptions
from centrifast.errors import ApiError, ClientError, DisconnectCode
from centrifast.hub import Client
from centrifast.limits import TAIL_ALIVE_INTERVAL, TAPS_AT_ONCE
from centrifast.model import ClientInfo, Publication, StreamPosition
from centrifast.protocol import http1
from centrifast.protocol.wire import Reply
from centrifast.taps import Asked, Taps
from centrifast.transports.response_stream import ResponseStream, StreamingResponse

HEADERS = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"))

FULL = http1.text_response(503, f"too many tails are open, at most {TAPS_AT_ONCE} at once")


class TailRequest(Request, frozen=True):
    """Either a channel or a user, who may be the anonymous one (empty)."""

    channel: str = ""
    user: str | None = None
    no_payload: bool = False


class TailNode(Protocol):
    """What a tail asks of the node."""

    taps: Taps
    clock: Clock

    def channel_options(self, channel: str) -> ChannelOptions:
        """Options of the channel's namespace. Raises UNKNOWN_CHANNEL."""


class TailEndpoint:
    """Opens tails for callers whose key has been checked."""

    def __init__(self, node: TailNode) -> None:
        self._node = node
        self._decode = decoder_of(TailRequest)

    async def serve(self, request: http1.Request) -> http1.Response:
        """The stream. Raises ``MalformedError``, ``ApiError``."""
        wanted = self._decode(request.body)
        if bool(wanted.channel) == (wanted.user is not None):
            raise ApiError(errors.API_BAD_REQUEST)
        if wanted.channel:
            try:
                self._node.channel_options(wanted.channel)
            except ClientError:
                raise ApiError(errors.API_UNKNOWN_CHANNEL) from None
        if len(self._node.taps.open) >= TAPS_AT_ONCE:
            return FULL

        def open_tail(stream: ResponseStream) -> None:
            Tail(self._node, stream, wanted).start()

        return StreamingResponse(content_type="application/x-ndjson", headers=HEADERS, open=open_tail)


class Tail:
    """One open tail: ``Watcher`` of the taps, ``StreamOwner`` of the response."""

    def __init__(self, node: TailNode, stream: ResponseStream, wanted: TailRequest) -> None:
        self._taps = node.taps
        self._clock = node.clock
        self._stream = stream
        self._wanted = wanted
        self._payloads = not wanted.no_payload
        self._lost = 0  # lines that the peer was too slow for, since it was told last
        self._alive_timer: TimerHandle | None = None

    def start(self) -> None:
        """Watch. The first line comes when everything after it is sure to be seen."""
        wanted = self._wanted
        self._log("tail opened")
        self._stream.owner = self
        self._set_timer()
        if wanted.user is None:
            self._taps.watch_channel(wanted.channel, self)
        else:
            self._taps.watch_user(wanted.user, self)

    # ------------------------------------------------ called by the stream

    def on_stream_writable(self) -> None:
        """Say what is missing, if anything is."""
        if self._lost:
            lost, self._lost = self._lost, 0
            self._write({"event": "lost", "lost": lost})

    def on_stream_stop(self) -> None:
        """The server stops."""
        self._end("the server stops")

    def on_stream_lost(self) -> None:
        """Nobody reads any more."""
        self._close()

    # -------------------------------------------------- called by the taps

    def on_ready(self) -> None:
        """Everything is seen from here on."""
        wanted = self._wanted
        subject = {"channel": wanted.channel} if wanted.user is None else {"user": wanted.user}
        self._write({"event": "open", **subject})

    def on_failed(self) -> None:
        """Nothing will be seen."""
        self._end("the engine is away")

    def on_publication(self, channel: str, publication: Publication, position: StreamPosition) -> None:
        self._write(publication_event(channel, publication, position, payloads=self._payloads))

    def on_member(self, channel: str, info: ClientInfo, *, joined: bool) -> None:
        self._write(member_event(channel, info, joined=joined, payloads=self._payloads))

    def on_connected(self, session: Client, address: str) -> None:
        self._write(connect_event(session, address))

    def on_disconnected(self, session: Client, disconnect: DisconnectCode) -> None:
        self._write(disconnect_event(session, disconnect))

    def on_command(self, session: Client, asked: Asked) -> None:
        self._write(command_event(session, asked, payloads=self._payloads))

    def on_sent(self, session: Client, reply: Reply, size: int, asked: Asked | None, seconds: float) -> None:
        self._write(sent_event(session, reply, size, asked, seconds, payloads=self._payloads))

    # -------------------------------------------------------------- inside

    def _write(self, event: Event) -> None:
        """A line; once one is lost, all are until there is room for the line that says so."""
        if self._lost or not self._stream.write(encode_line(self._clock.unix(), event)):
            self._lost += 1

    def _set_timer(self) -> None:
        self._alive_timer = self._clock.call_later(TAIL_ALIVE_INTERVAL, self._on_alive)

    def _on_alive(self) -> None:
        self._write({"event": "alive"})
        self._set_timer()

    def _end(self, reason: str) -> None:
        self._close()
        self._stream.end(encode_line(self._clock.unix(), {"event": "end", "reason": reason}))

    def _close(self) -> None:
        if self._alive_timer is not None:
            self._alive_timer.cancel()
            self._alive_timer = None
            self._taps.forget(self)
            self._log("tail closed")

    def _log(self, what: str) -> None:
        wanted = self._wanted
        watched = (
            f"channel {wanted.channel}" if wanted.user is None else f"user {wanted.user or '(anonymous)'}"
        )
        log.info(what, address=self._stream.remote_address, watched=watched)
