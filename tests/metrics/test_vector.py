"""Tallies by labels, of which no client can make any number."""

import pytest

from centrifast.metrics.vector import Vector


def test_every_combination_of_labels_has_its_tally() -> None:
    vector = Vector(("a", "b"), (1, 2))
    vector.of("a", 1).add()
    vector.of("b", 2).add(3)
    vector.of("a", 1).add()
    assert list(vector) == [(("a", 1), 2), (("b", 2), 3)]
    assert vector.of("a", 1) is vector.of("a", 1)


def test_what_no_table_knows_is_counted_together() -> None:
    vector = Vector(("a",), None)
    for number in range(1000):
        vector.of(f"made up {number}", 7).add()
    assert list(vector) == [(("unknown", 7), 1000)]


def test_a_label_is_not_forgotten() -> None:
    with pytest.raises(ValueError, match="argument"):
        Vector(("a",), ("b",)).of("a")


def test_labels_of_several_kinds_have_a_stable_order() -> None:
    vector = Vector((3000, 3001))
    for code in (3001, 17, 3000):
        vector.of(code).add()
    assert [labels for labels, _ in vector] == [(3000,), (3001,), ("unknown",)]
