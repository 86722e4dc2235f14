"""PING to Redis, played by scripts."""

import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from centrifast.config.option import Pem
from centrifast.config.schema import TlsConfig
from centrifast.config.schema_redis import RedisConnectionConfig
from centrifast.doctor import redis
from centrifast.doctor.finding import Level
from centrifast.doctor.redis import (
    RedisFacts,
    RedisTarget,
    check_redis,
    ping,
    read_redis,
    sections_of,
    targets_of,
)
from tests.auth.signing import RSA, private_pem_of
from tests.config.building import config_of
from tests.doctor.certificates import DAY, make_certificate
from tests.doctor.scripted_server import Script, scripted_server

COMMANDS: list[str] = []


def replying(*replies: bytes) -> Script:
    """Answer each command with the next reply; commands are kept."""

    def script(connection: socket.socket) -> None:
        for reply in replies:
            COMMANDS.append(connection.recv(4096).decode())
            connection.sendall(reply)
        while connection.recv(4096):
            pass

    return script


def ask(script: Script, **target: object) -> RedisFacts:
    COMMANDS.clear()
    with scripted_server([script]) as port:
        return ping("engine.redis", RedisTarget("127.0.0.1", port, **target), 10, 10)  # type: ignore[arg-type]


def test_a_ping_is_answered() -> None:
    facts = ask(replying(b"+PONG\r\n"))
    assert facts.error == ""
    assert COMMANDS == ["*1\r\n$4\r\nPING\r\n"]


def test_it_logs_in_and_selects() -> None:
    facts = ask(replying(b"+OK\r\n", b"+OK\r\n", b"+PONG\r\n"), user="u", password="p", db=3)
    assert facts.error == ""
    assert COMMANDS[0] == "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n"
    assert COMMANDS[1] == "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
    ask(replying(b"+OK\r\n", b"+PONG\r\n"), password="p")
    assert COMMANDS[0] == "*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (b"-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required."),
        (b"+HELLO\r\n", "PING is answered with 'HELLO'"),
        (b":1\r\n", "PING is answered with '1'"),
        (b"$-1\r\n", "PING is answered with 'None'"),
        (b"HTTP/1.1 400 Bad Request\r\n", "the answer is not Redis's: 'HTTP/1.1 400 Bad Request'"),
        (b"x" * 200_000, "the answer is too long"),
    ],
)
def test_another_answer_is_told(reply: bytes, told: str) -> None:
    assert ask(replying(reply)).error == told


def test_a_sentinel_is_asked_for_the_master() -> None:
    facts = ask(replying(b"+PONG\r\n", b"*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n"), master="main")
    assert (facts.error, facts.master) == ("", "10.0.0.1:6379")
    facts = ask(replying(b"+PONG\r\n", b"*-1\r\n"), master="main")
    assert facts.error == "the Sentinel knows no master 'main'"


def test_who_is_not_there_is_told() -> None:
    assert ping("x", RedisTarget("127.0.0.1", 1), 1, 1).error == "connection refused"
    assert ping("x", RedisTarget("", 0, "/absent/redis.sock"), 1, 1).error == "no such file or directory"


def test_who_says_nothing_is_not_waited_for_long() -> None:
    def silent(connection: socket.socket) -> None:
        while connection.recv(4096):
            pass

    with scripted_server([silent]) as port:
        assert ping("x", RedisTarget("127.0.0.1", port), 10, 0.05).error == "no answer in time"


def test_who_never_ends_is_not_listened_to_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "COMMANDS", 0)
    assert ask(replying(b"+PONG\r\n")).error == "no answer in time"


def test_a_text_of_any_length_is_read_within_bounds() -> None:
    assert ask(replying(b"$4\r\nPONG\r\n")).error == ""
    assert ask(replying(b"$99999999999\r\n" + b"x" * 300_000)).error.startswith("PING is answered with 'xxxx")


def test_who_hangs_up_is_told() -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.recv(4096)

    assert ask(hang_up).error == "the connection was closed"


