"""Who is subscribed, in Redis, in Centrifugo's layout (engines specification 3.6).

Calls about one client take effect in their order, because they leave in it on the one connection of a shard, so that a
client that leaves right after it came does not stay. A script that a server has forgotten is sent again and may be
overtaken; what stays then stays for ``presence_ttl``.
"""

import math
from collections.abc import Mapping, Sequence

from centrifast import log
from centrifast.clock import Clock
from centrifast.engine.redis import scripts
from centrifast.engine.redis.codec import DecodeError, decode_info, encode_info
from centrifast.engine.redis.contract import Reply, Script, Shard
from centrifast.engine.redis.hashing import shard_of
from centrifast.engine.redis.keys import Keys
from centrifast.engine.redis.refusal import answer_of
from centrifast.limits import CHANNEL_LOG_SIZE, PRESENCE_TTL
from centrifast.model import ClientInfo, PresenceStats


class RedisPresence:
    """``contract.PresenceManager`` over *shards*, in the order of the configuration, which every node must have.

    They are started and closed by others.
    *ttl* in seconds. *user_mapping*: users are counted by Redis, so that stats cost the same in channels of any size.
    *hash_field_ttl*: Redis forgets clients by itself.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        prefix: str,
        clock: Clock,
        *,
        ttl: float = PRESENCE_TTL,
        user_mapping: bool = False,
        hash_field_ttl: bool = False,
    ) -> None:
        self._shards = shards
        self._prefix = prefix
        self._clock = clock
        self._ttl = max(math.ceil(ttl), 1)
        self._user_mapping = user_mapping
        self._hash_field_ttl = hash_field_ttl
        self._keys: list[Keys] = []

    async def start(self) -> None:
        """See what the servers can. Raises ``ValueError`` when one is too old for what is configured."""
        for shard in self._shards:
            if self._hash_field_ttl:
                await _check_version(shard)
            self._keys.append(Keys(self._prefix, is_cluster=shard.is_cluster))

    async def close(self) -> None:
        """There is nothing to let go of."""

    async def add(self, channel: str, info: ClientInfo) -> None:
        """See ``PresenceManager.add``. Raises ClientError BAD_REQUEST for a name that a cluster can not hold."""
        expire_at = int(self._clock.unix()) + self._ttl
        args = (self._ttl, expire_at, info.client, encode_info(info), info.user, *self._flags())
        await self._run(scripts.PRESENCE_ADD, channel, args)

    async def remove(self, channel: str, client: str, user: str) -> None:
        """See ``PresenceManager.remove``; whose client it is, is known from the entry."""
        keys, _ = self._place_of(channel)
        if keys.can_name(channel):  # else it was not let in
            await self._run(scripts.PRESENCE_REMOVE, channel, (client, int(self._user_mapping)))

    async def presence(self, channel: str) -> Mapping[str, ClientInfo]:
        """See ``PresenceManager.presence``; the caller owns the result. O(clients)."""
        flat = await self._run(scripts.PRESENCE_GET, channel, (int(self._clock.unix()), *self._flags()))
        infos: dict[str, ClientInfo] = {}
        unread = 0
        for client, data in zip(flat[::2], flat[1::2], strict=True):
            try:
                infos[client.decode()] = decode_info(data)
            except (DecodeError, UnicodeDecodeError):
                unread += 1
        if unread:
            log.error("clients can not be read", channel=channel[:CHANNEL_LOG_SIZE], count=unread)
        return infos

    async def stats(self, channel: str) -> PresenceStats:
        """See ``PresenceManager.stats``. O(1) with a mapping of users; else O(clients)."""
        if not self._user_mapping:
            infos = await self.presence(channel)
            return PresenceStats(len(infos), len({info.user for info in infos.values()}))
        args = (int(self._clock.unix()), int(self._hash_field_ttl))
        clients, users = await self._run(scripts.PRESENCE_STATS, channel, args)
        return PresenceStats(clients, users)

    def _flags(self) -> tuple[int, int]:
        return int(self._user_mapping), int(self._hash_field_ttl)

    def _place_of(self, channel: str) -> tuple[Keys, Shard]:
        number = shard_of(channel, len(self._keys))
        return self._keys[number], self._shards[number]

    async def _run(self, script: Script, channel: str, args: Sequence[bytes | str | int]) -> Reply:
        keys, shard = self._place_of(channel)
        name = keys.name(channel)
        names = [keys.presence_expire + name, keys.presence_data + name]
        if self._user_mapping:
            names += [keys.presence_user_expire + name, keys.presence_user_clients + name]
        return await answer_of(shard, shard.run(script, names, args))


async def _check_version(shard: Shard) -> None:
    """Raises ``ValueError`` when the server can not give a field of a hash a life of its own."""
    if (await answer_of(shard, shard.call(b"", (b"COMMAND", b"INFO", b"HEXPIRE"))))[0] is not None:
        return
    lines = bytes(await answer_of(shard, shard.call(b"", (b"INFO", b"server")))).decode().split("\r\n")
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    version = values.get("valkey_version") or values.get("redis_version", "unknown")
    raise ValueError(
        f"presence_hash_field_ttl needs Redis 7.4 or Valkey 9.0, but {shard.name} has version {version}"
    )
