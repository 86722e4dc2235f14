"""Which other nodes there are: those heard of lately (engines specification 3.11).

Every node says every few seconds what it is; who has not been heard of for ``NODE_LIFETIME`` is gone. Nobody is asked.
The time is counted in turns of the registry's own timer, so a pause of this process is not held against the others.
"""

from collections.abc import Callable, Sequence

from centrifast import log
from centrifast.clock import Clock, TimerHandle
from centrifast.engine.redis import control_pb2 as pb
from centrifast.engine.redis.commands import node_of
from centrifast.limits import NODE_LIFETIME, NODES_KNOWN
from centrifast.model import NO_METRICS, NodeInfo

SWEEP = 1.0
"""Seconds between two looks at who has not been heard of: a dead node is known for that much longer at most."""


class Registry:
    """See above. *on_gone* is told who has left, or has not been heard of for too long."""

    def __init__(self, clock: Clock, on_gone: Callable[[str], None]) -> None:
        self._clock = clock
        self._on_gone = on_gone
        self._nodes: dict[str, tuple[NodeInfo, int]] = {}  # and at which turn that was
        self._turn = 0
        self._timer: TimerHandle | None = None
        self._is_full = False

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def uids(self) -> Sequence[str]:
        """Of all that are known."""
        return tuple(self._nodes)

    @property
    def infos(self) -> Sequence[NodeInfo]:
        """What each has said of itself."""
        return [info for info, _ in self._nodes.values()]

    def heard(self, uid: str, node: pb.Node) -> bool:
        """A node says what it is; True if it was not known. Of more than ``NODES_KNOWN`` nothing is kept."""
        known = self._nodes.get(uid)
        if known is None and len(self._nodes) >= NODES_KNOWN:
            if not self._is_full:
                log.error("there are more nodes than can be known", limit=NODES_KNOWN, node=node.name)
            self._is_full = True
            return False
        info = node_of(uid, node, NO_METRICS if known is None else known[0].metrics)
        self._nodes[uid] = info, self._turn
        if known is None:
            log.info("a node has come", node=info.name, uid=uid, version=info.version)
            if self._timer is None:
                self._timer = self._clock.call_later(SWEEP, self._sweep)
        return known is None

    def left(self, uid: str) -> None:
        """A node has said that it goes."""
        self._forget(uid, "a node has left")

    def close(self) -> None:
        """Forget everybody, and tell nobody."""
        self._nodes.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self._turn += 1
        oldest = self._turn - NODE_LIFETIME / SWEEP  # the first turn may have come at once
        for uid in [uid for uid, (_, turn) in self._nodes.items() if turn < oldest]:
            self._forget(uid, "a node is not heard of any more")
        self._timer = self._clock.call_later(SWEEP, self._sweep) if self._nodes else None

    def _forget(self, uid: str, why: str) -> None:
        known = self._nodes.pop(uid, None)
        if known is not None:
            self._is_full = False
            log.info(why, node=known[0].name, uid=uid)
            self._on_gone(uid)
