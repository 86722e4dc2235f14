"""What the scripts do to keys, step by step (engines specification 3.5 and 3.6), on a real server."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
import redis

from centrifast.engine.redis import scripts
from centrifast.engine.redis.codec import encode_info
from centrifast.engine.redis.contract import Script
from centrifast.engine.redis.keys import Keys
from centrifast.model import ClientInfo
from tests.redis_servers import TIMEOUT, RedisCluster, RedisServer

KEYS = Keys("app")
BROKER_KEYS = (KEYS.stream + b"news", KEYS.stream_meta + b"news", KEYS.result + b"news.k")
STREAM, META, RESULT = BROKER_KEYS
LIST_KEYS = (KEYS.list + b"news", KEYS.list_meta + b"news", RESULT)
LIST, LIST_META, _ = LIST_KEYS
PRESENCE_KEYS = (
    KEYS.presence_expire + b"news",
    KEYS.presence_data + b"news",
    KEYS.presence_user_expire + b"news",
    KEYS.presence_user_clients + b"news",
)
EXPIRE, DATA, USER_EXPIRE, USER_CLIENTS = PRESENCE_KEYS

Answer = list[object]


@dataclass
class Runner:
    """Runs scripts on a server."""

    server: RedisServer

    def run(self, script: Script, keys: Sequence[bytes], *args: object) -> Answer:
        answer: Answer = self.server.command("EVAL", script.source, len(keys), *keys, *args)
        return answer

    def publish(
        self,
        payload: bytes = b"p",
        *,
        in_list: bool = False,
        size: int = 5,
        channel: str = "",
        meta_ttl: str = "600",
        candidate: str = "abcd",
        result_ttl: str = "",
        delta: str = "",
        version: str = "0",
        version_epoch: str = "",
    ) -> Answer:
        script, keys, size = (
            (scripts.PUBLISH_LIST, LIST_KEYS, size - 1)
            if in_list
            else (scripts.PUBLISH_STREAM, BROKER_KEYS, size)
        )
        rest = (candidate, "publish", result_ttl, delta, version, version_epoch)
        return self.run(script, keys, payload, size, "60", channel, meta_ttl, *rest)

    def read(self, since: int = 0, limit: int = 0, *, reverse: bool = False, meta_ttl: str = "600") -> Answer:
        args = ("1", str(since), str(limit), "1" if reverse else "0", meta_ttl, "wxyz")
        return self.run(scripts.READ_STREAM, BROKER_KEYS[:2], *args)

    def hash(self, key: bytes) -> dict[bytes, bytes]:
        words = iter(self.server.command("HGETALL", key))
        return dict(zip(words, words, strict=True))


@pytest.fixture
def runner(redis_server: RedisServer) -> Runner:
    return Runner(redis_server)


@pytest.fixture
def heard(redis_server: RedisServer) -> Iterator[Callable[[], bytes]]:
    """Gives the next message of the channel's subscribers."""
    path = redis_server.socket_path
    with redis.Redis(unix_socket_path=path, socket_timeout=TIMEOUT) as client, client.pubsub() as subscriber:

        def following() -> bytes:
            message = subscriber.get_message(timeout=TIMEOUT)
            assert message is not None
            data: bytes = message["data"]
            return data

        subscriber.subscribe("app.client.news")
        following()  # says that it has subscribed
        yield following


def test_digest_is_the_one_the_server_computes(runner: Runner) -> None:
    for script in scripts.SCRIPTS:
        assert runner.server.command("SCRIPT", "LOAD", script.source) == script.sha1
        assert hashlib.sha1(script.source).hexdigest().encode() == script.sha1


# ------------------------------------------------------------------ publish with history


def test_entry_of_a_stream_has_its_offset_as_id_and_one_field(runner: Runner) -> None:
    assert runner.publish(b"one") == [b"1", b"abcd", b"0", b"0"]
    assert runner.publish(b"two", candidate="other") == [b"2", b"abcd", b"0", b"0"]
    assert runner.server.command("XRANGE", STREAM, "-", "+") == [
        [b"1-0", [b"d", b"one"]],
        [b"2-0", [b"d", b"two"]],
    ]
    assert runner.hash(META) == {b"e": b"abcd", b"s": b"2"}


