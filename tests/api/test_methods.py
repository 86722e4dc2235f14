import asyncio
import base64
from typing import Any

import pytest
from msgspec import Raw

from centrifast import errors
from centrifast.api.messages import (
    EMPTY,
    BatchCommand,
    BatchRequest,
    BatchResult,
    BoolValue,
    BroadcastRequest,
    BroadcastResult,
    ChannelRequest,
    ChannelsRequest,
    DisconnectReason,
    DisconnectRequest,
    Error,
    HistoryRequest,
    HistoryResult,
    InfoRequest,
    Position,
    PresenceResult,
    PresenceStatsResult,
    PublishRequest,
    PublishResult,
    RefreshRequest,
    RpcRequest,
    StatsRequest,
    SubscribeOverride,
    SubscribeRequest,
    UnsubscribeRequest,
)
from centrifast.api.methods import METHODS, perform
from centrifast.api.turns import CALLS_AT_ONCE
from centrifast.auth.claims import NO_OVERRIDE, SubscriptionOverride
from centrifast.engine.contract import HistoryFilter
from centrifast.errors import ApiErrorCode, DisconnectCode
from centrifast.metrics.metrics import CONSUMING
from centrifast.model import ClientInfo, Publication, StreamPosition
from tests.api.node import FakeNode
from tests.server.http_peer import run, until

HI = Raw(b'"hi"')


def call(node: FakeNode, name: str, request: Any) -> Any:
    return run(perform(node, name, request))


# ------------------------------------------------------------------- publish


def test_publish_hands_everything_to_the_node() -> None:
    node = FakeNode()
    request = PublishRequest(
        channel="history:a",
        data=HI,
        skip_history=True,
        tags={"a": "b"},
        idempotency_key="i",
        version=3,
        version_epoch="e",
        delta=True,
    )
    assert call(node, "publish", request) == PublishResult(1, "HyfEqRtb")
    options = {
        "history": False,
        "tags": {"a": "b"},
        "idempotency_key": "i",
        "version": 3,
        "version_epoch": "e",
        "delta": True,
    }
    assert node.calls == [("publish", "history:a", b'"hi"', options)]


def test_without_history_there_is_no_position() -> None:
    assert call(FakeNode(), "publish", PublishRequest(channel="a", data=HI)) is EMPTY


def test_base64_wins() -> None:
    node = FakeNode()
    encoded = base64.b64encode(b"\x00\xff").decode()
    call(node, "publish", PublishRequest(channel="a", data=HI, b64data=encoded))
    assert node.calls == [("publish", "a", b"\x00\xff", {})]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (PublishRequest(data=HI), errors.API_BAD_REQUEST),
        (PublishRequest(channel="a"), errors.API_BAD_REQUEST),
        (PublishRequest(channel="a", b64data="*"), errors.API_BAD_REQUEST),
        (PublishRequest(channel="a", b64data="YQ"), errors.API_BAD_REQUEST),
        (PublishRequest(channel="a", b64data="Y Q=="), errors.API_BAD_REQUEST),
        (PublishRequest(channel="a", b64data="é"), errors.API_BAD_REQUEST),
        (PublishRequest(channel="nope:a", data=HI), errors.API_UNKNOWN_CHANNEL),
        (PublishRequest(channel="away:a", data=HI), errors.API_INTERNAL),
        (PublishRequest(channel="limit:a", data=HI), errors.API_INTERNAL),
    ],
)
def test_publish_refusals(request_: PublishRequest, error: ApiErrorCode) -> None:
    assert call(FakeNode(), "publish", request_) is error


def test_a_bug_is_logged_once_and_answered_as_internal(caplog: pytest.LogCaptureFixture) -> None:
    assert call(FakeNode(), "publish", PublishRequest(channel="bug:a", data=HI)) is errors.API_INTERNAL
    (record,) = caplog.records
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "broken"


