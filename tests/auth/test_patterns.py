"""Patterns say whose tokens are looked at, and give the variables of the key set's URL."""

import pytest

from centrifast.auth.claims import InvalidTokenError
from centrifast.auth.patterns import ClaimPatterns
from centrifast.config.schema import TokenConfig
from centrifast.limits import CLAIM_MATCH_SIZE


def variables(
    issuer: str | None = None, audience: str | list[str] | None = None, **options: str
) -> dict[str, str] | None:
    """Return the variables, None where nothing matches."""
    try:
        return ClaimPatterns(TokenConfig(**options)).variables(issuer, audience)  # type: ignore[arg-type]
    except InvalidTokenError:
        return None


def test_without_patterns_everything_passes() -> None:
    assert variables() == {}
    assert variables("x", ["y"]) == {}


def test_pattern_is_searched_for_and_need_not_match_the_whole() -> None:
    assert variables("xaby", issuer_regex="ab") == {}
    assert variables("xaby", issuer_regex="^ab") is None
    assert variables(audience="xaby", audience_regex="ab") == {}


@pytest.mark.parametrize("syntax", ["(?P<realm>a|b)", "(?<realm>a|b)"])
def test_named_groups_become_variables(syntax: str) -> None:
    assert variables("https://x/a", issuer_regex=f"^https://x/{syntax}$") == {"realm": "a"}
    assert variables("https://x/c", issuer_regex=f"^https://x/{syntax}$") is None


def test_group_that_took_no_part_is_no_variable() -> None:
    assert variables("b", issuer_regex="(?P<x>a)?(?P<y>b)") == {"y": "b"}


def test_missing_issuer_is_an_empty_text() -> None:
    assert variables(None, issuer_regex="^$") == {}
    assert variables(None, issuer_regex="a") is None


def test_first_audience_that_matches_counts() -> None:
    pattern = "^app-(?P<name>a|b)$"
    assert variables(audience=["x", "app-b", "app-a"], audience_regex=pattern) == {"name": "b"}
    assert variables(audience=["x"], audience_regex=pattern) is None
    assert variables(audience=[], audience_regex="^") is None
    assert variables(audience=None, audience_regex="^") is None


def test_variables_of_both_come_together_and_the_audience_wins() -> None:
    options = {"issuer_regex": "(?P<a>x)(?P<b>y)", "audience_regex": "(?P<b>z)"}
    assert variables("xy", "z", **options) == {"a": "x", "b": "z"}


def test_long_claim_matches_nothing() -> None:
    longest = "a" * CLAIM_MATCH_SIZE
    assert variables(longest, [longest], issuer_regex="a", audience_regex="a") == {}
    assert variables(longest + "a", issuer_regex="a") is None
    assert variables(audience=[longest + "a", "a"], audience_regex="a") == {}


def test_reason_names_the_pattern_and_not_the_claim() -> None:
    for option in ("issuer_regex", "audience_regex"):
        patterns = ClaimPatterns(TokenConfig(**{option: "^$"}))  # type: ignore[arg-type]
        with pytest.raises(InvalidTokenError, match=option) as caught:
            patterns.variables("secret-claim", "secret-claim")
        assert "secret-claim" not in str(caught.value)


@pytest.mark.parametrize("option", ["issuer_regex", "audience_regex"])
def test_pattern_that_can_not_be_compiled_is_told_by_its_option(option: str) -> None:
    with pytest.raises(ValueError, match=f"^{option}: "):
        ClaimPatterns(TokenConfig(**{option: "("}))  # type: ignore[arg-type]