def test_element_of_a_list_has_a_header_and_the_newest_stands_first(runner: Runner) -> None:
    for number in range(3):
        runner.publish(b"%d" % number, in_list=True, size=2)
    assert runner.server.command("LRANGE", LIST, 0, -1) == [b"__p1:3:abcd__2", b"__p1:2:abcd__1"]
    assert runner.hash(LIST_META) == {b"e": b"abcd", b"s": b"3"}


@pytest.mark.parametrize("in_list", [False, True])
def test_lives_are_extended_by_each_publication(runner: Runner, in_list: bool) -> None:
    keys = LIST_KEYS if in_list else BROKER_KEYS
    for _ in range(2):
        runner.publish(in_list=in_list, result_ttl="300")
        runner.server.command("DEL", RESULT)
        lives = [runner.server.command("TTL", key) for key in keys[:2]]
        assert lives == [pytest.approx(60, abs=1), pytest.approx(600, abs=1)]
        for key in keys[:2]:
            runner.server.command("EXPIRE", key, 10)


def test_meta_without_ttl_lives_for_ever(runner: Runner) -> None:
    runner.publish(meta_ttl="0")
    assert runner.server.command("TTL", META) == -1
    runner.read(meta_ttl="0")
    assert runner.server.command("TTL", META) == -1


def test_stream_holds_exactly_its_size(runner: Runner) -> None:
    for _ in range(300):  # more than a node of a stream holds, which is all that trimming by estimate drops
        runner.publish(size=3)
    assert runner.server.command("XLEN", STREAM) == 3


@pytest.mark.parametrize("in_list", [False, True])
def test_what_is_left_of_a_lost_epoch_is_dropped(runner: Runner, in_list: bool) -> None:
    keys, length = (LIST_KEYS, "LLEN") if in_list else (BROKER_KEYS, "XLEN")
    for _ in range(3):
        runner.publish(in_list=in_list)
    runner.server.command("DEL", keys[1])
    assert runner.publish(b"new", in_list=in_list, candidate="next", delta="1")[:2] == [b"1", b"next"]
    assert runner.server.command(length, keys[0]) == 1


def test_subscribers_are_told_what_was_published_and_where(
    runner: Runner, heard: Callable[[], bytes]
) -> None:
    for in_list in (False, True):
        runner.publish(b"\x22\x00", in_list=in_list, channel="app.client.news")
        assert heard() == b"__p1:1:abcd__\x22\x00"


@pytest.mark.parametrize("in_list", [False, True])
def test_subscribers_are_told_the_publication_before_alone(
    runner: Runner, heard: Callable[[], bytes], in_list: bool
) -> None:
    runner.publish(b"__a:__", in_list=in_list, channel="app.client.news", delta="1")
    assert heard() == b"__d1:1:abcd:0::6:__a:__"
    runner.publish(b"bb", in_list=in_list, channel="app.client.news", delta="1")
    assert heard() == b"__d1:2:abcd:6:__a:__:2:bb"
    runner.server.command("DEL", LIST if in_list else STREAM)
    runner.publish(b"c", in_list=in_list, channel="app.client.news", delta="1")
    assert heard() == b"__d1:3:abcd:0::1:c"


def test_offsets_are_written_in_digits_however_large(runner: Runner, heard: Callable[[], bytes]) -> None:
    runner.server.command("HSET", META, "e", "abcd", "s", 10**15 - 1)
    assert runner.publish(channel="app.client.news")[0] == b"1000000000000000"
    assert heard() == b"__p1:1000000000000000:abcd__p"
    assert runner.read()[0] == b"1000000000000000"


# ------------------------------------------------------------------ keys and versions


@pytest.mark.parametrize("in_list", [False, True])
def test_known_key_changes_nothing(runner: Runner, in_list: bool) -> None:
    keys = LIST_KEYS if in_list else BROKER_KEYS
    runner.publish(b"1", in_list=in_list, result_ttl="300")
    assert runner.hash(RESULT) == {b"e": b"abcd", b"s": b"1"}
    assert runner.server.command("TTL", RESULT) == pytest.approx(300, abs=1)
    for key in keys:
        runner.server.command("EXPIRE", key, 10)
    runner.publish(b"2", in_list=in_list)
    runner.server.command("EXPIRE", keys[1], 10)
    again = runner.publish(b"3", in_list=in_list, result_ttl="300")
    assert again == [b"1", b"abcd", b"1", b"0"]
    assert runner.hash(keys[1])[b"s"] == b"2"
    assert runner.server.command("TTL", keys[1]) <= 10
    assert runner.server.command("TTL", RESULT) <= 10


