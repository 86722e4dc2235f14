"""Whatever is done in whatever order, a broker over Redis answers and tells what the memory engine does."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from centrifast.engine.contract import HistoryFilter, HistoryOptions, PublishOptions
from centrifast.engine.memory import MemoryBroker
from centrifast.errors import ClientError
from centrifast.model import ClientInfo, Publication, StreamPosition
from tests.contract.servers import Servers
from tests.contract.test_broker import KINDS, Kind, Recorder
from tests.fakes import FakeClock

T = TypeVar("T")

CHANNELS = st.sampled_from(["news", "sport"])
HISTORIES = st.builds(
    lambda size, ttl, more: HistoryOptions(size, ttl, ttl + more),
    st.integers(0, 4),
    st.integers(1, 60),
    st.sampled_from([0, 30, 300]),
)
OPTIONS = st.builds(
    PublishOptions,
    history=HISTORIES,
    info=st.none() | st.just(ClientInfo("ann", "a1", b"{}")),
    tags=st.none() | st.just({"a": "b"}),
    idempotency_key=st.sampled_from(["", "", "k", "l"]),
    version=st.sampled_from([0, 0, 1, 2, 10]),
    version_epoch=st.sampled_from(["", "x", "y"]),
    delta=st.booleans(),
)


class SameAnswers(RuleBasedStateMachine):
    """Both brokers side by side. Epochs are random, so each is known by when it was first seen."""

    kind: Kind
    servers: Servers

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        redis, self.wait_there = type(self).kind(self.servers)
        self.brokers = (MemoryBroker(self.clock), redis)
        self.recorders = (Recorder(), Recorder())
        self.epochs: tuple[dict[str, int], dict[str, int]] = ({}, {})
        self.tops: dict[str, StreamPosition] = {}
        for broker, recorder in zip(self.brokers, self.recorders, strict=True):
            self.run(broker.start(recorder))

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def named(self, which: int, epoch: str) -> int:
        """The number of an epoch; none is 0."""
        return self.epochs[which].setdefault(epoch, len(self.epochs[which]) + 1) if epoch else 0

    def place(self, which: int, position: StreamPosition) -> tuple[int, int]:
        return position.offset, self.named(which, position.epoch)

    @rule(channel=CHANNELS, options=OPTIONS, data=st.binary(max_size=5))
    def publish(self, channel: str, options: PublishOptions, data: bytes) -> None:
        answers = []
        for which, broker in enumerate(self.brokers):
            result = self.run(broker.publish(channel, data, options))
            answers.append((self.place(which, result.position), result.suppressed, result.reason))
        assert answers[0] == answers[1]
        self.compare_events()

    @rule(
        channel=CHANNELS,
        limit=st.sampled_from([0, 1, 2, -1]),
        back=st.none() | st.integers(0, 4),
        reverse=st.booleans(),
        options=HISTORIES,
    )
    def history(
        self, channel: str, limit: int, back: int | None, reverse: bool, options: HistoryOptions
    ) -> None:
        top = self.run(self.brokers[0].history(channel, HistoryFilter(), options)).position.offset
        self.run(self.brokers[1].history(channel, HistoryFilter(), options))
        offset = None if back is None else max(top - back, 0)
        is_iteration = reverse and offset is not None
        wanted = HistoryFilter(limit, None if offset is None else StreamPosition(offset), reverse)
        answers = []
        for which, broker in enumerate(self.brokers):
            if is_iteration and type(self).kind is KINDS["redis_lists"]:
                return
            history = self.run(broker.history(channel, wanted, options))
            found = [shown(publication) for publication in history.publications]
            answers.append((found, self.place(which, history.position)))
        assert answers[0] == answers[1]

    @rule(channel=CHANNELS, options=HISTORIES)
    def history_of_another_epoch(self, channel: str, options: HistoryOptions) -> None:
        wanted = HistoryFilter(-1, StreamPosition(1, "elsewhen"))
        for broker in self.brokers:
            with pytest.raises(ClientError):
                self.run(broker.history(channel, wanted, options))

    @rule(channel=CHANNELS)
    def remove_history(self, channel: str) -> None:
        for broker in self.brokers:
            self.run(broker.remove_history(channel))

    @rule(channel=CHANNELS, subscribe=st.booleans())
    def subscribe(self, channel: str, subscribe: bool) -> None:
        for broker in self.brokers:
            self.run(broker.subscribe(channel) if subscribe else broker.unsubscribe(channel))

    @rule(channel=CHANNELS)
    def join_and_leave(self, channel: str) -> None:
        info = ClientInfo("ann", "a1")
        for broker in self.brokers:
            self.run(broker.publish_join(channel, info))
            self.run(broker.publish_leave(channel, info))
        self.compare_events()

    @rule(seconds=st.integers(1, 70) | st.just(301))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.wait_there(seconds)

    def compare_events(self) -> None:
        """Both have told the same so far; forget it."""
        told = []
        for which, recorder in enumerate(self.recorders):
            publications = [
                (
                    channel,
                    shown(publication),
                    self.named(which, publication.epoch),
                    self.place(which, position),
                )
                for channel, publication, position in recorder.publications
            ]
            previous = [publication and shown(publication) for publication in recorder.previous]
            told.append((publications, previous, list(recorder.comings), list(recorder.order)))
            for heard in (recorder.publications, recorder.previous, recorder.comings, recorder.order):
                heard.clear()
        assert told[0] == told[1]

    def teardown(self) -> None:
        for broker in self.brokers:
            self.run(broker.close())
        self.runner.close()


def shown(publication: Publication) -> tuple[int, bytes, ClientInfo | None, Mapping[str, str] | None]:
    """What must be the same; which publications of history carry their epoch is left open (2.3)."""
    return publication.offset, publication.data, publication.info, publication.tags


@pytest.mark.parametrize("kind", ["redis", "redis_lists", "valkey"])
def test_redis_answers_as_memory_does(kind: str, servers: Servers) -> None:
    class OfKind(SameAnswers):
        pass

    OfKind.kind = staticmethod(KINDS[kind])
    OfKind.servers = servers
    run_state_machine_as_test(
        OfKind, settings=settings(max_examples=50, stateful_step_count=30, deadline=None)
    )
