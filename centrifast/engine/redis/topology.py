"""Who has which slots of a Redis Cluster: replies and errors to places. Pure."""

from binascii import crc_hqx
from dataclasses import dataclass

from centrifast.engine.redis.contract import RedisError, Reply
from centrifast.engine.redis.settings import Place

SLOTS = 16384


def slot_of(key: bytes) -> int:
    """CRC16 of what stands between the first ``{`` and the next ``}``, or of the whole key (cluster specification)."""
    begin = key.find(b"{") + 1
    if begin:
        end = key.find(b"}", begin)
        if end > begin:
            key = key[begin:end]
    return crc_hqx(key, 0) % SLOTS


@dataclass(frozen=True, slots=True)
class Topology:
    """*ranges* are first and last slot with their master; *members* all that are known, replicas too."""

    ranges: tuple[tuple[int, int, Place], ...]
    members: frozenset[Place]

    @property
    def masters(self) -> frozenset[Place]:
        """Those with slots."""
        return frozenset(place for _, _, place in self.ranges)

    @property
    def is_complete(self) -> bool:
        """Whether every slot has a master."""
        return sum(last - first + 1 for first, last, _ in self.ranges) == SLOTS


def read_topology(reply: Reply, asked: Place) -> Topology:
    """Read an answer to ``CLUSTER SLOTS``; members without an address are reached like *asked*. Raises ValueError."""
    ranges = []
    members = set()
    try:
        for first, last, master, *replicas in reply:
            if not 0 <= first <= last < SLOTS:
                raise ValueError("a slot is out of range")
            places = [_place_of(node, asked) for node in (master, *replicas)]
            ranges.append((first, last, places[0]))
            members.update(places)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"the slots of the cluster can not be read: {error}") from None
    return Topology(tuple(ranges), frozenset(members))


def _place_of(node: Reply, asked: Place) -> Place:
    host, port, *_ = node
    return Place(asked.host if host in (None, b"", b"?") else host.decode(), int(port))


def read_redirection(error: RedisError, asked: Place) -> Place:
    """Read whom ``MOVED slot host:port`` or ``ASK slot host:port`` names. Raises ValueError."""
    words = str(error).split()
    host, _, port = words[2].rpartition(":") if len(words) > 2 else ("", "", "")
    if not port.isdecimal():
        raise ValueError(f"a redirection can not be read: {error}")
    return Place(host.strip("[]") or asked.host, int(port))
