"""The Python that runs the server."""

import importlib
import sys
import sysconfig
from dataclasses import replace
from types import ModuleType

import pytest

from centrifast.doctor.finding import Level
from centrifast.doctor.runtime import RuntimeFacts, check_runtime, extensions, read_runtime

GOOD = RuntimeFacts("CPython 3.11.2", "'--enable-optimizations'", "", "/opt/python", False, (), "0.21.0")


def test_a_good_runtime_is_fine() -> None:
    assert [finding.level for finding in check_runtime(GOOD)] == [Level.OK] * 3


@pytest.mark.parametrize(
    ("facts", "level", "seen"),
    [
        (replace(GOOD, config_args="", flags="-O3 -fprofile-use"), Level.OK, "--enable-optimizations"),
        (replace(GOOD, config_args="", base_prefix="/usr"), Level.OK, "the distribution's own build"),
        (replace(GOOD, config_args=""), Level.WARN, "in /opt/python, built without --enable-optimizations"),
        (replace(GOOD, debug=True), Level.WARN, "a debug build"),
    ],
)
def test_the_build_of_python_is_judged(facts: RuntimeFacts, level: Level, seen: str) -> None:
    finding = check_runtime(facts)[0]
    assert finding.level is level
    assert seen in finding.seen


def test_half_the_speed_comes_with_a_command() -> None:
    finding = check_runtime(replace(GOOD, config_args=""))[0]
    assert "half the speed" in finding.needed
    assert (
        'PYTHON_CONFIGURE_OPTS="--enable-optimizations --with-lto" pyenv install --force 3.11.2'
        in finding.mend
    )


def test_missing_parts_fail() -> None:
    _, uvloop, parts = check_runtime(replace(GOOD, uvloop="", missing=("centrifast._core: no such module",)))
    assert uvloop.level is Level.FAIL
    assert parts.level is Level.FAIL
    assert "centrifast._core: no such module" in parts.seen


def test_every_extension_is_known() -> None:
    assert {"centrifast._core", "centrifast.transports._connection"} <= set(extensions())


def test_this_python_is_read() -> None:
    facts = read_runtime()
    assert facts.missing == ()
    assert facts.uvloop
    assert facts.version.startswith("CPython 3.")


def test_what_can_not_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> ModuleType:
        raise ImportError(f"no {name}")

    monkeypatch.setattr(importlib, "import_module", refuse)
    facts = read_runtime()
    assert "centrifast._core: no centrifast._core" in facts.missing
    assert facts.uvloop == ""


def test_a_build_that_only_could_use_profiles_is_not_optimized(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "CONFIG_ARGS": "'--prefix=/opt/python' '--enable-shared'",
        "PY_CFLAGS": "-Wsign-compare -DNDEBUG -g -fwrapv -O3 -Wall",
        "PGO_PROF_USE_FLAG": "-fprofile-use -fprofile-correction",
        "PGO_PROF_GEN_FLAG": "-fprofile-generate",
    }
    monkeypatch.setattr(sysconfig, "get_config_var", variables.get)
    monkeypatch.setattr(sys, "base_prefix", "/opt/python")
    assert check_runtime(read_runtime())[0].level is Level.WARN
