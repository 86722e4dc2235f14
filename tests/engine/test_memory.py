"""What only the memory engine promises: never to wait, no cost without history, to free what is over."""

from collections.abc import Sequence

import pytest

from centrifast.engine import memory
from centrifast.engine.contract import History, HistoryFilter, HistoryOptions, PublishOptions
from centrifast.engine.host import at_once
from centrifast.engine.idempotency import KEY_TTL
from centrifast.engine.memory import MemoryBroker
from centrifast.engine.sweep import SWEEP_CONTINUE_DELAY, SWEEP_MAX
from centrifast.metrics.metrics import Metrics
from centrifast.model import ClientInfo, Publication, StreamPosition
from tests.fakes import FakeClock

KEPT = HistoryOptions(size=5, ttl=60.0, meta_ttl=600.0)


class NoEvents:
    """A node that does not look."""

    def __init__(self) -> None:
        self.metrics = Metrics()

    def on_publication(
        self, channel: str, publication: Publication, position: StreamPosition, previous: Publication | None
    ) -> None:
        return

    def on_join(self, channel: str, info: ClientInfo) -> None:
        return

    def on_leave(self, channel: str, info: ClientInfo) -> None:
        return

    def on_interrupted(self, channels: Sequence[str]) -> None:
        return

    def on_rewound(self, channel: str) -> None:
        return


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> MemoryBroker:
    broker = MemoryBroker(clock)
    at_once(broker.start(NoEvents()))
    return broker


def publish(
    broker: MemoryBroker, channel: str = "news", *, history: HistoryOptions = KEPT, key: str = ""
) -> None:
    at_once(broker.publish(channel, b"{}", PublishOptions(history, idempotency_key=key)))


def held(broker: MemoryBroker) -> dict[str, int]:
    """Count what the broker keeps for channels, past its time or not."""
    return {
        "streams": len(broker._streams),
        "publications": sum(len(stream) for stream in broker._streams.values()),
        "results": len(broker._results),
        "heap items": len(broker._data_heap) + len(broker._meta_heap),
        "idle": len(broker._idle),
    }


NOTHING = {"streams": 0, "publications": 0, "results": 0, "heap items": 0, "idle": 0}


def test_no_method_suspends(broker: MemoryBroker) -> None:
    at_once(broker.subscribe("news"))
    publish(broker)
    publish(broker, key="k")
    at_once(broker.history("news", HistoryFilter(-1), KEPT))
    at_once(broker.remove_history("news"))
    at_once(broker.publish_join("news", ClientInfo("42", "client")))
    at_once(broker.publish_leave("news", ClientInfo("42", "client")))
    at_once(broker.unsubscribe("news"))
    at_once(broker.close())


def test_channel_without_history_leaves_nothing_behind(broker: MemoryBroker) -> None:
    at_once(broker.subscribe("news"))
    publish(broker, history=HistoryOptions())
    at_once(broker.unsubscribe("news"))
    assert held(broker) == NOTHING
    assert not broker._subscribed


def test_publication_is_delivered_before_publish_returns(clock: FakeClock) -> None:
    seen: list[int] = []

    class Events(NoEvents):
        def on_publication(
            self,
            channel: str,
            publication: Publication,
            position: StreamPosition,
            previous: Publication | None,
        ) -> None:
            seen.append(publication.offset)

    broker = MemoryBroker(clock)
    at_once(broker.start(Events()))
    at_once(broker.subscribe("news"))
    for offset in (1, 2, 3):
        publish(broker)
        assert seen[-1] == offset


def test_publications_bear_the_time_they_were_made(broker: MemoryBroker, clock: FakeClock) -> None:
    publish(broker)
    [publication] = at_once(broker.history("news", HistoryFilter(-1), KEPT)).publications
    assert publication.time_ms == int(clock.unix() * 1000)


