"""Redis is away: said once when it begins, and once when it ends."""

from centrifast import log


class Outage:
    """Of one *place* that the consumer called *name* reads."""

    def __init__(self, name: str, place: str) -> None:
        self._fields = {"consumer": name, "place": place}
        self.is_on = False

    def begin(self, error: Exception) -> None:
        """A command failed."""
        if not self.is_on:
            self.is_on = True
            log.error("the queue of a consumer can not be read", **self._fields, error=str(error))

    def end(self) -> None:
        """A command went well."""
        if self.is_on:
            self.is_on = False
            log.info("the queue of a consumer can be read again", **self._fields)
