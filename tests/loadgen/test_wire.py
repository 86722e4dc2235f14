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
