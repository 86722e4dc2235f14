"""What a configuration is held to before it runs."""

from pathlib import Path

import pytest

from centrifast import log
from centrifast.config.error import ConfigError
from centrifast.config.loader import LoadedConfig, load
from centrifast.config.review import review


def loaded(folder: Path, text: str, **environ: str) -> LoadedConfig:
    path = folder / "config.json"
    path.write_text(text)
    return load(path, {}, environ)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    """Every event that is logged."""
    events: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(
        log, "event", lambda level, name, fields, exception=None: events.append((name, fields))
    )
    return events


def test_what_is_odd_is_a_warning_each(tmp_path: Path, lines: list[tuple[str, dict[str, object]]]) -> None:
    tree = '{"clinet": 1, "channel": {"namespaces": [{"name": "ab", "presense": true}]}, "client.insecure": true}'
    review(loaded(tmp_path, tree, CENTRIFUGO_CLINET_X="1"), strict=False)
    assert [
        (name, fields.get("key") or fields.get("var") or fields.get("reason")) for name, fields in lines
    ] == [
        ("unknown key in configuration file", "channel.namespaces.[0].presense"),
        ("unknown key in configuration file", "clinet"),
        ("unknown var in environment", "CENTRIFUGO_CLINET_X"),
        ("configuration", "insecure mode is on: client.insecure"),
    ]
    assert "did you mean" in str(lines[0][1]["hint"])


def test_unknown_keys_can_be_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="clinet"):
        review(loaded(tmp_path, '{"clinet": 1}'), strict=True)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ('{"client.channel_limit": -1}', "client.channel_limit must be at least"),
        ('{"client.token": {"audience": "a", "audience_regex": "b"}}', "audience"),
        ('{"sse.enabled": true}', "not supported by this version: sse.enabled"),
    ],
)
def test_what_can_not_run_is_refused(tree: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        review(loaded(tmp_path, tree), strict=False)
