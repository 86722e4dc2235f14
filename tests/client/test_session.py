"""One session: its pings, its end, and what comes first when the engine takes its time (client protocol 3)."""

import pytest

from centrifast import errors
from centrifast._core import WRITE_FAILED
from centrifast.client.state import State
from centrifast.config.schema import ChannelOptions
from centrifast.protocol import wire
from centrifast.protocol.wire import (
    Command,
    ConnectRequest,
    Encoding,
    Push,
    Reply,
)
from tests.client.conftest import Serve
from tests.client.fakes import (
    NOW,
    Far,
    Server,
    SlowBroker,
    config,
    done,
    error,
    publication,
    publish,
    settle,
    subscribe,
    subscribed,
    token,
    unsubscribed,
    with_slow_broker,
)

BOTH = pytest.mark.parametrize("encoding", Encoding)
CONNECT = Command(id=1, connect=ConnectRequest())
PONG = Command()
PUBLISHED = Reply(id=9, publish=wire.PublishResult())


# ------------------------------------------------------------------ pings and pongs


@BOTH
def test_each_ping_takes_one_pong(serve: Serve, encoding: Encoding) -> None:
    client = (server := serve(config({"ping_interval": 4.0, "pong_timeout": 3.0}))).connect(encoding)
    server.advance(5)
    assert client.received() == [Reply()]
    assert client.ask(PONG, subscribe(2, "news")) == [subscribed(2)]
    assert client.ask(PONG) == []
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT


@BOTH
def test_other_commands_are_no_pong(serve: Serve, encoding: Encoding) -> None:
    client = (server := serve(config({"ping_interval": 4.0, "pong_timeout": 3.0}))).connect(encoding)
    server.advance(5)
    client.ask(subscribe(2, "news"))
    server.advance(3)
    assert client.closed_with == errors.NO_PONG
    assert server.is_empty


def test_a_pong_that_nobody_demands_is_accepted_after_a_ping(serve: Serve) -> None:
    client = (server := serve(config({"ping_interval": 4.0, "pong_timeout": -1.0}))).connect()
    server.advance(5)
    client.ask(PONG)
    assert client.closed_with is None


def test_pings_go_out_on_a_busy_connection(serve: Serve) -> None:
    server = serve(config({"ping_interval": 4.0, "pong_timeout": -1.0}))
    client = server.subscriber("news")
    pings = 0
    for _ in range(13):
        server.publish("news", b"1")
        server.advance(1)
        pings += client.received().count(Reply())
    assert pings == 3


# ------------------------------------------------------------------ the end


def test_without_connect_a_connection_is_stale(serve: Serve) -> None:
    server = serve(config({"stale_close_delay": 5.0}))
    silent, connected = server.open(), server.connect()
    server.advance(4)
    assert silent.closed_with is None
    server.advance(2)
    assert silent.closed_with == errors.STALE
    assert connected.closed_with is None


def test_a_client_that_does_not_read_is_slow_and_nothing_is_flushed(serve: Serve) -> None:
    server = serve(config({"queue_max_size": 1000}))
    client, other = server.subscriber("news"), server.subscriber("news")
    client.transport.sink.block()
    for _ in range(4):
        server.publish("news", b'"%s"' % (b"x" * 300))
        other.received()
    assert client.closed_with == errors.SLOW
    assert not client.transport.flushed
    assert other.closed_with is None


def test_a_client_that_takes_nothing_for_too_long_has_a_write_error(server: Server) -> None:
    client = server.connect()
    client.session.on_sink_failed(WRITE_FAILED)
    assert client.closed_with == errors.WRITE_ERROR
    assert not client.transport.flushed


def test_what_was_queued_before_a_disconnect_is_flushed(server: Server) -> None:
    client = server.subscriber("news")
    server.publish("news", b"1")
    client.session.disconnect(errors.FORCE_DISCONNECT)
    server.publish("news", b"2")
    assert client.received() == [publication("news", b"1")]
    assert client.transport.flushed


