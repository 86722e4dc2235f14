"""What somebody sees who watches a channel or a user, and that nobody else notices."""

from dataclasses import dataclass, field, replace

import pytest

from centrifast import errors, taps
from centrifast.errors import DisconnectCode
from centrifast.hub import Client
from centrifast.model import ClientInfo, Publication, StreamPosition
from centrifast.protocol.wire import Command, ConnectRequest, FilterNode, Reply
from centrifast.taps import Asked
from tests.client import conftest
from tests.client.conftest import Serve
from tests.client.fakes import (
    OPEN,
    Far,
    Server,
    SlowBroker,
    config,
    done,
    publish,
    settle,
    subscribe,
    token,
    unsubscribe,
    with_slow_broker,
)

serve = conftest.serve
server = conftest.server

JOINS = replace(OPEN, presence=True, join_leave=True, force_push_join_leave=True)


@dataclass(eq=False)
class Recorder:
    """``Watcher`` that writes down what it is told."""

    seen: list[str] = field(default_factory=list)

    def on_ready(self) -> None:
        self.seen.append("ready")

    def on_failed(self) -> None:
        self.seen.append("failed")

    def on_publication(self, channel: str, publication: Publication, position: StreamPosition) -> None:
        self.seen.append(f"publication {channel} {publication.data.decode()}")

    def on_member(self, channel: str, info: ClientInfo, *, joined: bool) -> None:
        self.seen.append(f"{'join' if joined else 'leave'} {channel} {info.user}")

    def on_connected(self, session: Client, address: str) -> None:
        self.seen.append(f"connected {session.user} {address}")

    def on_disconnected(self, session: Client, disconnect: DisconnectCode) -> None:
        self.seen.append(f"disconnected {session.user} {disconnect.code}")

    def on_command(self, session: Client, asked: Asked) -> None:
        self.seen.append(f"command {asked.command.id} {asked.method} {asked.channel}".rstrip())

    def on_sent(self, session: Client, reply: Reply, size: int, asked: Asked | None, seconds: float) -> None:
        assert size > 0
        what = "push" if reply.push is not None else "error" if reply.error is not None else "result"
        self.seen.append(f"{what} {reply.id} {asked.method if asked else '-'} {seconds:g}")

    def take(self) -> list[str]:
        """What was seen since the last look."""
        seen, self.seen = self.seen, []
        return seen


def watch(server: Server, *, channel: str = "", user: str = "") -> Recorder:
    recorder = Recorder()
    if channel:
        server.node.taps.watch_channel(channel, recorder)
    else:
        server.node.taps.watch_user(user, recorder)
    assert recorder.take() == ["ready"]
    return recorder


# ------------------------------------------------------------------ a channel


def test_a_channel_is_seen_without_a_subscriber_and_its_watcher_is_counted_nowhere(server: Server) -> None:
    recorder = watch(server, channel="news")
    server.publish("news", b"1")
    server.publish("sports", b"2")
    assert recorder.take() == ["publication news 1"]
    assert done(server.node.channels("")) == {}
    assert server.is_empty
    server.node.taps.forget(recorder)
    server.node.taps.forget(recorder)
    server.publish("news", b"3")
    assert recorder.take() == []
    assert not server.node.open_taps


def test_watching_changes_nothing_for_subscribers(server: Server) -> None:
    first, second = watch(server, channel="news"), watch(server, channel="news")
    client = server.subscriber("news")
    server.publish("news", b"1")
    server.node.taps.forget(first)
    server.publish("news", b"2")
    client.ask(unsubscribe(3, "news"))
    server.publish("news", b"3")
    assert first.take() == ["publication news 1"]
    assert second.take() == ["publication news 1", "publication news 2", "publication news 3"]
    server.node.taps.forget(second)


def test_joins_and_leaves_of_the_channel_are_seen(serve: Serve) -> None:
    server = serve(config(options=JOINS))
    recorder = watch(server, channel="news")
    client = server.connect(sub="42")
    client.ask(subscribe(2, "news"))
    client.ask(unsubscribe(3, "news"))
    assert recorder.take() == ["join news 42", "leave news 42"]


def test_a_watcher_may_leave_from_inside_a_call(server: Server) -> None:
    class Leaver(Recorder):
        def on_publication(self, channel: str, publication: Publication, position: StreamPosition) -> None:
            server.node.taps.forget(self)

    leaver = Leaver()
    server.node.taps.watch_channel("news", leaver)
    recorder = watch(server, channel="news")
    server.publish("news", b"1")
    assert recorder.take() == ["publication news 1"]
    assert len(server.node.open_taps) == 1


def test_the_watcher_is_ready_when_the_broker_delivers() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        recorder, gone = Recorder(), Recorder()
        server.node.taps.watch_channel("news", recorder)
        server.node.taps.watch_channel("news", gone)
        server.node.taps.forget(gone)
        assert recorder.take() == []
        await broker.let_go("subscribe news")
        await settle()
        assert recorder.take() == ["ready"]
        assert gone.take() == []
        broker.deliver("news", b"1")
        assert recorder.take() == ["publication news 1"]
        server.node.taps.forget(recorder)
        await broker.let_go("unsubscribe news")

    with_slow_broker(test)


