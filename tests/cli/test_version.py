"""centrifast version."""

import platform

from centrifast import __version__
from tests.cli.conftest import Run


def test_the_line_is_exact(run: Run) -> None:
    expected = f"centrifast v{__version__} (Python version: {platform.python_version()})\n"
    assert run("version").stdout == expected
