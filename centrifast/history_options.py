"""What the broker must know of a namespace's history."""

from centrifast.config.schema import ChannelConfig, ChannelOptions
from centrifast.engine.contract import NO_HISTORY, HistoryOptions


class HistoryRules:
    """From channel options to how much of a channel is kept; made once per namespace."""

    def __init__(self, config: ChannelConfig) -> None:
        self._meta_ttl = config.history_meta_ttl
        self._known: dict[int, tuple[ChannelOptions, HistoryOptions]] = {}

    def of(self, options: ChannelOptions) -> HistoryOptions:
        """How much is kept; NO_HISTORY unless both size and time to live are given."""
        if options.history_size <= 0 or options.history_ttl <= 0:
            return NO_HISTORY
        known = self._known.get(id(options))
        if known is None:
            meta_ttl = options.history_meta_ttl or self._meta_ttl
            # The options are kept too: those of a command that began before a reload are nobody's else, and another
            # object must not get their id.
            known = options, HistoryOptions(options.history_size, options.history_ttl, meta_ttl)
            self._known[id(options)] = known
        return known[1]
