"""What is told of the machine and the tree."""

import re

import pytest

from bench import _provenance


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("processor\t: 0\nmodel name\t: Some  CPU @ 2.0GHz\nmodel name\t: Other\n", "Some CPU @ 2.0GHz"),
        ("processor\t: 0\nBogoMIPS\t: 50.00\n", ""),
        ("", ""),
    ],
)
def test_the_first_processor_is_named(text: str, model: str) -> None:
    assert _provenance.cpu_model(text) == model


def test_a_machine_is_described_by_what_figures_depend_on() -> None:
    machine = _provenance.machine()
    assert list(machine) == [
        "cores",
        "cpu",
        "memory_gib",
        "kernel",
        "python",
        "python_is_optimized",
        "uvloop",
    ]
    assert machine["cores"] >= 1
    assert machine["python"].startswith("CPython 3.")
    assert isinstance(machine["python_is_optimized"], bool)


def test_a_run_is_dated_and_names_its_commit() -> None:
    provenance = _provenance.look()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", provenance.date)
    assert re.fullmatch(r"([0-9a-f]{12})?", provenance.commit)
    assert (provenance.is_clean is None) == (not provenance.commit)
