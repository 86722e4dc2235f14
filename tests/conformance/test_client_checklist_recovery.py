"""Section 15 of the client protocol, item by item: recovery."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import pytest

from centrifast import errors
from centrifast.config.schema import ChannelOptions
from centrifast.engine.contract import History, HistoryFilter, HistoryOptions, PublishOptions
from centrifast.model import Publication, StreamPosition
from centrifast.protocol.wire import (
    Command,
    ConnectRequest,
    Encoding,
    Pub,
    Reply,
    SubscribeRequest,
    SubscribeResult,
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
    settle,
    subscribe,
    subscribed,
    token,
    unsubscribed,
    with_slow_broker,
)
from tests.client.streams import (
    CACHE,
    EPOCH,
    POSITIONED,
    RECOVERABLE,
    offsets_of,
    pub,
    recover,
    recovered,
    recovery,
    subs_of,
)
from tests.conformance.situations import top_of

BOTH = pytest.mark.parametrize("encoding", Encoding)
OTHER = "other"
NOT_RECOVERED = {"recovered": False, "publications": None}


def stream_of(server: Server, count: int) -> str:
    """Publish 1, 2, 3 ... to ``news``; the epoch."""
    for number in range(1, count + 1):
        server.publish("news", b"%d" % number)
    return top_of(server).epoch


def pubs(*offsets: int) -> list[Pub]:
    """What ``stream_of`` has published there."""
    return [pub(b"%d" % offset, offset) for offset in offsets]


# ------------------------------------------------------------------ the decision table of 6.3

LIMIT, TOP = 4, 6


@dataclass(frozen=True)
class Asked:
    """A request against a stream of which the newest *kept* of TOP publications are left."""

    kept: int
    offset: int
    epoch: str

    @property
    def found(self) -> list[int]:
        """H: offsets in history after O, at most as many as the limit."""
        return [number for number in range(TOP - self.kept + 1, TOP + 1) if number > self.offset][:LIMIT]

    @property
    def is_recovered(self) -> bool:
        """The table, row by row."""
        if self.epoch not in ("", EPOCH):
            return False
        if not self.found:
            return self.offset == TOP
        return self.found[0] == self.offset + 1 and self.found[-1] == TOP


def all_asked() -> Iterator[Asked]:
    for kept, offset, epoch in product((0, 1, 3, TOP), range(TOP + 3), ("", EPOCH, OTHER)):
        yield Asked(kept, offset, epoch)


@pytest.mark.parametrize("kept", [0, 1, 3, TOP])
@BOTH
def test_decision_table(serve: Serve, kept: int, encoding: Encoding) -> None:
    options = replace(RECOVERABLE, history_size=max(kept, 1))
    server = serve(config({"recovery_max_publication_limit": LIMIT}, options))
    assert stream_of(server, TOP) == EPOCH
    if not kept:
        done(server.node.remove_history("news"))
    seen = set()
    for asked in all_asked():
        if asked.kept != kept:
            continue
        client = server.connect(encoding)
        expected = recovered(2, asked.offset, *pubs(*asked.found))
        if not asked.is_recovered:
            expected = recovered(2, TOP, **NOT_RECOVERED)
        assert client.ask(recover(2, asked.offset, asked.epoch)) == [expected], asked
        seen.add(asked.is_recovered)
    assert seen == {True, False}


@BOTH
def test_recover_not_requested(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=RECOVERABLE))
    stream_of(server, 3)
    expected = subscribed(2, recoverable=True, positioned=True, epoch=EPOCH, offset=3)
    assert server.connect(encoding).ask(subscribe(2, "news", offset=1, epoch=EPOCH)) == [expected]


@BOTH
def test_offset_echoes_request_when_recovered(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=RECOVERABLE))
    stream_of(server, 3)
    for offset in range(4):
        (reply,) = server.connect(encoding).ask(recover(2, offset))
        assert reply.subscribe is not None
        assert (reply.subscribe.recovered, reply.subscribe.offset) == (True, offset)


@BOTH
def test_no_publications_when_not_recovered(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=RECOVERABLE))
    stream_of(server, 3)
    for offset, epoch in ((1, OTHER), (9, EPOCH)):
        replies = server.connect(encoding).ask(recover(2, offset, epoch))
        assert replies == [recovered(2, 3, **NOT_RECOVERED)]


@BOTH
def test_was_recovering_also_where_nothing_is_recoverable(server: Server, encoding: Encoding) -> None:
    client = server.connect(encoding)
    assert client.ask(recover(2, 7)) == [subscribed(2, was_recovering=True)]


# ------------------------------------------------------------------ buffer and merge

MANY = HistoryOptions(50, 60.0, 3600.0)


class StepwiseBroker(SlowBroker):
    """Lets time pass before history is read, and again before its answer arrives."""

    async def history(self, channel: str, wanted: HistoryFilter, options: HistoryOptions) -> History:
        history = await super().history(channel, wanted, options)
        await self._wait("answer", channel)
        return history


@pytest.mark.parametrize(
    "counts", list(product((0, 2), repeat=4)), ids=lambda counts: "".join(map(str, counts))
)
@pytest.mark.parametrize("recovers", [True, False])
@BOTH
def test_buffer_and_merge_under_concurrent_publishing(
    counts: tuple[int, ...], recovers: bool, encoding: Encoding
) -> None:
    """Somebody publishes before, while the broker is asked, while history is read, and while its answer comes."""

    async def story(server: Server, broker: SlowBroker) -> None:
        published = 0

        def publish_some(count: int) -> None:
            nonlocal published
            for _ in range(count):
                published += 1
                options = PublishOptions(history=MANY)
                done(broker.inner.publish("news", b"%d" % published, options))

        publish_some(1 + counts[0])
        client = server.connect(encoding)
        client.send(recover(2, 1, "") if recovers else subscribe(2, "news"))
        for count, call in zip(counts[1:], ("subscribe news", "history news", "answer news"), strict=True):
            publish_some(count)
            assert client.received() == []
            await broker.let_go(call)
        reply, *more = client.received()
        assert reply.subscribe is not None
        assert offsets_of(more) == []
        position = reply.subscribe.offset
        seen = [publication.offset for publication in reply.subscribe.publications or ()]  # type: ignore[union-attr]
        publish_some(2)
        seen += offsets_of(client.received())
        if recovers:
            assert (reply.subscribe.recovered, position) == (True, 1)
        assert seen == list(range(position + 1, published + 1))
        await settle()
        assert client.closed_with is None

    with_slow_broker(story, StepwiseBroker, options=RECOVERABLE)


# ------------------------------------------------------------------ 2500 and 3010: the table of 6.5

LAG = 5.0
LIVE = {
    "another epoch": (StreamPosition(4, OTHER), 0, "lost"),
    "after a hole": (StreamPosition(5, EPOCH), 0, "lost"),
    "late": (StreamPosition(3, EPOCH), 0, "dropped"),
    "later still": (StreamPosition(1, EPOCH), 0, "dropped"),
    "the next": (StreamPosition(4, EPOCH), 0, "delivered"),
    "the next, within the lag": (StreamPosition(4, EPOCH), LAG - 1, "delivered"),
    "the next, too old": (StreamPosition(4, EPOCH), LAG + 1, "lost"),
}


def deliver(server: Server, case: str) -> str:
    """A publication comes from the engine; what must become of it."""
    position, age, outcome = LIVE[case]
    publication = Publication(b"4", position.offset, epoch=position.epoch, time_ms=int((NOW - age) * 1000))
    server.node.subscriptions.on_publication("news", publication, position, None)
    server.clock.advance(0)
    return outcome


@pytest.mark.parametrize("case", LIVE)
@BOTH
def test_2500_for_client_side_subscriptions(serve: Serve, case: str, encoding: Encoding) -> None:
    server = serve(config({"channel_position_max_time_lag": LAG}, POSITIONED))
    stream_of(server, 3)
    client = server.connect(encoding)
    client.ask(subscribe(2, "news"))
    outcome = deliver(server, case)
    replies = client.received()
    assert client.closed_with is None
    assert offsets_of(replies) == ([4] if outcome == "delivered" else [])
    lost = [unsubscribed("news", errors.UNSUBSCRIBE_INSUFFICIENT_STATE)] if outcome == "lost" else []
    assert [reply for reply in replies if reply.push and reply.push.unsubscribe] == lost


@pytest.mark.parametrize("case", LIVE)
@BOTH
def test_3010_for_server_side_subscriptions(serve: Serve, case: str, encoding: Encoding) -> None:
    server = serve(config({"channel_position_max_time_lag": LAG}, POSITIONED))
    stream_of(server, 3)
    client = server.connect(encoding, sub="42", channels=["news"])
    outcome = deliver(server, case)
    assert offsets_of(client.received()) == ([4] if outcome == "delivered" else [])
    assert client.closed_with == (errors.INSUFFICIENT_STATE if outcome == "lost" else None)


@BOTH
def test_epoch_change(serve: Serve, encoding: Encoding) -> None:
    server = serve(
        config({"channel_position_check_delay": -1.0}, replace(RECOVERABLE, history_meta_ttl=60.0))
    )
    stream_of(server, 3)
    client = server.connect(encoding)
    client.ask(subscribe(2, "news"))
    server.clock.advance(100)
    server.publish("news", b"1")
    server.clock.advance(0)
    assert client.received() == [unsubscribed("news", errors.UNSUBSCRIBE_INSUFFICIENT_STATE)]
    (reply,) = client.ask(recover(3, 3))
    assert reply.subscribe is not None
    assert (reply.subscribe.recovered, reply.subscribe.offset) == (False, 1)
    assert reply.subscribe.epoch not in ("", EPOCH)


# ------------------------------------------------------------------ limit, flag, cache, connect


@BOTH
def test_limit_300(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=replace(RECOVERABLE, history_size=400)))
    stream_of(server, 350)
    assert server.connect(encoding).ask(recover(2, 50)) == [recovered(2, 50, *pubs(*range(51, 351)))]
    assert server.connect(encoding).ask(recover(2, 49)) == [recovered(2, 350, **NOT_RECOVERED)]


@pytest.mark.parametrize("flag", [2, 3])
@BOTH
def test_flag_2_gives_112(serve: Serve, flag: int, encoding: Encoding) -> None:
    server = serve(config(options=RECOVERABLE))
    stream_of(server, 3)
    client = server.connect(encoding)
    assert client.ask(recover(2, 1, OTHER, flag=flag)) == [error(2, errors.UNRECOVERABLE_POSITION)]
    assert client.ask(recover(3, 3, flag=flag)) == [recovered(3, 3)]


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (RECOVERABLE, {"recover": True, "offset": 9, "flag": 1}),
        (RECOVERABLE, {"flag": 2}),
        (POSITIONED, {"recover": True, "offset": 9, "flag": 2}),
        (CACHE, {"recover": True, "offset": 9, "epoch": OTHER, "flag": 2}),
    ],
    ids=["bit 1 alone", "without recover", "not recoverable", "cache mode"],
)
@BOTH
def test_flag_2_means_nothing_else(
    serve: Serve, options: ChannelOptions, fields: dict[str, object], encoding: Encoding
) -> None:
    server = serve(config(options=options))
    stream_of(server, 3)
    (reply,) = server.connect(encoding).ask(subscribe(2, "news", **fields))
    assert reply.error is None


CACHE_MODE = [
    # newest kept, client's offset, client's epoch, recovered, publications
    (False, 3, EPOCH, True, []),
    (False, 2, EPOCH, False, []),
    (False, 3, OTHER, False, []),
    (False, 0, "", False, []),
    (True, 3, EPOCH, True, []),
    (True, 3, OTHER, True, [3]),
    (True, 2, EPOCH, True, [3]),
    (True, 1, OTHER, True, [3]),
    (True, 9, EPOCH, True, [3]),
    (True, 0, "", True, [3]),
]
"""Client protocol 6.7 at top 3."""


@pytest.mark.parametrize(("kept", "offset", "epoch", "is_recovered", "offsets"), CACHE_MODE)
@BOTH
def test_cache_mode_table(
    serve: Serve,
    kept: bool,
    offset: int,
    epoch: str,
    is_recovered: bool,
    offsets: list[int],
    encoding: Encoding,
) -> None:
    server = serve(config(options=CACHE))
    stream_of(server, 3)
    if not kept:
        done(server.node.remove_history("news"))
    expected = recovered(2, offset, *pubs(*offsets)) if is_recovered else recovered(2, 3, **NOT_RECOVERED)
    assert server.connect(encoding).ask(recover(2, offset, epoch)) == [expected]


@BOTH
def test_auto_cache_recover(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=replace(CACHE, auto_cache_recover=True)))
    stream_of(server, 3)
    assert server.connect(encoding).ask(subscribe(2, "news")) == [recovered(2, 0, *pubs(3))]


def reconnect(server: Server, encoding: Encoding, **subs: SubscribeRequest) -> tuple[Far, Reply]:
    """A client with server-side ``news`` comes back."""
    client = server.open(encoding)
    text = token(sub="42", channels=["news"])
    (reply,) = client.ask(Command(id=1, connect=ConnectRequest(token=text, subs=subs)))
    return client, reply


@BOTH
def test_server_side_recovery_in_connect(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=RECOVERABLE))
    stream_of(server, 3)
    asked = SubscribeRequest(recover=True, offset=1, epoch=EPOCH)
    client, reply = reconnect(server, encoding, news=asked)
    assert subs_of(reply) == {"news": SubscribeResult(**recovery(1, *pubs(2, 3)))}
    server.publish("news", b"4")
    assert offsets_of(client.received()) == [4]
    asked = SubscribeRequest(recover=True, offset=1, epoch=OTHER)
    _, reply = reconnect(server, encoding, news=asked)
    assert subs_of(reply) == {"news": SubscribeResult(**recovery(4, **NOT_RECOVERED))}
    _, reply = reconnect(server, encoding)
    fresh = SubscribeResult(recoverable=True, positioned=True, epoch=EPOCH, offset=4)
    assert subs_of(reply) == {"news": fresh}
