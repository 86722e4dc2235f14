"""Connections to real servers: how they are made, and what comes back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from centrifast.clock import Clock, SystemClock
from centrifast.config.option import Pem
from centrifast.config.schema_tls import TlsConfig
from centrifast.engine.redis.connection import Connection, Dialer, plain
from centrifast.engine.redis.contract import RedisError, Reply
from centrifast.engine.redis.settings import Login, Place
from centrifast.engine.redis.wire import Command
from tests.engine.redis.securing import KEY_PEM, arguments_of, certificate_in
from tests.fakes import FakeClock
from tests.redis_servers import RedisServer
from tests.server.http_peer import run

NOBODY = Login()

BOTH = pytest.mark.parametrize("resp2", [False, True], ids=["RESP3", "RESP2"])


def dialer(
    login: Login, *, connect_timeout: float = 10.0, clock: Clock | None = None, **options: object
) -> Dialer:
    clock = clock or SystemClock(asyncio.get_running_loop())
    return Dialer(login, clock, connect_timeout=connect_timeout, io_timeout=10.0, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def connected(place: Place, login: Login = NOBODY, **options: object) -> AsyncIterator[Connection]:
    link = await dialer(login, **options).connect(place, Connection)  # type: ignore[arg-type]
    try:
        yield link
    finally:
        link.abort(ConnectionError("closed"))
        await link.lost


def ask(place: Place, *commands: Command, login: Login = NOBODY, **options: object) -> list[Reply]:
    """Connect, and give the replies to commands that are sent together."""

    async def talk() -> list[Reply]:
        async with connected(place, login, **options) as link:
            return await asyncio.gather(*(link.ask(command) for command in commands))

    return run(talk())


def place_of(server: RedisServer) -> Place:
    return Place("127.0.0.1", server.port)


@BOTH
def test_replies_are_the_same_in_both_protocols(redis_server: RedisServer, resp2: bool) -> None:
    replies = ask(
        place_of(redis_server),
        ("SET", b"k", 5),
        ("INCR", "k"),
        ("GET", "absent"),
        ("HSET", "h", "a", 1, "b", 2),
        ("HGETALL", "h"),
        ("SADD", "s", "x"),
        ("SMEMBERS", "s"),
        ("ZADD", "z", "1.5", "m"),
        ("ZSCORE", "z", "m"),
        ("EVAL", b"return {1, 'x', false}", 0),
        resp2=resp2,
    )
    assert replies == [b"OK", 6, None, 2, [b"a", b"1", b"b", b"2"], 1, [b"x"], 1, b"1.5", [1, b"x", None]]


def test_what_only_resp3_has_comes_as_in_resp2() -> None:
    assert plain({b"a": 1, b"b": [2]}) == [b"a", 1, b"b", [2]]
    assert (plain(True), plain(False), plain(1.5), plain(2.0), plain(None)) == (1, 0, b"1.5", b"2", None)


@BOTH
def test_one_introduces_oneself(redis_server: RedisServer, resp2: bool) -> None:
    (info,) = ask(
        place_of(redis_server), ("CLIENT", "INFO"), login=Login(client_name="me"), resp2=resp2, db=3
    )
    assert b" name=me " in info
    assert b" db=3 " in info
    assert (b" resp=2" in info) is resp2


@BOTH
def test_one_logs_in(resp2: bool) -> None:
    with RedisServer("--requirepass", "secret", password="secret") as server:
        assert ask(place_of(server), ("PING",), login=Login(password="secret"), resp2=resp2) == [b"PONG"]
        server.command("ACL", "SETUSER", "u", "on", ">other", "+@all", "~a*")
        login = Login("u", "other", "me")
        assert ask(place_of(server), ("ACL", "WHOAMI"), login=login, resp2=resp2) == [b"u"]
        with pytest.raises(RedisError, match="NOPERM"):
            ask(place_of(server), ("SET", "b", 1), login=login, resp2=resp2)
        for wrong in (Login(), Login("u", "secret"), Login(password="sesame")):
            with pytest.raises(ConnectionError, match=r"refuses: (NOAUTH|WRONGPASS) ") as raised:
                ask(place_of(server), ("PING",), login=wrong, resp2=resp2)
            assert "sesame" not in str(raised.value)


def test_a_database_that_is_not_there_is_told(redis_server: RedisServer) -> None:
    with pytest.raises(ConnectionError, match="refuses: ERR DB index is out of range"):
        ask(place_of(redis_server), ("PING",), db=99)


def test_errors_are_told_as_they_are(redis_server: RedisServer) -> None:
    seen: list[str] = []

    async def test() -> None:
        def make(clock: object, name: str, io_timeout: float) -> Connection:
            return Connection(clock, name, io_timeout, lambda error: seen.append(error.code))  # type: ignore[arg-type]

        link = await dialer(Login()).connect(place_of(redis_server), make)
        wrong, right = link.ask(("EVALSHA", "0" * 40, 0)), link.ask(("PING",))
        with pytest.raises(RedisError, match=r"^NOSCRIPT "):
            await wrong
        assert await right == b"PONG"
        link.abort(ConnectionError("closed"))

    run(test())
    assert seen == ["NOSCRIPT"]


def test_large_values_pass(redis_server: RedisServer) -> None:
    value = b"x" * 10_000_000
    assert ask(place_of(redis_server), ("SET", "k", value), ("GET", "k")) == [b"OK", value]


# ------------------------------------------------------------------------ places


def test_a_unix_socket_is_a_place(redis_server: RedisServer) -> None:
    assert ask(Place("", 0, redis_server.socket_path), ("PING",)) == [b"PONG"]


def test_nobody_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match=r"Redis at 127\.0\.0\.1:1 can not be reached: .*refused"):
        ask(Place("127.0.0.1", 1), ("PING",))
    with pytest.raises(ConnectionError, match="can not be reached"):
        ask(Place("", 0, str(tmp_path / "absent.sock")), ("PING",))
    with pytest.raises(ConnectionError, match="can not be reached"):
        ask(Place("absent.invalid", 1), ("PING",))


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RedisServer, Pem]]:
    """A server that takes TLS only and wants certificates of clients; and the certificate that all use."""
    certificate, options = certificate_in(tmp_path_factory.mktemp("tls"))
    with RedisServer(*arguments_of(options), "--tls-auth-clients", "yes", tls=True) as server:
        yield server, certificate


def test_tls_is_spoken_as_configured(tls_server: tuple[RedisServer, Pem]) -> None:
    (server, pem), key = tls_server, KEY_PEM
    own = TlsConfig(enabled=True, cert_pem=pem, key_pem=key, server_ca_pem=pem, server_name="localhost")
    assert ask(place_of(server), ("SET", "k", b"x" * 1_000_000), ("STRLEN", "k"), login=Login(tls=own)) == [
        b"OK",
        1_000_000,
    ]
    unverified = TlsConfig(enabled=True, cert_pem=pem, key_pem=key, insecure_skip_verify=True)
    assert ask(place_of(server), ("PING",), login=Login(tls=unverified)) == [b"PONG"]


def test_tls_that_does_not_fit_is_told(tls_server: tuple[RedisServer, Pem]) -> None:
    (server, pem), key = tls_server, KEY_PEM
    for wrong, told in (
        (TlsConfig(enabled=True, cert_pem=pem, key_pem=key), "certificate verify failed"),
        (TlsConfig(enabled=True, cert_pem=pem, key_pem=key, server_ca_pem=pem), "mismatch|not valid for"),
        (
            TlsConfig(enabled=True, server_ca_pem=pem, server_name="localhost"),
            "lost|reached",
        ),  # no certificate
        (TlsConfig(), "lost|reached"),
    ):
        with pytest.raises(ConnectionError, match=told):
            ask(place_of(server), ("PING",), login=Login(tls=wrong))


# ---------------------------------------------------------------------- failures


def test_a_frozen_server_is_not_waited_for_long() -> None:
    with RedisServer() as server:

        async def test() -> None:
            clock = FakeClock()
            async with connected(place_of(server), clock=clock) as link:
                server.freeze()
                answers = [link.ask(("GET", number)) for number in range(3)]
                clock.advance(10.25)
                outcomes = await asyncio.gather(*answers, return_exceptions=True)
                assert [type(outcome) for outcome in outcomes] == [TimeoutError] * 3
                with pytest.raises(TimeoutError, match=r"has not answered for 0\.05 s"):
                    await dialer(Login(), connect_timeout=0.05).connect(place_of(server), Connection)
                server.thaw()
            async with connected(place_of(server)) as link:
                assert await link.ask(("PING",)) == b"PONG"

        run(test())


def test_a_frozen_server_is_noticed_by_who_asks_nothing() -> None:
    with RedisServer() as server:

        async def test() -> None:
            clock = FakeClock()
            async with connected(place_of(server), clock=clock) as link:
                server.freeze()
                clock.advance(11.25)  # a second of silence, then a PING
                await link.lost
                assert type(link.error) is TimeoutError
                server.thaw()

        run(test())


@pytest.mark.parametrize("end", ["kill", "client kill"])
def test_who_waits_is_told_when_the_connection_ends(end: str) -> None:
    with RedisServer() as server:

        async def test() -> None:
            async with connected(place_of(server)) as link:
                blocked = link.ask(("BLPOP", "absent", 0))
                assert await asyncio.to_thread(server.command, "PING") == b"PONG"
                if end == "kill":
                    server.kill()
                else:
                    server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                with pytest.raises(ConnectionError, match="is lost"):
                    await blocked

        run(test())


# --------------------------------------------------------------------- old servers


async def played(answers: dict[bytes, bytes]) -> tuple[Place, asyncio.Server, list[bytes]]:
    """A server that answers by the first word of a command; and the commands it got."""
    commands: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int((await reader.readline())[1:])
                words.append((await reader.readexactly(size + 2))[:-2])
            commands.append(b" ".join(words))
            writer.write(answers[words[0]])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return Place(*server.sockets[0].getsockname()[:2]), server, commands


@pytest.mark.parametrize(
    "refusal",
    [
        b"-ERR unknown command `HELLO`, with args beginning with: `3`\r\n",
        b"-NOPROTO unsupported protocol version\r\n",
        b"-NOAUTH Authentication required.\r\n",
    ],
)
def test_who_knows_no_hello_is_spoken_to_in_resp2(refusal: bytes) -> None:
    async def test() -> None:
        ok = b"+OK\r\n"
        answers = {b"HELLO": refusal, b"AUTH": ok, b"CLIENT": ok, b"SELECT": ok, b"PING": b"+PONG\r\n"}
        place, server, commands = await played(answers)
        async with server, connected(place, Login("u", "p", "me"), db=2):
            assert commands == [
                b"HELLO 3 AUTH u p SETNAME me",
                b"AUTH u p",
                b"CLIENT SETNAME me",
                b"SELECT 2",
                b"PING",
            ]

    run(test())


def test_who_still_loads_its_data_is_not_there_yet() -> None:
    async def test() -> None:
        loading = b"-LOADING Redis is loading the dataset in memory\r\n"
        place, server, _ = await played({b"HELLO": b"%0\r\n", b"PING": loading})
        async with server:
            with pytest.raises(ConnectionError, match="refuses: LOADING "):
                async with connected(place):
                    pass

    run(test())