def test_publish_once(runner: Runner, heard: Callable[[], bytes]) -> None:
    args = ("app.client.news", "publish", "300")
    assert runner.run(scripts.PUBLISH_ONCE, [RESULT], b"1", *args) == [b"0", b"", b"0", b"0"]
    assert runner.run(scripts.PUBLISH_ONCE, [RESULT], b"2", *args) == [b"0", b"", b"1", b"0"]
    runner.run(scripts.PUBLISH_ONCE, [RESULT + b"2"], b"3", *args)
    assert [heard(), heard()] == [b"1", b"3"]
    assert runner.hash(RESULT)[b"e"] == b""
    assert runner.server.command("TTL", RESULT) == pytest.approx(300, abs=1)


def test_result_that_somebody_else_kept_without_an_offset_is_known(runner: Runner) -> None:
    runner.server.command("HSET", RESULT, "e", "")
    assert runner.publish(result_ttl="300") == [b"0", b"", b"1", b"0"]


@pytest.mark.parametrize("in_list", [False, True])
def test_version_not_above_the_stored_one_changes_nothing(runner: Runner, in_list: bool) -> None:
    keys = LIST_KEYS if in_list else BROKER_KEYS
    runner.publish(in_list=in_list, version="9", version_epoch="x", result_ttl="300")
    runner.server.command("DEL", RESULT)
    runner.server.command("EXPIRE", keys[1], 10)
    for version, epoch in (("9", "x"), ("8", "x"), ("9", "")):
        answer = runner.publish(in_list=in_list, version=version, version_epoch=epoch, result_ttl="300")
        assert answer == [b"1", b"abcd", b"0", b"1"]
    assert runner.server.command("TTL", keys[1]) <= 10
    assert runner.server.command("EXISTS", RESULT) == 0
    assert runner.publish(in_list=in_list, version="10", version_epoch="x")[0] == b"2"
    assert runner.publish(in_list=in_list)[0] == b"3"
    assert runner.hash(keys[1]) == {b"e": b"abcd", b"s": b"3", b"v": b"10", b"ve": b"x"}
    assert runner.publish(in_list=in_list, version="1", version_epoch="y")[0] == b"4"
    assert runner.hash(keys[1])[b"v"] == b"1"


def test_versions_are_compared_in_all_their_digits(runner: Runner) -> None:
    runner.publish(version="18446744073709551614")
    assert runner.publish(version="18446744073709551613")[3] == b"1"
    assert runner.publish(version="18446744073709551615")[3] == b"0"
    assert runner.publish(version="9999999999999999999")[3] == b"1"


# ------------------------------------------------------------------ reading


def offsets(answer: Answer) -> list[bytes]:
    entries = answer[2]
    assert isinstance(entries, list)
    return [entry[0] for entry in entries]


def test_reading_what_nobody_published_to_makes_an_epoch(runner: Runner) -> None:
    assert runner.read() == [b"0", b"wxyz", []]
    assert runner.publish()[:2] == [b"1", b"wxyz"]
    assert runner.run(scripts.READ_LIST, LIST_KEYS[:2], "1", "-1", "600", "wxyz") == [b"0", b"wxyz", []]
    assert runner.server.command("TTL", LIST_META) == pytest.approx(600, abs=1)


def test_reading_extends_the_life_of_the_epoch_alone(runner: Runner) -> None:
    runner.publish()
    for key in (STREAM, META):
        runner.server.command("EXPIRE", key, 10)
    runner.read()
    assert runner.server.command("TTL", META) == pytest.approx(600, abs=1)
    assert runner.server.command("TTL", STREAM) <= 10


def test_reading_a_part_of_a_stream(runner: Runner) -> None:
    for number in range(1, 6):
        runner.publish(b"%d" % number)
    assert runner.read()[:2] == [b"5", b"abcd"]
    assert offsets(runner.read()) == [b"1-0", b"2-0", b"3-0", b"4-0", b"5-0"]
    assert offsets(runner.read(3)) == [b"3-0", b"4-0", b"5-0"]
    assert offsets(runner.read(2, 2)) == [b"2-0", b"3-0"]
    assert offsets(runner.read(6)) == []
    assert offsets(runner.read(reverse=True, limit=2)) == [b"5-0", b"4-0"]
    assert offsets(runner.read(3, reverse=True)) == [b"3-0", b"2-0", b"1-0"]
    assert runner.run(scripts.READ_STREAM, BROKER_KEYS[:2], "0", "0", "0", "0", "600", "x") == [
        b"5",
        b"abcd",
        [],
    ]


