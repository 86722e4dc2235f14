"""Options written back as files and variables."""

import dataclasses
import stat
import tomllib
from pathlib import Path

import pytest

from centrifast.config.error import ConfigError
from centrifast.config.loader import load
from centrifast.config.schema import Config
from centrifast.config.writing import render, to_toml, tree_of, variables_of, write_tree
from tests.config.building import config_of

SAMPLE = {
    "client": {"ping_interval": "90s", "allowed_origins": ["https://a", "https://b"], "insecure": True},
    "channel": {"namespaces": [{"name": "chat-1", "history_size": 5, "history_ttl": "60s"}]},
    "rpc": {"proxy": {"http": {"static_headers": [{"key": "X-Key", "value": 'v "1"'}]}}},
    "client.connect_code_to_unidirectional_disconnect.transforms": [{"code": 1, "to": {"code": 4000}}],
}


@pytest.mark.parametrize("name", ["c.json", "c.yaml", "c.yml", "c.toml"])
def test_every_option_written_reads_back(name: str, tmp_path: Path) -> None:
    config = config_of(SAMPLE)
    # Keys of maps are lowered in a file, so a map with capitals cannot come back as it was.
    headers = dataclasses.replace(config.rpc.proxy.http, static_headers={"x-key": 'v "1"'})
    rpc = dataclasses.replace(config.rpc, proxy=dataclasses.replace(config.rpc.proxy, http=headers))
    config = dataclasses.replace(config, rpc=rpc)
    write_tree(tmp_path / name, tree_of(config))
    loaded = load(tmp_path / name, {}, {})
    assert loaded.config == config
    assert loaded.unknown_keys == ()


def test_variables_written_read_back() -> None:
    config = config_of(SAMPLE)
    environ = {}
    for line in variables_of(config):
        name, _, value = line.partition("=")
        environ[name] = value[1:-1].replace('\\"', '"').replace("\\\\", "\\") if value[0] == '"' else value
    loaded = load(None, {}, environ)
    assert loaded.config == config
    assert loaded.unknown_env == ()


def test_variables_show_names_and_then_each_item() -> None:
    lines = list(variables_of(config_of(SAMPLE)))
    assert 'CENTRIFAST_CHANNEL_NAMESPACES="chat-1"' in lines
    assert 'CENTRIFAST_CHANNEL_NAMESPACES_CHAT_1_HISTORY_TTL="1m0s"' in lines
    assert "CENTRIFAST_CLIENT_INSECURE=true" in lines
    assert 'CENTRIFAST_CLIENT_ALLOWED_ORIGINS="https://a https://b"' in lines
    assert 'CENTRIFAST_HTTP_API_KEY=""' in lines


def test_variables_can_be_chosen_and_zeros_are_left_out() -> None:
    only = {"client.insecure", "client.concurrency", "channel.namespaces.[0].history_size", "pid_file"}
    assert list(variables_of(config_of(SAMPLE), only=only)) == [
        "CENTRIFAST_CLIENT_INSECURE=true",
        "CENTRIFAST_CHANNEL_NAMESPACES_CHAT_1_HISTORY_SIZE=5",
    ]


def test_durations_are_text() -> None:
    tree = tree_of(Config().shutdown)
    assert tree["timeout"] == "30s"


def test_toml_quotes_what_it_must() -> None:
    tree = {"a b": {"c.d": ["é", {"x y": 1, "t": True}]}, "empty": {}}
    assert tomllib.loads(to_toml(tree)) == {"a b": {"c.d": ["é", {"x y": 1, "t": True}]}}


def test_only_the_owner_can_read_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    write_tree(path, {"a": 1})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text("{}")
    with pytest.raises(ConfigError, match="exists already"):
        write_tree(path, {"a": 1})
    assert path.read_text() == "{}"


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        write_tree(tmp_path / "absent" / "c.json", {})
    with pytest.raises(ConfigError, match="unknown kind of file"):
        render(tmp_path / "c.ini", {})
