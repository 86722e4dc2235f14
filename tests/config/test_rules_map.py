"""Rules of channels with map and shared poll subscriptions."""

import pytest

from centrifast.config.rules_map import check
from tests.config.building import config_of


def problems_of(options: dict[str, object], kind: str = "map", **more: object) -> list[str]:
    return list(
        check(config_of({"channel.without_namespace": {"subscription_type": kind, **options}, **more}))
    )


EPHEMERAL = {"mode": "ephemeral", "key_ttl": "60s"}
RECOVERABLE = {"mode": "recoverable", "key_ttl": "60s"}
PERSISTENT = {"mode": "persistent"}
NAMESPACES = {"channel.namespaces": [{"name": "clients"}]}


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"map": EPHEMERAL}, "map"),
        ({"map": EPHEMERAL}, "map_users"),
        ({"map": {**RECOVERABLE, "stream_size": 5, "stream_ttl": "10s", "meta_ttl": "10s"}}, "map_clients"),
        ({"map": {**PERSISTENT, "meta_ttl": "1m"}}, "map"),
        ({"map": {**PERSISTENT, "min_page_size": 1, "max_page_size": 1}}, "map"),
        ({"map": {"min_page_size": 2, "max_page_size": 1}}, "stream"),
        ({"map": {**EPHEMERAL, "client_key": "user_id"}}, "map"),
    ],
)
def test_what_fits_together_passes(options: dict[str, object], kind: str) -> None:
    assert problems_of(options, kind) == []


@pytest.mark.parametrize(
    ("options", "kind", "problem"),
    [
        ({}, "map", "map.mode must be set for subscription_type map"),
        ({}, "map_users", "map.mode must be set for subscription_type map_users"),
        ({"mode": "ephemeral"}, "map", "map.key_ttl must be set for map.mode ephemeral"),
        ({"mode": "recoverable"}, "map", "map.key_ttl must be set for map.mode recoverable"),
        (
            {**PERSISTENT, "key_ttl": "1s"},
            "map",
            "map.key_ttl cannot be combined with map.mode persistent",
        ),
        (
            PERSISTENT,
            "map_clients",
            "map.mode persistent cannot be combined with subscription_type map_clients",
        ),
        (
            {**EPHEMERAL, "stream_size": 1},
            "map",
            "map.stream_size cannot be combined with map.mode ephemeral, which keeps no stream",
        ),
        (
            {**EPHEMERAL, "stream_ttl": "1s"},
            "map",
            "map.stream_ttl cannot be combined with map.mode ephemeral, which keeps no stream",
        ),
        (
            {**PERSISTENT, "meta_ttl": "59s"},
            "map",
            "map.meta_ttl must not be shorter than map.stream_ttl (1m when not set)",
        ),
        (
            {**EPHEMERAL, "client_key": "client_id", "publish_proxy_enabled": True},
            "map",
            "map.client_key cannot be combined with map.publish_proxy_enabled",
        ),
        (
            {**PERSISTENT, "min_page_size": 3, "default_page_size": 2, "max_page_size": 2},
            "map",
            "map.min_page_size must not be larger than map.default_page_size",
        ),
        (
            {**PERSISTENT, "min_page_size": 3, "max_page_size": 2},
            "map",
            "map.min_page_size must not be larger than map.max_page_size",
        ),
    ],
)
def test_what_does_not_fit_is_told(options: dict[str, object], kind: str, problem: str) -> None:
    assert problems_of({"map": options}, kind) == [f"channel.without_namespace: {problem}"]


def test_shared_polls_are_signed() -> None:
    assert problems_of({}, "shared_poll") == [
        "channel.without_namespace: subscription_type shared_poll needs shared_poll.hmac_secret_key"
    ]
    secret = {"shared_poll.hmac_secret_key": "k"}
    assert problems_of({}, "shared_poll", **secret) == []
    assert problems_of({"shared_poll.publish_enabled": True}, "shared_poll", **secret) == [
        "channel.without_namespace: shared_poll.publish_enabled needs shared_poll.mode versioned"
    ]
    versioned: dict[str, object] = {"shared_poll": {"publish_enabled": True, "mode": "versioned"}}
    assert problems_of(versioned, "shared_poll", **secret) == []


@pytest.mark.parametrize(
    ("prefix", "fits"),
    [("clients:", True), ("$clients:", True), ("clients:x:", True), ("clients", False), ("users:", False)],
)
def test_presence_is_kept_in_a_namespace_that_exists(prefix: str, fits: bool) -> None:
    option = "map_clients_presence_channel_prefix"
    problems = problems_of({option: prefix}, "", **NAMESPACES)
    assert problems == (
        []
        if fits
        else [
            f"channel.without_namespace: {option}: {prefix!r} does not begin with a namespace of "
            "`channel.namespaces`"
        ]
    )
