"""Options of older versions."""

from centrifast.config.old_names import ADVICE, CHANNEL_RENAMED, RENAMED, SWITCHES
from centrifast.config.option import Kind, options_of, walk
from centrifast.config.schema import Config
from centrifast.config.suggest import channel_options

OPTIONS = dict(walk(Config))


def test_every_successor_exists() -> None:
    assert {*RENAMED.values(), *SWITCHES.values()} <= OPTIONS.keys()
    assert set(CHANNEL_RENAMED.values()) <= channel_options()


def test_no_option_of_today_is_called_old() -> None:
    today = {option.name for option in options_of(Config)}
    assert today.isdisjoint({*RENAMED, *ADVICE, *CHANNEL_RENAMED})
    assert channel_options().isdisjoint({*CHANNEL_RENAMED, *ADVICE})


def test_what_was_a_single_value_is_a_section_today() -> None:
    assert {OPTIONS[name].kind for name in SWITCHES} == {Kind.SECTION}