def test_entries_of_a_lost_epoch_are_not_shown(runner: Runner) -> None:
    runner.publish()
    runner.server.command("DEL", META)
    assert runner.read() == [b"0", b"wxyz", []]
    assert runner.read(reverse=True) == [b"0", b"wxyz", []]


def test_reading_a_part_of_a_list(runner: Runner) -> None:
    for number in range(1, 4):
        runner.publish(b"%d" % number, in_list=True)
    newest = [b"__p1:3:abcd__3", b"__p1:2:abcd__2", b"__p1:1:abcd__1"]
    assert runner.run(scripts.READ_LIST, LIST_KEYS[:2], "1", "-1", "0", "x") == [b"3", b"abcd", newest]
    assert runner.run(scripts.READ_LIST, LIST_KEYS[:2], "1", "0", "0", "x") == [b"3", b"abcd", newest[:1]]
    assert runner.run(scripts.READ_LIST, LIST_KEYS[:2], "0", "-1", "0", "x") == [b"3", b"abcd", []]


# ------------------------------------------------------------------ presence


def add(runner: Runner, client: str, user: str, *, until: int = 160, mapping: bool = True) -> None:
    info = encode_info(ClientInfo(user, client, b"{}"))
    keys = PRESENCE_KEYS if mapping else PRESENCE_KEYS[:2]
    runner.run(scripts.PRESENCE_ADD, keys, "60", until, client, info, user, "1" if mapping else "0", "0")


def remove(runner: Runner, client: str) -> None:
    runner.run(scripts.PRESENCE_REMOVE, PRESENCE_KEYS, client, "1")


def stats(runner: Runner, now: int = 100) -> Answer:
    return runner.run(scripts.PRESENCE_STATS, PRESENCE_KEYS, now, "0")


def scores(runner: Runner, key: bytes) -> dict[bytes, bytes]:
    words = iter(runner.server.command("ZRANGE", key, 0, -1, "WITHSCORES"))
    return dict(zip(words, words, strict=True))


def test_client_is_entered_in_a_hash_and_a_set_of_ends(runner: Runner) -> None:
    add(runner, "c1", "ann", mapping=False)
    assert runner.hash(DATA) == {b"c1": encode_info(ClientInfo("ann", "c1", b"{}"))}
    assert scores(runner, EXPIRE) == {b"c1": b"160"}
    assert runner.server.command("EXISTS", USER_EXPIRE, USER_CLIENTS) == 0
    for key in (DATA, EXPIRE):
        assert runner.server.command("TTL", key) == pytest.approx(60, abs=1)


def test_clients_of_users_are_counted(runner: Runner) -> None:
    long = "ü" * 300
    for client, user in (("c1", "ann"), ("c2", "ann"), ("c3", ""), ("c4", long)):
        add(runner, client, user)
        add(runner, client, user, until=170)
    assert runner.hash(USER_CLIENTS) == {b"ann": b"2", b"": b"1", long.encode(): b"1"}
    assert scores(runner, USER_EXPIRE) == {b"ann": b"170", b"": b"170", long.encode(): b"170"}
    for key in (USER_CLIENTS, USER_EXPIRE):
        assert runner.server.command("TTL", key) == pytest.approx(60, abs=1)
    assert stats(runner) == [4, 3]
    for client in ("c4", "c1", "never"):
        remove(runner, client)
    assert runner.hash(USER_CLIENTS) == {b"ann": b"1", b"": b"1"}
    for client in ("c2", "c3"):
        remove(runner, client)
    assert runner.server.command("EXISTS", *PRESENCE_KEYS) == 0


def test_client_of_another_user_is_counted_there(runner: Runner) -> None:
    add(runner, "c1", "ann")
    add(runner, "c1", "bob")
    assert runner.hash(USER_CLIENTS) == {b"bob": b"1"}


