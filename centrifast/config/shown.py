"""Values as an operator may see them: in the form of a JSON file, secrets masked."""

import json
import re

from centrifast.config.option import Kind, Option
from centrifast.config.writing import plain_value

MASK = "***"
CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


def shown(option: Option, value: object) -> object:
    """Return a value as plain data; a secret that is set becomes a mask, so do user and password of a URL."""
    if option.kind is Kind.ITEMS and isinstance(value, tuple):
        return [getattr(item, "name", f"[{index}]") for index, item in enumerate(value)]
    if option.facts.secret and value and value != option.default:
        return MASK
    return without_credentials(plain_value(option, value))


def without_credentials(value: object) -> object:
    """Mask what stands before the host of URLs, at any depth."""
    if isinstance(value, str):
        return CREDENTIALS.sub(f"{MASK}@", value)
    if isinstance(value, list):
        return [without_credentials(item) for item in value]
    if isinstance(value, dict):
        return {key: without_credentials(item) for key, item in value.items()}
    return value


def text_of(value: object) -> str:
    """Write plain data on one line; the mask stands without quotes."""
    return MASK if value == MASK else json.dumps(value, ensure_ascii=False)
