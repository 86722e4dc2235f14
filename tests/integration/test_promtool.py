"""Prometheus's own tool reads what the daemon serves, with something in every family."""

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from centrifast.metrics.registry import FAMILIES, Family, Kind
from tests.integration.test_metrics import CONFIG, everybody_is_gone, play
from tests.raw_websocket import RawWebSocket
from tests.redis_servers import RedisServer, eventually
from tests.scraping import scrape_until
from tests.server_process import ServerProcess

LINT = 3
"""Exit status of ``promtool check metrics`` when it could read everything but dislikes names; 1: it could not."""

OWN = (
    "centrifugo_publish_to_socket_seconds",
    "centrifugo_event_loop_lag_seconds",
    "centrifugo_outbox_bytes",
    "centrifugo_drain_length",
    "process_",
    "python_",
)


def complaints(family: Family) -> set[str]:
    """What promtool has to say about a name that Centrifugo gave, and only about those."""
    found = set()
    if family.kind is Kind.COUNTER and not family.name.endswith("_total"):
        found.add('counter metrics should have "_total" suffix')
    if family.kind in (Kind.COUNTER, Kind.GAUGE) and family.name.endswith("_count"):
        found.add('non-histogram and non-summary metrics should not have "_count" suffix')
    if family.name.endswith("_histogram"):
        found.add("metric name should not include type 'histogram'")
    return {f"{family.name} {complaint}" for complaint in found}


def with_redis(address: str) -> dict[str, Any]:
    """The configuration of a node among others that also takes commands from queues."""
    stream = {"address": address, "streams": ["commands"], "consumer_group": "nodes"}
    consumers = [
        {"name": "lists", "enabled": True, "type": "redis_list", "redis_list": {"address": address}},
        {"name": "streams", "enabled": True, "type": "redis_stream", "redis_stream": stream},
    ]
    return {**CONFIG, "engine": {"type": "redis", "redis": {"address": address}}, "consumers": consumers}


def test_promtool_accepts_every_family_under_load(tmp_path: Path, redis_server: RedisServer) -> None:
    config = with_redis(redis_server.address)
    with ServerProcess(tmp_path, config) as server:
        play(server)
        load(server, clients=20, publications=50)
        assert server.api("publish", channel="none:1", data=1)["error"]["code"] == 102
        (folder := tmp_path / "other").mkdir()
        with ServerProcess(folder, config):
            eventually(lambda: len(server.api("info")["result"]["nodes"]) == 2, "nodes know each other")
            server.api("channels")
        scrape_until(server, everybody_is_gone)
        _, text = server.get("/metrics")
    served = {line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE")}
    assert served == {family.name for family in FAMILIES}
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    said = {line for line in (checked.stdout + checked.stderr).decode().splitlines() if line}
    assert said == set().union(*map(complaints, FAMILIES))
    assert checked.returncode == LINT


def test_names_of_our_own_follow_the_conventions() -> None:
    own = [family for family in FAMILIES if family.name.startswith(OWN)]
    assert len(own) > len(OWN)
    assert not set().union(*map(complaints, own))


def load(server: ServerProcess, *, clients: int, publications: int) -> None:
    """Everybody gets everything."""
    with ExitStack() as stack:
        opened = [stack.enter_context(RawWebSocket(server.port)) for _ in range(clients)]
        for client in opened:
            client.connect()
            client.subscribe("news")
        for number in range(publications):
            server.publish("news", number)
        for client in opened:
            assert [client.push()["pub"]["data"] for _ in range(publications)] == list(range(publications))
