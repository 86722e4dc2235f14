"""unsubscribe: client protocol 3.5."""

import pytest

from centrifast import errors
from centrifast.protocol.wire import Encoding, Reply, UnsubscribeResult
from tests.client.fakes import Server, publication, subscribe, subscribed, unsubscribe

BOTH = pytest.mark.parametrize("encoding", Encoding)


def unsubscribed(id_: int) -> Reply:
    return Reply(id=id_, unsubscribe=UnsubscribeResult())


@BOTH
def test_publications_stop_and_those_from_before_still_arrive(server: Server, encoding: Encoding) -> None:
    client = server.subscriber("news", encoding)
    server.publish("news", b"1")
    client.send(unsubscribe(3, "news"))
    server.publish("news", b"2")
    assert client.received() == [publication("news", b"1"), unsubscribed(3)]
    assert not server.hub.channels


@pytest.mark.parametrize("channel", ["news", "nowhere:1", "x" * 300, "é"])
def test_it_succeeds_whatever_is_named(server: Server, channel: str) -> None:
    assert server.connect().ask(unsubscribe(2, channel)) == [unsubscribed(2)]


def test_a_server_side_subscription_can_be_left(server: Server) -> None:
    client = server.connect(channels=["news"])
    assert client.ask(unsubscribe(2, "news")) == [unsubscribed(2)]
    server.publish("news", b"1")
    assert client.received() == []


def test_others_keep_theirs(server: Server) -> None:
    client, other = server.subscriber("news"), server.subscriber("news")
    client.ask(unsubscribe(3, "news"))
    server.publish("news", b"1")
    assert other.received() == [publication("news", b"1")]


def test_a_channel_can_be_subscribed_again(server: Server) -> None:
    client = server.subscriber("news")
    assert client.ask(unsubscribe(3, "news"), subscribe(4, "news")) == [unsubscribed(3), subscribed(4)]


@BOTH
def test_an_empty_channel_disconnects(server: Server, encoding: Encoding) -> None:
    client = server.connect(encoding)
    assert client.ask(unsubscribe(2, "")) == []
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT
