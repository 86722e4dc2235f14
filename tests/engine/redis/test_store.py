import asyncio
from collections.abc import Iterable

from centrifast.clock import SystemClock
from centrifast.engine.redis.settings import Kind, Place, ShardSettings
from centrifast.engine.redis.store import RedisStore
from centrifast.metrics.metrics import Metrics
from tests.engine.redis.nodes import until
from tests.redis_servers import RedisServer
from tests.server.http_peer import run

SERVICE, CONTROL = b"p.shard.0", b"p.node.uid.probe"


class Owner:
    """Wants nothing."""

    def on_message(self, channel: bytes, message: bytes) -> None:
        """Nothing comes."""

    def wanted(self) -> Iterable[bytes]:
        return ()

    def on_restored(self) -> None:
        """Nothing was missed."""


def test_a_store_says_whether_its_server_is_there_and_counts_lost_connections() -> None:
    async def scenario() -> None:
        with RedisServer() as server:
            settings = ShardSettings(Kind.SERVER, (Place("127.0.0.1", server.port),))
            store = await RedisStore.find(settings, SystemClock(asyncio.get_running_loop()))
            metrics = Metrics()
            await store.start(metrics)
            assert store.name == server.address
            assert store.is_usable
            await store.shard.pubsub(Owner(), SERVICE).start()
            await store.shard.pubsub(Owner(), CONTROL).start()
            server.kill()
            await until(lambda: not store.is_usable)
            server.start()
            await until(lambda: store.is_usable)
            counted = dict(metrics.pub_sub_errors)
            assert (counted["connection",], counted["control_connection",]) == (1, 1)
            await store.close()
            assert not store.is_usable

    run(scenario())
