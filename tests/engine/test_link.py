"""Messages through a real pair of Unix sockets."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from centrifast.engine import link as module
from centrifast.engine.link import Link


class Owner:
    """Notes what a link tells."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.crowded: list[bool] = []
        self.lost = asyncio.Event()
        self.arrived = asyncio.Event()

    def on_message(self, link: Link, message: bytes) -> None:
        self.messages.append(message)
        self.arrived.set()

    def on_crowded(self, link: Link, is_crowded: bool) -> None:
        self.crowded.append(is_crowded)

    def on_lost(self, link: Link) -> None:
        assert not self.lost.is_set()
        self.lost.set()

    async def get(self, count: int) -> list[bytes]:
        while len(self.messages) < count:
            self.arrived.clear()
            await self.arrived.wait()
        return self.messages


async def linked(owner: Owner, peer: socket.socket | None = None) -> tuple[Link, socket.socket]:
    """A link and the raw socket at its other end."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    _, link = await asyncio.get_running_loop().create_connection(lambda: Link(owner), sock=ours)
    return link, theirs


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def framed(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(4, "little") + message for message in messages)


def test_what_is_sent_in_one_turn_leaves_in_one_write_and_in_order() -> None:
    async def test() -> None:
        link, peer = await linked(Owner())
        for number in range(3):
            link.send(b"%d" % number)
        await asyncio.sleep(0)
        assert peer.recv(1000) == framed(b"0", b"1", b"2")
        link.abort()
        peer.close()

    run(test)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 1000])
def test_messages_arrive_whole_however_they_were_cut(size: int) -> None:
    async def test() -> None:
        owner = Owner()
        link, peer = await linked(owner)
        sent = [b"", b"a", b"bc" * 300, b"", b"d"]
        stream = framed(*sent)
        for start in range(0, len(stream), size):
            link.data_received(stream[start : start + size])
        assert owner.messages == sent
        link.abort()
        peer.close()

    run(test)


def test_a_large_message_travels_both_ways() -> None:
    async def test() -> None:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        near, far = Owner(), Owner()
        _, here = await loop.create_connection(lambda: Link(near), sock=ours)
        _, there = await loop.create_connection(lambda: Link(far), sock=theirs)
        here.send(b"x" * 10_000_000)
        assert await far.get(1) == [b"x" * 10_000_000]
        there.send(b"y" * 10_000_000)
        assert await near.get(1) == [b"y" * 10_000_000]
        assert near.crowded == [True, False]
        here.close()
        await far.lost.wait()
        await near.lost.wait()

    run(test)


def test_what_was_sent_before_closing_still_arrives() -> None:
    async def test() -> None:
        owner = Owner()
        link, peer = await linked(owner)
        link.send(b"last")
        link.close()
        await owner.lost.wait()
        assert peer.recv(1000) == framed(b"last")
        assert peer.recv(1000) == b""
        link.send(b"too late")
        peer.close()

    run(test)


def test_a_peer_that_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINK_QUEUE_SIZE", 1_000_000)

    async def test() -> None:
        owner = Owner()
        link, peer = await linked(owner)
        for _ in range(20):
            link.send(b"x" * 100_000)
            await asyncio.sleep(0)
        await owner.lost.wait()
        peer.close()

    run(test)


def test_a_message_beyond_the_limit_ends_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINK_MESSAGE_SIZE", 10)

    async def test() -> None:
        owner = Owner()
        _, peer = await linked(owner)
        peer.send(framed(b"0123456789", b"0123456789a", b"never"))
        await owner.lost.wait()
        assert owner.messages == [b"0123456789"]
        peer.close()

    run(test)


def test_paused_reading_leaves_messages_in_the_socket() -> None:
    async def test() -> None:
        owner = Owner()
        link, peer = await linked(owner)
        link.pause_reading()
        peer.send(framed(b"1"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert owner.messages == []
        link.resume_reading()
        assert await owner.get(1) == [b"1"]
        link.abort()
        peer.close()

    run(test)
