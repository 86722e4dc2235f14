"""Defaults that clients and backends can observe, compared by path."""

from operator import attrgetter

from centrifast.config.schema import Config


def mismatches(expected: dict[str, object]) -> dict[str, object]:
    """Return the options whose default is another one."""
    config = Config()
    found = {path: attrgetter(path)(config) for path in expected}
    return {path: value for path, value in found.items() if value != expected[path]}
