"""Another server takes over, while it is published all the time: nobody misses anything without being told."""

from pathlib import Path

import pytest

from tests.integration.crowd import Crowd
from tests.integration.test_redis_failures import CHANNELS, config, nodes
from tests.redis_servers import RedisCluster, Sentinels, eventually


@pytest.mark.parametrize("how", ["crash", "frozen"])
def test_when_sentinels_name_another_master_nobody_misses_anything_unknowingly(
    tmp_path: Path, how: str
) -> None:
    """What the old master accepted while it was being replaced is gone: who got that begins anew."""
    with Sentinels(1, down_after_ms=1000) as sentinels:
        settings = config(sentinel_address=sentinels.addresses, sentinel_master_name=Sentinels.NAME)
        with nodes(tmp_path, settings) as servers, Crowd(servers, CHANNELS) as crowd:
            crowd.publish_quietly()
            crowd.level()
            sentinels.fail_over()
            sentinels.wait_for_master(sentinels.replica)
            crowd.publish_quietly()
            crowd.level()
            if how == "crash":
                sentinels.replica.kill()
            else:
                sentinels.replica.freeze()
            sentinels.wait_for_master(sentinels.master)
            crowd.publish_quietly()
            crowd.level()
            if how == "frozen":
                sentinels.replica.thaw()  # and takes itself for the master, for some seconds
            crowd.compare(may_lose=True)


def test_when_a_master_of_a_cluster_dies_nobody_misses_anything_unknowingly(tmp_path: Path) -> None:
    with (
        RedisCluster(replicas=1, node_timeout_ms=1000) as cluster,
        nodes(tmp_path, config(cluster_address=cluster.addresses)) as servers,
        Crowd(servers, CHANNELS) as crowd,
    ):
        crowd.publish_quietly()
        crowd.level()
        dead, heir = cluster.masters[1], cluster.replicas[1]
        dead.kill()
        eventually(lambda: heir.command("ROLE")[0] == b"master", "its replica does not take over")
        crowd.compare(may_lose=True)
