"""refresh and sub_refresh: client protocol 3.11 and 3.12, server specification 5.4 and 5.5."""

import pytest

from centrifast import errors
from centrifast.errors import DisconnectCode, ErrorCode
from centrifast.protocol.wire import (
    Command,
    Encoding,
    RefreshRequest,
    RefreshResult,
    Reply,
    SubRefreshRequest,
    SubRefreshResult,
)
from tests.client.conftest import Serve
from tests.client.fakes import (
    NOW,
    Far,
    Server,
    config,
    done,
    error,
    subscribe,
    token,
    unsubscribe,
    unsubscribed,
)

BOTH = pytest.mark.parametrize("encoding", Encoding)
GRACE = {"expired_close_delay": 5.0, "expired_sub_close_delay": 5.0}


def refresh(id_: int, text: str) -> Command:
    return Command(id=id_, refresh=RefreshRequest(token=text))


def sub_refresh(id_: int, channel: str, text: str) -> Command:
    return Command(id=id_, sub_refresh=SubRefreshRequest(channel=channel, token=text))


def refreshed(id_: int, client: Far, ttl: int = 0) -> Reply:
    return Reply(id=id_, refresh=RefreshResult(client=client.id, expires=ttl > 0, ttl=ttl))


def sub_refreshed(id_: int, ttl: int = 0) -> Reply:
    return Reply(id=id_, sub_refresh=SubRefreshResult(expires=ttl > 0, ttl=ttl))


# ------------------------------------------------------------------ refresh


@BOTH
def test_a_token_extends_the_connection(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(GRACE))
    client = server.connect(encoding, sub="42", exp=NOW + 10)
    server.advance(12)
    assert client.ask(refresh(2, token(sub="42", exp=NOW + 30))) == [refreshed(2, client, ttl=18)]
    server.advance(20)
    assert client.closed_with is None
    server.advance(4)
    assert client.closed_with == errors.CONNECTION_EXPIRED


def test_an_earlier_expiration_counts_as_well(serve: Serve) -> None:
    server = serve(config(GRACE))
    client = server.connect(sub="42", exp=NOW + 100)
    client.ask(refresh(2, token(sub="42", exp=NOW + 10)))
    server.advance(16)
    assert client.closed_with == errors.CONNECTION_EXPIRED


@BOTH
def test_a_token_without_expiration_makes_the_connection_permanent(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(GRACE))
    client = server.connect(encoding, sub="42", exp=NOW + 10)
    assert client.ask(refresh(2, token(sub="42"))) == [refreshed(2, client)]
    server.advance(60)
    assert client.closed_with is None


def test_info_is_replaced_if_the_token_has_some(server: Server) -> None:
    client = server.connect(sub="42", info=1)
    client.ask(refresh(2, token(sub="42", info=2)))
    assert client.session.info().conn_info == b"2"
    client.ask(refresh(3, token(sub="42")))
    assert client.session.info().conn_info == b"2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", errors.BAD_REQUEST_DISCONNECT),
        ("x", errors.INVALID_TOKEN),
        (token(sub="42", channel="news"), errors.INVALID_TOKEN),
        (token(sub="43"), errors.INVALID_TOKEN),
        (token(), errors.INVALID_TOKEN),
        (token(sub="42", exp=NOW), errors.CONNECTION_EXPIRED),
        (token(sub="42", nbf=NOW + 1), errors.CONNECTION_EXPIRED),
        (token(sub="42", channels=["news"]), errors.INSUFFICIENT_STATE),
    ],
)
@BOTH
def test_refusals_that_disconnect(
    server: Server, text: str, expected: DisconnectCode, encoding: Encoding
) -> None:
    client = server.connect(encoding, sub="42")
    assert client.ask(refresh(2, text)) == []
    assert client.closed_with == expected


@BOTH
def test_an_expiration_in_the_past_is_answered(server: Server, encoding: Encoding) -> None:
    client = server.connect(encoding, sub="42")
    request = refresh(2, token(sub="42", exp=NOW + 1, expire_at=NOW))
    assert client.ask(request) == [error(2, errors.EXPIRED)]


def test_an_error_of_the_verifier_is_answered(server: Server) -> None:
    client = server.connect(sub="42")
    assert client.ask(refresh(2, token(sub="42", b64info="%"))) == [error(2, errors.INTERNAL)]


@pytest.mark.parametrize("channels", [[], ["a"], ["a", "b", "c"], ["a", "c"]])
def test_another_set_of_channels_makes_the_client_come_back(server: Server, channels: list[str]) -> None:
    client = server.connect(sub="42", channels=["a", "b"])
    client.ask(refresh(2, token(sub="42", channels=channels)))
    assert client.closed_with == errors.INSUFFICIENT_STATE


def test_only_channels_of_the_token_are_compared(server: Server) -> None:
    client = server.connect(sub="42", channels=["a"])
    client.ask(subscribe(2, "own"))
    done(server.node.subscribe("42", "api"))
    client.received()
    assert client.ask(refresh(3, token(sub="42", channels=["a"]))) == [refreshed(3, client)]


