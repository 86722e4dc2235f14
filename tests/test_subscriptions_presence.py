"""Presence of subscriptions, and who is told of their coming and going (client protocol 8)."""

from dataclasses import replace

import pytest
from msgspec import Raw

from centrifast import errors
from centrifast.engine.presence import MemoryPresence
from centrifast.model import ClientInfo
from centrifast.protocol import wire
from centrifast.protocol.wire import Encoding, Info, Push, Reply
from tests.client import conftest
from tests.client.conftest import Serve
from tests.client.fakes import (
    Server,
    SlowBroker,
    config,
    done,
    error,
    settle,
    subscribe,
    subscribed,
    token,
    unsubscribe,
    unsubscribed,
    with_slow_broker,
)
from tests.client.streams import (
    FORCED,
    SEEN,
    SlowPresence,
    enter,
    joined,
    left,
    let_all_go,
    recover,
)
from tests.fakes import FakeClock

BOTH = pytest.mark.parametrize("encoding", Encoding)

serve = conftest.serve

AWAY = ConnectionError("away")


# ------------------------------------------------------------------ presence


@BOTH
def test_who_subscribes_is_present_before_the_reply_and_gone_with_the_subscription(
    serve: Serve, encoding: Encoding
) -> None:
    server = serve(config(options=SEEN))
    client, other = server.connect(encoding, sub="42", info=1), server.connect(encoding)
    presence = wire.Command(id=3, presence=wire.PresenceRequest(channel="news"))
    replies = client.ask(subscribe(2, "news"), presence)
    info = Info(user="42", client=client.id, conn_info=Raw(b"1"))
    assert replies == [subscribed(2), Reply(id=3, presence=wire.PresenceResult({client.id: info}))]
    other.ask(subscribe(2, "news"))
    assert set(done(server.node.presence("news"))) == {client.id, other.id}
    client.ask(unsubscribe(4, "news"))
    assert set(done(server.node.presence("news"))) == {other.id}
    other.vanish()
    assert done(server.node.presence("news")) == {}


def test_who_vanishes_while_it_enters_does_not_stay_present() -> None:
    presence = SlowPresence()

    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(subscribe(2, "news"))
        await broker.let_go("subscribe news")
        client.vanish()
        await settle()
        assert presence.asked == ["remove"]
        await presence.let_go("remove")
        assert done(presence.presence("news")) == {}

    with_slow_broker(test, presence=presence, options=SEEN)


def test_who_is_unsubscribed_while_it_enters_does_not_stay_present() -> None:
    presence = SlowPresence()

    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(sub="42")
        client.send(subscribe(2, "news"))
        await broker.let_go("subscribe news")
        await server.node.unsubscribe("42", "news")
        while presence.asked:  # the removal may overtake the entry
            await presence.let_go(presence.asked[-1])
        await let_all_go(broker)
        assert client.received() == [
            unsubscribed("news", errors.SERVER_UNSUBSCRIBE),
            error(2, errors.PERMISSION_DENIED),
        ]
        assert done(presence.presence("news")) == {}

    with_slow_broker(test, presence=presence, options=SEEN)


@pytest.mark.parametrize("vanishes", [False, True])
def test_a_refresh_of_presence_that_is_overtaken_leaves_nobody_behind(vanishes: bool) -> None:
    presence = SlowPresence()

    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(subscribe(2, "news"))
        await broker.let_go("subscribe news")
        await presence.let_go("add")
        server.advance(27)
        assert presence.asked == ["add"]
        if vanishes:
            client.session.on_closed()
        else:
            client.send(unsubscribe(3, "news"))
        while presence.asked:  # the removal overtakes the refresh
            await presence.let_go(presence.asked[-1])
        assert done(presence.presence("news")) == {}

    with_slow_broker(test, presence=presence, options=replace(SEEN, join_leave=False))


@pytest.mark.parametrize("first", ["add", "remove"])
def test_who_comes_back_while_presence_is_removed_is_shown(first: str) -> None:
    presence = SlowPresence()

    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(subscribe(2, "news"))
        await broker.let_go("subscribe news")
        await presence.let_go("add")
        client.send(unsubscribe(3, "news"), subscribe(4, "news"))
        await let_all_go(broker)
        assert presence.asked == ["remove", "add"]
        await presence.let_go(first)
        while presence.asked:
            await presence.let_go(presence.asked[0])
        assert set(done(presence.presence("news"))) == {client.id}

    with_slow_broker(test, presence=presence, options=replace(SEEN, join_leave=False))


