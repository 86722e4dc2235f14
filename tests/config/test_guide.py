"""The examples of docs/guides/configuration.md and redis.md do what they say."""

import re
import shlex
from pathlib import Path

import pytest

from centrifast.config.loader import load
from centrifast.engine.redis.settings import read_shards
from centrifast.engines import broker_section, presence_section

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
GUIDE = (GUIDES / "configuration.md").read_text("utf-8")
REDIS = (GUIDES / "redis.md").read_text("utf-8")


def blocks(language: str, guide: str = GUIDE) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_a_file_loads(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    result = load(path, {}, {"CENTRIFAST_VAR_BACKEND_TOKEN": "token"})
    assert (result.unknown_keys, result.warnings) == ((), ())
    assert result.sources


def test_examples_with_redis_lead_to_the_servers_they_name(tmp_path: Path) -> None:
    found = []
    for text in blocks("yaml", REDIS):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        result = load(path, {}, {})
        assert (result.unknown_keys, result.warnings) == ((), ())
        broker, presence = broker_section(result.config), presence_section(result.config)
        assert broker is not None
        assert presence is not None
        found.append([shard.name for place in (broker, presence) for shard in read_shards(place.section)])
    one, two = "redis-1.example.com:6379", "redis-2.example.com:6379"
    assert found == [
        ["redis.example.com:6379"] * 2,
        [one, two] * 2,
        ["main@sentinel-1:26379,sentinel-2:26379,sentinel-3:26379"] * 2,
        ["redis-1:6379,redis-2:6379,redis-3:6379"] * 2,
        ["redis.example.com:6380"] * 2,
        [one, two],
    ]


def test_links_of_the_guide_to_redis_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)", REDIS)
    assert targets
    assert not [target for target in targets if not (GUIDES / target).exists()]


def test_the_variables_are_known() -> None:
    (text,) = blocks("sh")
    assignments = [word for line in text.splitlines() for word in shlex.split(line, comments=True)]
    assert len(assignments) == 5
    result = load(None, {}, dict(word.split("=", 1) for word in assignments))
    assert result.unknown_env == ()
    config = result.config
    assert config.client.allowed_origins == ("https://a.example.com", "https://b.example.com")
    assert config.rpc.proxy.http.static_headers == {"X-Key": "secret"}
    assert [(found.name, found.presence) for found in config.channel.namespaces] == [
        ("chat", True),
        ("news", False),
    ]
    assert config.proxies[0].endpoint == "http://localhost:3000"
