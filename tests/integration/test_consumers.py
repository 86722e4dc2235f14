"""Commands from Redis through running daemons that are restarted and killed meanwhile."""

import json
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.consumers.running import add, publication, push
from tests.integration.daemon import Daemon, eventually
from tests.integration.workers import WorkersDaemon
from tests.raw_websocket import CLOSE, RawWebSocket
from tests.redis_servers import RedisServer

LISTS = ("centrifugo.api", "centrifugo.api.0", "centrifugo.api.1")
CHANNELS = ("queue:0", "queue:1", "queue:2")
COMMANDS = 10_000

NAMESPACE = {
    "name": "queue",
    "history_size": 20_000,
    "history_ttl": "600s",
    "allow_subscribe_for_client": True,
    "allow_subscribe_for_anonymous": True,
}


def configuration(server: RedisServer, **changes: Any) -> dict[str, Any]:
    return {
        "workers": 1,
        "engine": {"redis": {"address": server.address}},
        "channel": {"namespaces": [NAMESPACE]},
        **changes,
    }


def lists_of(server: RedisServer) -> dict[str, Any]:
    return configuration(server, redis_api={"enabled": True, "num_shards": 2})


def streams_of(server: RedisServer, visibility_timeout: str) -> dict[str, Any]:
    own = {
        "address": server.address,
        "streams": ["jobs"],
        "consumer_group": "group",
        "visibility_timeout": visibility_timeout,
    }
    consumer = {"name": "jobs", "enabled": True, "type": "redis_stream", "redis_stream": own}
    return configuration(server, consumers=[consumer])


class Observer:
    """Sees all that is published in one life of a daemon: it subscribes, and reads what had been before."""

    def __init__(self, daemon: Daemon) -> None:
        self._seen: dict[str, dict[int, int]] = {channel: {} for channel in CHANNELS}
        self._client = RawWebSocket(daemon.port)
        self._client.connect()
        for channel in CHANNELS:
            self._client.subscribe(channel)
        for channel in CHANNELS:
            for found in daemon.api("history", channel=channel, limit=-1)["result"].get("publications", []):
                self._see(channel, found)
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def numbers(self, channel: str) -> list[int]:
        """What was published, in the order of the channel's offsets."""
        return [number for _, number in sorted(self._seen[channel].items())]

    @property
    def count(self) -> int:
        """Publications in all channels."""
        return sum(map(len, self._seen.values()))

    def end(self) -> None:
        """Return when the daemon has let go of the subscriber."""
        self._thread.join()
        self._client.socket.close()

    def _see(self, channel: str, found: Mapping[str, Any]) -> None:
        self._seen[channel][found["offset"]] = found["data"]["n"]

    def _watch(self) -> None:
        while (frame := self._client.receive()) is not None:
            if frame.opcode == CLOSE:
                self._client.send_frame(CLOSE, frame.payload[:2])
                continue
            for line in frame.payload.splitlines():
                message = json.loads(line)
                if not message:
                    self._client.send_text("{}")
                elif "pub" in message.get("push", {}):
                    self._see(message["push"]["channel"], message["push"]["pub"])


class Life:
    """A daemon between two starts, with its observer."""

    def __init__(self, daemon: Daemon) -> None:
        daemon.start()
        self.daemon = daemon
        self.observer = Observer(daemon)

    def stop(self) -> None:
        """Stop in good order."""
        assert self.daemon.stop() == 0
        self.observer.end()

    def kill(self) -> None:
        """Kill it."""
        self.daemon.signal(signal.SIGKILL)
        self.daemon.wait()
        self.daemon.stop()
        self.observer.end()


@contextmanager
def daemon_for(folder: Path, changes: Mapping[str, Any]) -> Iterator[Daemon]:
    """A daemon that is started and stopped by the test, and is gone afterwards."""
    daemon = Daemon(folder, changes)
    try:
        yield daemon
    finally:
        daemon.stop()


class Pusher:
    """Pushes commands over all lists, each list's in the order of their numbers, a part of them at a time."""

    PARTS = 4

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._allowed = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "Pusher":
        self._thread.start()
        self.go_on()
        return self

    def __exit__(self, *_: object) -> None:
        for _part in range(self.PARTS):
            self.go_on()
        self._thread.join()

    def go_on(self) -> None:
        """Let it push the next part, while this thread does something else."""
        self._allowed.release()

    def _work(self) -> None:
        part = COMMANDS // self.PARTS
        for first in range(0, COMMANDS, part):
            self._allowed.acquire()
            for start in range(first, first + part, 10):
                numbers = range(start, start + 10)
                for index, key in enumerate(LISTS):
                    mine = [number for number in numbers if number % len(LISTS) == index]
                    push(self._server, key, *(publication(number, CHANNELS[index]) for number in mine))


def count(lives: list[Life]) -> int:
    return sum(life.observer.count for life in lives)


def parts(lives: list[Life], channel: str) -> list[list[int]]:
    """What each life published into a channel, in the order of the first publications."""
    found = [life.observer.numbers(channel) for life in lives]
    return sorted(part for part in found if part)


def assert_once_each_in_order(lives: list[Life]) -> None:
    for index, channel in enumerate(CHANNELS):
        together = [number for part in parts(lives, channel) for number in part]
        assert together == list(range(index, COMMANDS, len(CHANNELS)))


