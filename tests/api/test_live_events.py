"""Lines of a tail to the letter: payloads of every kind, secrets, and what is too long."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from centrifast import errors
from centrifast.api.live_events import (
    DEPTH,
    command_event,
    connect_event,
    disconnect_event,
    encode_line,
    member_event,
    publication_event,
    sent_event,
    shown,
)
from centrifast.limits import KIB, TAIL_ENTRIES, TAIL_LINE_SIZE, TAIL_PAYLOAD_SIZE
from centrifast.model import NO_POSITION, ClientInfo, Publication, StreamPosition
from centrifast.protocol import wire
from centrifast.protocol.wire import Command, ConnectRequest, FilterNode, Push, Reply, SubscribeRequest
from centrifast.taps import Asked
from tests.client import conftest
from tests.client.fakes import Server

serve = conftest.serve
server = conftest.server

ID = "00000000-0000-4000-8000-000000000002"
LONG = TAIL_PAYLOAD_SIZE + 1


def line(event: dict[str, object]) -> str:
    return encode_line(1_700_000_000.12345, event).decode()


def published(data: bytes, **fields: Any) -> dict[str, Any]:
    event = publication_event("news", Publication(data, **fields), NO_POSITION, payloads=True)
    decoded: dict[str, Any] = json.loads(line(event))
    return decoded


def asked(**request: Any) -> Asked:
    ((method, value),) = request.items()
    return Asked(method, getattr(value, "channel", ""), 0.0, Command(id=7, **request))


def test_a_publication_to_the_letter() -> None:
    publication = Publication(b'{"text": "hi"}', 3, ClientInfo("42", "c"), {"lang": "en"})
    event = publication_event("news", publication, StreamPosition(3, "abcd"), payloads=True)
    assert line(event) == (
        '{"time":1700000000.123,"event":"publication","channel":"news","offset":3,"epoch":"abcd","size":14,'
        '"user":"42","client":"c","data":{"text":"hi"},"tags":{"lang":"en"}}\n'
    )
    event = publication_event("news", publication, NO_POSITION, payloads=False)
    assert line(event) == (
        '{"time":1700000000.123,"event":"publication","channel":"news","size":14,"user":"42","client":"c"}\n'
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'["a\\n", 1]', {"data": ["a\n", 1]}),
        (b"\xff\x00", {"b64data": "/wA="}),
        (b"", {}),
        (b"x" * LONG, {"data_cut": "x" * TAIL_PAYLOAD_SIZE, "data_size": LONG}),
        ("é".encode() * LONG, {"data_cut": "é" * (TAIL_PAYLOAD_SIZE // 2), "data_size": 2 * LONG}),
        (
            b"x" + "é".encode() * LONG,
            {"data_cut": "x" + "é" * (TAIL_PAYLOAD_SIZE // 2 - 1), "data_size": 2 * LONG + 1},
        ),
        (b"\xff" * LONG, {"b64data_cut": "/" * (TAIL_PAYLOAD_SIZE // 3 * 4) + "/w==", "data_size": LONG}),
    ],
)
def test_payloads_are_json_or_base64_or_cut(data: bytes, expected: dict[str, Any]) -> None:
    event = published(data)
    assert event.pop("size") == len(data)
    for name in ("time", "event", "channel"):
        event.pop(name)
    assert event == expected


def test_joins_leaves_and_ends_to_the_letter(server: Server) -> None:
    info = ClientInfo("42", "c", b'{"a": 1}')
    assert member_event("news", info, joined=True, payloads=True) == {
        "event": "join",
        "channel": "news",
        "user": "42",
        "client": "c",
        "conn_info": Raw(b'{"a":1}'),
    }
    assert member_event("news", info, joined=False, payloads=False) == {
        "event": "leave",
        "channel": "news",
        "user": "42",
        "client": "c",
    }
    session = server.connect().session
    assert connect_event(session, "192.0.2.1:5") == {
        "event": "connect",
        "client": ID,
        "address": "192.0.2.1:5",
        "encoding": "json",
    }
    assert disconnect_event(session, errors.SHUTDOWN) == {
        "event": "disconnect",
        "client": ID,
        "code": 3001,
        "reason": "shutdown",
    }


def test_no_token_is_ever_shown(server: Server) -> None:
    session = server.connect().session
    connect = ConnectRequest(
        token="secret",
        data=Raw(b'{"a":1}'),
        subs={"news": SubscribeRequest(token="secret", recover=True)},
        headers={"authorization": "secret"},
    )
    requests: list[dict[str, Any]] = [
        {"connect": connect},
        {"subscribe": SubscribeRequest(channel="news", token="secret")},
        {"refresh": wire.RefreshRequest(token="secret")},
        {"sub_refresh": wire.SubRefreshRequest(channel="news", token="secret")},
    ]
    for request in requests:
        assert "secret" not in line(command_event(session, asked(**request), payloads=True))
    result = Reply(id=7, connect=wire.ConnectResult(client="c", session="secret"))
    assert "secret" not in line(sent_event(session, result, 5, None, 0, payloads=True))
    assert shown(connect) == {
        "token": "***",
        "data": Raw(b'{"a":1}'),
        "subs": {"news": {"token": "***", "recover": True}},
        "headers": {"authorization": "***"},
    }


def test_commands_and_replies_to_the_letter(server: Server) -> None:
    session = server.connect().session
    subscribe = asked(subscribe=SubscribeRequest(channel="news", recover=True))
    assert line(command_event(session, subscribe, payloads=True)) == (
        f'{{"time":1700000000.123,"event":"command","client":"{ID}","id":7,"method":"subscribe",'
        '"channel":"news","request":{"channel":"news","recover":true}}\n'
    )
    unknown = Asked("", "", 0.0, Command(id=7))
    assert command_event(session, unknown, payloads=True) == {"event": "command", "client": ID, "id": 7}
    reply = Reply(id=7, subscribe=wire.SubscribeResult(epoch="abcd"))
    assert line(sent_event(session, reply, 33, subscribe, 0.0012345, payloads=True)) == (
        f'{{"time":1700000000.123,"event":"reply","client":"{ID}","id":7,"method":"subscribe",'
        '"channel":"news","duration_ms":1.234,"size":33,"result":{"epoch":"abcd"}}\n'
    )
    failed = Reply(id=7, error=wire.Error(103, "permission denied"))
    assert sent_event(session, failed, 33, None, 0, payloads=True) == {
        "event": "reply",
        "client": ID,
        "id": 7,
        "size": 33,
        "error": {"code": 103, "message": "permission denied"},
    }
    rpc = Reply(id=7, publish=wire.PublishResult())
    assert sent_event(session, rpc, 3, None, 0, payloads=True)["result"] == {}
    assert "result" not in sent_event(session, rpc, 3, None, 0, payloads=False)


def test_pushes_to_the_letter(server: Server) -> None:
    session = server.connect().session
    push = Push(channel="news", unsubscribe=wire.Unsubscribe(2000, "server unsubscribe"))
    assert sent_event(session, Reply(push=push), 9, None, 0, payloads=True) == {
        "event": "push",
        "client": ID,
        "kind": "unsubscribe",
        "channel": "news",
        "size": 9,
        "push": {"code": 2000, "reason": "server unsubscribe"},
    }
    assert "push" not in sent_event(session, Reply(push=push), 9, None, 0, payloads=False)


def test_long_lists_maps_and_texts_show_their_beginning() -> None:
    publications = [wire.Pub(Raw(b"1"), offset=number) for number in range(TAIL_ENTRIES + 1)]
    history = shown(wire.HistoryResult(publications, "abcd", 17))
    assert history["publications_total"] == TAIL_ENTRIES + 1
    assert len(history["publications"]) == TAIL_ENTRIES  # type: ignore[arg-type]
    infos = {str(number): wire.Info("42", "c") for number in range(TAIL_ENTRIES + 1)}
    presence = shown(wire.PresenceResult(infos))
    assert presence["presence_total"] == TAIL_ENTRIES + 1
    assert list(presence["presence"]) == list(infos)[:-1]  # type: ignore[call-overload]
    encoded = shown(wire.PresenceResult(wire.EncodedPresence(Raw(b"{}"))))
    assert encoded == {"presence": {"data": Raw(b"{}")}}
    request = shown(SubscribeRequest(channel="x" * LONG))
    assert request["channel"] == "x" * TAIL_PAYLOAD_SIZE + "…"


def test_what_is_nested_deeper_is_left_out() -> None:
    node = FilterNode(op="leaf")
    for _ in range(5000):
        node = FilterNode(op="and", nodes=[node])
    text = msgspec.json.encode(shown(SubscribeRequest(tf=node))).decode()
    assert text.count("and") == DEPTH
    assert "leaf" not in text


def test_a_line_that_is_too_long_shows_what_is_known_without_payloads(server: Server) -> None:
    session = server.connect().session
    request = ConnectRequest(
        subs={f"{number}{'x' * 3 * KIB}": SubscribeRequest(data=Raw(b"y" * 4 * KIB)) for number in range(16)}
    )
    text = line(command_event(session, asked(connect=request), payloads=True))
    event = json.loads(text)
    assert event.pop("cut") > TAIL_LINE_SIZE
    assert event == {
        "time": 1700000000.123,
        "event": "command",
        "client": ID,
        "id": 7,
        "method": "connect",
    }
    name = "x" * TAIL_LINE_SIZE
    assert len(line(publication_event(name, Publication(b"1"), NO_POSITION, payloads=True))) < KIB