def test_the_watcher_is_told_when_the_broker_is_away(caplog: pytest.LogCaptureFixture) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        recorder, gone = Recorder(), Recorder()
        server.node.taps.watch_channel("news", recorder)
        server.node.taps.watch_channel("news", gone)
        server.node.taps.forget(gone)
        broker.waiting[0].gate.set_exception(ConnectionError("away"))
        await settle()
        assert (recorder.take(), gone.take()) == (["failed"], [])
        server.node.taps.forget(recorder)
        await broker.let_go("unsubscribe news")

    with_slow_broker(test)
    assert "tap failed" in caplog.text


# --------------------------------------------------------------------- a user


def test_a_user_is_seen_from_connect_to_disconnect(server: Server) -> None:
    recorder = watch(server, user="42")
    client = server.connect(sub="42")
    assert recorder.take() == ["connected 42 192.0.2.1", "command 1 connect", "result 1 connect 0"]
    client.ask(subscribe(2, "news"), publish(3, "other", b"{}"), Command(), subscribe(4, "news"))
    assert recorder.take() == [
        "command 2 subscribe news",
        "result 2 subscribe 0",
        "command 3 publish other",
        "result 3 publish 0",
        "disconnected 42 3501",  # a pong that nobody asked for
    ]
    server.node.taps.forget(recorder)


def test_errors_and_pushes_are_seen(server: Server) -> None:
    client = server.connect(sub="42")
    recorder = watch(server, user="42")
    client.ask(subscribe(2, "nope:x"))
    assert recorder.take() == ["command 2 subscribe nope:x", "error 2 subscribe 0"]
    done(server.node.subscribe("42", "news"))
    assert recorder.take() == ["push 0 - 0"]
    client.vanish()
    server._clients.remove(client)
    assert recorder.take() == ["disconnected 42 3000"]


def test_publications_are_seen_that_one_of_the_users_sessions_gets(server: Server) -> None:
    before = server.connect(sub="42")
    recorder = watch(server, user="42")
    after = server.connect(sub="42")
    other = server.connect(sub="43")
    other.ask(subscribe(2, "sports"))
    before.ask(subscribe(2, "news"))
    after.ask(subscribe(2, "news"))
    recorder.take()
    server.publish("news", b"1")
    server.publish("sports", b"2")
    assert recorder.take() == ["publication news 1"]
    before.ask(unsubscribe(3, "news"))
    recorder.take()
    server.publish("news", b"3")
    assert recorder.take() == ["publication news 3"]
    done(server.node.disconnect("42", disconnect=errors.FORCE_DISCONNECT))
    assert sorted(recorder.take()) == ["disconnected 42 3503", "disconnected 42 3503"]
    server.publish("news", b"4")
    assert recorder.take() == []


def test_publications_that_the_users_filter_refuses_are_not_seen(serve: Serve) -> None:
    server = serve(config(options=replace(OPEN, allow_tags_filter=True)))
    client = server.connect(sub="42")
    client.ask(subscribe(2, "news", tf=FilterNode(key="lang", cmp="eq", val="en")))
    recorder = watch(server, user="42")
    done(server.node.publish("news", b"1", tags={"lang": "de"}))
    done(server.node.publish("news", b"2", tags={"lang": "en"}))
    assert recorder.take() == ["publication news 2"]


def test_joins_are_seen_if_the_user_is_told_of_them(serve: Serve) -> None:
    server = serve(config(options=JOINS))
    server.connect(sub="42").ask(subscribe(2, "news"))
    recorder = watch(server, user="42")
    other = server.connect(sub="43")
    other.ask(subscribe(2, "news"))
    other.ask(subscribe(3, "elsewhere"))
    assert recorder.take() == ["join news 43"]


def test_who_has_not_connected_yet_is_no_anonymous_user(server: Server) -> None:
    recorder = watch(server, user="")
    stranger = server.open()
    stranger.ask(Command(id=1, connect=ConnectRequest(token="nonsense")))
    named = server.open()
    named.ask(Command(id=1, connect=ConnectRequest(token=token(sub="42"))))
    assert recorder.take() == []
    anonymous = server.connect()
    assert recorder.take() == ["connected  192.0.2.1", "command 1 connect", "result 1 connect 0"]
    anonymous.ask(subscribe(2, "news"))
    assert recorder.take() == ["command 2 subscribe news", "result 2 subscribe 0"]


def test_the_reply_tells_how_long_it_took() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(sub="42")
        recorder = watch(server, user="42")
        client.send(subscribe(2, "news"))
        server.clock.advance(1.5)
        await broker.let_go("subscribe news")
        assert recorder.take() == ["command 2 subscribe news", "result 2 subscribe 1.5"]
        server.node.taps.forget(recorder)

    with_slow_broker(test)


def test_what_is_remembered_has_a_limit_and_goes_with_the_watcher(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taps, "TAP_COMMANDS", 1)
    monkeypatch.setattr(taps, "TAP_SESSIONS", 1)
    recorder = watch(server, user="42")
    stuck = server.open()
    stuck.session.node.taps.on_command(stuck.session, Command(id=1, connect=ConnectRequest()))
    clients: list[Far] = [server.connect(sub="42"), server.connect(sub="42")]
    assert recorder.take() == ["connected 42 192.0.2.1", "result 1 - 0"] * 2
    clients[1].ask(subscribe(2, "news"))
    recorder.take()
    server.publish("news", b"1")
    assert recorder.take() == []  # the second of the user's sessions is one too many
    assert len(server.node.taps._asked) == 1
    server.node.taps.forget(recorder)
    assert not server.node.taps._asked
