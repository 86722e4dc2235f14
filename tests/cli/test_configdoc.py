"""centrifast configdoc."""

from centrifast.config.json_schema import json_schema
from centrifast.config.reference import reference_page
from tests.cli.conftest import Run


def test_markdown_is_the_reference_page(run: Run) -> None:
    assert run("configdoc", "-m").stdout == reference_page()


def test_one_section(run: Run) -> None:
    assert run("configdoc", "-m", "-s", "http_api", "-l", "1").stdout.startswith("### http_api\n")


def test_a_section_that_does_not_exist(run: Run) -> None:
    result = run("configdoc", "-m", "-s", "nope")
    assert (result.exit_code, result.stdout) == (1, "error: there is no section 'nope'\n")


def test_the_schema_for_editors(run: Run) -> None:
    assert run("configdoc", "--json-schema").stdout == json_schema()


def test_one_form_has_to_be_chosen(run: Run) -> None:
    assert run("configdoc").exit_code == 1
    assert run("configdoc", "-m", "--json-schema").exit_code == 1
