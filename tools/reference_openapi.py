"""Write docs/reference/openapi.json from the API's requests and results: run after every change of one."""

import json
from pathlib import Path

from centrifast.api.openapi import document

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "openapi.json"


def page() -> str:
    """The document of a server with the default configuration."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
