"""From options, token and wishes to a subscription: client protocol 3.4, 6.2, 6.6, 6.7; server specification 3.7."""

from dataclasses import replace
from typing import Any

import pytest

from centrifast.auth.claims import SubscriptionOverride
from centrifast.config.schema import ChannelOptions
from centrifast.hub import Subscription
from centrifast.model import NO_POSITION, StreamPosition
from centrifast.subscription_rules import Wishes, make_subscription, override_of, resume_of
from centrifast.subscriptions import Resume

OPTIONS = ChannelOptions(history_size=5, history_ttl=60.0)
ASKED = StreamPosition(7, "QpLd")


def made(
    options: ChannelOptions = OPTIONS,
    override: SubscriptionOverride | None = None,
    wishes: Wishes | None = None,
    **fields: Any,
) -> Subscription:
    return make_subscription(
        options,
        override or SubscriptionOverride(),
        wishes or Wishes(),
        server_side=fields.pop("server_side", False),
        **fields,
    )


def flags(subscription: Subscription) -> set[str]:
    """What is switched on."""
    delivery = subscription.delivery
    on = {
        "positioned": delivery.positioned,
        "join_leave": delivery.join_leave,
        "delta": delivery.delta,
        "presence": subscription.presence,
        "announced": subscription.announced,
        "recoverable": subscription.recoverable,
    }
    return {name for name, is_on in on.items() if is_on}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, set()),
        ({"force_positioning": True}, {"positioned"}),
        ({"force_recovery": True}, {"positioned", "recoverable"}),
        ({"presence": True}, {"presence"}),
        ({"join_leave": True}, {"announced"}),
        ({"force_push_join_leave": True}, {"join_leave"}),
        ({"allowed_delta_types": ("fossil",)}, set()),
    ],
)
def test_what_the_namespace_forces_needs_no_wish(options: dict[str, Any], expected: set[str]) -> None:
    assert flags(made(replace(OPTIONS, **options))) == expected


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        (Wishes(positioned=True), {"positioned"}),
        (Wishes(recoverable=True), {"positioned", "recoverable"}),
        (Wishes(join_leave=True), {"join_leave"}),
        (Wishes(delta=True), set()),
    ],
)
def test_wishes_that_are_granted_count_as_well(wishes: Wishes, expected: set[str]) -> None:
    assert flags(made(wishes=wishes)) == expected


def test_deltas_need_the_namespace_and_the_wish() -> None:
    options = replace(OPTIONS, allowed_delta_types=("fossil",))
    assert flags(made(options, wishes=Wishes(delta=True))) == {"delta"}


@pytest.mark.parametrize("kept", [{"history_size": 0}, {"history_ttl": 0.0}])
def test_without_history_there_is_no_position(kept: dict[str, Any]) -> None:
    options = replace(OPTIONS, force_positioning=True, force_recovery=True, **kept)
    override = SubscriptionOverride(force_positioning=True, force_recovery=True)
    assert flags(made(options, override, Wishes(positioned=True, recoverable=True))) == set()


@pytest.mark.parametrize(
    ("field", "flag"),
    [
        ("presence", "presence"),
        ("join_leave", "announced"),
        ("force_push_join_leave", "join_leave"),
        ("force_positioning", "positioned"),
        ("force_recovery", "recoverable"),
    ],
)
@pytest.mark.parametrize("option", [False, True])
@pytest.mark.parametrize("override", [None, False, True])
def test_an_override_stands_in_place_of_the_option(
    field: str, flag: str, option: bool, override: bool | None
) -> None:
    options: dict[str, Any] = {field: option}
    subscription = made(replace(OPTIONS, **options), SubscriptionOverride(**{field: override}))
    expected = option if override is None else override
    assert (flag in flags(subscription)) is expected


def test_an_override_takes_nothing_away_from_a_wish() -> None:
    override = SubscriptionOverride(
        force_push_join_leave=False, force_positioning=False, force_recovery=False
    )
    wishes = Wishes(positioned=True, recoverable=True, join_leave=True)
    assert flags(made(override=override, wishes=wishes)) == {"positioned", "recoverable", "join_leave"}


def test_the_rest_is_taken_over() -> None:
    subscription = made(server_side=True, chan_info=b"1", expires_at=7.5, from_token=True)
    assert (subscription.server_side, subscription.from_token) == (True, True)
    assert (subscription.chan_info, subscription.expires_at, subscription.started) == (b"1", 7.5, False)


# ------------------------------------------------------------------ where it goes on

STREAM = replace(OPTIONS, force_recovery=True)
CACHE = replace(STREAM, force_recovery_mode="cache")
AUTO = replace(CACHE, auto_cache_recover=True)


@pytest.mark.parametrize(
    ("options", "position", "or_fail", "expected"),
    [
        (OPTIONS, ASKED, True, None),
        (replace(OPTIONS, force_positioning=True), ASKED, True, None),
        (STREAM, None, True, None),
        (STREAM, ASKED, False, Resume(ASKED)),
        (STREAM, ASKED, True, Resume(ASKED, or_fail=True)),
        (STREAM, NO_POSITION, False, Resume(NO_POSITION)),
        (replace(STREAM, auto_cache_recover=True), None, False, None),
        (CACHE, None, False, None),
        (CACHE, ASKED, True, Resume(ASKED, newest_only=True)),
        (AUTO, None, True, Resume(NO_POSITION, newest_only=True)),
        (AUTO, ASKED, False, Resume(ASKED, newest_only=True)),
        (replace(AUTO, force_recovery=False), None, False, None),
    ],
)
def test_what_is_recovered(
    options: ChannelOptions, position: StreamPosition | None, or_fail: bool, expected: Resume | None
) -> None:
    assert resume_of(options, made(options), position, or_fail=or_fail) == expected


SWITCHES = ("presence", "join_leave", "force_push_join_leave", "force_recovery", "force_positioning")


@pytest.mark.parametrize("history_size", [0, 5])
@pytest.mark.parametrize("switched_on", [(), SWITCHES, *((switch,) for switch in SWITCHES)])
def test_an_override_without_open_options_makes_the_same_subscription_in_any_namespace(
    history_size: int, switched_on: tuple[str, ...]
) -> None:
    options = ChannelOptions(history_size=history_size, history_ttl=60.0)
    override = SubscriptionOverride(**dict.fromkeys(switched_on, True))
    closed = override_of(options, override)
    elsewhere = replace(OPTIONS, presence=True, join_leave=True, force_recovery=True)
    assert None not in (getattr(closed, switch) for switch in SWITCHES)
    assert flags(made(elsewhere, closed)) == flags(made(options, override))
