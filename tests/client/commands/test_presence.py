"""presence and presence_stats: client protocol 3.7, server specification 4.3."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from msgspec import Raw

from centrifast import errors
from centrifast.client.commands import presence
from centrifast.config.schema import ChannelOptions, Namespace
from centrifast.engine.presence import MemoryPresence
from centrifast.errors import ErrorCode
from centrifast.model import ClientInfo, PresenceStats
from centrifast.protocol.forms import info_to_wire
from centrifast.protocol.wire import (
    Command,
    Encoding,
    Info,
    PresenceRequest,
    PresenceResult,
    PresenceStatsRequest,
    PresenceStatsResult,
    Reply,
)
from tests.client.conftest import Serve
from tests.client.fakes import (
    Server,
    SlowBroker,
    config,
    done,
    error,
    settle,
    subscribe,
    token,
    with_slow_broker,
)
from tests.client.streams import SEEN
from tests.fakes import FakeClock

BOTH = pytest.mark.parametrize("encoding", Encoding)
WAYS = pytest.mark.parametrize("field", ["presence", "presence_stats"])


def ask(id_: int, channel: str, field: str = "presence") -> Command:
    if field == "presence":
        return Command(id=id_, presence=PresenceRequest(channel=channel))
    return Command(id=id_, presence_stats=PresenceStatsRequest(channel=channel))


@BOTH
def test_everybody_in_the_channel_by_client_id(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=SEEN))
    first = server.connect(encoding, sub="42", info={"name": "Ann"})
    first.ask(subscribe(2, "news", token=token(sub="42", channel="news", info={"role": "op"})))
    second = server.subscriber("news", encoding)
    server.subscriber("other", encoding, sub="43")
    infos = {
        first.id: Info(
            user="42", client=first.id, conn_info=Raw(b'{"name":"Ann"}'), chan_info=Raw(b'{"role":"op"}')
        ),
        second.id: Info(user="", client=second.id),
    }
    assert second.ask(ask(3, "news")) == [Reply(id=3, presence=PresenceResult(infos))]


@BOTH
def test_nobody_is_an_empty_answer(serve: Serve, encoding: Encoding) -> None:
    client = serve(config(options=SEEN)).connect(encoding)
    assert client.ask(ask(2, "news"), ask(3, "news", "presence_stats")) == [
        Reply(id=2, presence=PresenceResult({})),
        Reply(id=3, presence_stats=PresenceStatsResult(0, 0)),
    ]


@BOTH
def test_clients_and_distinct_users_are_counted(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=SEEN))
    for user in ("42", "42", "43", "", ""):
        client = server.connect(encoding, sub=user)
        client.ask(subscribe(2, "news"))
    assert client.ask(ask(3, "news", "presence_stats")) == [
        Reply(id=3, presence_stats=PresenceStatsResult(5, 3))
    ]


@WAYS
@BOTH
def test_an_empty_channel_disconnects(server: Server, field: str, encoding: Encoding) -> None:
    client = server.connect(encoding)
    assert client.ask(ask(2, "", field)) == []
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("nowhere:é", errors.UNKNOWN_CHANNEL),
        ("numbered:x", errors.BAD_REQUEST),
        ("numbered:1", errors.NOT_AVAILABLE),
        ("closed:1", errors.PERMISSION_DENIED),
    ],
)
@WAYS
@BOTH
def test_refusals_in_their_order(
    serve: Serve, channel: str, expected: ErrorCode, field: str, encoding: Encoding
) -> None:
    namespaces = (
        Namespace(name="numbered", channel_regex="^[0-9]+$", allow_presence_for_client=True),
        Namespace(name="closed", presence=True),
    )
    client = serve(config(namespaces=namespaces)).connect(encoding, sub="42")
    assert client.ask(ask(2, channel, field)) == [error(2, expected)]


@pytest.mark.parametrize(
    ("options", "user", "subscribed", "allowed"),
    [
        ({"allow_presence_for_client": True}, "42", False, True),
        ({"allow_presence_for_client": True}, "", False, False),
        ({"allow_presence_for_client": True, "allow_presence_for_anonymous": True}, "", False, True),
        ({"allow_presence_for_subscriber": True}, "42", False, False),
        ({"allow_presence_for_subscriber": True}, "42", True, True),
        ({"allow_presence_for_subscriber": True}, "", True, False),
    ],
)
@WAYS
def test_who_may_see_who_is_there(
    serve: Serve, options: dict[str, Any], user: str, subscribed: bool, allowed: bool, field: str
) -> None:
    own = ChannelOptions(allow_subscribe_for_client=True, allow_subscribe_for_anonymous=True, presence=True)
    server = serve(config(options=replace(own, **options)))
    client = server.connect(sub=user)
    if subscribed:
        client.ask(subscribe(2, "news"))
    (reply,) = client.ask(ask(3, "news", field))
    assert (getattr(reply, field) is not None) is allowed
    assert allowed or reply == error(3, errors.PERMISSION_DENIED)


@WAYS
def test_in_insecure_mode_everybody_may_see_what_there_is(serve: Serve, field: str) -> None:
    seen = Namespace(name="seen", presence=True)
    server = serve(config({"insecure": True}, options=ChannelOptions(), namespaces=(seen,)))
    first, second = server.connect().ask(ask(2, "seen:1", field), ask(3, "news", field))
    assert getattr(first, field) is not None
    assert second == error(3, errors.NOT_AVAILABLE)


class AwayPresence(MemoryPresence):
    """Can not be read."""

    def __init__(self, failure: Exception) -> None:
        super().__init__(FakeClock())
        self._failure = failure

    async def presence(self, channel: str) -> dict[str, ClientInfo]:
        raise self._failure

    async def stats(self, channel: str) -> PresenceStats:
        raise self._failure


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError()])
@WAYS
@BOTH
def test_an_engine_that_is_away_is_an_internal_error(
    failure: Exception, field: str, encoding: Encoding
) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect(encoding)
        assert client.ask(ask(2, "news", field)) == [error(2, errors.INTERNAL)]
        assert client.closed_with is None

    with_slow_broker(test, presence=AwayPresence(failure), options=SEEN)


def test_an_info_that_is_no_json_ends_a_json_client(serve: Serve) -> None:
    server = serve(config(options=SEEN))
    done(server.presence.add("news", ClientInfo("42", "c", b"\xff")))
    client = server.connect()
    assert client.ask(ask(2, "news")) == []
    assert client.closed_with == errors.INAPPROPRIATE_PROTOCOL


# ------------------------------------------------------------------ more than can be answered at once


def in_a_crowd(test: Callable[[Server, dict[str, Info]], Awaitable[None]]) -> None:
    """Run *test* with a channel of five, of whom two are answered at once."""

    async def run() -> None:
        server = Server(config(options=SEEN))
        for number in range(5):
            info = ClientInfo(f"user{number}", f"client{number}", b'{"n":%d}' % number)
            await server.presence.add("news", info)
        crowd = {
            client: info_to_wire(info) for client, info in done(server.presence.presence("news")).items()
        }
        await test(server, crowd)
        server.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a task is left over"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presence, "INFOS_AT_ONCE", 2)
        asyncio.run(run())


@BOTH
def test_a_crowd_is_answered_with_turns_of_the_loop_in_between(encoding: Encoding) -> None:
    async def test(server: Server, crowd: dict[str, Info]) -> None:
        client = server.connect(encoding)
        assert client.ask(ask(2, "news"), ask(3, "news", "presence_stats")) == []
        await asyncio.sleep(0)
        assert client.received() == []
        await settle()
        assert client.received() == [
            Reply(id=2, presence=PresenceResult(crowd)),
            Reply(id=3, presence_stats=PresenceStatsResult(5, 5)),
        ]

    in_a_crowd(test)


def test_who_goes_while_a_crowd_is_answered_is_answered_no_further() -> None:
    async def test(server: Server, crowd: dict[str, Info]) -> None:
        client = server.connect()
        client.send(ask(2, "news"))
        client.session.on_closed()
        await settle()
        assert client.received() == []

    in_a_crowd(test)


def test_one_in_a_crowd_whose_info_is_no_json_ends_a_json_client() -> None:
    async def test(server: Server, crowd: dict[str, Info]) -> None:
        await server.presence.add("news", ClientInfo("42", "c", b"\xff"))
        text, binary = server.connect(), server.connect(Encoding.PROTOBUF)
        for client in (text, binary):
            client.send(ask(2, "news"))
        await settle()
        assert text.received() == []
        assert text.closed_with == errors.INAPPROPRIATE_PROTOCOL
        assert [reply.id for reply in binary.received()] == [2]

    in_a_crowd(test)