def test_read_copies_no_publication(clock: FakeClock) -> None:
    delivered: list[Publication] = []

    class Events(NoEvents):
        def on_publication(
            self,
            channel: str,
            publication: Publication,
            position: StreamPosition,
            previous: Publication | None,
        ) -> None:
            delivered.append(publication)

    broker = MemoryBroker(clock)
    at_once(broker.start(Events()))
    at_once(broker.subscribe("news"))
    for _ in range(300):
        publish(broker, history=HistoryOptions(300, 60.0, 600.0))
    read = at_once(broker.history("news", HistoryFilter(300), KEPT)).publications
    assert list(map(id, read)) == list(map(id, delivered))


def test_sweep_frees_publications_then_epochs_and_keys(broker: MemoryBroker, clock: FakeClock) -> None:
    publish(broker, key="k")
    assert held(broker) == NOTHING | {"streams": 1, "publications": 1, "results": 1, "heap items": 2}
    clock.advance(KEPT.ttl + 2)
    assert held(broker) == NOTHING | {"streams": 1, "publications": 0, "results": 1, "heap items": 1}
    clock.advance(KEY_TTL)
    assert held(broker) == NOTHING | {"streams": 1, "publications": 0, "results": 0, "heap items": 1}
    clock.advance(KEPT.meta_ttl)
    assert held(broker) == NOTHING


def test_sweep_leaves_what_was_extended(broker: MemoryBroker, clock: FakeClock) -> None:
    for _ in range(100):
        publish(broker)
        clock.advance(KEPT.ttl - 1)
        publish(broker, "other")
        assert held(broker)["publications"] > 0
    assert held(broker) == NOTHING | {"streams": 2, "publications": 10, "results": 0, "heap items": 4}


def test_stream_that_was_only_read_is_freed(broker: MemoryBroker, clock: FakeClock) -> None:
    at_once(broker.history("news", HistoryFilter(0), KEPT))
    assert held(broker)["streams"] == 1
    clock.advance(KEPT.meta_ttl + 2)
    assert held(broker) == NOTHING


def test_stream_without_meta_ttl_is_kept(broker: MemoryBroker, clock: FakeClock) -> None:
    publish(broker, history=HistoryOptions(5, 60.0, 0.0))
    clock.advance(10_000)
    assert held(broker) == {"streams": 1, "publications": 0, "results": 0, "heap items": 0, "idle": 0}


def test_stream_given_a_meta_ttl_later_is_freed(broker: MemoryBroker, clock: FakeClock) -> None:
    publish(broker, history=HistoryOptions(5, 60.0, 0.0))
    publish(broker)
    clock.advance(KEPT.meta_ttl + 2)
    assert held(broker) == NOTHING


def test_shorter_lives_after_a_reload_are_freed_too(broker: MemoryBroker, clock: FakeClock) -> None:
    publish(broker, history=HistoryOptions(5, 1000.0, 2000.0))
    publish(broker, history=HistoryOptions(5, 10.0, 20.0))
    clock.advance(2002)
    assert held(broker) == NOTHING


def test_epoch_that_ends_while_publications_wait_for_the_sweep_is_freed_after_them(
    broker: MemoryBroker, clock: FakeClock
) -> None:
    publish(broker, history=HistoryOptions(5, 10.0, 20.0))
    publish(broker, history=HistoryOptions(5, 1000.0, 2000.0))
    clock.advance(15)
    publish(broker, history=HistoryOptions(5, 10.0, 20.0))  # its publications are looked for at 1000 s only
    clock.advance(30)
    assert held(broker)["streams"] == 1
    clock.advance(1000)
    assert held(broker) == NOTHING


def test_restarted_stream_does_not_gather_heap_items(broker: MemoryBroker, clock: FakeClock) -> None:
    at_once(broker.close())  # no sweep helps
    for _ in range(5):
        publish(broker)
        clock.advance(KEPT.meta_ttl + 1)
    assert held(broker)["heap items"] == 2


