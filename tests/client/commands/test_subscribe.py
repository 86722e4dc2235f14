"""subscribe: the table of client protocol 3.4, row by row and in its order, and subscription tokens."""

from dataclasses import replace

import pytest
from msgspec import Raw

from centrifast import errors
from centrifast.config.schema import ChannelOptions, Namespace
from centrifast.errors import ErrorCode
from centrifast.protocol.wire import Encoding, FilterNode, Info, SubscribeRequest
from tests.client.conftest import Serve
from tests.client.fakes import (
    NOW,
    OPEN,
    Server,
    config,
    error,
    publication,
    publish,
    subscribe,
    subscribed,
    token,
    unsubscribe,
    unsubscribed,
)

BOTH = pytest.mark.parametrize("encoding", Encoding)
CLOSED = ChannelOptions(allow_user_limited_channels=True)
NUMBERED = Namespace(name="numbered", allow_subscribe_for_client=True, channel_regex="^[0-9]+$")
MAPS = Namespace(name="maps", allow_subscribe_for_client=True, subscription_type="map")
PROXIED = Namespace(name="proxied", allow_subscribe_for_client=True, subscribe_proxy_enabled=True)
STREAMED = Namespace(name="streamed", allow_subscribe_for_client=True, subscribe_stream_proxy_enabled=True)


# ------------------------------------------------------------------ the table


@BOTH
def test_a_subscriber_gets_what_is_published_from_then_on(server: Server, encoding: Encoding) -> None:
    client = server.connect(encoding)
    server.publish("news", b'{"n":1}')
    assert client.ask(subscribe(2, "news")) == [subscribed(2)]
    server.publish("news", b'{"n":2}')
    server.publish("other", b'{"n":3}')
    assert client.received() == [publication("news", b'{"n":2}')]


@pytest.mark.parametrize(
    "request_",
    [
        SubscribeRequest(),
        SubscribeRequest(channel="news", delta="xdelta"),
        SubscribeRequest(channel="x" * 300, delta="xdelta"),
    ],
)
@BOTH
def test_rows_1_and_3_disconnect(server: Server, request_: SubscribeRequest, encoding: Encoding) -> None:
    client = server.connect(encoding)
    assert client.ask(subscribe(2, request_.channel, delta=request_.delta)) == []
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT


@pytest.mark.parametrize(
    ("channel", "fields", "expected"),
    [
        pytest.param("news", {"type": 4}, errors.NOT_AVAILABLE, id="row 2"),
        pytest.param("nowhere:1", {"type": 4, "delta": "x"}, errors.NOT_AVAILABLE, id="row 2 before 3 and 7"),
        pytest.param("x" * 256, {}, errors.BAD_REQUEST, id="row 4"),
        pytest.param("é" * 128, {}, errors.BAD_REQUEST, id="row 4 counts bytes"),
        pytest.param("nowhere:" + "x" * 256, {}, errors.BAD_REQUEST, id="row 4 before 7"),
        pytest.param("nowhere:1", {}, errors.UNKNOWN_CHANNEL, id="row 7"),
        pytest.param("nowhere:é", {"token": "x"}, errors.UNKNOWN_CHANNEL, id="row 7 before 8 and 11"),
        pytest.param("é", {}, errors.BAD_REQUEST, id="row 8 ASCII"),
        pytest.param("numbered:x", {}, errors.BAD_REQUEST, id="row 8 pattern"),
        pytest.param("numbered:x", {"token": "x"}, errors.BAD_REQUEST, id="row 8 before 11"),
        pytest.param("maps:1", {}, errors.PERMISSION_DENIED, id="row 9"),
        pytest.param("news", {"type": 1}, errors.PERMISSION_DENIED, id="row 9 in the request"),
        pytest.param("$news", {}, errors.PERMISSION_DENIED, id="row 10"),
        pytest.param("news", {"token": "x"}, errors.PERMISSION_DENIED, id="row 11 invalid"),
        pytest.param(
            "news", {"token": token(channel="news", exp=NOW)}, errors.TOKEN_EXPIRED, id="row 11 expired"
        ),
        pytest.param("news", {"token": token(sub="42")}, errors.PERMISSION_DENIED, id="row 11 no channel"),
        pytest.param("proxied:1", {}, errors.NOT_AVAILABLE, id="row 14"),
        pytest.param("streamed:1", {}, errors.NOT_AVAILABLE, id="row 14 stream"),
        pytest.param(
            "news", {"token": token(channel="news", sub="42", expire_at=NOW)}, errors.EXPIRED, id="row 15"
        ),
        pytest.param("news", {"tf": FilterNode(op="", key="a")}, errors.BAD_REQUEST, id="row 16"),
        pytest.param(
            "news",
            {"token": token(channel="news", sub="42"), "tf": FilterNode(op="", key="a")},
            errors.BAD_REQUEST,
            id="row 16 after the token",
        ),
    ],
)
@BOTH
def test_rows_that_are_answered(
    serve: Serve, channel: str, fields: dict[str, object], expected: ErrorCode, encoding: Encoding
) -> None:
    server = serve(config(options=OPEN, namespaces=(NUMBERED, MAPS, PROXIED, STREAMED)))
    client = server.connect(encoding, sub="42")
    assert client.ask(subscribe(2, channel, **fields)) == [error(2, expected)]
    assert client.closed_with is None
    assert not server.hub.channels
    assert client.ask(subscribe(3, "fine")) == [subscribed(3)]


