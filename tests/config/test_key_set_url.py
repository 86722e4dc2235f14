"""A token can lead the server only to key sets the operator has listed."""

import pytest

from centrifast.config.key_set_url import check_template, free_groups, is_clean, resolve


@pytest.mark.parametrize(
    "pattern",
    [
        "(?P<r>a|b)",
        "^https://x/(?P<r>a|b)$",
        "(?<r>a|bc)",
        "(?P<r>(?:a|b)c)",
        "(?P<r>(a|b)c)",
        r"(?P<r>a\.b|c\-d)",
        r"(?P<r>\Qa.b*\E)",
        "(?P<r>realms/one|realms/two)",
        ".*(?P<r>a).+",
        "(?i)^(?P<r>a)$",
        "(.*)(?P<r>a)",
        "(?P<r>a)*",
        r"\(?P<x>.*(?P<r>a)",
    ],
)
def test_list_of_texts_is_no_free_group(pattern: str) -> None:
    assert "r" not in free_groups(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?P<r>.)",
        "(?P<r>a*)",
        "(?P<r>a+)",
        "(?P<r>a?)",
        "(?P<r>a{1,9})",
        "(?P<r>(?:a|b)+)",
        "(?P<r>(a.b))",
        "(?P<r>(?P<s>a|.))",
        r"(?P<r>\A)",
        r"(?P<r>\x41)",
        "(?P<r>^a)",
        "(?P<r>a$)",
        "(?P<r>(?i)a)",
        "(?P<r>(?i:a))",
        "(?<r>.)",
        "(?P<s>a)|(?P<r>a|b|.c)",
    ],
)
def test_anything_else_is(pattern: str) -> None:
    assert "r" in free_groups(pattern)


def problems(template: str, **patterns: str) -> list[str]:
    return list(check_template(template, patterns, allow_free_groups=False))


@pytest.mark.parametrize("template", ["", "example.com/keys", "ftp://example.com", "HTTP//x", "{{a}}://x/y"])
def test_url_must_be_http(template: str) -> None:
    assert problems(template)[0] == "jwks_public_endpoint must begin with http:// or https://"


def test_without_placeholders_patterns_are_free() -> None:
    assert problems("https://x/keys", issuer_regex=r"(?P<r>[a-z]\w.*)") == []


def test_placeholder_nobody_defines_is_not_noticed() -> None:
    assert problems("https://x/{{r}}/keys") == []
    assert problems("https://x/{{r}}/keys", issuer_regex="(?P<s>.*)") == []


def test_group_that_fills_the_url_must_list_texts() -> None:
    assert problems("https://x/{{r}}/keys", issuer_regex="^(?P<r>a|b)$", audience_regex=".*") == []
    (problem,) = problems("https://x/{{r}}/keys", issuer_regex="^(?P<r>.+)$")
    assert problem.startswith("issuer_regex: group r fills jwks_public_endpoint")
    (problem,) = problems("https://x/{{r}}/{{s}}", issuer_regex="(?P<s>a)", audience_regex="(?P<r>a*)")
    assert problem.startswith("audience_regex: group r fills")


@pytest.mark.parametrize(
    "pattern", ["[a]", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\pL", r"\PL", r"a\[", "[[:alpha:]]"]
)
def test_classes_exclude_placeholders_wherever_they_stand(pattern: str) -> None:
    for option in ("issuer_regex", "audience_regex"):
        (problem,) = problems("https://x/{{r}}/keys", **{option: pattern})
        assert problem.startswith(f"{option}: classes of characters")


def test_check_can_be_skipped_except_for_the_scheme() -> None:
    patterns = {"issuer_regex": "(?P<r>[a-z]+)"}
    assert list(check_template("https://x/{{r}}/keys", patterns, allow_free_groups=True)) == []
    assert len(list(check_template("x/{{r}}/keys", patterns, allow_free_groups=True))) == 1


def test_template_is_filled() -> None:
    assert resolve("https://{{h}}/{{r}}/{{r}}/keys", {"h": "x", "r": "a", "z": "no"}) == "https://x/a/a/keys"
    assert resolve("https://x/keys?a={b}", {}) == "https://x/keys?a={b}"


def test_missing_variable_is_named() -> None:
    with pytest.raises(ValueError, match=r"no claim gives \{\{r\}\}"):
        resolve("https://x/{{r}}/keys", {"s": "a"})


@pytest.mark.parametrize(
    "value", ["..", ".", "", "a/../b", "a//b", "%2e%2e", "a%2f..%2fb", "a/", "a b", "a\\b", "\n"]
)
def test_unclean_path_is_refused(value: str) -> None:
    for template in ("https://x/r/{{v}}/keys", "https://x/r/{{v}}"):
        with pytest.raises(ValueError, match="unclean"):
            resolve(template, {"v": value})


@pytest.mark.parametrize(
    "url", ["https://x", "https://x/", "https://x/a", "https://x/a?b=//..", "http://[::1]:1/a.b"]
)
def test_clean_path_passes(url: str) -> None:
    assert is_clean(url)


@pytest.mark.parametrize("url", ["https://x//", "https://x/a/", "https://x/./a", "http://[x/a"])
def test_unclean_path_of_the_template_itself_is_noticed_too(url: str) -> None:
    assert not is_clean(url)
