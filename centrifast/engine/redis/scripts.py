"""The Lua scripts of this package, each with what it has in common with others in front (engines specification 3.4).

Their arguments and answers are described in the files.
"""

import hashlib
from importlib import resources

from centrifast.engine.redis.contract import Script

_DIRECTORY = resources.files("centrifast.engine.redis") / "lua"


def _load(name: str, common: str) -> Script:
    """The script of two files; ``SCRIPT LOAD`` gives the same digest."""
    source = b"\n".join((_DIRECTORY / f"{part}.lua").read_bytes() for part in (common, name))
    digest = hashlib.sha1(source, usedforsecurity=False).hexdigest()
    return Script(name, source, digest.encode())


PUBLISH_STREAM = _load("publish_stream", "_broker")
PUBLISH_LIST = _load("publish_list", "_broker")
PUBLISH_ONCE = _load("publish_once", "_broker")
READ_STREAM = _load("read_stream", "_broker")
READ_LIST = _load("read_list", "_broker")

PRESENCE_ADD = _load("presence_add", "_presence")
PRESENCE_REMOVE = _load("presence_remove", "_presence")
PRESENCE_GET = _load("presence_get", "_presence")
PRESENCE_STATS = _load("presence_stats", "_presence")

SCRIPTS = (
    PUBLISH_STREAM,
    PUBLISH_LIST,
    PUBLISH_ONCE,
    READ_STREAM,
    READ_LIST,
    PRESENCE_ADD,
    PRESENCE_REMOVE,
    PRESENCE_GET,
    PRESENCE_STATS,
)