def test_the_first_reason_to_disconnect_counts(server: Server) -> None:
    client = server.connect()
    client.session.disconnect(errors.FORCE_DISCONNECT)
    client.session.disconnect(errors.SHUTDOWN)
    assert client.closed_with == errors.FORCE_DISCONNECT


def test_a_closed_session_takes_and_sends_nothing(server: Server) -> None:
    client = server.connect()
    client.session.disconnect(errors.FORCE_DISCONNECT)
    assert client.ask(subscribe(2, "news")) == []
    client.session.push(Push(message=wire.Message()))
    client.session.on_wake()
    client.session.on_closed()
    assert client.received() == []
    assert server.is_empty


def test_a_lost_connection_leaves_nothing_behind(server: Server) -> None:
    client = server.subscriber("news", sub="42")
    server.publish("news", b"1")
    client.vanish()
    assert server.is_empty
    assert client.closed_with is None


def test_a_result_that_json_can_not_carry_ends_the_connection(serve: Serve) -> None:
    server = serve(config({"ping_interval": 2.0, "pong_timeout": -1.0}))
    claims = {"subs": {"news": {"b64data": "/w=="}}}
    json, protobuf = server.open(), server.connect(Encoding.PROTOBUF, **claims)
    connect = Command(id=1, connect=ConnectRequest(token=token(**claims)))
    assert json.ask(connect, subscribe(2, "other")) == []
    assert json.closed_with == errors.INAPPROPRIATE_PROTOCOL
    assert protobuf.closed_with is None
    server.advance(3)
    assert json.received() == []  # no ping either


def test_an_expired_server_side_subscription_ends_the_connection(serve: Serve) -> None:
    server = serve(config({"expired_sub_close_delay": 2.0}))
    client = server.connect(sub="42")
    done(server.node.subscribe("42", "news", expire_at=NOW + 5))
    server.advance(6)
    assert client.closed_with is None
    server.advance(2)
    assert client.closed_with == errors.SUBSCRIPTION_EXPIRED


def test_an_early_wake_up_ends_nothing(server: Server) -> None:
    client = server.connect(sub="42", exp=NOW + 5)
    client.ask(subscribe(2, "news", token=token(channel="news", sub="42", exp=NOW + 5)))
    client.session.on_wake()
    assert client.received() == []
    assert client.closed_with is None


# ------------------------------------------------------------------ while a command waits


@BOTH
def test_no_publication_comes_before_the_reply_to_subscribe(encoding: Encoding) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(encoding)
        client.send(subscribe(2, "news"))
        broker.deliver("news", b"1")
        assert client.received() == []
        await broker.let_go("subscribe news")
        broker.deliver("news", b"2")
        assert client.received() == [subscribed(2), publication("news", b"2")]

    with_slow_broker(test)


@BOTH
def test_nothing_comes_before_the_reply_to_connect(encoding: Encoding) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.open(encoding)
        claims = {"sub": "42", "channels": ["a", "b"]}
        client.send(Command(id=1, connect=ConnectRequest(token=token(**claims))), subscribe(2, "a"))
        await broker.let_go("subscribe a")
        broker.deliver("a", b"1")
        await server.node.unsubscribe("42", "a")
        assert client.received() == []
        assert client.session.state is State.CONNECTING
        await broker.let_go("subscribe b")
        broker.deliver("a", b"2")
        first, *others = client.received()
        assert first.connect is not None
        assert set(first.connect.subs or ()) == {"a", "b"}
        assert others == [error(2, errors.ALREADY_SUBSCRIBED), publication("a", b"2")]

    with_slow_broker(test)


def test_a_client_that_vanishes_while_it_connects_leaves_nothing_behind() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.open()
        client.send(Command(id=1, connect=ConnectRequest(token=token(channels=["a", "b"]))))
        await broker.let_go("subscribe a")
        client.vanish()
        assert server.is_empty
        await broker.let_go("subscribe b")
        await broker.let_go("unsubscribe a")
        await broker.let_go("unsubscribe b")

    with_slow_broker(test)


