"""Flat names, and growth in place of totals."""

import math

import pytest

from centrifast.metrics.aggregate import Aggregate, Value, flatten
from centrifast.metrics.exposition import Distribution, Row, Spread
from centrifast.metrics.registry import Family, Kind
from tests.fakes import FakeClock

COUNTER = Family("centrifugo_node_messages_sent_count", Kind.COUNTER, "A.", ("type", "channel_namespace"))
GAUGE = Family("centrifugo_outbox_bytes", Kind.GAUGE, "B.")
SUMMARY = Family("centrifugo_client_command_duration_seconds", Kind.SUMMARY, "C.", ("method", "a"))
HISTOGRAM = Family("centrifugo_client_x_seconds", Kind.HISTOGRAM, "D.")


def test_names_are_split_after_two_words_and_labels_follow_in_order() -> None:
    (value,) = flatten([(COUNTER, [Row(3, ("join", ""))])])
    assert value.key == "centrifugo.node.messages_sent_count.type.join"
    (value,) = flatten([(GAUGE, [Row(7)])])
    assert (value.key, value.value, value.adds_up) == ("centrifugo.outbox.bytes", 7, False)


def test_a_summary_has_sum_count_and_the_quantiles_that_are_known() -> None:
    row = Row(Spread((0.5, math.nan, 0.7), 4, 9.5), ("publish", "z"))
    assert {value.key: (value.value, value.adds_up) for value in flatten([(SUMMARY, [row])])} == {
        "centrifugo.client.command_duration_seconds.sum.a.z.method.publish": (9.5, True),
        "centrifugo.client.command_duration_seconds.count.a.z.method.publish": (4, True),
        "centrifugo.client.command_duration_seconds.quantile.50.a.z.method.publish": (0.5, False),
        "centrifugo.client.command_duration_seconds.quantile.999.a.z.method.publish": (0.7, False),
    }


def test_histograms_are_left_out() -> None:
    assert list(flatten([(HISTOGRAM, [Row(Distribution((), (1,), 1))])])) == []


class Counted:
    """A counter and a gauge."""

    def __init__(self) -> None:
        self.total = 0
        self.level = 0

    def collect(self) -> list[tuple[Family, list[Row]]]:
        return [(COUNTER, [Row(self.total, ("join", ""))]), (GAUGE, [Row(self.level)])]


def test_a_counter_is_its_growth_in_the_last_interval_and_before_it_the_total() -> None:
    counted, clock = Counted(), FakeClock()
    aggregate = Aggregate(counted.collect, clock, 60.0)
    aggregate.start()

    def shown() -> list[float]:
        return [value.value for value in aggregate.values()]

    counted.total, counted.level = 5, 1
    assert shown() == [5, 1]
    clock.advance(60.0)
    counted.total, counted.level = 12, 2
    assert shown() == [5, 2]
    clock.advance(60.0)
    assert shown() == [7, 2]
    clock.advance(60.0)
    assert shown() == [0, 2]
    aggregate.close()
    counted.total = 100
    clock.advance(600.0)
    assert shown() == [0, 2]


def test_a_counter_that_appears_later_has_grown_by_all_of_it() -> None:
    aggregate = Aggregate(lambda: [(COUNTER, [Row(4, ("leave", ""))])], FakeClock(), 60.0)
    assert [value.value for value in aggregate.values()] == [4]


@pytest.mark.parametrize("interval", [0.0, -1.0])
def test_without_an_interval_totals_stay(interval: float) -> None:
    counted, clock = Counted(), FakeClock()
    aggregate = Aggregate(counted.collect, clock, interval)
    aggregate.start()
    counted.total = 3
    clock.advance(1000.0)
    assert [value.value for value in aggregate.values()] == [3, 0]
    aggregate.close()


def test_values_know_their_key() -> None:
    assert Value("a.b", (("c", "d"), ("e", "f")), 1, False).key == "a.b.c.d.e.f"