def test_unix_sockets_are_asked(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "redis.sock"))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                replying(b"+PONG\r\n")(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        assert ping("x", RedisTarget("", 0, str(tmp_path / "redis.sock")), 10, 10).error == ""
        thread.join()


def test_tls_is_spoken_as_configured(tmp_path: Path) -> None:
    certificate = make_certificate(RSA, time.time() - DAY, time.time() + DAY)
    chain = tmp_path / "chain.pem"
    chain.write_text(private_pem_of(RSA) + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    trusted = TlsConfig(enabled=True, server_ca_pem=Pem(certificate), server_name="localhost")
    own = TlsConfig(
        enabled=True,
        insecure_skip_verify=True,
        cert_pem=Pem(certificate),
        key_pem=Pem(private_pem_of(RSA)),
    )
    script = replying(b"+PONG\r\n")
    with scripted_server([script, script, script], context) as port:
        assert ping("x", RedisTarget("127.0.0.1", port, tls=trusted), 10, 10).error == ""
        assert ping("x", RedisTarget("127.0.0.1", port, tls=own), 10, 10).error == ""
        refused = ping("x", RedisTarget("127.0.0.1", port, tls=TlsConfig(enabled=True)), 10, 10)
        assert "certificate is not trusted" in refused.error


# ------------------------------------------------------------------- addresses


def places(**options: object) -> list[tuple[str, bool, str]]:
    section = RedisConnectionConfig(**options)  # type: ignore[arg-type]
    return [(target.place, target.tls is not None, target.master) for target in targets_of(section)]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, [("127.0.0.1:6379", False, "")]),
        ({"address": ("a:1", "b")}, [("a:1", False, ""), ("b:6379", False, "")]),
        ({"address": ("redis://u:p@a:1/3", "tcp://b")}, [("a:1", False, ""), ("b:6379", False, "")]),
        ({"address": ("rediss://a",)}, [("a:6379", True, "")]),
        ({"address": ("unix:///run/redis.sock",)}, [("/run/redis.sock", False, "")]),
        ({"address": ("redis+cluster://a?addr=b:2",)}, [("a:6379", False, ""), ("b:2", False, "")]),
        (
            {"address": ("redis+sentinel://a?sentinel_master_name=m&addr=b",)},
            [("a:26379", False, "m"), ("b:26379", False, "m")],
        ),
        (
            {"cluster_address": ("a:1,b:2", "c")},
            [("a:1", False, ""), ("b:2", False, ""), ("c:6379", False, "")],
        ),
        (
            {
                "sentinel_address": ("a,b:1",),
                "sentinel_master_name": "m",
                "sentinel_tls": TlsConfig(enabled=True),
            },
            [("a:26379", True, "m"), ("b:1", True, "m")],
        ),
        ({"tls": TlsConfig(enabled=True)}, [("127.0.0.1:6379", True, "")]),
        (
            {"address": tuple(f"h{number}" for number in range(99))},
            [(f"h{number}:6379", False, "") for number in range(16)],
        ),
    ],
)
def test_every_form_of_address_is_read(
    options: dict[str, object], found: list[tuple[str, bool, str]]
) -> None:
    assert places(**options) == found


def test_options_win_over_what_is_in_the_address() -> None:
    (target,) = targets_of(RedisConnectionConfig(address=("redis://u:p@a",)))
    assert (target.user, target.password) == ("u", "p")
    (target,) = targets_of(RedisConnectionConfig(address=("redis://u:p@a",), user="U", password="P"))
    assert (target.user, target.password) == ("U", "P")


@pytest.mark.parametrize("address", ["mysql://a", "a:b:c:d", "redis://[", "redis+x://a"])
def test_a_strange_address_is_told_without_showing_it(address: str) -> None:
    with pytest.raises(ValueError, match=r"^an address"):
        targets_of(RedisConnectionConfig(address=(address,)))


def test_only_sections_in_use_are_looked_at() -> None:
    assert list(sections_of(config_of({}))) == []
    tree = {
        "engine.type": "redis",
        "broker": {"enabled": True, "type": "redis"},
        "presence_manager": {"enabled": True, "type": "redis"},
        "map_broker.type": "redis",
        "consumers": [
            {"name": "a1", "type": "kafka", "enabled": True},
            {"name": "a2", "type": "redis_stream", "enabled": True},
            {"name": "a3", "type": "redis_list", "enabled": True},
            {"name": "a4", "type": "redis_stream", "enabled": False},
        ],
    }
    names = [name for name, _ in sections_of(config_of(tree))]
    assert names == [
        "engine.redis",
        "broker.redis",
        "presence_manager.redis",
        "map_broker.redis",
        "consumers.[1].redis_stream",
        "consumers.[2].redis_list",
    ]


def test_the_redis_of_the_engine_is_looked_at_where_commands_come_from_it() -> None:
    names = [name for name, _ in sections_of(config_of({"redis_api.enabled": True}))]
    assert names == ["engine.redis"]


def test_every_address_is_tried() -> None:
    config = config_of({"engine": {"type": "redis", "redis": {"address": ["127.0.0.1:1", "127.0.0.1:2"]}}})
    assert [facts.place for facts in read_redis(config)] == ["127.0.0.1:1", "127.0.0.1:2"]
    config = config_of({"engine": {"type": "redis", "redis": {"address": ["mysql://u:secret@a"]}}})
    (facts,) = read_redis(config)
    assert "mysql://" in facts.error
    assert "secret" not in facts.error


# --------------------------------------------------------------------- judging


@pytest.mark.parametrize(
    ("facts", "level", "told"),
    [
        (RedisFacts("s", "a:1", "", 0.001), Level.OK, "a:1 answers a PING after 1.0 ms"),
        (RedisFacts("s", "a:1", "", 0.001, "b:2"), Level.OK, "; the master is b:2"),
        (RedisFacts("s", "a:1", "", 0.2), Level.WARN, "200.0 ms"),
        (RedisFacts("s", "a:1", "NOAUTH x"), Level.FAIL, "set s.password"),
        (RedisFacts("s", "a:1", "NOPERM x"), Level.FAIL, "let the user of s.user"),
        (RedisFacts("s", "a:1", "the certificate is not trusted: x"), Level.FAIL, "compare s.tls"),
        (RedisFacts("s", "a:1", "connection refused"), Level.FAIL, "redis-cli -h a -p 1 ping"),
        (RedisFacts("s", "/run/x", "no such file"), Level.FAIL, "redis-cli -s /run/x ping"),
    ],
)
def test_answers_are_judged(facts: RedisFacts, level: Level, told: str) -> None:
    finding = check_redis(facts)
    assert finding.level is level
    assert told in " ".join([finding.seen, finding.needed, *finding.mend])