@pytest.mark.parametrize("channels", [[], ["news"]])
def test_row_5_a_channel_held_by_either_side_is_not_subscribed_twice(
    server: Server, channels: list[str]
) -> None:
    client = server.connect(channels=channels)
    if not channels:
        client.ask(subscribe(2, "news"))
    assert client.ask(subscribe(3, "news", token="x")) == [error(3, errors.ALREADY_SUBSCRIBED)]
    server.publish("news", b"1")
    assert client.received() == [publication("news", b"1")]


def test_row_6_the_channel_limit_counts_both_sides(serve: Serve) -> None:
    server = serve(config({"channel_limit": 2}))
    client = server.connect(channels=["a"])
    replies = client.ask(subscribe(2, "b"), subscribe(3, "nowhere:1"), subscribe(4, "b"))
    assert replies == [subscribed(2), error(3, errors.LIMIT_EXCEEDED), error(4, errors.ALREADY_SUBSCRIBED)]
    client.ask(unsubscribe(5, "a"))
    assert client.ask(subscribe(6, "c")) == [subscribed(6)]


def test_row_10_holds_in_insecure_mode_as_well(serve: Serve) -> None:
    server = serve(config({"insecure": True}, options=CLOSED))
    client = server.connect()
    replies = client.ask(subscribe(2, "$news"), subscribe(3, "dialog#7"))
    assert replies == [error(2, errors.PERMISSION_DENIED), subscribed(3)]


@pytest.mark.parametrize(
    "claims",
    [
        {"channel": "other", "sub": "42"},
        {"channel": "news", "sub": "43"},
        {"channel": "news"},
        {"channel": "news", "sub": "42", "client": "another"},
    ],
)
def test_row_12_a_token_for_somebody_or_something_else_disconnects(
    server: Server, claims: dict[str, object]
) -> None:
    client = server.connect(sub="42")
    assert client.ask(subscribe(2, "news", token=token(**claims))) == []
    assert client.closed_with == errors.INVALID_TOKEN


@pytest.mark.parametrize(
    ("channel", "user", "allowed"),
    [("news", "42", False), ("dialog#42,7", "7", True), ("dialog#42,7", "8", False), ("dialog#", "", False)],
)
def test_row_13_without_token_a_rule_must_match(serve: Serve, channel: str, user: str, allowed: bool) -> None:
    server = serve(config(options=CLOSED))
    client = server.connect(sub=user)
    expected = subscribed(2) if allowed else error(2, errors.PERMISSION_DENIED)
    assert client.ask(subscribe(2, channel)) == [expected]


# ------------------------------------------------------------------ tokens


