import resource
from typing import Any

import pytest
from centrifast_loadgen.settings import (
    MAX_PROCESSES,
    RESERVED_DESCRIPTORS,
    Protocol,
    Settings,
    SettingsError,
    Target,
    choose_processes,
    raise_descriptor_limit,
)
from hypothesis import given
from hypothesis import strategies as st


def test_a_url_is_split() -> None:
    assert Target.parse("ws://h:81/a?b=c", "ws") == Target("h", 81, "/a?b=c")
    assert Target.parse("http://h", "http") == Target("h", 80, "/")


@pytest.mark.parametrize("url", ["", "h:80", "http://h", "ws://", "ws://h:99999/", "ws://h:x/"])
def test_a_url_that_is_not_one_is_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        Target.parse(url, "ws")


def test_tls_is_refused_with_a_hint() -> None:
    with pytest.raises(SettingsError, match="TLS is not supported"):
        Target.parse("wss://h/", "ws")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"channels": 2, "channels_per_connection": 3}, "3 of 2 channels"),
        ({"payload": 31}, "--payload"),
        ({"protocol": Protocol.RAW, "channels": 2}, "--channels has no meaning"),
        ({"raw_subscribe": "x"}, "--no-protocol"),
        ({"duration": 1.0, "messages": 0}, "--messages 0"),
        ({"url": "http://127.0.0.1/"}, "ws://HOST:PORT"),
        ({"api_url": "127.0.0.1:8000"}, "http://HOST:PORT"),
    ],
)
def test_options_that_cannot_work_together_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        Settings(**options)


@given(st.integers(1, 200_000), st.integers(1_000, 1_000_000), st.integers(1, 64))
def test_chosen_processes_have_descriptors_for_all(connections: int, limit: int, cores: int) -> None:
    processes = choose_processes(connections, 0, limit, cores)
    assert processes * (limit - RESERVED_DESCRIPTORS) >= connections
    assert 1 <= processes <= MAX_PROCESSES


def test_a_wanted_number_of_processes_is_kept() -> None:
    assert choose_processes(10, 4, 20_000, 1) == 4


def test_too_few_processes_for_the_descriptors_are_refused_with_the_number_needed() -> None:
    with pytest.raises(SettingsError, match="use --processes 6"):
        choose_processes(100_000, 2, 20_000, 1)


@pytest.mark.parametrize(
    ("connections", "wanted", "limit"), [(10**7, 0, 1024), (1, MAX_PROCESSES + 1, 1024), (1, 0, 10)]
)
def test_what_no_number_of_processes_can_hold_is_refused(connections: int, wanted: int, limit: int) -> None:
    with pytest.raises(SettingsError, match="hard descriptor limit"):
        choose_processes(connections, wanted, limit, 1)


def test_the_descriptor_limit_is_raised_to_the_hard_one() -> None:
    limit = raise_descriptor_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == limit
