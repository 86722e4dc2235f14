"""What the guide tells to write is read."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from centrifast.config.loader import load
from centrifast.config.schema_consumer import RedisListConsumerConfig, RedisStreamConsumerConfig
from centrifast.config.validate import refuse_unsupported, validate
from tests.api.node import FakeNode
from tests.consumers.running import list_consumer, started, stream_consumer, until
from tests.redis_servers import RedisServer
from tests.server.http_peer import run

GUIDE = (Path(__file__).parents[2] / "docs/guides/consumers.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


class Recording:
    """In the place of the module ``redis``: its client executes on the test's server."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    def Redis(self) -> "Recording":  # noqa: N802 - its name there
        return self

    def rpush(self, key: str, element: str) -> None:
        self._server.command("RPUSH", key, element)

    def xadd(self, key: str, fields: dict[str, str], maxlen: int) -> None:
        flat = [part for field in fields.items() for part in field]
        self._server.command("XADD", key, "MAXLEN", "~", maxlen, "*", *flat)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_a_configuration_can_be_run(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    result = load(path, {}, {})
    assert (result.unknown_keys, result.warnings) == ((), ())
    validate(result.config)
    assert refuse_unsupported(result.config) == ()


def written_by_the_guide(server: RedisServer) -> None:
    for text in blocks("sh"):
        for line in text.splitlines():
            program, *words = shlex.split(line)
            assert program == "redis-cli"
            server.command(*words)
    for text in blocks("python"):
        names: dict[str, Any] = {"redis": Recording(server), "json": json}
        exec(text, names)


def test_what_is_written_is_executed(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        lists = RedisListConsumerConfig(address=(redis_server.address,), num_shards=4)
        streams = RedisStreamConsumerConfig(
            address=(redis_server.address,), streams=("events",), consumer_group="centrifugo"
        )
        async with started(await list_consumer(node, lists)), started(await stream_consumer(node, streams)):
            written_by_the_guide(redis_server)
            await until(lambda: len(node.calls) == 6)
        assert sorted((call[0], call[1]) for call in node.calls) == [
            *[("disconnect", "42")] * 2,
            *[("publish", "news")] * 4,
        ]

    run(scenario())