def test_commands_come_once_each_and_in_order_while_the_node_restarts(tmp_path: Path) -> None:
    with RedisServer() as server, daemon_for(tmp_path, lists_of(server)) as daemon:
        lives = [Life(daemon)]
        with Pusher(server) as pusher:
            for seen in (500, 3000):
                eventually(lambda: count(lives) > seen, "commands to be executed")  # noqa: B023 - asked at once
                pusher.go_on()
                lives[-1].stop()
                lives.append(Life(daemon))
        eventually(lambda: count(lives) >= COMMANDS, "all commands")
        lives[-1].stop()
        assert all(life.observer.count for life in lives)
        assert_once_each_in_order(lives)
        assert server.command("KEYS", "*") == []


def test_two_nodes_restart_one_after_the_other(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer())
        daemons = [stack.enter_context(daemon_for(tmp_path, lists_of(server))) for _ in range(2)]
        running = [Life(daemon) for daemon in daemons]
        lives = list(running)
        with Pusher(server) as pusher:
            for index, seen in ((0, 500), (1, 3000)):
                eventually(lambda: count(lives) > seen, "commands to be executed")  # noqa: B023 - asked at once
                pusher.go_on()
                running[index].stop()
                running[index] = Life(daemons[index])
                lives.append(running[index])
        eventually(lambda: count(lives) >= COMMANDS, "all commands")
        for life in running:
            life.stop()
        assert_once_each_in_order(lives)


def test_what_a_killed_node_has_not_executed_is_executed_by_the_next(tmp_path: Path) -> None:
    with RedisServer() as server, daemon_for(tmp_path, lists_of(server)) as daemon:
        lives = [Life(daemon)]
        with Pusher(server) as pusher:
            eventually(lambda: count(lives) > 500, "commands to be executed")
            pusher.go_on()
            lives[0].kill()
            for key in LISTS:  # else it is a wait for the lease of who is gone
                server.command("DEL", f"{{{key}}}.reader")
            lives.append(Life(daemon))
        eventually(lambda: not any(server.command("LLEN", key) for key in LISTS), "all commands")
        lives[1].stop()
        for index, channel in enumerate(CHANNELS):
            before, after = (life.observer.numbers(channel) for life in lives)
            assert set(before) | set(after) == set(range(index, COMMANDS, len(CHANNELS)))
            assert before == sorted(before)
            assert after == sorted(after)
            assert len(set(before) & set(after)) <= 65


def test_entries_of_a_stream_survive_a_killed_node(tmp_path: Path) -> None:
    entries = 3000
    with RedisServer() as server, daemon_for(tmp_path, streams_of(server, "500ms")) as daemon:
        lives = [Life(daemon)]
        for number in range(entries):
            add(server, "jobs", publication(number, CHANNELS[0]))
            if number == 1000:
                eventually(lambda: count(lives) > 100, "entries to be executed")
                lives[0].kill()
                lives.append(Life(daemon))
        eventually(lambda: server.command("XINFO", "GROUPS", "jobs")[0][11] == 0, "no lag")
        eventually(lambda: server.command("XPENDING", "jobs", "group")[0] == 0, "nothing pending")
        lives[1].stop()
        seen = [life.observer.numbers(CHANNELS[0]) for life in lives]
        assert {number for part in seen for number in part} == set(range(entries))
        assert len(set(seen[0]) & set(seen[1])) <= 1


def test_an_orderly_restart_repeats_no_entry_and_leaves_no_name(tmp_path: Path) -> None:
    entries = 3000
    with RedisServer() as server, daemon_for(tmp_path, streams_of(server, "30s")) as daemon:
        lives = [Life(daemon)]
        for number in range(entries):
            add(server, "jobs", publication(number, CHANNELS[0]))
            if number in (1000, 2000):
                eventually(lambda: count(lives) > number - 900, "entries to be executed")  # noqa: B023
                lives[-1].stop()
                lives.append(Life(daemon))
        eventually(lambda: count(lives) >= entries, "all entries")
        lives[-1].stop()
        together = [number for life in lives for number in life.observer.numbers(CHANNELS[0])]
        assert together == list(range(entries))
        assert server.command("XINFO", "CONSUMERS", "jobs", "group") == []


def test_workers_share_the_work_and_show_it_once(tmp_path: Path) -> None:
    with RedisServer() as server:
        changes = {**lists_of(server), "prometheus": {"enabled": True}}
        with WorkersDaemon(tmp_path, changes, workers=3) as daemon:
            observer = Observer(daemon)
            with Pusher(server):
                pass
            eventually(lambda: observer.count >= COMMANDS, "all commands")
            processed = 'centrifugo_consumers_messages_processed_total{consumer_name="redis_api"} 10000'
            eventually(lambda: processed in daemon.get("/metrics")[1].decode(), "what workers have counted")
            lag = f'centrifugo_consumers_lag{{consumer_name="redis_api",shard="{server.address}",key="{LISTS[0]}"}}'
            assert lag in daemon.get("/metrics")[1].decode()
        observer.end()
        for index, channel in enumerate(CHANNELS):
            assert observer.numbers(channel) == list(range(index, COMMANDS, len(CHANNELS)))


def test_a_redis_that_is_not_there_forbids_the_start(tmp_path: Path) -> None:
    with RedisServer() as server:
        changes = lists_of(server)
    daemon = Daemon(tmp_path, changes, answers=False)
    daemon.start()
    assert daemon.wait() == 1
    error = daemon.event("the server can not start")["error"]
    assert error.startswith(
        f"consumer redis_api: Redis can not be used: Redis at {server.address} can not be reached"
    )
    daemon.stop()
