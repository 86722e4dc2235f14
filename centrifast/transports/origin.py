"""Which browser origins may connect (server specification 2.4)."""

from collections.abc import Sequence

from centrifast import log
from centrifast.glob import Glob


class OriginPolicy:
    """Globs matched against the lowercased ``Origin``; requests without one are no browser's and always allowed."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._any = tuple(allowed) == ("*",)
        self._globs = [Glob(pattern.lower()) for pattern in allowed]

    def allows(self, origin: str | None) -> bool:
        """Whether a request with this ``Origin`` header may go on."""
        if origin is None or self._any:
            return True
        lowered = origin.lower()
        if any(glob.matches(lowered) for glob in self._globs):
            return True
        hint = "client.allowed_origins is empty: list the origins of your pages" if not self._globs else ""
        log.info("origin refused", origin=origin[:200], hint=hint)
        return False
