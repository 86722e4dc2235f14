"""The examples of docs/guides/configuration.md do what it says."""

import re
import shlex
from pathlib import Path

import pytest

from centrifast.config.loader import load

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "configuration.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_a_file_loads(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    result = load(path, {}, {"CENTRIFAST_VAR_BACKEND_TOKEN": "token"})
    assert (result.unknown_keys, result.warnings) == ((), ())
    assert result.sources


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