def test_a_connect_that_the_engine_lets_wait_for_too_long_may_be_tried_again() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.open()
        client.send(Command(id=1, connect=ConnectRequest(token=token(channels=["a"]))))
        server.advance(11)
        await settle()
        assert client.closed_with == errors.INTERNAL_SERVER_ERROR
        assert client.received() == []

    with_slow_broker(test)


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError()])
def test_when_the_engine_is_away_subscribe_disconnects_and_leaves_nothing_behind(failure: Exception) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(subscribe(2, "news"), subscribe(3, "other"))
        client.send(subscribe(4, "third"))
        await broker.let_go("subscribe news", failure)
        assert client.received() == []
        assert client.closed_with == errors.INTERNAL_SERVER_ERROR
        assert server.is_empty
        assert broker.asked == ["unsubscribe news"]  # it may have taken effect

    with_slow_broker(test)


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError()])
def test_when_the_engine_is_away_connect_with_channels_disconnects(failure: Exception) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.open()
        connect = Command(id=1, connect=ConnectRequest(token=token(channels=["a", "b"])))
        client.send(connect, subscribe(2, "news"))
        await broker.let_go("subscribe a")
        await broker.let_go("subscribe b", failure)
        assert client.received() == []
        assert client.closed_with == errors.INTERNAL_SERVER_ERROR
        assert server.is_empty

    with_slow_broker(test)


def test_a_second_subscriber_is_answered_only_when_publications_arrive() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second = server.connect(), server.connect()
        first.send(subscribe(2, "news"))
        second.send(subscribe(2, "news"))
        assert broker.asked == ["subscribe news"]
        assert (first.received(), second.received()) == ([], [])
        await broker.let_go("subscribe news")
        assert (first.received(), second.received()) == ([subscribed(2)], [subscribed(2)])
        assert server.connect().ask(subscribe(2, "news")) == [subscribed(2)]

    with_slow_broker(test)


def test_one_of_two_who_wait_vanishes_and_the_other_is_served() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second = server.connect(), server.connect()
        first.send(subscribe(2, "news"))
        second.send(subscribe(2, "news"))
        first.vanish()
        await broker.let_go("subscribe news")
        broker.deliver("news", b"1")
        assert second.received() == [subscribed(2), publication("news", b"1")]

    with_slow_broker(test)


def test_a_subscription_taken_away_while_it_waits_is_refused() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(sub="42")
        client.send(subscribe(2, "news"))
        await server.node.unsubscribe("42", "news")
        await broker.let_go("subscribe news")
        await broker.let_go("unsubscribe news")
        assert client.received() == [
            unsubscribed("news", errors.SERVER_UNSUBSCRIBE),
            error(2, errors.PERMISSION_DENIED),
        ]

    with_slow_broker(test)


def test_the_limit_of_a_users_connections_holds_for_those_who_connect_at_once() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        connect = Command(id=1, connect=ConnectRequest(token=token(sub="42", channels=["a"])))
        clients: list[Far] = [server.open() for _ in range(3)]
        for client in clients:
            client.send(connect)
        await broker.let_go("subscribe a")
        assert [client.closed_with for client in clients] == [None, None, errors.CONNECTION_LIMIT]
        assert server.hub.count_of("42") == 2

    with_slow_broker(test, client={"user_connection_limit": 2})


def test_a_publication_refused_to_somebody_leaves_the_publisher_alone() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        json = server.connect()
        json.send(subscribe(2, "news"))
        await broker.let_go("subscribe news")
        publisher = server.connect(Encoding.PROTOBUF)
        publisher.send(publish(9, "news", b"\xff"))
        await broker.let_go("publish news")
        assert json.closed_with == errors.INAPPROPRIATE_PROTOCOL
        assert publisher.received() == [PUBLISHED]

    binary = ChannelOptions(
        allow_subscribe_for_client=True,
        allow_subscribe_for_anonymous=True,
        allow_publish_for_client=True,
        allow_publish_for_anonymous=True,
        publication_data_format="binary",
    )
    with_slow_broker(test, options=binary)
