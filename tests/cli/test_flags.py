"""Flags of the server."""

import pytest

from centrifast.cli.flags import given, server_flags, switches, with_values
from centrifast.config.reference import FLAGS


def test_every_flag_is_named_after_its_option() -> None:
    names = {name for option in server_flags() for name in option.opts}
    assert names == {f"--{path}" for path in FLAGS} | {"-a", "-p"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["--client.insecure", "version"], ["--client.insecure=true", "version"]),
        (["--client.insecure=false"], ["--client.insecure=false"]),
        (["--log.level", "debug"], ["--log.level", "debug"]),
    ],
)
def test_a_lone_switch_is_on(before: list[str], after: list[str]) -> None:
    assert with_values(before, switches()) == after


def test_only_flags_that_were_given_count() -> None:
    parameters: dict[str, object] = {"http_server__port": 1, "client__insecure": False, "pid_file": None}
    assert given(parameters) == {"http_server.port": 1, "client.insecure": False}