def test_insecure_mode_lets_no_refresh_expire_either(serve: Serve) -> None:
    server = serve(config(GRACE | {"insecure": True}))
    client = server.connect(sub="42", exp=NOW + 10)
    assert client.ask(refresh(2, token(sub="42", exp=NOW + 10))) == [refreshed(2, client)]
    server.advance(60)
    assert client.closed_with is None


# ------------------------------------------------------------------ sub_refresh


def subscriber(server: Server, encoding: Encoding = Encoding.JSON, **claims: object) -> Far:
    """User 42 with a subscription to ``news`` by token."""
    client = server.connect(encoding, sub="42")
    (reply,) = client.ask(subscribe(2, "news", token=token(channel="news", sub="42", **claims)))
    assert reply.subscribe is not None
    return client


@BOTH
def test_a_token_extends_the_subscription(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(GRACE))
    client = subscriber(server, encoding, exp=NOW + 10)
    server.advance(12)
    request = sub_refresh(3, "news", token(channel="news", sub="42", exp=NOW + 30))
    assert client.ask(request) == [sub_refreshed(3, ttl=18)]
    server.advance(20)
    assert client.received() == []
    server.advance(4)
    assert client.received() == [unsubscribed("news", errors.UNSUBSCRIBE_EXPIRED)]


def test_a_subscription_without_expiration_gets_one(serve: Serve) -> None:
    server = serve(config(GRACE))
    client = server.subscriber("news", sub="42")
    other = server.subscriber("news", sub="43")
    client.ask(sub_refresh(3, "news", token(channel="news", sub="42", exp=NOW + 10)))
    server.advance(16)
    assert client.received() == [unsubscribed("news", errors.UNSUBSCRIBE_EXPIRED)]
    assert other.received() == []


def test_a_token_without_expiration_makes_the_subscription_permanent(serve: Serve) -> None:
    server = serve(config(GRACE))
    client = subscriber(server, exp=NOW + 10)
    assert client.ask(sub_refresh(3, "news", token(channel="news", sub="42"))) == [sub_refreshed(3)]
    server.advance(60)
    assert client.received() == []


def test_info_is_replaced_or_removed(server: Server) -> None:
    client = subscriber(server, info=1)
    client.ask(sub_refresh(3, "news", token(channel="news", sub="42", info=2)))
    assert client.session.info("news").chan_info == b"2"
    client.ask(sub_refresh(4, "news", token(channel="news", sub="42")))
    assert client.session.info("news").chan_info == b""


def test_an_empty_channel_is_taken_from_the_token(server: Server) -> None:
    client = subscriber(server)
    request = sub_refresh(3, "", token(channel="news", sub="42", exp=NOW + 10))
    assert client.ask(request) == [sub_refreshed(3, ttl=10)]


@pytest.mark.parametrize(
    ("channel", "text", "expected"),
    [
        ("news", "", errors.BAD_REQUEST),
        ("other", token(channel="other", sub="42"), errors.PERMISSION_DENIED),
        ("other", "x", errors.PERMISSION_DENIED),
        ("other", "", errors.PERMISSION_DENIED),
        ("", token(channel="other", sub="42"), errors.PERMISSION_DENIED),
        ("news", token(channel="news", sub="42", exp=NOW), errors.TOKEN_EXPIRED),
        ("news", token(channel="news", sub="42", exp=NOW + 1, expire_at=NOW), errors.EXPIRED),
    ],
)
@BOTH
def test_refusals_that_are_answered(
    server: Server, channel: str, text: str, expected: ErrorCode, encoding: Encoding
) -> None:
    client = subscriber(server, encoding)
    assert client.ask(sub_refresh(3, channel, text)) == [error(3, expected)]
    assert client.closed_with is None


@pytest.mark.parametrize(
    "text",
    [
        "x",
        token(sub="42"),
        token(channel="other", sub="42"),
        token(channel="news", sub="43"),
        token(channel="news", sub="42", client="another"),
    ],
)
def test_a_token_that_is_none_or_for_something_else_disconnects(server: Server, text: str) -> None:
    client = subscriber(server)
    assert client.ask(sub_refresh(3, "news", text)) == []
    assert client.closed_with == errors.INVALID_TOKEN


@pytest.mark.parametrize("text", ["", "x", token(channel="news", sub="42")])
def test_a_server_side_subscription_is_not_refreshed_by_the_client(server: Server, text: str) -> None:
    client = server.connect(sub="42", channels=["news"])
    client.ask(sub_refresh(2, "news", text))
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT


def test_an_empty_channel_without_a_token_disconnects(server: Server) -> None:
    client = server.connect()
    client.ask(sub_refresh(2, "", ""))
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT


def test_a_subscription_that_was_left_is_not_refreshed(server: Server) -> None:
    client = subscriber(server)
    client.ask(unsubscribe(3, "news"))
    request = sub_refresh(4, "news", token(channel="news", sub="42"))
    assert client.ask(request) == [error(4, errors.PERMISSION_DENIED)]
