"""How subscriptions begin and end while publications come by and the engine takes its time (client protocol 6.4)."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest

from centrifast import catch_up, errors
from centrifast.client.session import Session
from centrifast.engine.contract import History, HistoryFilter, HistoryOptions
from centrifast.engine.memory import MemoryBroker
from centrifast.errors import INTERNAL, UNRECOVERABLE_POSITION
from centrifast.hub import Subscription
from centrifast.model import StreamPosition
from centrifast.protocol.wire import Encoding, FilterNode, Reply
from tests.client import conftest
from tests.client.conftest import Serve
from tests.client.fakes import (
    OPEN,
    Server,
    SlowBroker,
    config,
    done,
    error,
    publication,
    settle,
    subscribe,
    subscribed,
    token,
    unsubscribe,
    unsubscribed,
    with_slow_broker,
)
from tests.client.streams import (
    CACHE,
    EPOCH,
    FORCED,
    POSITIONED,
    RECOVERABLE,
    SEEN,
    STREAM,
    LateBroker,
    SlowPresence,
    add,
    enter,
    joined,
    let_all_go,
    offsets_of,
    positioned,
    pub,
    recover,
    recovered,
)

BOTH = pytest.mark.parametrize("encoding", Encoding)

serve = conftest.serve

AWAY = ConnectionError("away")


def reads(server: Server) -> int:
    """Channels whose publications are kept for somebody who reads."""
    return server.node.subscriptions._catch_ups.count


# ------------------------------------------------------------------ publications while history is read


@BOTH
def test_what_comes_by_while_history_is_read_is_neither_lost_nor_doubled_nor_early(
    encoding: Encoding,
) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        add(broker, b"1", b"2")
        client = server.connect(encoding)
        client.send(recover(2, 1))
        await broker.let_go("subscribe news")
        add(broker, b"3")  # in what is read and in what came by
        broker.waiting[0].gate.set_result(None)
        await settle()
        add(broker, b"4")  # in what came by only
        assert client.received() == []
        await broker.let_go("answer news")
        add(broker, b"5")
        assert client.received() == [
            recovered(2, 1, pub(b"2", 2), pub(b"3", 3), pub(b"4", 4)),
            publication("news", b"5", offset=5),
        ]
        assert reads(server) == 0

    with_slow_broker(test, TwiceLateBroker, options=RECOVERABLE)


@dataclass
class TwiceLateBroker(LateBroker):
    """Waits before it reads, and once more before it answers."""

    async def history(self, channel: str, wanted: HistoryFilter, options: HistoryOptions) -> History:
        await self._wait("history", channel)
        return await super().history(channel, wanted, options)


@BOTH
def test_without_recovery_the_position_counts_what_came_by(encoding: Encoding) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        add(broker, b"1")
        client = server.connect(encoding)
        client.send(subscribe(2, "news"))
        await broker.let_go("subscribe news")
        add(broker, b"2", b"3")
        await broker.let_go("answer news")
        add(broker, b"4")
        assert client.received() == [positioned(2, 3), publication("news", b"4", offset=4)]

    with_slow_broker(test, LateBroker, options=POSITIONED)


def test_without_a_position_nothing_is_read() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(subscribe(2, "news"))
        assert reads(server) == 0
        await broker.let_go("subscribe news")
        assert client.received() == [subscribed(2)]
        assert broker.done == ["subscribe news"]

    with_slow_broker(test, options=OPEN)


def test_those_who_come_back_together_share_one_read() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        add(broker, b"1", b"2")
        first, second, third, other = (server.connect(encoding) for encoding in (*Encoding, *Encoding))
        first.send(recover(2, 1))
        await broker.let_go("subscribe news")
        add(broker, b"3")
        second.send(recover(2, 1))
        third.send(recover(2, 1))
        other.send(recover(2, 0))
        await broker.let_go("subscribe news")
        assert broker.asked == ["answer news", "answer news"]
        add(broker, b"4")
        await broker.let_go("answer news")
        missed = [pub(b"%d" % offset, offset) for offset in (1, 2, 3, 4)]
        for client in (first, second, third):
            assert client.received() == [recovered(2, 1, *missed[1:])]
        assert other.received() == []
        await broker.let_go("answer news")
        assert other.received() == [recovered(2, 0, *missed)]
        add(broker, b"5")
        assert [offsets_of(client.received()) for client in (first, second, third, other)] == [[5]] * 4
        assert len(server.hub.channels["news"].arrays) == 2

    with_slow_broker(test, LateBroker, options=RECOVERABLE)


def test_who_shares_a_read_does_not_need_the_one_who_began_it() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        add(broker, b"1")
        first, second = server.connect(), server.connect()
        first.send(recover(2, 0))
        await broker.let_go("subscribe news")
        second.send(recover(2, 0))
        await broker.let_go("subscribe news")
        first.vanish()
        await settle()
        add(broker, b"2")
        await broker.let_go("answer news")
        assert second.received() == [recovered(2, 0, pub(b"1", 1), pub(b"2", 2))]

    with_slow_broker(test, LateBroker, options=RECOVERABLE)


def test_who_comes_when_the_last_reader_has_gone_reads_anew() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        add(broker, b"1")
        first, second = server.connect(), server.connect()
        first.send(recover(2, 0))
        await broker.let_go("subscribe news")
        first.vanish()
        add(broker, b"2")
        second.send(recover(2, 0))
        await let_all_go(broker)
        assert second.received() == [recovered(2, 0, pub(b"1", 1), pub(b"2", 2))]

    with_slow_broker(test, LateBroker, options=RECOVERABLE)


# ------------------------------------------------------------------ going at each wait


STEPS = ["subscribe news", "history news"]


@pytest.mark.parametrize("step", STEPS)
@BOTH
def test_who_vanishes_at_any_wait_leaves_nothing_behind(step: str, encoding: Encoding) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(encoding)
        client.send(recover(2, 0))
        await _until(broker, step)
        client.vanish()
        await let_all_go(broker)
        assert (reads(server), server.is_empty) == (0, True)
        assert done(server.presence.presence("news")) == {}

    with_slow_broker(test, options=replace(SEEN, history_size=5, history_ttl=60.0, force_recovery=True))


async def _until(broker: SlowBroker, call: str) -> None:
    """Let the broker go on until it is asked for *call*."""
    await settle()
    while call not in broker.asked:
        await broker.let_go(broker.asked[0])


@pytest.mark.parametrize("step", STEPS)
@BOTH
def test_the_apis_unsubscribe_at_any_wait_refuses_the_subscription(step: str, encoding: Encoding) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(encoding, sub="42")
        client.send(recover(2, 0))
        await _until(broker, step)
        await server.node.unsubscribe("42", "news")
        await let_all_go(broker)
        assert client.received() == [
            unsubscribed("news", errors.SERVER_UNSUBSCRIBE),
            error(2, errors.PERMISSION_DENIED),
        ]
        assert (reads(server), client.session.subscriptions, dict(server.hub.channels)) == (0, {}, {})
        client.send(recover(3, 0))
        await let_all_go(broker)
        assert client.received() == [recovered(3, 0)]

    with_slow_broker(test, options=RECOVERABLE)


def test_who_is_unsubscribed_while_it_comes_and_comes_again_at_once_is_served_once() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(sub="42")
        client.send(recover(2, 0), recover(3, 0))
        await _until(broker, "answer news")
        await server.node.unsubscribe("42", "news")
        await let_all_go(broker)
        assert client.received() == [
            unsubscribed("news", errors.SERVER_UNSUBSCRIBE),
            error(2, errors.PERMISSION_DENIED),
            recovered(3, 0),
        ]
        assert reads(server) == 0

    with_slow_broker(test, LateBroker, options=RECOVERABLE)


@BOTH
def test_an_unsubscribe_of_its_own_waits_for_the_subscribe(encoding: Encoding) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(encoding)
        client.send(recover(2, 0), unsubscribe(3, "news"))
        await let_all_go(broker)
        assert [reply.id for reply in client.received()] == [2, 3]
        assert (reads(server), client.session.subscriptions) == (0, {})

    with_slow_broker(test, options=RECOVERABLE, client={"concurrency": 4})


# ------------------------------------------------------------------ an engine that is away


@pytest.mark.parametrize("failure", [AWAY, TimeoutError()])
@pytest.mark.parametrize("step", STEPS)
@BOTH
def test_an_engine_that_fails_at_any_wait_disconnects_and_leaves_nothing_behind(
    step: str, failure: Exception, encoding: Encoding
) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(encoding)
        client.send(recover(2, 0))
        await _until(broker, step)
        await broker.let_go(step, failure)
        assert client.received() == []
        assert client.closed_with == errors.INTERNAL_SERVER_ERROR
        assert (reads(server), dict(server.hub.channels)) == (0, {})
        assert done(server.presence.presence("news")) == {}

    with_slow_broker(test, options=replace(SEEN, history_size=5, history_ttl=60.0, force_recovery=True))


def test_a_read_that_fails_fails_all_who_share_it() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        clients = [server.connect(), server.connect()]
        clients[0].send(recover(2, 0))
        await broker.let_go("subscribe news")
        clients[1].send(recover(2, 0))
        await broker.let_go("subscribe news")
        await broker.let_go("history news", AWAY)
        assert [client.closed_with for client in clients] == [errors.INTERNAL_SERVER_ERROR] * 2
        assert reads(server) == 0

    with_slow_broker(test, options=RECOVERABLE)


@BOTH
def test_presence_that_fails_disconnects_and_leaves_nothing_behind(encoding: Encoding) -> None:
    presence = SlowPresence()

    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(encoding)
        client.send(subscribe(2, "news"))
        await broker.let_go("subscribe news")
        await presence.let_go("add", AWAY)
        assert client.closed_with == errors.INTERNAL_SERVER_ERROR
        await presence.let_go("remove")
        assert done(presence.presence("news")) == {}

    with_slow_broker(test, presence=presence, options=SEEN)


# ------------------------------------------------------------------ holes


@BOTH
def test_too_much_that_comes_by_makes_all_who_read_come_back(
    encoding: Encoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "CATCH_UP_SIZE", 10 + 2 * catch_up.ENTRY_SIZE)

    async def test(server: Server, broker: SlowBroker) -> None:
        clients = [server.connect(encoding), server.connect(encoding)]
        for client in clients:
            client.send(recover(2, 0))
        await broker.let_go("subscribe news")
        add(broker, b"12345", b"12345")
        assert reads(server) == 1
        add(broker, b"1")
        assert reads(server) == 0
        late = server.connect(encoding)
        late.send(recover(2, 0))
        await let_all_go(broker)
        assert [client.closed_with for client in clients] == [errors.INSUFFICIENT_STATE] * 2
        assert offsets_of(late.received()) == []
        assert late.closed_with is None
        assert reads(server) == 0

    with_slow_broker(test, LateBroker, options=RECOVERABLE)


@BOTH
def test_a_stream_that_begins_anew_while_it_is_read_makes_the_client_come_back(encoding: Encoding) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(encoding)
        client.send(recover(2, 0))
        await broker.let_go("subscribe news")
        forget(broker)
        add(broker, b"1")
        await broker.let_go("answer news")
        assert client.received() == []
        assert client.closed_with == errors.INSUFFICIENT_STATE
        assert reads(server) == 0

    with_slow_broker(test, LateBroker, options=RECOVERABLE)


def forget(broker: SlowBroker, channel: str = "news") -> None:
    """The store loses a stream."""
    del broker.inner._streams[channel]


def test_a_publication_that_is_missing_between_history_and_what_came_by_makes_the_client_come_back() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        add(broker, b"1")
        client = server.connect()
        client.send(recover(2, 0))
        await broker.let_go("subscribe news")
        await broker.inner.unsubscribe("news")
        add(broker, b"2")
        await broker.inner.subscribe("news")
        add(broker, b"3")
        await broker.let_go("answer news")
        assert client.closed_with == errors.INSUFFICIENT_STATE
        assert reads(server) == 0

    with_slow_broker(test, LateBroker, options=RECOVERABLE)


@BOTH
def test_who_joins_a_stream_that_has_begun_anew_shows_the_others_that_they_lost_it(
    encoding: Encoding,
) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        add(broker, b"1")
        old, new = server.connect(encoding), server.connect(encoding)
        await enter(old, broker)
        assert old.received() == [positioned(2, 1)]
        forget(broker)
        await enter(new, broker)
        assert new.received() == [positioned(2, 0, epoch="aaaaaaac")]
        add(broker, b"2")
        assert old.received() == []
        server.clock.advance(0)
        assert old.received() == [unsubscribed("news", errors.UNSUBSCRIBE_INSUFFICIENT_STATE)]
        assert offsets_of(new.received()) == [1]
        await enter(old, broker)
        assert old.received() == [positioned(2, 1, epoch="aaaaaaac")]

    with_slow_broker(test, options=POSITIONED)


def test_who_knows_more_than_came_by_waits_for_the_stream() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second = server.connect(), server.connect()
        await enter(first, broker)
        first.received()
        events, broker.inner._events = broker.inner._events, None
        add(broker, b"1", b"2")  # stored, and under way
        second.send(recover(2, 0))
        await let_all_go(broker)
        assert second.received() == [recovered(2, 0, pub(b"1", 1), pub(b"2", 2))]
        assert events is not None
        broker.inner._events = events
        for publication_ in done(
            broker.inner.history("news", HistoryFilter(-1), HistoryOptions())
        ).publications:
            events.on_publication("news", publication_, StreamPosition(publication_.offset, EPOCH), None)
        add(broker, b"3")
        assert offsets_of(first.received()) == [1, 2, 3]
        assert offsets_of(second.received()) == [3]

    with_slow_broker(test, options=RECOVERABLE)


def test_who_read_less_than_came_by_must_come_back() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second = server.connect(), server.connect()
        await enter(first, broker)
        add(broker, b"1", b"2")
        assert offsets_of(first.received()) == [1, 2]
        second.send(recover(2, 0))
        await let_all_go(broker)
        assert second.closed_with == errors.INSUFFICIENT_STATE
        assert first.closed_with is None

    with_slow_broker(test, OldBroker, options=RECOVERABLE)


@dataclass
class OldBroker(SlowBroker):
    """Reads from a copy of the store that is one publication behind."""

    async def history(self, channel: str, wanted: HistoryFilter, options: HistoryOptions) -> History:
        history = await self.inner.history(channel, wanted, options)
        offset = max(0, history.position.offset - 1)
        kept = [publication for publication in history.publications if publication.offset <= offset]
        return History(kept, StreamPosition(offset, history.position.epoch))


def test_a_bug_of_the_engine_costs_one_command() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(recover(2, 0))
        await _until(broker, "history news")
        await broker.let_go("history news", ZeroDivisionError())
        assert client.received() == [error(2, INTERNAL)]
        assert (reads(server), client.session.subscriptions) == (0, {})
        client.send(recover(3, 0))
        await let_all_go(broker)
        assert client.received() == [recovered(3, 0)]

    with_slow_broker(test, options=RECOVERABLE)


# ------------------------------------------------------------------ recovery, with an engine that never waits


@pytest.mark.parametrize(
    ("offset", "epoch", "missed"),
    [
        (8, EPOCH, []),
        (6, EPOCH, [7, 8]),
        (6, "", [7, 8]),
        (3, EPOCH, [4, 5, 6, 7, 8]),
        (2, EPOCH, None),
        (0, "", None),
        (9, EPOCH, None),
        (8, "other", None),
        (0, "other", None),
    ],
)
@BOTH
def test_the_table_of_recovery(
    serve: Serve, offset: int, epoch: str, missed: list[int] | None, encoding: Encoding
) -> None:
    server = serve(config(options=RECOVERABLE))
    for number in range(1, 9):
        server.publish("news", b"%d" % number)
    client = server.connect(encoding)
    if missed is None:
        expected = recovered(2, 8, recovered=False)
    else:
        expected = recovered(2, offset, *(pub(b"%d" % number, number) for number in missed))
    assert client.ask(recover(2, offset, epoch)) == [expected]
    server.publish("news", b"9")
    assert offsets_of(client.received()) == [9]


@pytest.mark.parametrize(("limit", "is_recovered"), [(2, False), (3, True), (0, True)])
def test_no_more_is_recovered_than_the_limit_allows(serve: Serve, limit: int, is_recovered: bool) -> None:
    server = serve(config({"recovery_max_publication_limit": limit}, options=RECOVERABLE))
    for _ in range(3):
        server.publish("news", b"1")
    (reply,) = server.connect().ask(recover(2, 0))
    assert reply.subscribe is not None
    assert (reply.subscribe.recovered, reply.subscribe.offset) == (is_recovered, 0 if is_recovered else 3)


@BOTH
def test_who_would_rather_not_subscribe_without_recovery_is_refused(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=replace(RECOVERABLE, presence=True, join_leave=True)))
    server.publish("news", b"1")
    client = server.connect(encoding)
    assert client.ask(recover(2, 0, "other", flag=3)) == [error(2, UNRECOVERABLE_POSITION)]
    assert not client.session.subscriptions
    assert not server.hub.channels
    assert done(server.node.presence("news")) == {}
    assert client.ask(recover(3, 0, flag=3)) == [recovered(3, 0, pub(b"1", 1))]


def test_refusing_is_no_matter_for_those_who_do_not_recover(serve: Serve) -> None:
    server = serve(config(options=RECOVERABLE))
    server.publish("news", b"1")
    assert server.connect().ask(subscribe(2, "news", flag=2)) == [positioned(2, 1, recoverable=True)]


@BOTH
def test_a_filter_recovers_what_it_lets_through(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=replace(RECOVERABLE, allow_tags_filter=True)))
    for tag in "abab":
        done(server.node.publish("news", b"1", tags={"k": tag}))
    client = server.connect(encoding)
    (reply,) = client.ask(recover(2, 0, tf=FilterNode(key="k", cmp="eq", val="b")))
    assert reply.subscribe is not None
    assert isinstance(reply.subscribe.publications, list)
    assert [pub.offset for pub in reply.subscribe.publications] == [2, 4]
    for tag in "ba":
        done(server.node.publish("news", b"1", tags={"k": tag}))
    assert offsets_of(client.received()) == [5]


# ------------------------------------------------------------------ cache


@pytest.mark.parametrize(
    ("kept", "offset", "epoch", "is_recovered", "missed"),
    [
        (True, 3, EPOCH, True, False),
        (True, 1, EPOCH, True, True),
        (True, 0, "", True, True),
        (True, 3, "other", True, True),
        (False, 3, EPOCH, True, False),
        (False, 2, EPOCH, False, False),
        (False, 3, "", False, False),
    ],
)
@BOTH
def test_the_table_of_the_cache(
    serve: Serve, kept: bool, offset: int, epoch: str, is_recovered: bool, missed: bool, encoding: Encoding
) -> None:
    server = serve(config(options=CACHE))
    for number in (1, 2, 3):
        server.publish("news", b"%d" % number)
    if not kept:
        done(server.node.remove_history("news"))
    client = server.connect(encoding)
    if is_recovered:
        expected = recovered(2, offset, *([pub(b"3", 3)] if missed else []))
    else:
        expected = recovered(2, 3, recovered=False)
    assert client.ask(recover(2, offset, epoch, flag=2)) == [expected]


@BOTH
def test_the_newest_is_given_without_asking_where_that_is_switched_on(
    serve: Serve, encoding: Encoding
) -> None:
    server = serve(config(options=replace(CACHE, auto_cache_recover=True)))
    client = server.connect(encoding)
    assert client.ask(subscribe(2, "news")) == [recovered(2, 0, recovered=False)]
    client.ask(unsubscribe(3, "news"))
    server.publish("news", b"1")
    server.publish("news", b"2")
    assert client.ask(subscribe(4, "news")) == [recovered(4, 0, pub(b"2", 2))]


def test_of_what_came_by_the_cache_gives_the_newest() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        add(broker, b"1")
        client = server.connect()
        client.send(recover(2, 0))
        await broker.let_go("subscribe news")
        add(broker, b"2", b"3")
        await broker.let_go("answer news")
        assert client.received() == [recovered(2, 0, pub(b"3", 3))]

    with_slow_broker(test, LateBroker, options=CACHE)


# ------------------------------------------------------------------ deltas


PAYLOADS = [b'{"text":"%s","n":%d}' % (b"x" * 50, number) for number in range(5)]
DELTA = replace(RECOVERABLE, allowed_delta_types=("fossil",), delta_publish=True)


@BOTH
def test_after_a_recovery_of_publications_the_next_one_is_a_patch(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=DELTA))
    client, knows_nothing = server.connect(encoding), server.connect(encoding)
    for payload in PAYLOADS[:2]:
        server.publish("news", payload)
    (reply,) = client.ask(recover(2, 0, delta="fossil"))
    assert reply.subscribe is not None
    assert reply.subscribe.delta
    assert isinstance(reply.subscribe.publications, list)
    assert [missed.delta for missed in reply.subscribe.publications] == [False, True]
    (reply,) = knows_nothing.ask(recover(2, 2, delta="fossil"))
    assert reply.subscribe == recovered(2, 2, delta=True).subscribe
    server.publish("news", PAYLOADS[2])
    server.publish("news", PAYLOADS[3])
    assert [patched(reply) for reply in client.received()] == [True, True]
    assert [patched(reply) for reply in knows_nothing.received()] == [False, True]


def patched(reply: Reply) -> bool:
    assert reply.push is not None
    assert reply.push.pub is not None
    return reply.push.pub.delta


# ------------------------------------------------------------------ wishes and overrides


HISTORY = {"allow_history_for_client": True, "allow_history_for_anonymous": True}


@pytest.mark.parametrize(
    ("options", "wish", "granted"),
    [
        ({}, "positioned", set()),
        ({}, "recoverable", set()),
        ({"allow_positioning": True}, "positioned", {"positioned"}),
        ({"allow_positioning": True}, "recoverable", set()),
        ({"allow_recovery": True}, "recoverable", {"positioned", "recoverable"}),
        ({"allow_recovery": True}, "positioned", set()),
        (HISTORY, "positioned", {"positioned"}),
        (HISTORY, "recoverable", {"positioned", "recoverable"}),
        ({"allow_history_for_client": True}, "recoverable", set()),
        (
            {"allow_history_for_subscriber": True, "allow_history_for_anonymous": True},
            "positioned",
            {"positioned"},
        ),
        (HISTORY | {"history_size": 0}, "recoverable", set()),
    ],
)
@BOTH
def test_positions_on_request_need_an_option_or_access_to_history(
    serve: Serve, options: dict[str, Any], wish: str, granted: set[str], encoding: Encoding
) -> None:
    server = serve(config(options=replace(STREAM, **options)))
    (reply,) = server.connect(encoding).ask(subscribe(2, "news", **{wish: True}))
    assert reply.subscribe is not None
    assert {name for name in ("positioned", "recoverable") if getattr(reply.subscribe, name)} == granted


@BOTH
def test_overrides_of_a_subscription_token_stand_in_place_of_options(
    serve: Serve, encoding: Encoding
) -> None:
    server = serve(config(options=replace(STREAM, presence=True, force_positioning=True)))
    client = server.connect(encoding, sub="42")
    on, off = {"value": True}, {"value": False}
    override = {"presence": off, "join_leave": on, "force_push_join_leave": on, "force_recovery": on}
    request = subscribe(2, "news", token=token(sub="42", channel="news", override=override))
    assert client.ask(request) == [positioned(2, 0, recoverable=True), joined(client)]
    assert done(server.node.presence("news")) == {}
    override = {"force_positioning": off}
    request = subscribe(3, "other", token=token(sub="42", channel="other", override=override))
    assert client.ask(request) == [subscribed(3)]
    assert set(done(server.node.presence("other"))) == {client.id}


# ------------------------------------------------------------------ what is held per subscription


def test_filters_are_not_mixed_up(
    serve: Serve,
) -> None:
    options = replace(RECOVERABLE, force_recovery=False, allow_positioning=True, allow_tags_filter=True)
    server = serve(config(options=options))
    first, second, third = server.connect(), server.connect(), server.connect()
    first.ask(subscribe(2, "news", tf=FilterNode(key="a", cmp="ex")))
    second.ask(subscribe(2, "news", positioned=True, tf=FilterNode(key="b", cmp="ex")))
    third.ask(subscribe(2, "news", positioned=True, tf=FilterNode(key="c", cmp="ex")))
    held = [held_by(client.session) for client in (first, second, third)]
    assert [subscription.delivery.positioned for subscription in held] == [False, True, True]


def held_by(session: Session) -> Subscription:
    return session.subscriptions["news"]


def test_announcing_what_is_not_held_does_nothing(serve: Serve) -> None:
    server = serve(config(options=FORCED))
    client = server.connect()
    server.node.subscriptions.announce(client.session, "news")
    assert client.received() == []


# ------------------------------------------------------------------ the end


def test_closing_the_node_stops_reads_that_nobody_waits_for() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        client.send(recover(2, 0))
        await _until(broker, "history news")
        client.vanish()
        await broker.let_go("unsubscribe news")
        assert broker.asked == ["history news"]
        await server.node.close()
        assert broker.asked == []

    with_slow_broker(test, options=RECOVERABLE)


def test_the_engine_of_one_process_makes_no_task(serve: Serve) -> None:
    server = serve(config(options=replace(FORCED, history_size=5, history_ttl=60.0, force_recovery=True)))
    assert isinstance(server.broker, MemoryBroker)
    client = server.connect()
    client.ask(recover(2, 0))
    client.vanish()
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