def test_calls_count_by_the_way_they_came() -> None:
    node = FakeNode()
    run(perform(node, "publish", PublishRequest(), CONSUMING))
    assert node.metrics.api_calls[CONSUMING].keys() == {"publish"}
    assert dict(node.metrics.api_errors) == {(CONSUMING, "publish", errors.API_BAD_REQUEST.code): 1}


# ----------------------------------------------------------------- broadcast


def test_broadcast_hands_everything_to_the_node_for_each_channel() -> None:
    node = FakeNode()
    request = BroadcastRequest(
        channels=["a", "b"],
        data=HI,
        skip_history=True,
        tags={"a": "b"},
        idempotency_key="i",
        version=3,
        version_epoch="e",
        delta=True,
    )
    call(node, "broadcast", request)
    options = {
        "history": False,
        "tags": {"a": "b"},
        "idempotency_key": "i",
        "version": 3,
        "version_epoch": "e",
        "delta": True,
    }
    assert node.calls == [("publish", channel, b'"hi"', options) for channel in ("a", "b")]


def test_broadcast_answers_for_each_channel_in_order() -> None:
    node = FakeNode()
    result = call(node, "broadcast", BroadcastRequest(channels=["history:a", "", "nope:b", "c"], data=HI))
    assert isinstance(result, BroadcastResult)
    assert [(outcome.result, outcome.error) for outcome in result.responses] == [
        (PublishResult(1, "HyfEqRtb"), None),
        (None, Error(107, "bad request")),
        (None, Error(102, "unknown channel")),
        (PublishResult(), None),
    ]


def test_broadcast_of_nothing_fails_in_each_channel() -> None:
    result = call(FakeNode(), "broadcast", BroadcastRequest(channels=["a"]))
    assert result.responses[0].error == Error(107, "bad request")


@pytest.mark.parametrize(
    "request_", [BroadcastRequest(data=HI), BroadcastRequest(channels=["a"], b64data="*")]
)
def test_broadcasts_that_fail_as_a_whole(request_: BroadcastRequest) -> None:
    node = FakeNode()
    assert call(node, "broadcast", request_) is errors.API_BAD_REQUEST
    assert node.calls == []


def test_a_large_broadcast_runs_together_but_not_all_at_once() -> None:
    async def scenario() -> None:
        node = FakeNode()
        channels = [f"slow:{number}" for number in range(2 * CALLS_AT_ONCE + 1)]
        task = asyncio.create_task(perform(node, "broadcast", BroadcastRequest(channels=channels, data=HI)))
        await until(lambda: node.running)
        assert node.running == CALLS_AT_ONCE
        node.opened.set()
        result = await task
        assert isinstance(result, BroadcastResult)
        assert len(result.responses) == len(channels)
        assert [name for _, name, _, _ in node.calls] == channels
        assert node.most_running == CALLS_AT_ONCE

    run(scenario())


def test_a_large_broadcast_that_never_waits_gives_the_loop_its_turns() -> None:
    async def scenario() -> None:
        node = FakeNode()
        channels = [str(number) for number in range(3 * CALLS_AT_ONCE)]
        seen: list[int] = []
        task = asyncio.create_task(perform(node, "broadcast", BroadcastRequest(channels=channels, data=HI)))
        while not task.done():
            seen.append(len(node.calls))
            await asyncio.sleep(0)
        assert seen[:4] == [0, CALLS_AT_ONCE, 2 * CALLS_AT_ONCE, 3 * CALLS_AT_ONCE]

    run(scenario())


# --------------------------------------------------------------- connections


def test_subscribe() -> None:
    node = FakeNode()
    request = SubscribeRequest(
        user="u",
        channel="a",
        client="c",
        session="s",
        info=Raw(b"{}"),
        data=HI,
        b64data="YQ==",
        expire_at=7,
        override=SubscribeOverride(presence=BoolValue(True), join_leave=BoolValue()),
        recover_since=Position(5, "e"),
    )
    assert call(node, "subscribe", request) is EMPTY
    override = SubscriptionOverride(presence=True, join_leave=False)
    since = StreamPosition(5, "e")
    assert node.calls == [("subscribe", "u", "a", "c", "s", b"{}", b"a", 7, override, since)]
    call(node, "subscribe", SubscribeRequest(channel="a"))
    assert node.calls[1:] == [("subscribe", "", "a", "", "", b"", b"", 0, NO_OVERRIDE, None)]


