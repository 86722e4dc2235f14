"""Who is known, and for how long (engines specification 3.11)."""

import pytest

from centrifast.engine.redis import control_pb2 as pb
from centrifast.engine.redis import registry
from centrifast.engine.redis.registry import SWEEP, Registry
from centrifast.limits import NODE_LIFETIME, NODE_PERIOD
from tests.fakes import FakeClock


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.gone: list[str] = []
        self.registry = Registry(self.clock, self.gone.append)

    def hear(self, uid: str, name: str = "n") -> bool:
        return self.registry.heard(uid, pb.Node(uid=uid, name=name))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_node_is_known_from_its_first_word(bench: Bench) -> None:
    assert bench.hear("a")
    assert not bench.hear("a", "renamed")
    assert bench.hear("b")
    assert bench.registry.uids == ("a", "b")
    assert [info.name for info in bench.registry.infos] == ["renamed", "n"]
    assert len(bench.registry) == 2


def test_a_node_that_goes_on_talking_stays(bench: Bench) -> None:
    for _ in range(20):
        bench.hear("a")
        bench.clock.advance(NODE_PERIOD)
    assert bench.registry.uids == ("a",)
    assert bench.gone == []


@pytest.mark.parametrize("after", [0.0, 0.5, 0.999])
def test_a_silent_node_is_forgotten_soon_after_its_lifetime(bench: Bench, after: float) -> None:
    bench.hear("other")
    bench.clock.advance(after)
    bench.hear("a")
    bench.registry.left("other")
    bench.clock.advance(NODE_LIFETIME - 0.001)
    assert bench.registry.uids == ("a",)
    bench.clock.advance(SWEEP + 0.001)
    assert len(bench.registry) == 0
    assert bench.gone == ["other", "a"]


def test_only_the_silent_one_is_forgotten(bench: Bench) -> None:
    bench.hear("a")
    for _ in range(3):
        bench.hear("b")
        bench.clock.advance(NODE_PERIOD)
    assert bench.registry.uids == ("b",)


def test_who_leaves_is_forgotten_at_once_and_may_come_back(bench: Bench) -> None:
    bench.hear("a")
    bench.registry.left("a")
    bench.registry.left("a")
    assert len(bench.registry) == 0
    assert bench.gone == ["a"]
    assert bench.hear("a")


def test_no_timer_runs_while_nobody_is_known(bench: Bench) -> None:
    bench.hear("a")
    bench.clock.advance(NODE_LIFETIME + 2 * SWEEP)
    assert bench.clock.timers == 0
    bench.hear("a")
    assert bench.clock.timers == 1
    bench.registry.close()
    assert (bench.clock.timers, len(bench.registry), bench.gone) == (0, 0, ["a"])


def test_more_nodes_than_can_be_known_are_not(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "NODES_KNOWN", 2)
    assert [bench.hear(uid) for uid in ("a", "b", "c", "d", "a")] == [True, True, False, False, False]
    assert bench.registry.uids == ("a", "b")
    bench.registry.left("a")
    assert bench.hear("c")


def test_metrics_are_kept_from_when_they_were_told(bench: Bench) -> None:
    metrics = pb.Metrics(interval=60.0, items={"x": 1.0})
    bench.registry.heard("a", pb.Node(uid="a", metrics=metrics))
    bench.registry.heard("a", pb.Node(uid="a", num_clients=5))
    [info] = bench.registry.infos
    assert (info.num_clients, info.metrics.items) == (5, {"x": 1.0})
