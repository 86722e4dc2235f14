import pytest

from centrifast.api import descriptions
from centrifast.api.descriptions import FIELDS, describe
from centrifast.api.methods import METHODS
from centrifast.api.openapi import document


def test_every_method_is_described_in_the_order_of_its_path() -> None:
    assert list(descriptions.METHODS) == list(METHODS), (
        "describe the method in centrifast/api/descriptions.py"
    )


def test_one_struct_may_differ() -> None:
    assert describe("Error", "code") == FIELDS["Error.code"] != FIELDS["code"]
    assert describe("DisconnectReason", "code") == FIELDS["code"]
    assert describe("BatchCommand", "info") == describe("BatchCommand", "publish")


def test_no_description_is_left_over() -> None:
    schemas = document()["components"]["schemas"]
    used = {
        f"{struct}.{field}" if f"{struct}.{field}" in FIELDS else field
        for struct, schema in schemas.items()
        for field in schema.get("properties", {})
    }
    assert FIELDS.keys() - used == set()


@pytest.mark.parametrize("name", FIELDS)
def test_descriptions_are_sentences(name: str) -> None:
    assert FIELDS[name].endswith(".")
