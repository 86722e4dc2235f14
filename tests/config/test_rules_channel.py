"""Rules that join channel and RPC options."""

import pytest

from centrifast.config.rules_channel import check
from tests.config.building import config_of

HISTORY = {"history_size": 10, "history_ttl": "60s"}


def problems_of(tree: dict[str, object]) -> list[str]:
    return list(check(config_of(tree)))


def problems_in_channels(options: dict[str, object]) -> list[str]:
    return problems_of({"channel": {"without_namespace": options}})


@pytest.mark.parametrize(
    "options",
    [
        {},
        HISTORY,
        {**HISTORY, "force_recovery": True},
        {**HISTORY, "force_recovery": True, "force_recovery_mode": "cache", "auto_cache_recover": True},
        {**HISTORY, "history_ttl": "1000h", "history_meta_ttl": "1000h"},
        {"channel_regex": "^[a-z]+$"},
        {"subscribe_stream_proxy_enabled": True},
    ],
)
def test_what_fits_together_passes(options: dict[str, object]) -> None:
    assert problems_in_channels(options) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"history_size": 10}, "history_size and history_ttl must be set together"),
        ({"history_ttl": "60s"}, "history_size and history_ttl must be set together"),
        ({**HISTORY, "history_ttl": "1500ms"}, "history_ttl must be whole seconds"),
        ({"history_meta_ttl": "1500ms"}, "history_meta_ttl must be whole seconds"),
        ({**HISTORY, "history_ttl": "721h"}, "history_ttl must not be longer"),
        ({**HISTORY, "history_meta_ttl": "59s"}, "history_ttl must not be longer"),
        ({"force_recovery": True}, "force_recovery needs history_size"),
        ({**HISTORY, "force_recovery": True, "auto_cache_recover": True}, "auto_cache_recover needs"),
        ({"channel_regex": "["}, "channel_regex: '\\['"),
        (
            {"subscribe_stream_proxy_enabled": True, "publish_proxy_enabled": True},
            "publish_proxy_enabled cannot be combined",
        ),
    ],
)
def test_what_does_not_fit_is_told(options: dict[str, object], message: str) -> None:
    (problem,) = problems_in_channels(options)
    assert problem.startswith("channel.without_namespace: ")
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(problem)


def test_the_namespace_is_named() -> None:
    (problem,) = problems_of({"channel": {"namespaces": [{"name": "chat", "history_size": 1}]}})
    assert problem.startswith("channel.namespaces.[0] (chat): ")


def test_the_default_meta_ttl_is_whole_seconds() -> None:
    assert problems_of({"channel.history_meta_ttl": "1500ms"}) == [
        "channel.history_meta_ttl must be whole seconds"
    ]


@pytest.mark.parametrize("section", ["channel", "rpc"])
def test_names_are_well_formed_and_unique(section: str) -> None:
    problems = problems_of({section: {"namespaces": [{"name": "a"}, {"name": "ok"}, {"name": "ok"}]}})
    assert len(problems) == 2
    assert problems[0].startswith(f"{section}.namespaces.[0].name: 'a' is not valid")
    assert problems[1].startswith(f"{section}.namespaces.[2].name: 'ok' is used twice")


def personal(**options: object) -> dict[str, object]:
    return {"enabled": True, **options}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (personal(), None),
        (personal(personal_channel_namespace="own"), None),
        (personal(personal_channel_namespace="own", single_connection=True), None),
        ({"personal_channel_namespace": "absent"}, None),
        (personal(personal_channel_namespace="absent"), "no namespace is called 'absent'"),
        (personal(single_connection=True), "needs presence"),
    ],
)
def test_the_personal_channel_has_its_namespace(options: dict[str, object], problem: str | None) -> None:
    problems = problems_of(
        {
            "client": {"subscribe_to_user_personal_channel": options},
            "channel": {"namespaces": [{"name": "own", "presence": True}]},
        }
    )
    assert len(problems) == (problem is not None)
    assert all(problem in found for found in problems if problem)