def test_one_sweep_does_a_bounded_amount_and_comes_back_soon(broker: MemoryBroker, clock: FakeClock) -> None:
    count = 2 * SWEEP_MAX + 1
    for number in range(count):
        publish(broker, f"channel{number}")
    clock.advance(KEPT.ttl - 0.5)
    assert held(broker)["publications"] == count
    clock.advance(0.5)
    assert held(broker)["publications"] == count - SWEEP_MAX
    clock.advance(SWEEP_CONTINUE_DELAY)
    assert held(broker)["publications"] == 1
    clock.advance(SWEEP_CONTINUE_DELAY)
    assert held(broker)["publications"] == 0


# ------------------------------------------------------------------ streams that are read and nothing else


def read(broker: MemoryBroker, channel: str, history: HistoryOptions = KEPT) -> StreamPosition:
    result: History = at_once(broker.history(channel, HistoryFilter(0), history))
    return result.position


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two idle streams are enough."""
    monkeypatch.setattr(memory, "IDLE_STREAMS", 2)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("history", [KEPT, HistoryOptions(5, 60.0, 0.0)])
def test_of_too_many_streams_that_are_only_read_the_longest_idle_are_forgotten(
    broker: MemoryBroker, clock: FakeClock, history: HistoryOptions
) -> None:
    positions = {name: read(broker, name, history) for name in ("a", "b", "c", "d")}
    read(broker, "a", history)
    clock.advance(1)
    assert held(broker) == NOTHING | {"streams": 2, "idle": 2}
    assert {name: read(broker, name, history) for name in ("d", "a")} == {
        name: positions[name] for name in ("d", "a")
    }
    assert read(broker, "b", history).epoch != positions["b"].epoch


@pytest.mark.usefixtures("few")
def test_streams_with_a_subscriber_or_a_publication_are_not_idle(
    broker: MemoryBroker, clock: FakeClock
) -> None:
    for name in ("a", "b", "c"):
        at_once(broker.subscribe(name))
    positions = {name: read(broker, name) for name in "abcdef"}
    for name in "def":
        publish(broker, name)
    clock.advance(5)
    for name in "abc":
        assert read(broker, name) == positions[name]
    for name in "def":
        assert read(broker, name) == StreamPosition(1, positions[name].epoch)


@pytest.mark.usefixtures("few")
def test_who_subscribes_and_leaves_again_and_again_leaves_little_behind(
    broker: MemoryBroker, clock: FakeClock
) -> None:
    for number in range(100):
        name = f"channel{number}"
        at_once(broker.subscribe(name))
        read(broker, name)
        at_once(broker.unsubscribe(name))
    clock.advance(1)
    assert held(broker) == NOTHING | {"streams": 2, "idle": 2}
    at_once(broker.subscribe("channel99"))
    assert held(broker) == NOTHING | {"streams": 2, "idle": 1}


def test_an_idle_stream_ends_with_its_epoch(broker: MemoryBroker, clock: FakeClock) -> None:
    read(broker, "news")
    at_once(broker.subscribe("other"))
    read(broker, "other")
    clock.advance(KEPT.meta_ttl + 2)
    assert held(broker) == NOTHING | {"streams": 1}
    at_once(broker.unsubscribe("other"))
    clock.advance(2)
    assert held(broker) == NOTHING


def test_a_stream_that_has_begun_anew_is_freed_once(broker: MemoryBroker, clock: FakeClock) -> None:
    at_once(broker.subscribe("news"))
    publish(broker, history=HistoryOptions(5, 0.25, 0.5))
    clock.advance(0.75)  # past its time, and no sweep has come by
    assert read(broker, "news").offset == 0
    at_once(broker.unsubscribe("news"))
    assert held(broker)["idle"] == 0
    clock.advance(KEPT.meta_ttl + 2)
    assert held(broker) == NOTHING


def test_only_one_timer_runs_and_close_ends_it(broker: MemoryBroker, clock: FakeClock) -> None:
    for number in range(10):
        publish(broker, f"channel{number}")
    clock.advance(5)
    assert clock.timers == 1
    at_once(broker.close())
    assert clock.timers == 0


def test_close_before_start_is_harmless(clock: FakeClock) -> None:
    at_once(MemoryBroker(clock).close())
