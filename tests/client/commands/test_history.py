"""history: client protocol 3.8, server specification 4.4."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import Raw

from centrifast import errors
from centrifast.client.commands.history import capped
from centrifast.config.schema import ChannelOptions, Namespace
from centrifast.errors import ErrorCode
from centrifast.protocol.wire import Command, Encoding, HistoryRequest, HistoryResult, Info, Pub, Reply
from centrifast.protocol.wire import StreamPositionRequest as Since
from tests.client.conftest import Serve
from tests.client.fakes import Server, SlowBroker, config, done, error, publish, subscribe, with_slow_broker
from tests.client.streams import EPOCH, STREAM, add, pub

BOTH = pytest.mark.parametrize("encoding", Encoding)
OPEN_STREAM = replace(STREAM, allow_history_for_client=True, allow_history_for_anonymous=True)


def history(id_: int = 2, channel: str = "news", **fields: Any) -> Command:
    return Command(id=id_, history=HistoryRequest(channel=channel, **fields))


def result(id_: int, *publications: Pub, offset: int = 8) -> Reply:
    return Reply(id=id_, history=HistoryResult(list(publications), EPOCH, offset))


@pytest.fixture
def full(serve: Serve) -> Server:
    """A server whose channel ``news`` has published 1 to 8 and keeps 4 to 8."""
    server = serve(config({"history_max_publication_limit": 4}, options=OPEN_STREAM))
    for number in range(1, 9):
        server.publish("news", b"%d" % number)
    return server


@pytest.mark.parametrize(
    ("fields", "offsets"),
    [
        ({}, []),
        ({"limit": 0, "since": Since(5, EPOCH)}, []),
        ({"limit": 2}, [4, 5]),
        ({"limit": 4}, [4, 5, 6, 7]),
        ({"limit": 5}, [4, 5, 6, 7]),
        ({"limit": -1}, [4, 5, 6, 7]),
        ({"limit": -1, "since": Since(6, EPOCH)}, [7, 8]),
        ({"limit": -1, "since": Since(6, "")}, [7, 8]),
        ({"limit": 1, "since": Since(6, EPOCH)}, [7]),
        ({"limit": 2, "since": Since(1, EPOCH)}, [4, 5]),
        ({"limit": -1, "since": Since(8, EPOCH)}, []),
        ({"limit": -1, "since": Since(20, EPOCH)}, []),
        ({"limit": 2, "reverse": True}, [8, 7]),
        ({"limit": -1, "reverse": True, "since": Since(6, EPOCH)}, [5, 4]),
        ({"limit": -1, "reverse": True, "since": Since(3, EPOCH)}, []),
    ],
)
@BOTH
def test_a_part_of_the_stream_and_always_its_top(
    full: Server, fields: dict[str, Any], offsets: list[int], encoding: Encoding
) -> None:
    expected = result(2, *(pub(b"%d" % offset, offset) for offset in offsets))
    assert full.connect(encoding).ask(history(**fields)) == [expected]


@BOTH
def test_a_channel_without_a_stream_gets_one(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=OPEN_STREAM))
    assert server.connect(encoding).ask(history()) == [result(2, offset=0)]


@BOTH
def test_publications_tell_who_published_and_are_never_deltas(serve: Serve, encoding: Encoding) -> None:
    delta = replace(OPEN_STREAM, allowed_delta_types=("fossil",), delta_publish=True)
    server = serve(config(options=delta))
    client = server.connect(encoding, sub="42")
    client.ask(subscribe(2, "news", delta="fossil"))
    payloads = [b'{"text":"%s","n":%d}' % (b"x" * 50, number) for number in range(2)]
    client.ask(publish(3, "news", payloads[0]), publish(4, "news", payloads[1]))
    info = Info(user="42", client=client.id)
    expected = [
        Pub(data=Raw(payload), offset=offset, info=info, epoch=EPOCH if offset == 1 else "")
        for offset, payload in enumerate(payloads, 1)
    ]
    assert client.ask(history(5, limit=-1)) == [result(5, *expected, offset=2)]


@pytest.mark.parametrize(
    ("limit", "cap", "counts"), [(-1, 0, -1), (500, 0, 500), (-5, 300, 300), (0, 300, 0)]
)
def test_the_cap_of_a_request(limit: int, cap: int, counts: int) -> None:
    assert capped(limit, cap) == counts


# ------------------------------------------------------------------ refusals


@BOTH
def test_an_empty_channel_disconnects(server: Server, encoding: Encoding) -> None:
    client = server.connect(encoding)
    assert client.ask(history(channel="")) == []
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT


NAMESPACES = (
    Namespace(name="numbered", channel_regex="^[0-9]+$"),
    Namespace(name="closed", history_size=5, history_ttl=60.0),
    Namespace(name="sizeless", history_ttl=60.0, allow_history_for_client=True),
    Namespace(name="timeless", history_size=5, allow_history_for_client=True),
)


@pytest.mark.parametrize(
    ("channel", "fields", "expected"),
    [
        ("nowhere:1", {}, errors.UNKNOWN_CHANNEL),
        ("numbered:x", {}, errors.BAD_REQUEST),
        ("numbered:1", {}, errors.NOT_AVAILABLE),
        ("sizeless:1", {}, errors.NOT_AVAILABLE),
        ("timeless:1", {}, errors.NOT_AVAILABLE),
        ("closed:1", {}, errors.PERMISSION_DENIED),
        ("closed:1", {"reverse": True, "since": Since(0, "")}, errors.PERMISSION_DENIED),
        ("news", {"reverse": True, "since": Since(0, "")}, errors.BAD_REQUEST),
        ("news", {"limit": 1, "since": Since(0, "other")}, errors.UNRECOVERABLE_POSITION),
        ("news", {"since": Since(0, "other")}, errors.UNRECOVERABLE_POSITION),
    ],
)
@BOTH
def test_refusals_in_their_order(
    serve: Serve, channel: str, fields: dict[str, Any], expected: ErrorCode, encoding: Encoding
) -> None:
    server = serve(config(options=OPEN_STREAM, namespaces=NAMESPACES))
    client = server.connect(encoding, sub="42")
    assert client.ask(history(2, channel, **fields)) == [error(2, expected)]


@pytest.mark.parametrize(
    ("options", "user", "subscribed", "allowed"),
    [
        ({"allow_history_for_client": True}, "42", False, True),
        ({"allow_history_for_client": True}, "", False, False),
        ({"allow_history_for_client": True, "allow_history_for_anonymous": True}, "", False, True),
        ({"allow_history_for_subscriber": True}, "42", False, False),
        ({"allow_history_for_subscriber": True}, "42", True, True),
        ({"allow_history_for_subscriber": True}, "", True, False),
    ],
)
def test_who_may_read(
    serve: Serve, options: dict[str, Any], user: str, subscribed: bool, allowed: bool
) -> None:
    server = serve(config(options=replace(STREAM, **options)))
    client = server.connect(sub=user)
    if subscribed:
        client.ask(subscribe(2, "news"))
    (reply,) = client.ask(history(3))
    assert (reply.history is not None) is allowed
    assert allowed or reply == error(3, errors.PERMISSION_DENIED)


def test_who_is_only_about_to_be_subscribed_is_no_subscriber() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(sub="42")
        client.send(subscribe(2, "news"), history(3))
        assert client.received() == [error(3, errors.PERMISSION_DENIED)]

    options = ChannelOptions(
        allow_subscribe_for_client=True, history_size=5, history_ttl=60.0, allow_history_for_subscriber=True
    )
    with_slow_broker(test, options=options, client={"concurrency": 2})


def test_in_insecure_mode_everybody_may_read_what_there_is(serve: Serve) -> None:
    server = serve(config({"insecure": True}, options=ChannelOptions(), namespaces=NAMESPACES))
    client = server.connect()
    replies = client.ask(history(2, "closed:1"), history(3, "news"))
    assert replies == [result(2, offset=0), error(3, errors.NOT_AVAILABLE)]


# ------------------------------------------------------------------ the engine


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError()])
@BOTH
def test_an_engine_that_is_away_is_an_internal_error(failure: Exception, encoding: Encoding) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(encoding)
        client.send(history())
        await broker.let_go("history news", failure)
        assert client.received() == [error(2, errors.INTERNAL)]
        assert client.closed_with is None

    with_slow_broker(test, options=OPEN_STREAM)


def test_an_answer_that_takes_time_arrives() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        add(broker, b"1")
        client = server.connect()
        client.send(history(limit=1))
        assert client.received() == []
        await broker.let_go("history news")
        assert client.received() == [result(2, pub(b"1", 1), offset=1)]

    with_slow_broker(test, options=OPEN_STREAM)


def test_publications_that_are_no_json_end_a_json_client(serve: Serve) -> None:
    server = serve(config(options=OPEN_STREAM))
    done(server.node.publish("news", b"\xff"))
    client = server.connect()
    assert client.ask(history(limit=1)) == []
    assert client.closed_with == errors.INAPPROPRIATE_PROTOCOL
