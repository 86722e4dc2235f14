"""What is wrong with a configuration, told to the operator."""

from collections.abc import Mapping


class ConfigError(Exception):
    """The configuration cannot be used; the text names the option and what to do.

    *unknown* are the keys of the file that no option took, when it was read that far: often the other half of the
    story, as in a file of an older version.
    """

    def __init__(self, text: str, unknown: Mapping[str, object] | None = None) -> None:
        super().__init__(text)
        self.unknown: Mapping[str, object] = unknown or {}