@pytest.mark.parametrize("script", [scripts.PRESENCE_GET, scripts.PRESENCE_STATS], ids=["get", "stats"])
def test_users_of_clients_past_their_time_have_fewer(runner: Runner, script: Script) -> None:
    for number in range(2500):  # more than are taken out at once
        add(runner, f"c{number}", "ann", until=110)
    add(runner, "b1", "bob", until=110)
    add(runner, "last", "ann", until=120)
    args = ("110", "1", "0") if script is scripts.PRESENCE_GET else ("110", "0")
    runner.run(script, PRESENCE_KEYS, *args)
    assert list(runner.hash(DATA)) == [b"last"]
    assert scores(runner, EXPIRE) == {b"last": b"120"}
    assert runner.hash(USER_CLIENTS) == {b"ann": b"1"}
    assert scores(runner, USER_EXPIRE) == {b"ann": b"120"}
    assert stats(runner, 119) == [1, 1]
    assert stats(runner, 120) == [0, 0]


def test_users_that_somebody_else_left_go_when_their_time_is_over(runner: Runner) -> None:
    runner.server.command("HSET", USER_CLIENTS, "ann", 3)
    runner.server.command("ZADD", USER_EXPIRE, 110, "ann")
    assert stats(runner, 109) == [0, 1]
    assert stats(runner, 110) == [0, 0]


def test_info_that_cannot_be_read_counts_for_nobody_else(runner: Runner) -> None:
    add(runner, "c1", "ann")
    for number, info in enumerate([b"", b"\x0a", b"\x0a\xff\xff", b"\x0a\x7fann", b"\xff"]):
        runner.server.command("HSET", DATA, f"x{number}", info)
        runner.server.command("ZADD", EXPIRE, 110, f"x{number}")
    assert stats(runner, 110) == [1, 1]


def test_get_answers_clients_and_infos_by_turns(runner: Runner) -> None:
    add(runner, "c1", "ann", mapping=False)
    answer = runner.run(scripts.PRESENCE_GET, PRESENCE_KEYS[:2], "100", "0", "0")
    assert answer == [b"c1", encode_info(ClientInfo("ann", "c1", b"{}"))]
    assert runner.run(scripts.PRESENCE_GET, PRESENCE_KEYS[:2], "160", "0", "0") == []


# ------------------------------------------------------------------ a cluster


@pytest.mark.parametrize(("partitions", "command"), [(0, "publish"), (16, "spublish")])
@pytest.mark.parametrize("channel", ["news", "{a}b", "a}b", "{}e"])
def test_scripts_touch_one_slot_of_a_cluster(
    redis_cluster: RedisCluster, channel: str, partitions: int, command: str
) -> None:
    keys = Keys("app", is_cluster=True, partitions=partitions)
    name = keys.name(channel)
    result = keys.result + name + b".k"
    for script, own, meta, size in (
        (scripts.PUBLISH_STREAM, keys.stream + name, keys.stream_meta + name, 5),
        (scripts.PUBLISH_LIST, keys.list + name, keys.list_meta + name, 4),
    ):
        server = redis_cluster.master_of(own.decode())
        args = (b"p", size, 60, keys.client + name, 600, "abcd", command, 300, "1", "5", "")
        assert Runner(server).run(script, (own, meta, result), *args) == [b"1", b"abcd", b"0", b"0"]
        reader = scripts.READ_STREAM if script is scripts.PUBLISH_STREAM else scripts.READ_LIST
        part = ("1", "0", "0", "0") if reader is scripts.READ_STREAM else ("1", "-1")
        answer = Runner(server).run(reader, (own, meta), *part, "600", "x")
        assert answer[:2] == [b"1", b"abcd"]
        server.command("DEL", result)
        once = (b"p", keys.client + name, command, 300)
        assert Runner(server).run(scripts.PUBLISH_ONCE, [result], *once) == [b"0", b"", b"0", b"0"]
        server.command("DEL", result)


def test_scripts_of_presence_touch_one_slot_of_a_cluster(redis_cluster: RedisCluster) -> None:
    keys = Keys("app", is_cluster=True)
    ends = keys.name("news")
    kinds = (keys.presence_expire, keys.presence_data, keys.presence_user_expire, keys.presence_user_clients)
    names = [kind + ends for kind in kinds]
    runner = Runner(redis_cluster.master_of(names[0].decode()))
    info = encode_info(ClientInfo("ann", "c1"))
    for client in ("c1", "c2"):
        runner.run(scripts.PRESENCE_ADD, names, 60, 160, client, info, "ann", 1, 0)
    runner.run(scripts.PRESENCE_REMOVE, names, "c2", 1)
    assert runner.run(scripts.PRESENCE_GET, names, 100, 1, 0) == [b"c1", info]
    assert runner.run(scripts.PRESENCE_STATS, names, 100, 0) == [1, 1]
