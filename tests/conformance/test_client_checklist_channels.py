"""Section 15 of the client protocol, item by item: channels."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from centrifast import errors
from centrifast.config.schema import ChannelOptions
from centrifast.protocol.wire import (
    Command,
    Encoding,
    HistoryRequest,
    HistoryResult,
    Info,
    Join,
    Leave,
    PresenceRequest,
    PresenceResult,
    PresenceStatsRequest,
    PresenceStatsResult,
    Push,
    Reply,
    RPCRequest,
    StreamPositionRequest,
    UnsubscribeResult,
)
from tests.client.conftest import Serve
from tests.client.fakes import (
    OPEN,
    Server,
    config,
    done,
    error,
    subscribe,
    subscribed,
    unsubscribe,
)
from tests.client.streams import pub
from tests.conformance.situations import top_of

BOTH = pytest.mark.parametrize("encoding", Encoding)
SEEN = replace(
    OPEN,
    presence=True,
    join_leave=True,
    force_push_join_leave=True,
    allow_presence_for_subscriber=True,
    allow_presence_for_anonymous=True,
)


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("held" * 64, errors.BAD_REQUEST),
        ("held", errors.ALREADY_SUBSCRIBED),
        ("other", errors.LIMIT_EXCEEDED),
        ("nope:other", errors.LIMIT_EXCEEDED),
    ],
)
@BOTH
def test_107_105_106_in_this_order(
    serve: Serve, channel: str, expected: errors.ErrorCode, encoding: Encoding
) -> None:
    client = serve(config({"channel_limit": 1})).subscriber("held", encoding)
    assert client.ask(subscribe(3, channel)) == [error(3, expected)]


@pytest.mark.parametrize("channel", ["held", "never held", "nope:a", "é", "$private", "x" * 300])
@BOTH
def test_unsubscribe_always_succeeds(server: Server, channel: str, encoding: Encoding) -> None:
    client = server.subscriber("held", encoding)
    assert client.ask(unsubscribe(3, channel)) == [Reply(id=3, unsubscribe=UnsubscribeResult())]
    assert client.ask(unsubscribe(4, channel)) == [Reply(id=4, unsubscribe=UnsubscribeResult())]


@BOTH
def test_own_join_seen_own_leave_not(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=SEEN))
    other = server.connect(encoding)
    other.ask(subscribe(2, "news"))
    client = server.connect(encoding, sub="42")
    joined = Reply(push=Push(channel="news", join=Join(Info("42", client.id))))
    assert client.ask(subscribe(2, "news")) == [subscribed(2), joined]
    assert other.received() == [joined]
    assert client.ask(unsubscribe(3, "news")) == [Reply(id=3, unsubscribe=UnsubscribeResult())]
    assert other.received() == [Reply(push=Push(channel="news", leave=Leave(Info("42", client.id))))]


@BOTH
def test_presence_visible_right_after_subscribe(serve: Serve, encoding: Encoding) -> None:
    client = serve(config(options=replace(SEEN, join_leave=False))).connect(encoding)
    replies = client.ask(
        subscribe(2, "news"),
        Command(id=3, presence=PresenceRequest("news")),
        Command(id=4, presence_stats=PresenceStatsRequest("news")),
        unsubscribe(5, "news"),
        subscribe(6, "news"),
        Command(id=7, presence=PresenceRequest("news")),
    )
    everybody = PresenceResult({client.id: Info("", client.id)})
    assert [replies[1].presence, replies[5].presence] == [everybody] * 2
    assert replies[2].presence_stats == PresenceStatsResult(1, 1)


@pytest.mark.parametrize(
    "command",
    [
        Command(id=9, presence=PresenceRequest("news")),
        Command(id=9, presence_stats=PresenceStatsRequest("news")),
        Command(id=9, history=HistoryRequest("news")),
    ],
    ids=["presence", "presence_stats", "history"],
)
@BOTH
def test_108_before_103_for_presence_and_history(serve: Serve, command: Command, encoding: Encoding) -> None:
    off = serve(config(options=ChannelOptions())).connect(encoding)
    assert off.ask(command) == [error(9, errors.NOT_AVAILABLE)]
    closed = ChannelOptions(presence=True, history_size=1, history_ttl=9.0)
    assert serve(config(options=closed)).connect(encoding).ask(command) == [
        error(9, errors.PERMISSION_DENIED)
    ]


# ------------------------------------------------------------------ the history tables of 3.8

TOP, SIZE = 8, 5
KEPT = range(TOP - SIZE + 1, TOP + 1)
READABLE = ChannelOptions(
    history_size=SIZE, history_ttl=60.0, allow_history_for_client=True, allow_history_for_anonymous=True
)
LIMITS = {0: "position only", 2: "fewer than the cap", 100: "the cap", -1: "as many as the cap allows"}


def of_the_table(offset: int | None, reverse: bool) -> list[int]:
    """Offsets that the table of ``since`` and ``reverse`` names, without any limit."""
    if not reverse:
        return [kept for kept in KEPT if offset is None or kept > offset]
    if offset is None:
        return list(reversed(KEPT))
    return [kept for kept in reversed(KEPT) if kept < offset] if offset - 1 in KEPT else []


def of_the_limit(limit: int, cap: int) -> int:
    """How many publications the table of ``limit`` allows."""
    if limit < 0:
        return cap or SIZE
    return min(limit, cap) if cap else limit


def requests() -> Iterator[tuple[int, int | None, bool, bool]]:
    """Limit, offset, whether the epoch is given, reverse: all of them but the one that is refused."""
    for limit, offset, with_epoch, reverse in product(
        LIMITS, (None, *range(TOP + 3)), (False, True), (False, True)
    ):
        if (reverse and offset == 0) or (offset is None and with_epoch):
            continue
        yield limit, offset, with_epoch, reverse


@pytest.mark.parametrize("cap", [0, 3, 300])
@BOTH
def test_history_tables(serve: Serve, cap: int, encoding: Encoding) -> None:
    server = serve(config({"history_max_publication_limit": cap}, READABLE))
    client = server.connect(encoding)
    for number in range(1, TOP + 1):
        server.publish("news", b"%d" % number)
    position = top_of(server)
    for limit, offset, with_epoch, reverse in requests():
        since = None
        if offset is not None:
            since = StreamPositionRequest(offset, position.epoch if with_epoch else "")
        wanted = of_the_table(offset, reverse)[: of_the_limit(limit, cap)]
        (reply,) = client.ask(Command(id=9, history=HistoryRequest("news", limit, since, reverse)))
        assert reply.history == HistoryResult(
            [pub(b"%d" % number, number) for number in wanted], position.epoch, TOP
        ), (limit, offset, with_epoch, reverse)


@BOTH
def test_history_of_another_epoch_112_and_reverse_from_0_107(serve: Serve, encoding: Encoding) -> None:
    client = (server := serve(config(options=READABLE))).connect(encoding)
    server.publish("news", b"1")
    other = StreamPositionRequest(1, "other")
    for limit, reverse in product(LIMITS, (False, True)):
        command = Command(id=9, history=HistoryRequest("news", limit, other, reverse))
        assert client.ask(command) == [error(9, errors.UNRECOVERABLE_POSITION)]
        command = Command(id=9, history=HistoryRequest("news", limit, StreamPositionRequest(0), True))
        assert client.ask(command) == [error(9, errors.BAD_REQUEST)]


@BOTH
def test_history_that_is_gone_leaves_its_position(serve: Serve, encoding: Encoding) -> None:
    client = (server := serve(config(options=READABLE))).connect(encoding)
    server.publish("news", b"1")
    position = top_of(server)
    done(server.node.remove_history("news"))
    for offset in (None, 0, 1):
        since = None if offset is None else StreamPositionRequest(offset, position.epoch)
        (reply,) = client.ask(Command(id=9, history=HistoryRequest("news", -1, since)))
        assert reply.history == HistoryResult([], position.epoch, 1)


# ------------------------------------------------------------------ rpc


@pytest.mark.parametrize("method", ["", "getTime", "nope:getTime"])
@BOTH
def test_rpc_108(server: Server, method: str, encoding: Encoding) -> None:
    client = server.connect(encoding)
    assert client.ask(Command(id=9, rpc=RPCRequest(method=method))) == [error(9, errors.NOT_AVAILABLE)]