@BOTH
def test_a_token_opens_what_is_closed_and_sets_info_data_and_expiration(
    serve: Serve, encoding: Encoding
) -> None:
    server = serve(config(options=ChannelOptions(allow_publish_for_subscriber=True)))
    client = server.connect(encoding, sub="42")
    claims = {"info": {"role": "op"}, "data": {"hello": 1}, "exp": NOW + 60, "client": client.id}
    request = subscribe(2, "$news", token=token(channel="$news", sub="42", **claims))
    assert client.ask(request) == [subscribed(2, expires=True, ttl=60, data=Raw(b'{"hello":1}'))]
    pushes = client.ask(publish(3, "$news", b"1"))
    assert [reply.push.pub.info for reply in pushes if reply.push and reply.push.pub] == [
        Info(user="42", client=client.id, chan_info=Raw(b'{"role":"op"}'))
    ]


@pytest.mark.parametrize(
    ("claims", "ttl"),
    [
        ({}, 0),
        ({"exp": NOW + 9, "expire_at": 0}, 0),
        ({"exp": NOW + 9, "expire_at": NOW + 1.5}, 1),
        ({"expire_at": NOW + 10 * 365 * 24 * 3600}, 365 * 24 * 3600),
    ],
)
def test_the_time_to_the_sub_refresh_is_told(server: Server, claims: dict[str, object], ttl: int) -> None:
    client = server.connect()
    request = subscribe(2, "news", token=token(channel="news", **claims))
    assert client.ask(request) == [subscribed(2, expires=ttl > 0, ttl=ttl)]


def test_an_expired_subscription_ends_after_its_grace_and_the_connection_lives(serve: Serve) -> None:
    server = serve(config({"expired_sub_close_delay": 5.0}))
    client = server.connect(sub="42")
    client.ask(subscribe(2, "news", token=token(channel="news", sub="42", exp=NOW + 10)))
    client.ask(subscribe(3, "later", token=token(channel="later", sub="42", exp=NOW + 20)))
    client.ask(subscribe(4, "forever"))
    server.advance(14)
    server.publish("news", b"1")
    assert client.received() == [publication("news", b"1")]
    server.advance(1)
    server.publish("news", b"2")
    assert client.received() == [unsubscribed("news", errors.UNSUBSCRIBE_EXPIRED)]
    server.advance(10)
    assert client.received() == [unsubscribed("later", errors.UNSUBSCRIBE_EXPIRED)]
    assert client.closed_with is None
    assert set(client.session.subscriptions) == {"forever"}


def test_the_earliest_expiration_decides_when_to_look(serve: Serve) -> None:
    server = serve(config({"expired_sub_close_delay": 0.0, "expired_close_delay": 0.0}))
    client = server.connect(sub="42", exp=NOW + 20)
    client.ask(subscribe(2, "news", token=token(channel="news", sub="42", exp=NOW + 10)))
    server.advance(11)
    assert client.received() == [unsubscribed("news", errors.UNSUBSCRIBE_EXPIRED)]
    server.advance(10)
    assert client.closed_with == errors.CONNECTION_EXPIRED


# ------------------------------------------------------------------ what is asked for and not there


@BOTH
def test_wishes_for_features_that_are_missing_are_ignored(server: Server, encoding: Encoding) -> None:
    client = server.connect(encoding)
    wishes = {
        "recover": True,
        "offset": 7,
        "epoch": "abc",
        "positioned": True,
        "recoverable": True,
        "flag": 1,
    }
    replies = client.ask(subscribe(2, "news", join_leave=True, delta="fossil", **wishes))
    assert replies == [subscribed(2, was_recovering=True)]


# ------------------------------------------------------------------ filters


@pytest.mark.parametrize(
    "request_",
    [
        {"tf": FilterNode(op="", key="a")},
        {"tf": FilterNode(op="xor")},
        {"tf": FilterNode(key="a", cmp="ex"), "delta": "fossil"},
    ],
)
@BOTH
def test_row_16_a_filter_that_is_none_or_that_meets_deltas_is_refused(
    serve: Serve, request_: dict[str, object], encoding: Encoding
) -> None:
    server = serve(config(options=replace(OPEN, allow_tags_filter=True, allowed_delta_types=("fossil",))))
    client = server.connect(encoding)
    assert client.ask(subscribe(2, "news", **request_)) == [error(2, errors.BAD_REQUEST)]
    assert not client.session.subscriptions
    assert client.ask(subscribe(3, "news", tf=FilterNode(key="a", cmp="ex"))) == [subscribed(3)]
