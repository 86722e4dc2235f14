"""Every option of the server specification is declared with its type and default, and nothing else is unmarked."""

import pytest

from centrifast.config import convert
from centrifast.config.loader import load
from centrifast.config.option import Kind, walk
from centrifast.config.schema import Config
from centrifast.config.writing import tree_of
from tests.config.specified import Specified, specified

ROWS = list(specified())
DECLARED = dict(walk(Config))


def test_the_tables_are_whole() -> None:
    paths = [row.path for row in ROWS]
    assert len(set(paths)) == len(paths)
    assert len(paths) > 700
    assert {"http_server.tls.cert_pem", "consumers[].redis_stream.sentinel_tls.enabled"} <= set(paths)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.path)
def test_an_option_has_its_type_and_default(row: Specified) -> None:
    declared = DECLARED[row.path]
    assert declared.kind is row.kind
    if row.default:
        assert declared.default == convert.from_text(row.kind, row.default)
    else:
        assert not declared.default


def test_every_other_option_is_marked_as_an_addition() -> None:
    known = {row.path for row in ROWS}
    unmarked = [
        path
        for path, option in DECLARED.items()
        if option.section is None and path not in known and not is_addition(path)
    ]
    assert unmarked == []


def is_addition(path: str) -> bool:
    """Whether an option, or a section around it, is declared as ours."""
    parts = path.replace("[]", "").split(".")
    found = {name.replace("[]", ""): option for name, option in DECLARED.items()}
    return any(found[".".join(parts[: end + 1])].facts.extension for end in range(len(parts)))


def test_every_option_has_a_variable_that_sets_it() -> None:
    rows = [row for row in ROWS if "[]" not in row.path and row.kind in SAMPLES]
    environ = {f"CENTRIFUGO_{row.path.upper().replace('.', '_')}": SAMPLES[row.kind] for row in rows}
    loaded = load(None, {}, environ)
    assert loaded.unknown_env == ()
    tree = tree_of(loaded.config)
    for row in rows:
        value: object = tree
        for name in row.path.split("."):
            assert isinstance(value, dict)
            value = value[name]
        assert value == WRITTEN[row.kind] or row.path.endswith("handler_prefix"), row.path


SAMPLES = {
    Kind.BOOL: "true",
    Kind.INT: "7",
    Kind.STR: "word",
    Kind.DURATION: "3s",
    Kind.STRINGS: "a b",
    Kind.MAP: '{"Key": "v"}',
}
WRITTEN = {
    Kind.BOOL: True,
    Kind.INT: 7,
    Kind.STR: "word",
    Kind.DURATION: "3s",
    Kind.STRINGS: ["a", "b"],
    Kind.MAP: {"Key": "v"},
}