def test_an_engine_without_presence_at_the_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    presence = SlowPresence()

    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(subscribe(2, "news"))
        await broker.let_go("subscribe news")
        await presence.let_go("add")
        client.ask(unsubscribe(3, "news"))
        await presence.let_go("remove", AWAY)
        assert "presence removal failed" in caplog.text

    with_slow_broker(test, presence=presence, options=replace(SEEN, join_leave=False))


def test_presence_is_refreshed_as_long_as_the_client_is_there(serve: Serve) -> None:
    server = serve(config({"presence_update_interval": 10.0}, options=SEEN))
    client = server.subscriber("news")
    server.advance(200)
    assert set(done(server.node.presence("news"))) == {client.id}


def test_who_is_not_refreshed_is_not_counted_any_more(serve: Serve) -> None:
    server = serve(config(options=SEEN))
    server.subscriber("news")
    server.clock.advance(59)
    assert len(done(server.node.presence("news"))) == 1
    server.clock.advance(1)
    assert done(server.node.presence("news")) == {}


def test_a_refresh_shows_the_info_of_the_last_token(serve: Serve) -> None:
    server = serve(config({"presence_update_interval": 10.0}, options=SEEN))
    client = server.subscriber("news", sub="42", info=1)
    server.connect(sub="43")
    done(server.node.refresh("42", expire_at=int(server.clock.unix()) + 3600, info=b"2"))
    client.received()
    server.advance(7)
    assert done(server.node.presence("news"))[client.id].conn_info == b"1"
    server.advance(2)
    assert done(server.node.presence("news"))[client.id].conn_info == b"2"


@BOTH
def test_a_refresh_shows_what_the_client_sent_meanwhile(serve: Serve, encoding: Encoding) -> None:
    server = serve(config({"presence_update_interval": 10.0}, options=SEEN))
    client = server.connect(encoding, sub="42", info=1)
    client.ask(subscribe(2, "news", token=token(sub="42", channel="news", info=1)))
    both = wire.SubRefreshRequest(channel="news", token=token(sub="42", channel="news", info=2))
    client.ask(wire.Command(id=3, refresh=wire.RefreshRequest(token=token(sub="42", info=2))))
    client.ask(wire.Command(id=4, sub_refresh=both))
    seen = done(server.node.presence("news"))[client.id]
    assert (seen.conn_info, seen.chan_info) == (b"1", b"1")
    server.advance(9)
    seen = done(server.node.presence("news"))[client.id]
    assert (seen.conn_info, seen.chan_info) == (b"2", b"2")


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_the_first_refresh_comes_in_the_second_half_of_the_interval(serve: Serve, chance: float) -> None:
    server = serve(config({"presence_update_interval": 20.0}, options=SEEN))
    server.clock.chance = chance
    client = server.subscriber("news", sub="42")
    client.session.conn_info = b"2"
    seen = []
    for _ in range(3):
        seen.append(done(server.node.presence("news"))[client.id].conn_info == b"2")
        server.advance(11)
    assert seen == [False, not chance, True]


def test_only_what_has_started_is_refreshed() -> None:
    presence = SlowPresence()

    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(subscribe(2, "a"))
        await broker.let_go("subscribe a")
        await presence.let_go("add")
        client.send(subscribe(3, "b"))
        await settle()
        server.node.subscriptions.refresh_presence(client.session)
        await settle()
        assert presence.asked == ["add"]
        await presence.let_go("add", AWAY)
        assert set(done(presence.presence("a"))) == {client.id}

    with_slow_broker(test, presence=presence, options=replace(SEEN, join_leave=False))


# ------------------------------------------------------------------ join and leave


@BOTH
def test_a_subscriber_sees_its_own_join_after_the_reply_and_not_its_own_leave(
    serve: Serve, encoding: Encoding
) -> None:
    server = serve(config(options=FORCED))
    client, other = server.connect(encoding, sub="42"), server.connect(encoding, sub="42")
    assert client.ask(subscribe(2, "news")) == [subscribed(2), joined(client)]
    assert other.ask(subscribe(2, "news")) == [subscribed(2), joined(other)]
    assert client.received() == [joined(other)]
    client.ask(unsubscribe(3, "news"))
    assert client.received() == []
    assert other.received() == [left(client)]


@pytest.mark.parametrize("way", ["vanish", "disconnect", "api"])
@BOTH
def test_others_see_who_leaves_in_any_way(serve: Serve, way: str, encoding: Encoding) -> None:
    server = serve(config(options=FORCED))
    client, other = server.connect(encoding, sub="42"), server.connect(encoding, sub="43")
    other.ask(subscribe(2, "news"))
    client.ask(subscribe(2, "news"))
    other.received()
    if way == "vanish":
        client.vanish()
    elif way == "disconnect":
        client.session.disconnect(errors.FORCE_RECONNECT)
    else:
        done(server.node.unsubscribe("42", "news"))
    assert other.received() == [left(client)]


