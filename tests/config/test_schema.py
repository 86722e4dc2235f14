"""The declarations as a whole."""

import pickle
import re

from centrifast.config.option import Kind, Support, walk
from centrifast.config.schema import Config

DECLARED = list(walk(Config))


def test_the_whole_configuration_can_be_handed_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(Config())) == Config()


def test_names_are_lower_case_words() -> None:
    assert [path for path, found in DECLARED if not re.fullmatch(r"[a-z][a-z0-9_]*", found.name)] == []


def test_every_option_has_a_help_that_is_a_sentence() -> None:
    assert [path for path, found in DECLARED if not found.facts.help.endswith((".", ":80`."))] == []


def test_secrets_are_marked() -> None:
    unmarked = [
        path
        for path, found in DECLARED
        if re.search(r"(password|secret|secret_key|dsn|key_pem)$", found.name)
        and found.kind in (Kind.STR, Kind.PEM)
        and not found.facts.secret
    ]
    assert unmarked == []


def test_what_is_refused_is_off_by_default() -> None:
    refused = [(path, found.default) for path, found in DECLARED if found.facts.support is Support.REFUSED]
    assert [path for path, default in refused if default] == []


def test_defaults_are_within_their_bounds() -> None:
    for path, found in DECLARED:
        if isinstance(found.default, int | float):
            assert found.facts.min is None or found.default >= found.facts.min, path
            assert found.facts.max is None or found.default <= found.facts.max, path
