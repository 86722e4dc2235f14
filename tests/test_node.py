"""The node: what it hands to the engine, and the server's API on local connections."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from centrifast import errors
from centrifast.config.schema import Namespace
from centrifast.engine.contract import (
    NO_HISTORY,
    HistoryFilter,
    HistoryOptions,
    PublishOptions,
    PublishResult,
)
from centrifast.engine.memory import MemoryBroker
from centrifast.errors import ClientError
from centrifast.model import NO_POSITION, ClientInfo, Publication, StreamPosition
from centrifast.protocol.wire import Encoding, Reply
from tests.client import conftest
from tests.client.conftest import Serve
from tests.client.fakes import (
    NOW,
    OPEN,
    Server,
    SlowBroker,
    config,
    done,
    publication,
    refusal,
    settle,
    subscribe,
    unsubscribe,
    with_slow_broker,
)
from tests.client.streams import EPOCH, STREAM
from tests.fakes import FakeClock

BOTH = pytest.mark.parametrize("encoding", Encoding)

serve, server = conftest.serve, conftest.server


# ------------------------------------------------------------------ channels


def test_data_is_checked_by_the_channels_own_rules(serve: Serve) -> None:
    objects = Namespace(name="objects", publication_data_format="json_object")
    node = serve(config(namespaces=(objects,))).node
    options = node.channel_options("objects:1")
    assert options is objects
    assert node.check_data(options, b"{}")
    assert not node.check_data(options, b"[]")


# ------------------------------------------------------------------ publications


class RecordingBroker(MemoryBroker):
    """Keeps the options of every publication."""

    def __init__(self) -> None:
        super().__init__(FakeClock(NOW))
        self.options: list[PublishOptions] = []

    async def publish(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        self.options.append(options)
        return await super().publish(channel, data, options)


KEPT = Namespace(name="kept", history_size=10, history_ttl=60.0)
KEPT_LONGER = Namespace(name="longer", history_size=10, history_ttl=60.0, history_meta_ttl=3600.0)


@pytest.mark.parametrize(
    ("channel", "history", "expected"),
    [
        ("news", True, NO_HISTORY),
        ("kept:1", True, HistoryOptions(10, 60.0, 720 * 3600.0)),
        ("kept:1", False, NO_HISTORY),
        ("longer:1", True, HistoryOptions(10, 60.0, 3600.0)),
        ("half:1", True, NO_HISTORY),
    ],
)
def test_history_is_kept_as_the_namespace_says(channel: str, history: bool, expected: HistoryOptions) -> None:
    broker = RecordingBroker()
    half = Namespace(name="half", history_size=10)
    server = Server(config(namespaces=(KEPT, KEPT_LONGER, half)), broker)
    for _ in range(2):
        done(server.node.publish(channel, b"1", history=history))
    assert [options.history for options in broker.options] == [expected, expected]
    server.close()


def test_publish_passes_everything_on() -> None:
    broker = RecordingBroker()
    server = Server(config(namespaces=(KEPT,)), broker)
    info = ClientInfo("42", "c")
    result = done(
        server.node.publish(
            "kept:1",
            b"1",
            tags={"a": "b"},
            idempotency_key="k",
            version=7,
            version_epoch="e",
            info=info,
        )
    )
    assert result.position.offset == 1
    (options,) = broker.options
    assert options == PublishOptions(
        HistoryOptions(10, 60.0, 720 * 3600.0), info, {"a": "b"}, "k", version=7, version_epoch="e"
    )
    server.close()


def test_publishing_to_an_unknown_namespace_is_refused(server: Server) -> None:
    assert refusal(server.node.publish("nowhere:1", b"1")) == errors.UNKNOWN_CHANNEL


@BOTH
def test_a_publication_reaches_every_subscriber_with_all_it_has(serve: Serve, encoding: Encoding) -> None:
    kept = Namespace(name="kept", history_size=10, history_ttl=60.0, allow_subscribe_for_client=True)
    server = serve(config(namespaces=(kept,)))
    clients = [server.subscriber("kept:1", encoding, sub="42") for _ in range(3)]
    done(server.node.publish("kept:1", b"1", tags={"a": "b"}))
    done(server.node.publish("kept:1", b"2", history=False))
    for client in clients:
        first, second = client.received()
        assert first.push is not None
        assert first.push.pub is not None
        assert (first.push.pub.offset, len(first.push.pub.epoch), first.push.pub.tags) == (1, 8, {"a": "b"})
        assert second == publication("kept:1", b"2")


def test_a_publication_for_a_channel_nobody_has_is_harmless(server: Server) -> None:
    server.node.subscriptions.on_publication("news", Publication(b"1"), NO_POSITION, None)


# ------------------------------------------------------------------ history and presence


def test_history_is_read_and_removed(serve: Serve) -> None:
    node = (server := serve(config(options=STREAM))).node
    for _ in range(3):
        server.publish("news", b"1")
    everything = HistoryFilter(limit=-1)
    assert [item.offset for item in done(node.history("news", everything)).publications] == [1, 2, 3]
    done(node.remove_history("news"))
    history = done(node.history("news", everything))
    assert (list(history.publications), history.position) == ([], StreamPosition(3, EPOCH))


def test_what_a_channel_has_not_is_refused(server: Server) -> None:
    node = server.node
    for channel, expected in (("news", errors.NOT_AVAILABLE), ("nowhere:1", errors.UNKNOWN_CHANNEL)):
        assert refusal(node.history(channel, HistoryFilter())) == expected
        assert refusal(node.remove_history(channel)) == expected
        assert refusal(node.presence(channel)) == expected
        assert refusal(node.presence_stats(channel)) == expected


def test_history_that_can_not_be_read_is_refused(serve: Serve) -> None:
    node = serve(config(options=STREAM)).node
    backwards = HistoryFilter(limit=1, since=StreamPosition(0, ""), reverse=True)
    assert refusal(node.history("news", backwards)) == errors.BAD_REQUEST
    other = HistoryFilter(limit=1, since=StreamPosition(0, "other"))
    assert refusal(node.history("news", other)) == errors.UNRECOVERABLE_POSITION


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError()])
@pytest.mark.parametrize("what", ["history", "remove_history", "publish"])
def test_a_broker_that_is_away_is_an_internal_error(
    failure: Exception, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        node = server.node
        calls: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
            "history": lambda: node.history("news", HistoryFilter()),
            "remove_history": lambda: node.remove_history("news"),
            "publish": lambda: node.publish("news", b"1"),
        }
        call = asyncio.create_task(calls[what]())
        await settle()
        await broker.let_go(f"{what} news", failure)
        with pytest.raises(ClientError, match="internal"):
            await call
        assert "engine is away" in caplog.text

    with_slow_broker(test, options=STREAM)


def test_closing_the_node_stops_what_clients_that_left_still_ask() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(sub="42")
        client.send(subscribe(2, "news"))
        await broker.let_go("subscribe news")
        client.vanish()
        await settle()
        assert broker.asked == ["join news", "unsubscribe news", "leave news"]
        await broker.let_go("unsubscribe news")
        await server.node.close()
        assert broker.asked == []

    with_slow_broker(test, options=replace(OPEN, join_leave=True))


def test_closing_the_node_stops_what_it_still_asks() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(subscribe(2, "news"))
        client.vanish()
        await server.node.close()
        assert broker.asked == []

    with_slow_broker(test)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["subscribe", "unsubscribe", "vanish"]), st.integers(0, 2), st.sampled_from("ab")
        ),
        st.tuples(st.sampled_from(["api subscribe", "api unsubscribe"]), st.just(0), st.sampled_from("ab")),
        st.tuples(st.just("publish"), st.just(0), st.sampled_from("ab")),
        st.tuples(st.sampled_from(["let go", "let go", "fail"]), st.integers(0, 3), st.just("")),
    ),
    max_size=40,
)


class Story:
    """Clients of one user, and calls of the API, in any order, over a broker that answers when it likes."""

    def __init__(self, server: Server, broker: SlowBroker) -> None:
        self.server = server
        self.broker = broker
        self.clients = [server.connect(sub="42") for _ in range(3)]
        self.seen: dict[int, list[Reply]] = {0: [], 1: [], 2: []}
        self.calls: set[asyncio.Task[None]] = set()
        self.channels: dict[int, str] = {}  # by the id of the command that named it
        self.id = 10

    async def act(self, action: str, number: int, channel: str) -> None:
        self.id += 1
        self.channels[self.id] = channel
        client = self.clients[number % 3]
        match action:
            case "subscribe":
                client.send(subscribe(self.id, channel))
            case "unsubscribe":
                client.send(unsubscribe(self.id, channel))
            case "vanish":
                client.vanish()
                self.clients[number % 3] = self.server.connect(sub="42")
                self.seen[number % 3] = []
            case "api subscribe":
                self.calls.add(asyncio.create_task(self.server.node.subscribe("42", channel)))
            case "api unsubscribe":
                self.calls.add(asyncio.create_task(self.server.node.unsubscribe("42", channel)))
            case "publish" if channel in self.broker.subscribed:
                self.broker.deliver(channel, b"1")
            case "let go" | "fail" if self.broker.waiting:
                call = self.broker.asked[number % len(self.broker.asked)]
                fails = action == "fail" and call.startswith("subscribe")
                await self.broker.let_go(call, ConnectionError("away") if fails else None)
        await settle()
        self.check()

    def check(self) -> None:
        """What must hold at any time."""
        for number, client in enumerate(self.clients):
            if client.closed_with is None:
                self.seen[number] += client.received()
        channels = {name for client in self.clients for name in client.session.subscriptions}
        assert set(self.server.hub.channels) <= channels
        for name in self.server.hub.channels:
            assert f"subscribe {name}" in self.broker.asked or name in self.broker.subscribed
        for name in "ab":
            assert len([call for call in self.broker.asked if call.endswith(name)]) <= 1, "requests overlap"

    async def end(self) -> None:
        while self.broker.waiting or not all(call.done() for call in self.calls):
            await self.act("let go", 0, "")
        await asyncio.gather(*self.calls, return_exceptions=True)
        assert set(self.server.hub.channels) == self.broker.subscribed
        for replies in self.seen.values():
            check_order(replies, self.channels)


def check_order(replies: list[Reply], channels: dict[int, str]) -> None:
    """Publications come while the client has been told that it has the channel; replies in the order of commands."""
    held: set[str] = set()
    ids = [reply.id for reply in replies if reply.id]
    assert ids == sorted(ids)
    for reply in replies:
        push = reply.push
        if push is not None and push.pub is not None:
            assert push.channel in held, "a publication came too early or too late"
        elif push is not None and push.subscribe is not None:
            held.add(push.channel)
        elif push is not None:
            held.discard(push.channel)
        elif reply.subscribe is not None:
            held.add(channels[reply.id])
        elif reply.unsubscribe is not None:
            held.discard(channels[reply.id])


@given(actions=ACTIONS)
@settings(max_examples=100, deadline=None)
def test_engine_hub_and_clients_agree_in_the_end_whatever_comes_in_between(
    actions: list[tuple[str, int, str]],
) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        story = Story(server, broker)
        for action in actions:
            await story.act(*action)
        await story.end()

    with_slow_broker(test)
