"""The schema for editors."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from centrifast.config.files import PARSERS
from centrifast.config.json_schema import json_schema
from centrifast.config.option import walk
from centrifast.config.schema import Config
from centrifast.config.writing import tree_of

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "reference" / "config.schema.json"
SCHEMA: dict[str, Any] = json.loads(json_schema())
DEFINITIONS: dict[str, dict[str, Any]] = SCHEMA["definitions"]
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

GOOD = [
    *sorted((ROOT / "tests" / "config" / "upstream_v6").iterdir()),
    *sorted(path for path in (ROOT / "examples").iterdir() if path.suffix in PARSERS),
]


def errors_of(tree: object) -> list[list[str | int]]:
    return [list(error.absolute_path) for error in VALIDATOR.iter_errors(tree)]


def test_the_published_schema_is_current() -> None:
    assert PUBLISHED.read_text("utf-8") == json_schema(), (
        "run: centrifast configdoc --json-schema > docs/reference/config.schema.json"
    )


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_files_that_load_are_valid(path: Path) -> None:
    assert errors_of(PARSERS[path.suffix](path.read_text("utf-8"))) == []


def test_the_defaults_written_out_are_valid() -> None:
    assert errors_of(json.loads(json.dumps(tree_of(Config())))) == []


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"$schema": "config.schema.json"},
        {"client": None, "proxies": None, "http_server": {"port": None}},
        {"http_server": {"port": "8000", "internal_port": 9000}},
        {"http_server": {"port": True}},
        {"client": {"insecure": "T", "allowed_origins": "https://a", "concurrency": 1.5}},
        {"client": {"insecure": "", "channel_limit": "", "ping_interval": ""}},
        {"client": {"ping_interval": "1h30m", "pong_timeout": "-1s", "stale_close_delay": 10000000000}},
        {"client": {"ping_interval": ".5s", "expired_close_delay": "0"}},
        {"channel": {"namespaces": {"name": "one"}}},
        {"channel": {"without_namespace": {"allowed_delta_types": "fossil", "force_recovery_mode": ""}}},
        {"rpc": {"proxy": {"http": {"static_headers": {"a": 1}}}}},
        {"rpc": {"proxy": {"http": {"static_headers": [{"key": "A", "value": "b"}]}}}},
        {"client.insecure": True, "CLIENT": {"token.hmac_secret_key": "x"}},
        {"broker": {"redisnats": {"any": ["thing"]}}},
    ],
)
def test_weak_forms_are_valid(tree: object) -> None:
    assert errors_of(tree) == []


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({"clinet": {}}, []),
        ({"client": {"insecur": True}}, ["client"]),
        ({"client": "x"}, ["client"]),
        ({"http_server": {"port": 65536}}, ["http_server", "port"]),
        ({"http_server": {"port": "many"}}, ["http_server", "port"]),
        ({"http_server": {"port": []}}, ["http_server", "port"]),
        ({"client": {"insecure": "perhaps"}}, ["client", "insecure"]),
        ({"client": {"ping_interval": "25"}}, ["client", "ping_interval"]),
        ({"client": {"ping_interval": "5 s"}}, ["client", "ping_interval"]),
        ({"client": {"stale_close_delay": "-1s"}}, ["client", "stale_close_delay"]),
        ({"client": {"channel_limit": -1}}, ["client", "channel_limit"]),
        ({"engine": {"type": "etcd"}}, ["engine", "type"]),
        ({"client": {"allowed_origins": [{}]}}, ["client", "allowed_origins"]),
        ({"channel": {"namespaces": ["chat"]}}, ["channel", "namespaces"]),
        ({"channel": {"namespaces": [{"presense": True}]}}, ["channel", "namespaces"]),
        (
            {"channel": {"without_namespace": {"allowed_delta_types": ["x"]}}},
            ["channel", "without_namespace", "allowed_delta_types"],
        ),
        (
            {"rpc": {"proxy": {"http": {"static_headers": [{"value": "b"}]}}}},
            ["rpc", "proxy", "http", "static_headers"],
        ),
        ({"http_server": {"tls": {"cert_pem": 1}}}, ["http_server", "tls", "cert_pem"]),
    ],
)
def test_what_does_not_load_or_is_unknown_is_pointed_at(tree: object, place: list[str]) -> None:
    assert errors_of(tree) == [place]


def test_every_option_is_described() -> None:
    for path, option in walk(Config):
        found = described(path)
        assert str(found["description"]).startswith(option.facts.help), path
        assert found.get("writeOnly", False) is option.facts.secret or option.section is not None, path


def described(path: str) -> dict[str, Any]:
    """What the schema says of an option."""
    found = SCHEMA
    for name in path.replace("[]", "").split("."):
        found = resolved(found)["properties"][name]
    return found


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference to the definition of a section."""
    text = json.dumps(schema.get("allOf", schema.get("anyOf", [])))
    name = text.partition("#/definitions/")[2].partition('"')[0]
    return DEFINITIONS[name] if name else schema
