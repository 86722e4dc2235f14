"""From frames to handled commands: order, concurrency, and what happens while commands wait (client protocol 3)."""

import asyncio

import pytest
from msgspec import Raw

from centrifast import errors, log
from centrifast.client.state import State
from centrifast.engine.contract import PublishOptions, PublishResult
from centrifast.engine.memory import MemoryBroker
from centrifast.engine.presence import MemoryPresence
from centrifast.errors import DisconnectCode
from centrifast.limits import COMMAND_BACKLOG_SIZE, COMMAND_SLICE, UNSUBSCRIBE_WAIT
from centrifast.model import PresenceStats
from centrifast.protocol import wire
from centrifast.protocol.wire import (
    Command,
    ConnectRequest,
    Encoding,
    Reply,
    RPCRequest,
    SendRequest,
    UnsubscribeResult,
)
from tests.client.fakes import (
    NOW,
    Far,
    Server,
    SlowBroker,
    config,
    error,
    publish,
    settle,
    subscribe,
    subscribed,
    token,
    unsubscribe,
    with_slow_broker,
)
from tests.client.streams import SEEN
from tests.fakes import FakeClock

BOTH = pytest.mark.parametrize("encoding", Encoding)
CONNECT = Command(id=1, connect=ConnectRequest())
PONG = Command()
PUBLISHED = Reply(id=9, publish=wire.PublishResult())


def published(id_: int) -> Reply:
    return Reply(id=id_, publish=wire.PublishResult())


def left(id_: int) -> Reply:
    return Reply(id=id_, unsubscribe=UnsubscribeResult())


# ------------------------------------------------------------------ commands of one frame


@BOTH
def test_commands_of_one_frame_are_answered_in_their_order(server: Server, encoding: Encoding) -> None:
    client = server.open(encoding)
    replies = client.ask(CONNECT, subscribe(2, "news"), subscribe(3, "nowhere:1"), unsubscribe(4, "news"))
    assert [reply.id for reply in replies] == [1, 2, 3, 4]
    assert replies[1:] == [subscribed(2), error(3, errors.UNKNOWN_CHANNEL), left(4)]


@BOTH
def test_ids_are_echoed_whatever_they_are(server: Server, encoding: Encoding) -> None:
    client = server.open(encoding)
    replies = client.ask(
        Command(id=2**32 - 1, connect=ConnectRequest()), subscribe(5, "a"), subscribe(5, "b")
    )
    assert [reply.id for reply in replies] == [2**32 - 1, 5, 5]


@BOTH
def test_the_reply_precedes_publications_of_the_same_frame(server: Server, encoding: Encoding) -> None:
    client = server.connect(encoding)
    first, *_ = client.ask(subscribe(2, "news"), publish(3, "news", b"1"))
    assert first == subscribed(2)


@pytest.mark.parametrize(
    ("encoding", "rest"),
    [
        (Encoding.JSON, b"\n{"),
        (Encoding.JSON, b"\n\n"),
        (Encoding.JSON, b'\n{"id":"3","rpc":{}}'),
        (Encoding.JSON, b'{"id":3,"rpc":{}}'),
        (Encoding.PROTOBUF, b"\x05\x08\x01"),
        (Encoding.PROTOBUF, b"\x02\xff\xff"),
    ],
)
def test_commands_before_a_malformed_one_take_effect(server: Server, encoding: Encoding, rest: bytes) -> None:
    listener, client = server.subscriber("news"), server.connect(encoding)
    whole_frame_is_one_line = rest.startswith(b"{")
    client.write(client.frame(publish(9, "news", b"1")) + rest)
    assert client.received() == ([] if whole_frame_is_one_line else [PUBLISHED])
    assert len(listener.received()) == (0 if whole_frame_is_one_line else 1)
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT
    assert client.transport.flushed


@pytest.mark.parametrize(
    ("encoding", "frame"),
    [
        (Encoding.JSON, b""),
        (Encoding.JSON, b"\n"),
        (Encoding.JSON, b"connect"),
        (Encoding.JSON, b'{"id":1,"connect":[]}'),
        (Encoding.PROTOBUF, b""),
        (Encoding.PROTOBUF, b"\xff"),
    ],
)
def test_a_malformed_frame_disconnects(server: Server, encoding: Encoding, frame: bytes) -> None:
    client = server.open(encoding)
    client.write(frame)
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT


def test_one_newline_at_the_end_is_tolerated(server: Server) -> None:
    client = server.connect()
    client.write(client.frame(subscribe(2, "news")) + b"\n")
    assert client.received() == [subscribed(2)]


# ------------------------------------------------------------------ commands that take long


class LaboriousPresence(MemoryPresence):
    """Every answer takes the loop longer than a client may have at once."""

    def __init__(self) -> None:
        super().__init__(FakeClock())
        self.answers = 0

    async def stats(self, channel: str) -> PresenceStats:
        self.answers += 1
        return await super().stats(channel)


class Laborious:
    """A server that is asked for statistics which take long, and a loop whose turns are the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, concurrency: int = 0) -> None:
        self.presence = presence = LaboriousPresence()
        self.server = Server(config({"concurrency": concurrency}, options=SEEN), presence=presence)
        self._loop = loop = FakeClock()
        now = self.server.clock.monotonic()
        monkeypatch.setattr(self.server.clock, "monotonic", lambda: now + presence.answers * COMMAND_SLICE)
        monkeypatch.setattr(self.server.clock, "call_later", lambda _, call: loop.call_later(1.0, call))

    def turn(self) -> None:
        self._loop.advance(1.0)


def ask_for_stats(count: int) -> list[Command]:
    return [Command(id=n, presence_stats=wire.PresenceStatsRequest("news")) for n in range(2, 2 + count)]


@pytest.mark.parametrize("concurrency", [0, 8])
@BOTH
def test_a_frame_of_laborious_commands_lets_the_loop_have_its_turns(
    encoding: Encoding, concurrency: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    laborious = Laborious(monkeypatch, concurrency)
    client = laborious.server.connect(encoding)
    client.send(*ask_for_stats(10))
    client.send(Command(id=12, rpc=RPCRequest()))
    turns = 1
    while client.session.queue is not None:
        assert laborious.presence.answers <= 2 * turns
        laborious.turn()
        turns += 1
    assert laborious.presence.answers == 10
    assert [reply.id for reply in client.received()] == list(range(2, 13))
    laborious.server.close()


@pytest.mark.parametrize("turns", [0, 1])
def test_who_has_gone_is_served_no_further(monkeypatch: pytest.MonkeyPatch, turns: int) -> None:
    laborious = Laborious(monkeypatch)
    client = laborious.server.connect()
    client.send(*ask_for_stats(100))
    for _ in range(turns):
        laborious.turn()
    answers = laborious.presence.answers
    assert client.session.queue is not None
    client.session.on_closed()
    assert client.session.queue is None  # else each would keep the other
    laborious.turn()
    assert laborious.presence.answers == answers < 5
    laborious.server.close()


def test_frames_that_come_while_the_loop_has_its_turn_fill_the_backlog(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    laborious = Laborious(monkeypatch)
    client = laborious.server.connect()
    client.send(*ask_for_stats(4))
    frame = client.frame(subscribe(6, "news"), *[unsubscribe(7, "news")] * 1000)
    frames = 0
    while client.transport.reading:
        client.write(frame)
        frames += 1
    replies = client.received()
    while client.session.queue is not None:
        laborious.turn()
        replies += client.received()
    assert client.transport.reading
    assert [reply.id for reply in replies] == [2, 3, 4, 5, *[6, *[7] * 1000] * frames]
    laborious.server.close()


# ------------------------------------------------------------------ checks that hold for every command


@pytest.mark.parametrize(
    "first",
    [
        subscribe(1, "news"),
        Command(id=1, rpc=RPCRequest()),
        Command(send=SendRequest()),
        PONG,
        Command(id=1),
        Command(connect=ConnectRequest()),
    ],
)
@BOTH
def test_connect_must_come_first_and_with_an_id(server: Server, first: Command, encoding: Encoding) -> None:
    client = server.open(encoding)
    assert client.ask(first, CONNECT) == []
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT
    assert server.is_empty


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (Command(id=2), errors.BAD_REQUEST_DISCONNECT),
        (PONG, errors.BAD_REQUEST_DISCONNECT),
        (subscribe(0, "news"), errors.BAD_REQUEST_DISCONNECT),
        (Command(id=2, connect=ConnectRequest()), errors.BAD_REQUEST_DISCONNECT),
        (Command(send=SendRequest()), errors.NOT_AVAILABLE_DISCONNECT),
        (Command(id=2, send=SendRequest(data=Raw(b"1"))), errors.NOT_AVAILABLE_DISCONNECT),
    ],
)
@BOTH
def test_commands_that_end_a_connection(
    server: Server, command: Command, expected: DisconnectCode, encoding: Encoding
) -> None:
    client = server.connect(encoding)
    assert client.ask(subscribe(2, "news"), command, subscribe(3, "other")) == [subscribed(2)]
    assert client.closed_with == expected
    assert client.ask(subscribe(4, "third")) == []
    assert not client.session.subscriptions
    assert server.is_empty


@BOTH
def test_after_an_error_reply_to_connect_nothing_is_handled(server: Server, encoding: Encoding) -> None:
    client = server.open(encoding)
    expired = Command(id=1, connect=ConnectRequest(token=token(sub="42", exp=NOW - 5)))
    assert client.ask(expired, subscribe(2, "news")) == [error(1, errors.TOKEN_EXPIRED)]
    assert client.ask(CONNECT, subscribe(3, "news")) == []
    assert client.session.state is State.FAILED
    assert not client.session.subscriptions


def test_the_protocols_ping_command_is_not_served(server: Server) -> None:
    client = server.connect()
    client.write(b'{"id":2,"ping":{}}')
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT


# ------------------------------------------------------------------ failures of a command


class FailingBroker(MemoryBroker):
    """Publishing fails with what the test says."""

    failure: Exception

    async def publish(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        raise self.failure


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError(), ZeroDivisionError()])
@BOTH
def test_an_outage_or_a_bug_costs_one_command(failure: Exception, encoding: Encoding) -> None:
    broker = FailingBroker(FakeClock(NOW))
    broker.failure = failure
    server = Server(config(), broker)
    client = server.connect(encoding)
    replies = client.ask(publish(2, "news", b"1"), subscribe(3, "news"))
    assert replies == [error(2, errors.INTERNAL), subscribed(3)]
    server.close()


class EndingBroker(MemoryBroker):
    """The client's connection ends while the broker is asked for a channel."""

    client: Far

    async def subscribe(self, channel: str) -> None:
        self.client.session.disconnect(errors.FORCE_DISCONNECT)
        await super().subscribe(channel)


