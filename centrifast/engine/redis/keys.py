"""Names of keys and PUB/SUB channels (engines specification 3.1). Pure.

Every name is a beginning that says what it is, an attribute here, and an end that says whose, made by ``name``. In a
cluster the end holds the part that is hashed, in braces, so that all there is about a channel lies in one slot.
"""

from centrifast.engine.redis.hashing import shard_of
from centrifast.errors import BAD_REQUEST, ClientError

PROBE_END = b".probe"
"""End of a node's own channel by which its connection for control is tried (engines specification 3.7.2)."""


class Keys:
    """Beginnings and ends of names under *prefix*.

    *partitions*: of sharded PUB/SUB, in a cluster only; 0 = classic PUB/SUB. Presence does not know them.
    """

    def __init__(self, prefix: str, *, is_cluster: bool = False, partitions: int = 0) -> None:
        start = prefix.encode() + b"."
        self.stream = start + b"stream."
        self.stream_meta = start + b"stream.meta."
        self.list = start + b"list."
        self.list_meta = start + b"list.meta."
        self.result = start + b"result."
        self.client = start + b"client."
        self.presence_data = start + b"presence.data."
        self.presence_expire = start + b"presence.expire."
        self.presence_user_expire = start + b"presence.user.expire."
        self.presence_user_clients = start + b"presence.user.clients."
        self.control = start + b"control"
        self.node = start + b"node."
        self._service = start + b"shard.0"
        self._is_cluster = is_cluster
        self.partitions = partitions if is_cluster else 0

    def partition(self, channel: str) -> int:
        """In which partition a channel's messages travel; 0 without partitions."""
        return shard_of(channel, self.partitions) if self.partitions else 0

    def can_name(self, channel: str) -> bool:
        """Whether ``name`` has an answer: in a cluster a channel must not begin with ``}``."""
        return not self._is_cluster or bool(self.partitions) or channel[:1] not in ("", "}")

    def name(self, channel: str) -> bytes:
        """The end of every name that belongs to *channel*.

        Raises ClientError BAD_REQUEST for a channel that would be spread over the slots of a cluster: Redis hashes what
        stands between the first ``{`` and the next ``}``, and the whole key if that is nothing.
        """
        if not self._is_cluster:
            return channel.encode()
        if self.partitions:
            return b"{%d}.%b" % (self.partition(channel), channel.encode())
        if not self.can_name(channel):
            raise ClientError(BAD_REQUEST)
        return b"{%b}" % channel.encode()

    def service(self, partition: int = 0) -> bytes:
        """What the PUB/SUB connection of a partition subscribes to before all else."""
        return b"%b.{%d}" % (self._service, partition) if self.partitions else self._service
