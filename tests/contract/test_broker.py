"""What every Broker must keep (``engine/contract.py``, engines specification 1.3, 1.4 and appendix B).

A broker joins by one more line in ``KINDS``. Time passes through ``Bench.wait``, in whole seconds because
stores count in them.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from centrifast.engine.contract import (
    Broker,
    History,
    HistoryFilter,
    HistoryOptions,
    PublishOptions,
    PublishResult,
)
from centrifast.engine.memory import MemoryBroker
from centrifast.errors import UNRECOVERABLE_POSITION, ClientError
from centrifast.metrics.metrics import Metrics
from centrifast.model import NO_POSITION, ClientInfo, Publication, StreamPosition
from tests.contract.servers import Servers, emptied
from tests.engine.linked import LinkedBroker
from tests.engine.redis.shards import SettledBroker, Store, servers_of
from tests.fakes import FakeClock

T = TypeVar("T")

KEPT = HistoryOptions(size=5, ttl=60.0, meta_ttl=600.0)

ANN = ClientInfo("ann", "a1", b'{"name":"Ann"}', b'{"role":"owner"}')


@dataclass
class Recorder:
    """Everything a broker told its node."""

    publications: list[tuple[str, Publication, StreamPosition]] = field(default_factory=list)
    previous: list[Publication | None] = field(default_factory=list)
    comings: list[tuple[str, str, ClientInfo]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)

    def on_publication(
        self, channel: str, publication: Publication, position: StreamPosition, previous: Publication | None
    ) -> None:
        self.publications.append((channel, publication, position))
        self.previous.append(previous)
        self.order.append("publication")

    def on_join(self, channel: str, info: ClientInfo) -> None:
        self.comings.append(("join", channel, info))
        self.order.append("join")

    def on_leave(self, channel: str, info: ClientInfo) -> None:
        self.comings.append(("leave", channel, info))
        self.order.append("leave")

    def on_interrupted(self, channels: Sequence[str]) -> None:
        self.interrupted += channels

    def on_rewound(self, channel: str) -> None:
        self.order.append("rewound")

    def data(self) -> list[bytes]:
        return [publication.data for _, publication, _ in self.publications]

    def offsets(self) -> list[int]:
        return [publication.offset for _, publication, _ in self.publications]


@dataclass
class Bench:
    """A started broker, what it tells, and a way to let time pass."""

    broker: Broker
    events: Recorder
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    wait: Callable[[float], None]

    def publish(
        self,
        data: bytes = b"{}",
        channel: str = "news",
        *,
        history: HistoryOptions = KEPT,
        info: ClientInfo | None = None,
        tags: Mapping[str, str] | None = None,
        key: str = "",
        version: int = 0,
        version_epoch: str = "",
        delta: bool = False,
    ) -> PublishResult:
        options = PublishOptions(history, info, tags, key, version, version_epoch, delta)
        result: PublishResult = self.run(self.broker.publish(channel, data, options))
        return result

    def base_of(self, data: bytes, *, history: HistoryOptions = KEPT) -> tuple[int, bytes] | None:
        """Publish for delta; return offset and data of the publication that came along as the one before."""
        self.publish(data, history=history, delta=True)
        previous = self.events.previous[-1]
        return None if previous is None else (previous.offset, previous.data)

    def join(self, channel: str = "news") -> None:
        self.run(self.broker.publish_join(channel, ANN))

    def leave(self, channel: str = "news") -> None:
        self.run(self.broker.publish_leave(channel, ANN))

    def history(
        self,
        limit: int = -1,
        since: StreamPosition | None = None,
        *,
        channel: str = "news",
        reverse: bool = False,
        options: HistoryOptions = KEPT,
    ) -> History:
        wanted = HistoryFilter(limit, since, reverse)
        result: History = self.run(self.broker.history(channel, wanted, options))
        return result

    def position(self, channel: str = "news", options: HistoryOptions = KEPT) -> StreamPosition:
        return self.history(0, channel=channel, options=options).position

    def kept(self, since: StreamPosition | None = None) -> list[int]:
        return [publication.offset for publication in self.history(-1, since).publications]

    def remove_history(self, channel: str = "news") -> None:
        self.run(self.broker.remove_history(channel))

    def subscribe(self, channel: str = "news") -> None:
        self.run(self.broker.subscribe(channel))

    def unsubscribe(self, channel: str = "news") -> None:
        self.run(self.broker.unsubscribe(channel))


NUMBERS = itertools.count()

Kind = Callable[[Servers], tuple[Broker, Callable[[float], None]]]


def memory_broker(_: Servers) -> tuple[Broker, Callable[[float], None]]:
    clock = FakeClock()
    return MemoryBroker(clock), clock.advance


def shared_broker(_: Servers) -> tuple[Broker, Callable[[float], None]]:
    clock = FakeClock()
    return LinkedBroker(clock), clock.advance


def redis_broker(stores_of: Callable[[Servers], Sequence[Store]], **options: Any) -> Kind:
    def make(servers: Servers) -> tuple[Broker, Callable[[float], None]]:
        clock = FakeClock()
        stores = stores_of(servers)
        # Members of a cluster may hand on what was published for the test before, so no two share a prefix.
        prefix = f"app{next(NUMBERS)}"
        return SettledBroker(stores, clock, prefix, **options), emptied(servers_of(stores), clock)

    return make


KINDS: dict[str, Kind] = {
    "memory": memory_broker,
    "shared": shared_broker,
    "redis": redis_broker(lambda servers: [servers.first]),
    "redis_lists": redis_broker(lambda servers: [servers.first], use_lists=True),
    "valkey": redis_broker(lambda servers: [servers.valkey]),
    "redis_two_shards": redis_broker(lambda servers: [servers.first, servers.second]),
    "redis_cluster": redis_broker(lambda servers: [servers.cluster]),
    "redis_cluster_partitions": redis_broker(lambda servers: [servers.cluster], partitions=4),
}


ITERATING_BACKWARDS = [kind for kind in KINDS if kind != "redis_lists"]
"""Those that read from an offset backwards (engines specification 3.5.5)."""


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Bench]:
    broker, wait = KINDS[request.param](servers)
    with asyncio.Runner() as runner:
        events = Recorder()
        runner.run(broker.start(events))
        yield Bench(broker, events, runner.run, wait)
        runner.run(broker.close())


# ------------------------------------------------------------------ PUB/SUB


def test_subscribed_channel_is_delivered_with_everything_given(bench: Bench) -> None:
    bench.subscribe()
    info = ClientInfo("42", "client", b'{"name":"Ann"}', b"1")
    bench.publish(b'{"n":1}', history=HistoryOptions(), info=info, tags={"a": "b"})
    [(channel, publication, position)] = bench.events.publications
    assert channel == "news"
    assert position == NO_POSITION
    assert (publication.data, publication.offset) == (b'{"n":1}', 0)
    assert publication.info == info
    assert publication.tags == {"a": "b"}


def test_channel_nobody_subscribed_to_is_not_delivered(bench: Bench) -> None:
    bench.subscribe("sport")
    bench.publish(b"1", history=HistoryOptions())
    bench.publish(b"2")
    assert bench.events.publications == []


def test_unsubscribed_channel_is_not_delivered(bench: Bench) -> None:
    bench.subscribe()
    bench.unsubscribe()
    bench.publish(b"1")
    assert bench.events.publications == []


def test_subscribing_twice_delivers_once_and_one_unsubscribe_ends_it(bench: Bench) -> None:
    bench.subscribe()
    bench.subscribe()
    bench.publish(b"1")
    bench.unsubscribe()
    bench.publish(b"2")
    assert bench.events.data() == [b"1"]


def test_unsubscribe_of_an_unknown_channel_is_harmless(bench: Bench) -> None:
    bench.unsubscribe("never")


def test_delivery_is_in_the_order_of_offsets(bench: Bench) -> None:
    bench.subscribe()
    for number in range(50):
        bench.publish(b"%d" % number)
    assert bench.events.offsets() == list(range(1, 51))
    assert bench.events.data() == [b"%d" % number for number in range(50)]


def test_live_publication_carries_its_position(bench: Bench) -> None:
    bench.subscribe()
    result = bench.publish()
    [(_, publication, position)] = bench.events.publications
    assert position == result.position == StreamPosition(1, result.position.epoch)
    assert publication.offset == 1


def test_first_publication_of_a_stream_carries_the_epoch(bench: Bench) -> None:
    bench.subscribe()
    epoch = bench.publish().position.epoch
    bench.publish()
    assert [publication.epoch for _, publication, _ in bench.events.publications] == [epoch, ""]


@pytest.mark.parametrize("channel", ["{x}y", "{}e", "a}b", "a:b c", "канал", "a__b", "__p1:1:e__", "x" * 255])
def test_names_may_hold_anything(bench: Bench, channel: str) -> None:
    bench.subscribe(channel)
    bench.publish(b"1", channel, key=channel)
    assert bench.publish(b"2", channel, key=channel).suppressed
    bench.publish(b"3", channel, history=HistoryOptions())
    bench.join(channel)
    assert [publication.data for publication in bench.history(channel=channel).publications] == [b"1"]
    assert [name for name, _, _ in bench.events.publications] == [channel] * 2
    assert bench.events.comings == [("join", channel, ANN)]
    bench.unsubscribe(channel)
    bench.publish(b"4", channel)
    bench.remove_history(channel)
    assert bench.position(channel).offset == 2
    assert bench.events.data() == [b"1", b"3"]


def test_no_event_follows_close(bench: Bench) -> None:
    bench.subscribe()
    bench.run(bench.broker.close())
    assert bench.events.publications == []
    bench.wait(10)


# ------------------------------------------------------------------ joins and leaves


def test_joins_and_leaves_are_delivered_with_everything_given(bench: Bench) -> None:
    bench.subscribe()
    bench.join()
    bench.leave()
    assert bench.events.comings == [("join", "news", ANN), ("leave", "news", ANN)]


def test_joins_and_leaves_of_a_channel_nobody_subscribed_to_are_not_delivered(bench: Bench) -> None:
    bench.subscribe("sport")
    bench.join()
    bench.leave()
    bench.subscribe()
    bench.unsubscribe()
    bench.join()
    bench.leave()
    assert bench.events.comings == []


def test_joins_and_leaves_are_not_kept_and_have_no_offset(bench: Bench) -> None:
    bench.subscribe()
    bench.publish(b"1")
    bench.join()
    bench.leave()
    assert bench.publish(b"2").position.offset == 2
    assert bench.kept() == [1, 2]
    assert bench.events.data() == [b"1", b"2"]


def test_joins_and_leaves_come_in_the_order_they_were_made(bench: Bench) -> None:
    bench.subscribe()
    bench.join()
    bench.publish()
    bench.leave()
    bench.publish(history=HistoryOptions())
    bench.join()
    assert bench.events.order == ["join", "publication", "leave", "publication", "join"]


def test_join_creates_no_stream(bench: Bench) -> None:
    bench.subscribe()
    bench.join()
    epoch = bench.position().epoch
    assert bench.publish().position == StreamPosition(1, epoch)


# ------------------------------------------------------------------ history


def test_publication_without_history_has_no_position(bench: Bench) -> None:
    assert bench.publish(history=HistoryOptions()) == PublishResult(NO_POSITION, suppressed=False)


@pytest.mark.parametrize("options", [HistoryOptions(5, 0.0, 600.0), HistoryOptions(0, 60.0, 600.0)])
def test_history_needs_both_size_and_ttl(bench: Bench, options: HistoryOptions) -> None:
    assert bench.publish(history=options).position == NO_POSITION


def test_publication_that_skips_history_leaves_the_stream_alone(bench: Bench) -> None:
    bench.subscribe()
    first = bench.publish(b"1")
    bench.publish(b"2", history=HistoryOptions())
    assert bench.position() == first.position
    assert bench.events.offsets() == [1, 0]


def test_offsets_grow_by_one_within_one_epoch(bench: Bench) -> None:
    positions = [bench.publish().position for _ in range(3)]
    assert [position.offset for position in positions] == [1, 2, 3]
    assert len({position.epoch for position in positions}) == 1
    assert positions[0].epoch


def test_channels_have_streams_of_their_own(bench: Bench) -> None:
    news = bench.publish(channel="news").position
    sport = bench.publish(channel="sport").position
    assert (news.offset, sport.offset) == (1, 1)
    assert news.epoch != sport.epoch


def test_reading_an_unknown_channel_creates_its_epoch(bench: Bench) -> None:
    position = bench.position()
    assert position.offset == 0
    assert position.epoch
    assert bench.publish().position == StreamPosition(1, position.epoch)


def test_history_returns_what_was_published(bench: Bench) -> None:
    info = ClientInfo("42", "client")
    bench.publish(b"\x00\xff", info=info, tags={"a": "b"})
    [publication] = bench.history().publications
    assert (publication.data, publication.offset) == (b"\x00\xff", 1)
    assert publication.info == info
    assert publication.tags == {"a": "b"}


def test_at_most_size_publications_are_kept(bench: Bench) -> None:
    for _ in range(8):
        bench.publish()
    assert bench.kept() == [4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("limit", "since", "reverse", "expected"),
    [
        (0, None, False, []),
        (2, None, False, [4, 5]),
        (2, None, True, [8, 7]),
        (-1, None, True, [8, 7, 6, 5, 4]),
        (100, None, False, [4, 5, 6, 7, 8]),
        (-1, 5, False, [6, 7, 8]),
        (1, 5, False, [6]),
        (-1, 1, False, [4, 5, 6, 7, 8]),
        (-1, 8, False, []),
        (-1, 20, False, []),
        (-1, 2**64 - 1, False, []),
    ],
)
def test_history_filter(
    bench: Bench, limit: int, since: int | None, reverse: bool, expected: list[int]
) -> None:
    read_and_compare(bench, limit, since, reverse, expected)


@pytest.mark.parametrize("bench", ITERATING_BACKWARDS, indirect=True)
@pytest.mark.parametrize(
    ("limit", "since", "expected"),
    [
        (-1, 6, [5, 4]),
        (1, 6, [5]),
        (-1, 9, [8, 7, 6, 5, 4]),
        (-1, 4, []),
        (-1, 1, []),
    ],
)
def test_history_filter_backwards(bench: Bench, limit: int, since: int, expected: list[int]) -> None:
    read_and_compare(bench, limit, since, True, expected)


def read_and_compare(bench: Bench, limit: int, since: int | None, reverse: bool, expected: list[int]) -> None:
    for _ in range(8):
        top = bench.publish().position
    position = None if since is None else StreamPosition(since, top.epoch)
    history = bench.history(limit, position, reverse=reverse)
    assert [publication.offset for publication in history.publications] == expected
    assert history.position == top


def test_empty_epoch_is_not_compared(bench: Bench) -> None:
    bench.publish()
    bench.publish()
    assert bench.kept(StreamPosition(1, "")) == [2]


@pytest.mark.parametrize("limit", [0, -1, 10])
def test_wrong_epoch_is_unrecoverable(bench: Bench, limit: int) -> None:
    bench.publish()
    with pytest.raises(ClientError) as caught:
        bench.history(limit, StreamPosition(1, "elsewhen"))
    assert caught.value.error is UNRECOVERABLE_POSITION


def test_remove_history_keeps_epoch_and_top(bench: Bench) -> None:
    bench.publish()
    top = bench.publish().position
    bench.remove_history()
    assert bench.history() == History([], top)
    assert bench.publish().position == StreamPosition(3, top.epoch)
    assert bench.kept() == [3]


def test_remove_history_of_an_unknown_channel_is_harmless(bench: Bench) -> None:
    bench.remove_history("never")
    assert bench.position("never").offset == 0


def test_publications_expire_and_the_position_stays(bench: Bench) -> None:
    top = bench.publish().position
    bench.wait(61)
    assert bench.history() == History([], top)
    assert bench.publish().position == StreamPosition(2, top.epoch)
    assert bench.kept() == [2]


def test_each_publication_extends_the_life_of_all(bench: Bench) -> None:
    bench.publish()
    bench.wait(40)
    bench.publish()
    bench.wait(40)
    assert bench.kept() == [1, 2]


def test_reading_does_not_extend_the_life_of_publications(bench: Bench) -> None:
    bench.publish()
    bench.wait(40)
    assert bench.kept() == [1]
    bench.wait(40)
    assert bench.kept() == []


def test_stream_restarts_with_a_new_epoch_after_its_meta_ttl(bench: Bench) -> None:
    old = bench.publish().position
    bench.wait(601)
    new = bench.position()
    assert new.offset == 0
    assert new.epoch not in ("", old.epoch)
    assert bench.publish().position == StreamPosition(1, new.epoch)
    assert bench.kept() == [1]


def test_publish_and_read_extend_the_life_of_the_epoch(bench: Bench) -> None:
    epoch = bench.publish().position.epoch
    bench.wait(400)
    assert bench.publish().position == StreamPosition(2, epoch)
    bench.wait(400)
    assert bench.position() == StreamPosition(2, epoch)
    bench.wait(400)
    assert bench.position() == StreamPosition(2, epoch)


@pytest.mark.parametrize("seconds", [60, 120])
def test_reading_the_position_alone_extends_the_life_of_the_epoch(bench: Bench, seconds: int) -> None:
    options = HistoryOptions(5, 60.0, seconds + 1.0)
    first = bench.position(options=options)
    for _ in range(5):
        bench.wait(seconds)
        assert bench.position(options=options) == first
    bench.wait(seconds + 2)
    assert bench.position(options=options).epoch != first.epoch


def test_epoch_that_lives_shorter_than_the_time_between_reads_is_another_each_time(bench: Bench) -> None:
    options = HistoryOptions(5, 10.0, 10.0)
    epochs = set()
    for _ in range(3):
        position = bench.position(options=options)
        assert position.offset == 0
        epochs.add(position.epoch)
        bench.wait(11)
    assert len(epochs) == 3


def test_refused_read_extends_the_life_of_the_epoch(bench: Bench) -> None:
    epoch = bench.publish().position.epoch
    bench.wait(400)
    with pytest.raises(ClientError):
        bench.history(0, StreamPosition(1, "elsewhen"))
    bench.wait(400)
    assert bench.position() == StreamPosition(1, epoch)


def test_removing_history_does_not_extend_the_life_of_the_epoch(bench: Bench) -> None:
    epoch = bench.publish().position.epoch
    bench.wait(400)
    bench.remove_history()
    bench.wait(201)
    assert bench.position().epoch != epoch


def test_reading_shortens_the_life_of_the_epoch_when_the_option_has_changed(bench: Bench) -> None:
    epoch = bench.publish().position.epoch
    assert bench.position(options=HistoryOptions(5, 60.0, 100.0)).epoch == epoch
    bench.wait(101)
    assert bench.position().epoch != epoch


def test_subscribers_that_stay_see_offsets_go_on_after_history_expired(bench: Bench) -> None:
    bench.subscribe()
    epoch = bench.publish().position.epoch
    bench.wait(61)
    bench.publish()
    bench.remove_history()
    bench.publish()
    assert [position for _, _, position in bench.events.publications] == [
        StreamPosition(offset, epoch) for offset in (1, 2, 3)
    ]


def test_subscribers_that_stay_see_the_epoch_that_comes_after_the_meta_ttl(bench: Bench) -> None:
    bench.subscribe()
    old = bench.publish().position.epoch
    bench.publish()
    bench.wait(601)
    new = bench.publish().position
    _, publication, position = bench.events.publications[-1]
    assert position == new == StreamPosition(1, publication.epoch)
    assert new.epoch != old
    assert bench.kept() == [1]


def test_size_that_was_lowered_holds_from_the_next_publication_on(bench: Bench) -> None:
    for _ in range(5):
        bench.publish()
    bench.publish(history=HistoryOptions(2, 60.0, 600.0))
    assert bench.kept() == [5, 6]
    bench.publish()
    assert bench.kept() == [5, 6, 7]


def test_ttl_that_was_lowered_holds_from_the_next_publication_on(bench: Bench) -> None:
    bench.publish(history=HistoryOptions(5, 300.0, 600.0))
    bench.publish(history=HistoryOptions(5, 10.0, 600.0))
    bench.wait(11)
    assert bench.kept() == []
    assert bench.position().offset == 2


def test_later_changes_do_not_touch_what_was_read(bench: Bench) -> None:
    for _ in range(5):
        bench.publish()
    forward, reverse = bench.history(), bench.history(reverse=True)
    bench.publish()
    bench.remove_history()
    assert [publication.offset for publication in forward.publications] == [1, 2, 3, 4, 5]
    assert [publication.offset for publication in reverse.publications] == [5, 4, 3, 2, 1]


# ------------------------------------------------------------------ the publication before, for delta


@pytest.mark.parametrize("size", [1, 2, 5])
def test_delta_brings_the_publication_before(bench: Bench, size: int) -> None:
    bench.subscribe()
    history = HistoryOptions(size, 60.0, 600.0)
    assert bench.base_of(b"1", history=history) is None
    for offset in range(2, 9):
        base = bench.base_of(b"%d" % offset, history=history)
        assert base == (offset - 1, b"%d" % (offset - 1))


def test_without_delta_no_publication_before_comes(bench: Bench) -> None:
    bench.subscribe()
    for _ in range(3):
        bench.publish()
    assert bench.events.previous == [None, None, None]


def test_the_publication_before_need_not_be_marked_for_delta(bench: Bench) -> None:
    bench.subscribe()
    bench.publish(b"1")
    assert bench.base_of(b"2") == (1, b"1")


def test_the_publication_before_is_of_the_same_channel(bench: Bench) -> None:
    bench.subscribe()
    bench.publish(b"1", "sport")
    assert bench.base_of(b"2") is None


def test_expired_publication_comes_no_more(bench: Bench) -> None:
    bench.subscribe()
    bench.publish(b"1")
    bench.wait(61)
    assert bench.base_of(b"2") is None
    assert bench.base_of(b"3") == (2, b"2")


def test_removed_publication_comes_no_more(bench: Bench) -> None:
    bench.subscribe()
    bench.publish(b"1")
    bench.remove_history()
    assert bench.base_of(b"2") is None
    assert bench.base_of(b"3") == (2, b"2")


def test_publication_of_an_epoch_that_ended_comes_no_more(bench: Bench) -> None:
    bench.subscribe()
    bench.publish(b"1")
    bench.wait(601)
    assert bench.base_of(b"2") is None
    assert bench.base_of(b"3") == (1, b"2")


def test_publication_without_history_has_none_before_it_and_is_none(bench: Bench) -> None:
    bench.subscribe()
    bench.publish(b"1")
    assert bench.base_of(b"2", history=HistoryOptions()) is None
    assert bench.base_of(b"3") == (1, b"1")


def test_suppressed_publication_is_not_delivered_and_is_none_before_the_next(bench: Bench) -> None:
    bench.subscribe()
    bench.publish(b"1", key="k", version=5)
    assert bench.publish(b"2", key="k", delta=True).suppressed
    assert bench.publish(b"3", version=5, delta=True).suppressed
    assert bench.base_of(b"4") == (1, b"1")
    assert bench.events.data() == [b"1", b"4"]
    assert bench.kept() == [1, 2]


# ------------------------------------------------------------------ idempotency and versions


@pytest.mark.parametrize("history", [KEPT, HistoryOptions()])
def test_same_key_publishes_once_and_answers_the_first_position(
    bench: Bench, history: HistoryOptions
) -> None:
    bench.subscribe()
    first = bench.publish(b"1", key="k", history=history)
    bench.publish(b"2", history=history)
    again = bench.publish(b"3", key="k", history=history)
    assert not first.suppressed
    assert again == PublishResult(first.position, suppressed=True, reason="idempotency")
    assert bench.events.data() == [b"1", b"2"]


def test_same_key_in_another_channel_is_another_key(bench: Bench) -> None:
    bench.publish(channel="news", key="k")
    assert not bench.publish(channel="sport", key="k").suppressed
    assert not bench.publish(channel="a_b", key="c").suppressed
    assert not bench.publish(channel="a", key="b_c").suppressed


def test_key_counts_for_five_minutes_from_the_first_use(bench: Bench) -> None:
    bench.publish(key="k")
    bench.wait(200)
    assert bench.publish(key="k").suppressed
    bench.wait(101)
    assert not bench.publish(key="k").suppressed
    assert bench.publish(key="k").suppressed


def test_suppressed_publication_does_not_extend_the_life_of_the_stream(bench: Bench) -> None:
    bench.publish(key="k", version=5)
    bench.wait(40)
    bench.publish(key="k", version=6)
    bench.publish(version=5)
    bench.wait(40)
    assert bench.kept() == []


def test_version_not_above_the_stored_one_is_suppressed_with_the_current_position(bench: Bench) -> None:
    bench.subscribe()
    bench.publish(b"1", version=5)
    top = bench.publish(b"2").position  # no version: neither checked nor stored
    assert bench.publish(b"3", version=5) == PublishResult(top, suppressed=True, reason="version")
    assert bench.publish(b"4", version=4) == PublishResult(top, suppressed=True, reason="version")
    assert not bench.publish(b"5", version=6).suppressed
    assert bench.events.data() == [b"1", b"2", b"5"]
    assert bench.kept() == [1, 2, 3]


def test_version_of_another_version_epoch_passes_and_replaces(bench: Bench) -> None:
    bench.publish(version=5, version_epoch="x")
    assert not bench.publish(version=1, version_epoch="y").suppressed
    assert bench.publish(version=1, version_epoch="y").suppressed
    assert bench.publish(version=1).suppressed


def test_version_is_ignored_without_history(bench: Bench) -> None:
    assert not bench.publish(version=5, history=HistoryOptions()).suppressed
    assert not bench.publish(version=5, history=HistoryOptions()).suppressed


def test_version_outlives_expired_publications_but_not_the_epoch(bench: Bench) -> None:
    bench.publish(version=5)
    bench.wait(61)
    assert bench.publish(version=5).suppressed
    bench.wait(601)
    assert not bench.publish(version=5).suppressed


def test_publication_suppressed_by_version_does_not_use_up_its_key(bench: Bench) -> None:
    bench.publish(version=5, version_epoch="x")
    assert bench.publish(version=5, version_epoch="x", key="k").suppressed
    assert not bench.publish(version=6, version_epoch="x", key="k").suppressed
