"""A configuration from the tree a file would hold, for tests of the rules."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from centrifast.config.loader import load
from centrifast.config.schema import Config


def config_of(tree: Mapping[str, object], **environ: str) -> Config:
    """Load a tree; dotted keys are paths."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.json"
        path.write_text(json.dumps(tree))
        loaded = load(path, {}, environ)
    assert loaded.unknown_keys == ()
    return loaded.config