def test_before_the_end_of_all_nobody_here_is_told_who_goes(serve: Serve) -> None:
    server = serve(config(options=FORCED))
    clients = [server.connect(sub="42") for _ in range(3)]
    for client in clients:
        client.ask(subscribe(2, "news"))
    for client in clients:
        client.received()
    server.node.subscriptions.expect_end()
    for client in clients:
        client.session.disconnect(errors.SHUTDOWN)
        server.publish("news", b"1")
    told = [[reply.push.leave for reply in client.received() if reply.push] for client in clients]
    assert told == [[], [None], [None, None]], "publications go on, leaves do not"


def test_others_see_the_info_of_the_subscription(serve: Serve) -> None:
    server = serve(config(options=FORCED))
    client, other = server.connect(sub="42"), server.connect(sub="43")
    other.ask(subscribe(2, "news"))
    other.received()
    done(server.node.subscribe("42", "news", info=b'"op"'))
    client.session.disconnect(errors.FORCE_RECONNECT)
    info = Info(user="42", client=client.id, chan_info=Raw(b'"op"'))
    assert other.received() == [
        Reply(push=Push(channel="news", join=wire.Join(info))),
        Reply(push=Push(channel="news", leave=wire.Leave(info))),
    ]


def test_who_never_came_does_not_leave() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        other, client = server.connect(), server.connect()
        await enter(other, broker)
        client.send(recover(2, 0))
        await settle()
        client.vanish()
        await let_all_go(broker)
        assert broker.done.count("join news") == 1
        assert "leave news" not in broker.done

    with_slow_broker(test, options=replace(FORCED, history_size=5, history_ttl=60.0, force_recovery=True))


@BOTH
def test_those_who_may_see_presence_may_ask_for_joins(serve: Serve, encoding: Encoding) -> None:
    closed = replace(SEEN, allow_presence_for_client=False, allow_presence_for_subscriber=False)
    for options, sees in ((SEEN, True), (closed, False), (replace(SEEN, join_leave=False), False)):
        server = serve(config(options=options))
        client = server.connect(encoding, sub="42")
        expected = [subscribed(2), joined(client)] if sees else [subscribed(2)]
        assert client.ask(subscribe(2, "news", join_leave=True)) == expected
        silent = server.connect(encoding, sub="42")
        assert silent.ask(subscribe(2, "news")) == [subscribed(2)]
        assert client.received() == ([joined(silent)] if sees else [])


def test_an_engine_that_is_away_costs_only_the_join(caplog: pytest.LogCaptureFixture) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(subscribe(2, "news"))
        await broker.let_go("subscribe news")
        await broker.let_go("join news", AWAY)
        assert client.received() == [subscribed(2)]
        client.vanish()
        await broker.let_go("leave news", AWAY)
        assert "join failed" in caplog.text
        assert "leave failed" in caplog.text

    with_slow_broker(test, options=FORCED)


def test_an_info_that_is_no_json_ends_those_who_would_be_shown_it(serve: Serve) -> None:
    server = serve(config(options=FORCED))
    text, binary = server.connect(), server.connect(Encoding.PROTOBUF)
    for client in (text, binary):
        client.ask(subscribe(2, "news"))
        client.received()
    text.received()
    done(server.broker.publish_leave("news", ClientInfo("42", "c", b"\xff")))
    assert text.closed_with == errors.INAPPROPRIATE_PROTOCOL
    assert binary.closed_with is None


def test_a_bug_in_the_engine_does_not_keep_a_client_that_leaves(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(config(options=SEEN), presence=BrokenPresence(FakeClock()))
    client = server.connect()
    client.ask(subscribe(2, "a"), subscribe(3, "b"))
    client.vanish()
    assert server.is_empty
    assert "presence removal failed" in caplog.text
    done(server.node.close())


class BrokenPresence(MemoryPresence):
    """Has a bug."""

    async def remove(self, channel: str, client: str, user: str) -> None:
        raise ZeroDivisionError


def test_pushes_for_a_channel_without_subscribers_are_dropped(serve: Serve) -> None:
    server = serve(config(options=FORCED))
    subscriptions = server.node.subscriptions
    subscriptions.on_join("news", ClientInfo("42", "c"))
    subscriptions.on_leave("news", ClientInfo("42", "c"))
    assert server.is_empty