@pytest.mark.parametrize("name", SubscribeOverride.__struct_fields__)
@pytest.mark.parametrize("value", [True, False])
def test_an_override_sets_its_option_only(name: str, value: bool) -> None:
    node = FakeNode()
    override = SubscribeOverride(**{name: BoolValue(value)})
    call(node, "subscribe", SubscribeRequest(channel="a", override=override))
    assert node.calls[0][8] == SubscriptionOverride(**{name: value})


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (SubscribeRequest(user="u"), errors.API_BAD_REQUEST),
        (SubscribeRequest(user="u", channel="nope:a"), errors.API_UNKNOWN_CHANNEL),
        (SubscribeRequest(user="u", channel="a", b64info="*"), errors.API_BAD_REQUEST),
        (SubscribeRequest(user="u", channel="a", b64data="*"), errors.API_BAD_REQUEST),
    ],
)
def test_subscribe_refusals(request_: SubscribeRequest, error: ApiErrorCode) -> None:
    assert call(FakeNode(), "subscribe", request_) is error


def test_unsubscribe() -> None:
    node = FakeNode()
    assert call(node, "unsubscribe", UnsubscribeRequest("a", "u", "c", "s")) is EMPTY
    assert call(node, "unsubscribe", UnsubscribeRequest()) is EMPTY  # an empty channel is legal
    assert call(node, "unsubscribe", UnsubscribeRequest("nope:a")) is errors.API_UNKNOWN_CHANNEL
    assert node.calls == [("unsubscribe", "u", "a", "c", "s"), ("unsubscribe", "", "", "", "")]


@pytest.mark.parametrize(
    ("asked", "code", "reason"),
    [
        (None, 3503, "force disconnect"),
        (DisconnectReason(), 3503, "force disconnect"),
        (DisconnectReason(0, "x"), 3503, "force disconnect"),
        (DisconnectReason(4000, "go away"), 4000, "go away"),
        (DisconnectReason(3000, "x" * 123), 3000, "x" * 123),
    ],
)
def test_disconnect(asked: DisconnectReason | None, code: int, reason: str) -> None:
    node = FakeNode()
    request = DisconnectRequest("u", asked, "c", ["d"], "s")
    assert call(node, "disconnect", request) is EMPTY
    assert node.calls == [("disconnect", "u", "c", "s", ["d"], DisconnectCode(code, reason))]


@pytest.mark.parametrize(
    "asked",
    [
        DisconnectReason(1000),
        DisconnectReason(2999),
        DisconnectReason(5000),
        DisconnectReason(4000, "é" * 62),
    ],
)
def test_what_no_close_frame_can_say_is_refused(asked: DisconnectReason) -> None:
    node = FakeNode()
    assert call(node, "disconnect", DisconnectRequest("u", asked)) is errors.API_BAD_REQUEST
    assert node.calls == []


def test_refresh() -> None:
    node = FakeNode()
    assert call(node, "refresh", RefreshRequest("u", "c", True, 7, Raw(b"{}"), "s")) is EMPTY
    assert call(node, "refresh", RefreshRequest()) is EMPTY
    assert node.calls == [("refresh", "u", "c", "s", True, 7, b"{}"), ("refresh", "", "", "", False, 0, b"")]


# ------------------------------------------------------ presence and history


