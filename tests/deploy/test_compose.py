"""The shipped compose file. There is no Docker where tests run, so its parts are taken by hand."""

import shlex
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from centrifast.config.loader import load
from centrifast.engine.redis.settings import read_shards
from centrifast.engines import broker_section
from tests.deploy.proxies import DEPLOY, nginx, publish
from tests.raw_websocket import RawWebSocket
from tests.redis_servers import RedisServer, eventually
from tests.server_process import ServerProcess

FILE = DEPLOY / "docker/compose.yaml"
SERVICES: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]


def test_everything_that_is_named_is_there() -> None:
    build = SERVICES["node"]["build"]
    context = (FILE.parent / build["context"]).resolve()
    assert (context / "pyproject.toml").exists()
    assert (context / build["dockerfile"]).exists()
    assert (FILE.parent / SERVICES["proxy"]["volumes"][0].partition(":")[0]).exists()
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= SERVICES.keys()


def test_nodes_are_told_where_redis_is() -> None:
    loaded = load(None, {}, SERVICES["node"]["environment"])
    assert (loaded.unknown_env, loaded.warnings) == ((), ())
    place = broker_section(loaded.config)
    assert place is not None
    assert [shard.name for shard in read_shards(place.section)] == ["redis:6379"]
    assert "redis" in SERVICES


def test_nginx_is_told_where_the_nodes_are(tmp_path: Path) -> None:
    shell, option, script = shlex.split(SERVICES["proxy"]["command"])
    *_, inside, mode = SERVICES["proxy"]["volumes"][0].split(":")
    assert (shell, option, mode) == ("sh", "-c", "ro")
    write, _ = script.split(" && ")
    source, target = DEPLOY / "nginx/centrifast.conf", tmp_path / "site.conf"
    write = write.replace(inside, str(source), 1).replace("/etc/nginx/conf.d/default.conf", str(target))
    subprocess.run([shell, option, write], check=True)
    assert target.read_text() == source.read_text().replace("127.0.0.1:8000", "node:8000")


def clients_of(node: ServerProcess) -> list[int]:
    """How many each node has, as far as *node* has been told."""
    return [other["num_clients"] for other in node.api("info")["result"]["nodes"]]


def test_two_nodes_behind_nginx_are_one(tmp_path: Path, folder: Path) -> None:
    program, *arguments = shlex.split(SERVICES["redis"]["command"])
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(*arguments, program=program))
        changes = {"engine": {"type": "redis", "redis": {"address": redis.address}}}
        nodes = [
            stack.enter_context(ServerProcess(tmp_path, changes)) for _ in range(SERVICES["node"]["scale"])
        ]
        first, second = (f"server 127.0.0.1:{node.port} max_fails=0;" for node in nodes)
        proxy = stack.enter_context(nginx(folder, nodes[0].port, {first: first + second}))
        clients = [stack.enter_context(RawWebSocket(proxy.port)) for _ in nodes]
        for client in clients:
            client.connect()
            client.subscribe("news")
        assert [node.api("channels")["result"] for node in nodes] == [
            {"channels": {"news": {"num_clients": 2}}}
        ] * 2
        publish(proxy.port, "news", "hello")
        assert [client.push()["pub"]["data"] for client in clients] == ["hello"] * 2
        eventually(lambda: clients_of(nodes[0]) == [1, 1], "a client at each node")