def test_a_session_that_ends_within_its_own_command_leaves_nothing_behind() -> None:
    broker = EndingBroker(FakeClock(NOW))
    server = Server(config(), broker)
    broker.client = server.connect()
    assert broker.client.ask(subscribe(2, "news"), subscribe(3, "other")) == []
    assert broker.client.closed_with == errors.FORCE_DISCONNECT
    server.close()


# ------------------------------------------------------------------ while a command waits

PUBLISH = publish(9, "other", b"1")


@BOTH
def test_commands_keep_their_order_while_one_waits(encoding: Encoding) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(encoding)
        assert client.ask(subscribe(2, "a"), PUBLISH, subscribe(3, "b")) == []
        assert client.ask(subscribe(4, "c"), subscribe(5, "c")) == []
        assert client.ask(subscribe(6, "nowhere:1")) == []
        assert broker.asked == ["subscribe a"]
        await broker.let_go("subscribe a")
        assert client.received() == [subscribed(2)]
        assert broker.asked == ["publish other"]
        await broker.let_go("publish other")
        assert client.received() == [PUBLISHED]
        await broker.let_go("subscribe b")
        assert client.received() == [subscribed(3)]
        await broker.let_go("subscribe c")
        replies = [subscribed(4), error(5, errors.ALREADY_SUBSCRIBED), error(6, errors.UNKNOWN_CHANNEL)]
        assert client.received() == replies
        assert client.session.queue is None
        assert client.ask(unsubscribe(7, "a")) == [left(7)]

    with_slow_broker(test)


