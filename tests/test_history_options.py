"""How much of a channel is kept: server specification 1.8.7 and 3.7."""

import pytest

from centrifast.config.schema import ChannelConfig, ChannelOptions
from centrifast.engine.contract import NO_HISTORY, HistoryOptions
from centrifast.history_options import HistoryRules


@pytest.mark.parametrize(("size", "ttl"), [(0, 0.0), (0, 60.0), (5, 0.0), (-1, 60.0), (5, -1.0)])
def test_history_needs_both_size_and_time(size: int, ttl: float) -> None:
    options = ChannelOptions(history_size=size, history_ttl=ttl)
    assert HistoryRules(ChannelConfig()).of(options) is NO_HISTORY


@pytest.mark.parametrize(("own", "expected"), [(0.0, 3600.0), (60.0, 60.0)])
def test_a_position_lives_as_long_as_the_namespace_says_or_else_all_channels(
    own: float, expected: float
) -> None:
    rules = HistoryRules(ChannelConfig(history_meta_ttl=3600.0))
    options = ChannelOptions(history_size=5, history_ttl=10.0, history_meta_ttl=own)
    assert rules.of(options) == HistoryOptions(5, 10.0, expected)


def test_each_namespace_is_looked_at_once() -> None:
    rules = HistoryRules(ChannelConfig())
    first, second = (ChannelOptions(history_size=size, history_ttl=10.0) for size in (5, 6))
    assert rules.of(first) is rules.of(first)
    assert (rules.of(first).size, rules.of(second).size) == (5, 6)


def test_options_that_are_gone_are_never_taken_for_others() -> None:
    rules = HistoryRules(ChannelConfig())
    for size in range(1, 200):  # each would get the id of the one before
        assert rules.of(ChannelOptions(history_size=size, history_ttl=10.0)).size == size
