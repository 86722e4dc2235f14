"""The sockets that workers accept on: opened by the supervisor, one set for each place of a worker.

The kernel spreads connections over the sets (``SO_REUSEPORT``). A worker that is replaced in order hands its set to
the next, so a connection that waits in a set's queue is served by either; none is refused or reset. The set of a
worker that has died is closed while others serve: its share goes to them at once instead of waiting.

Sockets that were passed by systemd are shared by all workers.
"""

from collections.abc import Sequence

from centrifast.config.rules_server import ENDPOINTS, EXTERNAL, INTERNAL
from centrifast.config.schema import Config
from centrifast.server.listeners import (
    Address,
    ListenError,
    assign_sockets,
    open_sockets,
    place_of,
    plan_listeners,
)
from centrifast.systemd import PassedSocket

SocketSet = Sequence[PassedSocket]
"""All that one worker accepts on, named after their listeners."""


def listeners_of(config: Config) -> tuple[tuple[str, Address], ...]:
    """The listeners that carry endpoints (server specification 2.1); a merged one counts as external.

    Raises ``ListenError``.
    """
    plan = plan_listeners(config.http_server)
    sides = {listener_of(config) for _, listener_of in ENDPOINTS}
    if config.quickstart.enabled:
        sides.add(EXTERNAL)
    if plan.is_merged:
        return ((EXTERNAL, plan.external),) if sides - {None} else ()
    both = ((EXTERNAL, plan.external), (INTERNAL, plan.internal))
    return tuple((side, address) for side, address in both if side in sides)


class SocketSets:
    """Makes sets of sockets that all listen at the same places."""

    def __init__(self, config: Config, passed: Sequence[PassedSocket] = ()) -> None:
        """Opens nothing yet. Raises ``ListenError`` for a socket that fits no listener."""
        self._reuse_port = config.http_server.reuse_port
        self._listeners = listeners_of(config)
        external, internal = assign_sockets(passed, plan_listeners(config.http_server))
        self._passed = {
            EXTERNAL: [PassedSocket(one, EXTERNAL) for one in external],
            INTERNAL: [PassedSocket(one, INTERNAL) for one in internal],
        }
        carried = {side for side, _ in self._listeners}
        for side, sockets in self._passed.items():
            if sockets and side not in carried:
                description = sockets[0].description
                raise ListenError(f"{description} is {side}, where nothing is configured to be served")

    def check(self) -> None:
        """Look whether somebody else listens there, which sharing a port would hide. Raises ``ListenError``."""
        if self._reuse_port:
            return  # the operator says that somebody may
        for side, address in self._listeners:
            if not self._passed[side] and address.port:
                for opened in open_sockets(address):
                    opened.close()

    def open(self) -> SocketSet:
        """Open one more set, of which the passed ones are shared. Raises ``ListenError``."""
        opened: list[PassedSocket] = []
        try:
            for index, (side, address) in enumerate(self._listeners):
                if self._passed[side]:
                    opened += self._passed[side]
                    continue
                sockets = open_sockets(address, reuse_port=True)
                opened += [PassedSocket(one, side) for one in sockets]
                if not address.port:  # from here on where the kernel said
                    self._fix_port(index, place_of(sockets[0]).port)
        except ListenError:
            self.close(opened)
            raise
        return opened

    def close(self, opened: SocketSet) -> None:
        """Close a set but for what was passed."""
        shared = [one.socket for sockets in self._passed.values() for one in sockets]
        for one in opened:
            if one.socket not in shared:
                one.socket.close()

    def _fix_port(self, index: int, port: int) -> None:
        listeners = list(self._listeners)
        side, address = listeners[index]
        listeners[index] = side, Address(address.host, port)
        self._listeners = tuple(listeners)