def test_reading_pauses_while_too_much_waits_and_everything_is_handled_in_the_end() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        frame = client.frame(publish(9, "other", b'"%s"' % (b"x" * (COMMAND_BACKLOG_SIZE // 4))))
        client.send(PUBLISH)
        for number in range(4):
            assert client.transport.reading, number
            client.write(frame)
        assert not client.transport.reading
        client.write(frame)  # was read already
        await broker.let_go("publish other")
        assert not client.transport.reading
        await broker.let_go("publish other")
        assert client.transport.reading
        for _ in range(4):
            await broker.let_go("publish other")
        assert client.received() == [PUBLISHED] * 6

    with_slow_broker(test)


def test_small_frames_fill_the_backlog_with_the_memory_they_cost() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(PUBLISH)
        for _ in range(COMMAND_BACKLOG_SIZE // 32):
            client.write(b"{}")
        assert not client.transport.reading

    with_slow_broker(test)


def test_after_a_connect_that_failed_reading_goes_on_and_nothing_is_handled() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.open()
        client.send(Command(id=1, connect=ConnectRequest(token=token(channels=["a"]))))
        client.write(b" " * COMMAND_BACKLOG_SIZE)
        assert not client.transport.reading
        await broker.let_go("subscribe a", ZeroDivisionError())
        client.send(PUBLISH)
        assert client.received() == [error(1, errors.INTERNAL)]
        assert client.transport.reading
        assert client.closed_with is None

    with_slow_broker(test)


def test_a_client_whose_reading_is_paused_can_go() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(PUBLISH)
        client.write(b" " * COMMAND_BACKLOG_SIZE)
        assert not client.transport.reading
        client.session.disconnect(errors.FORCE_DISCONNECT)
        await settle()
        assert not broker.asked
        assert not client.transport.reading  # closing reads on by itself

    with_slow_broker(test)


def test_unsubscribe_waits_for_the_subscribe_before_it() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        assert client.ask(subscribe(2, "news"), unsubscribe(3, "news")) == []
        await broker.let_go("subscribe news")
        assert client.received() == [subscribed(2), left(3)]
        assert broker.asked == ["unsubscribe news"]
        client.send(subscribe(4, "news"))
        await broker.let_go("unsubscribe news")
        assert client.received() == []
        await broker.let_go("subscribe news")
        assert client.received() == [subscribed(4)]

    with_slow_broker(test)


def test_a_client_that_vanishes_while_it_subscribes_leaves_nothing_behind() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(subscribe(2, "news"), publish(3, "news", b"1"))
        client.send(publish(4, "news", b"2"))
        client.vanish()
        await settle()
        assert server.is_empty
        await broker.let_go("subscribe news")
        await broker.let_go("unsubscribe news")
        assert not broker.asked
        assert broker.done == ["subscribe news", "unsubscribe news"]

    with_slow_broker(test)


def test_a_disconnect_cancels_what_waits_and_drops_what_came_after() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(sub="42")
        client.send(PUBLISH, subscribe(2, "a"))
        client.send(subscribe(3, "b"))
        await server.node.disconnect("42", disconnect=errors.FORCE_DISCONNECT)
        await settle()
        assert not broker.asked
        assert client.received() == []
        assert client.closed_with == errors.FORCE_DISCONNECT

    with_slow_broker(test)


def test_a_bug_while_connect_waits_is_answered_and_nothing_after_it_is_handled() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.open()
        connect = Command(id=1, connect=ConnectRequest(token=token(channels=["a"])))
        client.send(connect, subscribe(2, "news"))
        client.send(subscribe(3, "news"))
        await broker.let_go("subscribe a", ZeroDivisionError())
        assert client.received() == [error(1, errors.INTERNAL)]
        assert client.session.state is State.FAILED
        assert not server.hub.channels

    with_slow_broker(test)


def test_when_the_engine_is_away_publish_is_answered_and_the_next_command_handled() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(publish(2, "news", b"1"), publish(9, "news", b"2"))
        await broker.let_go("publish news", ConnectionError("away"))
        assert client.received() == [error(2, errors.INTERNAL)]
        await broker.let_go("publish news")
        assert client.received() == [PUBLISHED]
        assert client.transport.reading

    with_slow_broker(test)


def test_something_malformed_behind_a_command_that_waits_disconnects_afterwards() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.write(client.frame(PUBLISH) + b"\n{")
        assert client.closed_with is None
        await broker.let_go("publish other")
        assert client.received() == [PUBLISHED]
        assert client.closed_with == errors.BAD_REQUEST_DISCONNECT

    with_slow_broker(test)


# ------------------------------------------------------------------ pongs while a command waits

PINGS = {"ping_interval": 4.0, "pong_timeout": 3.0}


@pytest.mark.parametrize("concurrency", [0, 1, 2])
@BOTH
def test_a_pong_does_not_wait_for_a_command(encoding: Encoding, concurrency: int) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(encoding)
        client.send(*[PUBLISH] * 3)
        client.send(PUBLISH)
        for _ in range(5):
            server.advance(4)
            assert client.received() == [Reply()]
            client.send(PONG)
        assert client.closed_with is None
        for _ in range(4):
            await broker.let_go("publish other")
        assert client.received() == [PUBLISHED] * 4

    with_slow_broker(test, client={**PINGS, "concurrency": concurrency})


def test_a_client_that_is_silent_while_its_command_waits_is_dropped() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(PUBLISH)
        server.advance(8)
        await settle()
        assert client.closed_with == errors.NO_PONG
        assert not broker.asked

    with_slow_broker(test, client=PINGS)


def test_a_pong_too_many_is_refused_in_its_turn() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(PUBLISH)
        server.advance(4)
        client.send(PONG)
        client.send(PONG)
        assert client.closed_with is None
        await broker.let_go("publish other")
        assert client.received() == [Reply(), PUBLISHED]
        assert client.closed_with == errors.BAD_REQUEST_DISCONNECT

    with_slow_broker(test, client=PINGS)


# ------------------------------------------------------------------ commands side by side

TWO = {"concurrency": 2}


@BOTH
def test_as_many_commands_run_as_concurrency_allows_and_replies_come_as_they_are_done(
    encoding: Encoding,
) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(encoding)
        client.send(*(publish(number, f"c{number}", b"1") for number in range(2, 6)))
        client.send(publish(6, "c6", b"1"))
        assert broker.asked == ["publish c2", "publish c3", "publish c4"]
        await broker.let_go("publish c3")
        assert client.received() == [published(3)]
        assert broker.asked == ["publish c2", "publish c4", "publish c5"]
        for number in (5, 4, 6, 2):
            await broker.let_go(f"publish c{number}")
        assert client.received() == [published(number) for number in (5, 4, 6, 2)]
        assert client.session.queue is None

    with_slow_broker(test, client={"concurrency": 3})


def test_a_command_that_does_not_wait_overtakes_one_that_does() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        refused = [error(3, errors.UNKNOWN_CHANNEL), left(4)]
        assert client.ask(PUBLISH, subscribe(3, "nowhere:1"), unsubscribe(4, "news")) == refused
        assert client.ask(subscribe(5, "nowhere:1")) == [error(5, errors.UNKNOWN_CHANNEL)]
        assert len(asyncio.all_tasks()) == 2  # this one and the publish
        await broker.let_go("publish other")
        assert client.received() == [PUBLISHED]

    with_slow_broker(test, client=TWO)


@BOTH
def test_nothing_starts_before_connect_is_finished(encoding: Encoding) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.open(encoding)
        client.send(Command(id=1, connect=ConnectRequest(token=token(sub="42", channels=["a"]))), PUBLISH)
        client.send(publish(3, "news", b"1"))
        assert broker.asked == ["subscribe a"]
        await broker.let_go("subscribe a")
        (reply,) = client.received()
        assert reply.connect is not None
        assert broker.asked == ["publish other", "publish news"]

    with_slow_broker(test, client=TWO)


def test_unsubscribe_waits_for_a_running_subscribe_of_its_channel_and_holds_up_what_follows() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client, timers = server.connect(), server.clock.timers
        assert client.ask(subscribe(2, "news"), PUBLISH, unsubscribe(3, "news")) == []
        client.send(subscribe(4, "b"))
        assert broker.asked == ["subscribe news", "publish other"]
        await broker.let_go("publish other")
        assert client.received() == [PUBLISHED]
        assert broker.asked == ["subscribe news"]
        await broker.let_go("subscribe news")
        assert client.received() == [subscribed(2), left(3)]
        assert broker.asked == ["unsubscribe news", "subscribe b"]
        assert server.clock.timers == timers

    with_slow_broker(test, client={"concurrency": 8})


def test_unsubscribe_does_not_wait_for_a_subscribe_of_another_channel() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        assert client.ask(subscribe(2, "news"), unsubscribe(3, "other")) == [left(3)]

    with_slow_broker(test, client=TWO)


def test_an_unsubscribe_that_waits_for_too_long_disconnects() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(subscribe(2, "news"), unsubscribe(3, "news"))
        server.advance(UNSUBSCRIBE_WAIT - 1)
        assert client.closed_with is None
        server.advance(1)
        await settle()
        assert client.closed_with == errors.INTERNAL_SERVER_ERROR
        assert client.received() == []
        assert server.is_empty

    with_slow_broker(test, client=TWO)


def test_the_deadline_of_an_unsubscribe_goes_with_the_session() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client, timers = server.connect(), server.clock.timers
        client.send(subscribe(2, "news"), unsubscribe(3, "news"))
        assert server.clock.timers == timers + 1
        client.vanish()
        assert server.clock.timers == timers

    with_slow_broker(test, client=TWO)


def test_a_subscribe_that_fails_ends_the_session_and_not_the_unsubscribe_that_waits_for_it() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(subscribe(2, "news"), unsubscribe(3, "news"))
        await broker.let_go("subscribe news", ConnectionError("away"))
        assert client.closed_with == errors.INTERNAL_SERVER_ERROR
        assert client.received() == []

    with_slow_broker(test, client=TWO)


def test_a_channel_is_subscribed_to_once_whatever_runs() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        already = error(3, errors.ALREADY_SUBSCRIBED)
        assert client.ask(subscribe(2, "news"), subscribe(3, "news")) == [already]
        await broker.let_go("subscribe news")
        assert client.received() == [subscribed(2)]

    with_slow_broker(test, client=TWO)


@pytest.mark.parametrize("vanishes", [True, False])
def test_the_end_of_a_session_cancels_every_command(vanishes: bool) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(PUBLISH, publish(3, "b", b"1"), publish(4, "c", b"1"))
        client.send(publish(5, "d", b"1"))
        if vanishes:
            client.vanish()
        else:
            client.session.disconnect(errors.FORCE_DISCONNECT)
        await settle()
        assert not broker.asked
        assert not broker.done
        assert len(asyncio.all_tasks()) == 1

    with_slow_broker(test, client=TWO)


def test_a_command_that_ends_the_session_cancels_the_others() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(PUBLISH, subscribe(2, "a"))
        await broker.let_go("subscribe a", ConnectionError("away"))
        assert client.closed_with == errors.INTERNAL_SERVER_ERROR
        assert "publish other" not in [*broker.asked, *broker.done]

    with_slow_broker(test, client=TWO)


@pytest.mark.parametrize("end", [b"{", b'{"id":7}'])
def test_a_bad_command_ends_the_session_while_others_run(end: bytes) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.write(client.frame(PUBLISH) + b"\n" + end)
        await settle()
        assert client.closed_with == errors.BAD_REQUEST_DISCONNECT
        assert not broker.asked

    with_slow_broker(test, client=TWO)


class EndingSlowBroker(SlowBroker):
    """A client's connection ends in the call that then has to wait."""

    client: Far | None = None

    async def publish(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        if self.client is not None:
            self.client.session.disconnect(errors.FORCE_DISCONNECT)
        return await super().publish(channel, data, options)


@pytest.mark.parametrize("before", [[], [subscribe(2, "a")]])
def test_a_command_that_ends_its_session_and_then_waits_is_cancelled(before: list[Command]) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        assert isinstance(broker, EndingSlowBroker)
        broker.client = client = server.connect()
        client.send(*before, PUBLISH, subscribe(3, "b"))
        await settle()
        assert client.closed_with == errors.FORCE_DISCONNECT
        assert "publish other" not in broker.asked
        assert "subscribe b" not in broker.asked
        assert client.session.queue is None

    with_slow_broker(test, EndingSlowBroker, client=TWO)


# ------------------------------------------------------------------ the log


def test_a_refusal_is_logged_once_with_what_was_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[int, str, dict[str, object]]] = []
    monkeypatch.setattr(
        log, "event", lambda level, name, fields, exception=None: events.append((level, name, fields))
    )
    client = server.connect(user="42")
    events.clear()
    client.send(publish(2, "nowhere:" + "x" * 1000, b"1"), Command(id=3, rpc=RPCRequest(method="secret")))
    (level, name, channel), (_, _, rpc) = [event for event in events if event[0] == log.INFO]
    assert (level, name) == (log.INFO, "command refused")
    assert (channel["method"], channel["code"], channel["reason"]) == ("publish", 102, "unknown channel")
    assert channel["channel"] == "nowhere:" + "x" * 248
    assert (rpc["client"], rpc["method"], rpc["channel"], rpc["code"]) == (client.id, "rpc", "", 108)
    assert "secret" not in str(events)


def test_commands_are_traced_without_what_they_carry(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[dict[str, object]] = []
    monkeypatch.setattr(log, "enabled", lambda level: True)
    monkeypatch.setattr(log, "trace", lambda name, **fields: events.append(fields))
    client = server.subscriber("news")
    client.send(publish(3, "news", b'"secret"'))
    methods = [(event["method"], event["channel"]) for event in events]
    assert methods == [("connect", ""), ("subscribe", "news"), ("publish", "news")]
    assert "secret" not in str(events)