def test_presence() -> None:
    clients = {"c": ClientInfo("u", "c"), "d": ClientInfo("u", "d", b"{}")}
    node = FakeNode(clients=clients)
    assert call(node, "presence", ChannelRequest("present:a")) == PresenceResult(clients)
    assert call(node, "presence_stats", ChannelRequest("present:a")) == PresenceStatsResult(2, 1)


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (HistoryRequest("history:a", -1), HistoryFilter(-1)),
        (
            HistoryRequest("history:a", 3, Position(2, "HyfEqRtb"), True),
            HistoryFilter(3, StreamPosition(2, "HyfEqRtb"), True),
        ),
        (HistoryRequest("history:a", 3, Position()), HistoryFilter(3, StreamPosition())),
    ],
)
def test_history(request_: HistoryRequest, wanted: HistoryFilter) -> None:
    publications = [Publication(b"1", 1), Publication(b"2", 2)]
    node = FakeNode(publications=publications)
    assert call(node, "history", request_) == HistoryResult(publications, "HyfEqRtb", 2)
    assert node.calls == [("history", "history:a", wanted)]


def test_history_remove() -> None:
    node = FakeNode()
    assert call(node, "history_remove", ChannelRequest("history:a")) is EMPTY
    assert node.calls == [("remove_history", "history:a")]


# -------------------------------------------------------------------- others


def test_channels() -> None:
    result = call(FakeNode(), "channels", ChannelsRequest("n*"))
    assert {name: info.num_clients for name, info in result.channels.items()} == {"news": 2}
    assert call(FakeNode(), "channels", ChannelsRequest("[")) is errors.API_INTERNAL


def test_stats() -> None:
    nodes = call(FakeNode(), "stats", StatsRequest(slow=1)).nodes
    assert [(node.uid, [client.client for client in node.slow]) for node in nodes] == [("u", ["c"])]
    assert call(FakeNode(), "stats", StatsRequest()).nodes[0].slow == []


def test_info() -> None:
    assert [node.uid for node in call(FakeNode(), "info", InfoRequest()).nodes] == ["u"]


@pytest.mark.parametrize(
    ("name", "request_", "error"),
    [
        ("rpc", RpcRequest(), errors.API_BAD_REQUEST),
        ("rpc", RpcRequest("m"), errors.API_NOT_FOUND),
    ],
)
def test_there_are_no_extensions(name: str, request_: Any, error: ApiErrorCode) -> None:
    assert call(FakeNode(), name, request_) is error


def test_every_method_takes_its_request() -> None:
    assert {name: request.__name__ for name, (request, _) in METHODS.items()}.keys() >= {
        *BatchCommand.__struct_fields__,
        "batch",
    }


# --------------------------------------------------------------------- batch


def test_a_batch_replies_to_each_command_in_order() -> None:
    commands = [
        BatchCommand(publish=PublishRequest(channel="history:a", data=HI)),
        BatchCommand(channels=ChannelsRequest(), unsubscribe=UnsubscribeRequest("a")),
        BatchCommand(publish=PublishRequest(channel="nope:a", data=HI)),
        BatchCommand(),
        None,
    ]
    for parallel in (False, True):
        result = call(FakeNode(), "batch", BatchRequest(commands, parallel))
        assert isinstance(result, BatchResult)
        assert list(result.replies) == [
            {"publish": PublishResult(1, "HyfEqRtb")},
            {"unsubscribe": EMPTY},
            {"error": Error(102, "unknown channel")},
            {"error": Error(104, "not found")},
            {"error": Error(107, "bad request")},
        ]


@pytest.mark.parametrize(("parallel", "most"), [(False, 1), (True, 5)])
def test_only_a_parallel_batch_runs_together(parallel: bool, most: int) -> None:
    async def scenario() -> None:
        node = FakeNode()
        commands = [BatchCommand(publish=PublishRequest(channel=f"slow:{n}", data=HI)) for n in range(5)]
        task = asyncio.create_task(perform(node, "batch", BatchRequest(commands, parallel)))
        await until(lambda: node.running)
        node.opened.set()
        assert await task == BatchResult([{"publish": EMPTY}] * 5)
        assert node.most_running == most

    run(scenario())
