"""Which variables count, and which nobody asked for."""

import pytest

from centrifast.config.environment import Environment, Variable


def test_the_variable_of_the_option_is_found_under_both_prefixes() -> None:
    environment = Environment({"CENTRIFUGO_A": "1", "CENTRIFAST_B": "2"})
    assert environment.take("A") == Variable("CENTRIFUGO_A", "1")
    assert environment.take("B") == Variable("CENTRIFAST_B", "2")
    assert environment.take("C") is None
    assert environment.overridden == []


def test_our_prefix_wins_and_both_are_remembered() -> None:
    environment = Environment({"CENTRIFUGO_A": "1", "CENTRIFAST_A": "2"})
    assert environment.take("A") == Variable("CENTRIFAST_A", "2")
    assert environment.overridden == [("CENTRIFAST_A", "CENTRIFUGO_A")]


def test_an_empty_variable_counts_as_not_set() -> None:
    environment = Environment({"CENTRIFUGO_A": "1", "CENTRIFAST_A": ""})
    assert environment.take("A") == Variable("CENTRIFUGO_A", "1")
    assert Environment({"CENTRIFAST_A": ""}).take("A") is None


def test_unknown_are_those_never_asked_for() -> None:
    environment = Environment(
        {
            "CENTRIFUGO_A": "1",
            "CENTRIFUGO_TYPO": "1",
            "CENTRIFUGO_VAR_X": "1",
            "CENTRIFAST_VAR_X": "1",
            "CENTRIFUGO_PORT": "tcp://10.0.0.1:8000",
            "CENTRIFUGO_SERVICE_HOST": "10.0.0.1",
            "CENTRIFUGO_MAIN_PORT_8000_TCP": "x",
            "PATH": "/bin",
        }
    )
    environment.take("A")
    assert environment.unknown() == ("CENTRIFUGO_TYPO",)


def test_references_are_replaced_whatever_the_prefix() -> None:
    environment = Environment({"CENTRIFUGO_VAR_A": "1", "CENTRIFAST_VAR_B": "", "SECRET": "x"})
    text = "${CENTRIFAST_VAR_A}-${CENTRIFUGO_VAR_A}-${CENTRIFUGO_VAR_B}-${SECRET}-$CENTRIFUGO_VAR_A"
    assert environment.substitute(text) == "1-1--${SECRET}-$CENTRIFUGO_VAR_A"


def test_a_reference_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\$\{CENTRIFUGO_VAR_NO\} is not set"):
        Environment({}).substitute("${CENTRIFUGO_VAR_NO}")
