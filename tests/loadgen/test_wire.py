import json

import pytest
from centrifast_loadgen import wire
from centrifast_loadgen.settings import MARKER_SIZE, Protocol, Settings
from hypothesis import given
from hypothesis import strategies as st


def test_json_commands_connect_first_and_subscribe_in_one_message() -> None:
    connect, subscribe = wire.commands(Settings(token="t"), ["a", "b"])
    assert json.loads(connect) == {"id": 1, "connect": {"token": "t"}}
    assert [json.loads(line) for line in subscribe.split(b"\n")] == [
        {"id": 2, "subscribe": {"channel": "a"}},
        {"id": 3, "subscribe": {"channel": "b"}},
    ]


def test_protobuf_commands_are_those_of_the_specification() -> None:
    settings = Settings(protocol=Protocol.PROTOBUF)
    assert wire.commands(settings, ["news"]) == [
        bytes.fromhex("04 08 01 22 00"),
        bytes.fromhex("0a 08 02 2a 06 0a 04 6e 65 77 73"),
    ]


def test_a_protobuf_token_is_field_1_of_connect() -> None:
    settings = Settings(protocol=Protocol.PROTOBUF, token="x" * 200)
    connect = wire.commands(settings, [])[0]
    assert connect == bytes.fromhex("d001 0801 22cb01 0ac801") + b"x" * 200


def test_many_subscriptions_are_sent_in_several_messages() -> None:
    names = [f"c{index}" for index in range(250)]
    for protocol in (Protocol.JSON, Protocol.PROTOBUF):
        messages = wire.commands(Settings(protocol=protocol), names)
        assert len(messages) == 4
        assert b"".join(messages).count(b"c249") == 1


@pytest.mark.parametrize(("text", "expected"), [("", []), ("join", [b"join"])])
def test_raw_sends_only_the_given_text(text: str, expected: list[bytes]) -> None:
    assert wire.commands(Settings(protocol=Protocol.RAW, raw_subscribe=text), ["a"]) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b'{"id":1,"connect":{}}', (1, None)),
        (b'{"push":{"channel":"a"}}', (0, None)),
        (b'{"id":2,"error":{"code":103,"message":"permission denied"}}', (2, "103 permission denied")),
    ],
)
def test_json_replies(message: bytes, expected: tuple[int, str | None]) -> None:
    assert wire.parse_json_reply(message) == expected


@pytest.mark.parametrize("message", [b"", b"x", b"[]", b"1"])
def test_what_is_no_json_reply_is_refused(message: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.parse_json_reply(message)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("08 02 32 00", (2, None)),
        ("22 13 12 04 6e657773 22 0b 22 07 7b2261223a317d 30 07", (0, None)),
        ("08 03 12 07 08 67 12 03 62 61 64", (3, "103 bad")),
        ("08 03 12 02 08 67", (3, "103 ")),
        ("08 03 35 00000000 39 0000000000000000", (3, None)),
    ],
)
def test_protobuf_replies(message: str, expected: tuple[int, str | None]) -> None:
    assert wire.parse_protobuf_reply(bytes.fromhex(message)) == expected


@pytest.mark.parametrize("message", ["08", "08 80", "12 05 00", "0b", "ff" * 10])
def test_a_broken_protobuf_reply_is_refused(message: str) -> None:
    with pytest.raises(wire.WireError):
        wire.parse_protobuf_reply(bytes.fromhex(message))


@given(st.integers(MARKER_SIZE, 1000), st.integers(0, 2**63 - 1))
def test_a_payload_has_its_size_and_its_time(size: int, now_ns: int) -> None:
    payload = wire.payload(size, now_ns)
    assert len(payload) == size
    assert payload.startswith(f"#t={now_ns}#")


def test_a_publication_is_json_for_the_api_and_bare_text_without_protocol() -> None:
    body = json.loads(wire.publication_body(Settings(), 'a"b', 5))
    assert body["channel"] == 'a"b'
    assert body["data"]["p"].startswith("#t=5#")
    assert wire.publication_body(Settings(protocol=Protocol.RAW), "", 5).startswith(b"#t=5#xxx")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"result":{}}', None),
        (b'{"error":{"code":102,"message":"unknown channel"}}', "102 unknown channel"),
        (b'{"error":', '{"error":'),
        (b'{"error":null}', '{"error":null}'),
    ],
)
def test_api_errors_come_with_status_200(body: bytes, expected: str | None) -> None:
    assert wire.api_error(body) == expected
