"""A client that loses nothing without being told.

It believes nothing: each publication must follow the last, across all the connections and subscriptions it has had, or
it was told that it could not be given what it missed.
"""

import asyncio
from collections import Counter

import msgspec

from centrifast import errors
from centrifast.protocol import wire
from centrifast.protocol.wire import Command, ConnectRequest, Encoding, SubscribeRequest
from tests.integration.test_recovery_burst import PINGS, Listener, Streams
from tests.protocol.client_side import json_line
from tests.raw_websocket import CLOSE, TEXT

RETURN_AFTER = 0.1
"""Seconds after which a client whose connection was ended comes back, as SDKs do."""


class Run:
    """What a client got from *start* (exclusive) on, without a hole."""

    def __init__(self, epoch: str, start: int) -> None:
        self.epoch = epoch
        self.start = start
        self.payloads: list[bytes] = []

    @property
    def offset(self) -> int:
        """The last one."""
        return self.start + len(self.payloads)

    def take(self, publication: wire.Pub) -> None:
        """Demand that it is the next one."""
        assert publication.offset == self.offset + 1, f"{publication.offset} came after {self.offset}"
        self.payloads.append(bytes(publication.data))


class Follower(Listener):
    """One client on one channel, which recovers whenever it is told, or loses its connection."""

    def __init__(self, streams: Streams, port: int, channel: str, counts: Counter[str]) -> None:
        super().__init__(streams, port, channel, Encoding.JSON, from_beginning=False)
        self.channel = channel
        self.runs: list[Run] = []
        """A further one begins when it was told that it could not be given what it missed."""

        self._counts = counts
        self._commands = 0
        self._close_code: int | None = None
        self._is_leaving = False
        self._return: asyncio.TimerHandle | None = None
        self._returning: asyncio.Task[None] | None = None

    @property
    def run(self) -> Run:
        """The present one."""
        return self.runs[-1]

    @property
    def fault(self) -> BaseException | None:
        """What was wrong."""
        return self.is_at_end.exception() if self.is_at_end.done() else None

    def leave(self) -> None:
        """Come back no more."""
        self._is_leaving = True
        if self._return is not None:
            self._return.cancel()
        if self._returning is not None:
            self._returning.cancel()
        self.drop()

    # --------------------------------------------------- called by the loop

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_leaving or self.is_at_end.done():
            return
        if self._close_code is None:
            self.is_at_end.set_exception(AssertionError(f"a connection ended without a reason: {exc!r}"))
            return
        self._close_code = None
        self.drop()
        self._return = asyncio.get_running_loop().call_later(RETURN_AFTER, self._come_back)

    def _come_back(self) -> None:
        self._returning = asyncio.get_running_loop().create_task(self.connect())

    # -------------------------------------------------------------- inside

    def _on_frame(self, opcode: int, payload: bytes) -> None:
        if opcode == CLOSE:
            self._close_code = int.from_bytes(payload[:2])
            assert self._close_code in (3004, 3010), payload
            self._counts[str(self._close_code)] += 1
            return
        assert opcode == TEXT, (opcode, payload)
        if payload in PINGS:
            self._send(payload)
            return
        for line in payload.split(b"\n"):
            self._on_reply(msgspec.json.decode(line, type=wire.Reply))

    def _on_reply(self, reply: wire.Reply) -> None:
        assert reply.error is None, reply
        if reply.subscribe is not None:
            self._on_subscribed(reply.subscribe)
        if reply.push is None:
            return
        if reply.push.pub is not None:
            self.run.take(reply.push.pub)
        else:
            assert reply.push.unsubscribe is not None, reply
            assert reply.push.unsubscribe.code == errors.UNSUBSCRIBE_INSUFFICIENT_STATE.code
            self._counts["insufficient"] += 1
            self._send(json_line(self._subscribe_command()))

    def _on_subscribed(self, result: wire.SubscribeResult) -> None:
        if self.runs and result.recovered:
            assert (result.epoch, result.offset) == (self.run.epoch, self.run.offset)
            assert not isinstance(result.publications, wire.EncodedPublications)
            for publication in result.publications or ():
                self.run.take(publication)
            self._counts["recovered"] += 1
            return
        self._counts["anew"] += bool(self.runs)
        self.runs.append(Run(result.epoch, result.offset))

    def _subscribe(self) -> None:
        self._send(
            b"\n".join(
                map(json_line, [Command(id=self._id(), connect=ConnectRequest()), self._subscribe_command()])
            )
        )

    def _subscribe_command(self) -> Command:
        request = SubscribeRequest(channel=self.channel)
        if self.runs:
            request = SubscribeRequest(
                channel=self.channel, recover=True, offset=self.run.offset, epoch=self.run.epoch
            )
        return Command(id=self._id(), subscribe=request)

    def _id(self) -> int:
        self._commands += 1
        return self._commands
