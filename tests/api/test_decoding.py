import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.api.decoding import MalformedError, decoder_of
from centrifast.api.messages import (
    BatchRequest,
    BroadcastRequest,
    DisconnectRequest,
    PublishRequest,
    RefreshRequest,
    SubscribeRequest,
)

decode_publish = decoder_of(PublishRequest)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"b" : 1,\n "a":\t1.0e+2}',
        b"123456789012345678901234567890",
        b"-0.0",
        b"null",
        b'""',
        b'"\\u00e9\xc3\xa9\\/"',
        b"[ ]",
    ],
)
@pytest.mark.parametrize("template", [b'{"channel":"a","data":%b}', b'{ "Data" : %b , "CHANNEL":"a" }'])
def test_raw_members_pass_through_byte_for_byte(template: bytes, raw: bytes) -> None:
    request = decode_publish(template % raw)
    assert (request.channel, bytes(request.data)) == ("a", raw)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", {}),
        (b"null", {}),
        (b" null\n", {}),
        (b'\n{"channel":"a"}\r\n ', {"channel": "a"}),
        (b'{"channel":null,"version":null,"skip_history":null,"tags":null}', {}),
        (b'{"CHANNEL":"a","Skip_History":true}', {"channel": "a", "skip_history": True}),
        (b'{"unknown":{"channel":"b"},"channel":"a"}', {"channel": "a"}),
        (b'{"channel":"a","Channel":"b"}', {"channel": "b"}),
        (b'{"channel":"a","Channel":null}', {"channel": "a"}),
        (b'{"tags":{"A":"b","c":null}}', {"tags": {"A": "b", "c": ""}}),
        (b'{"channel":"\\ud83d"}', {"channel": "\ufffd"}),
    ],
)
def test_names_and_nulls_are_forgiven(body: bytes, expected: dict[str, Any]) -> None:
    assert decode_publish(body) == PublishRequest(**expected)


def test_halves_of_a_character_are_replaced() -> None:
    assert bytes(decode_publish(b'{"data":"a\\ud83d"}').data) == b'"a\\ufffd"'


def test_names_inside_members_are_forgiven_too() -> None:
    subscribe = decoder_of(SubscribeRequest)(
        b'{"Override":{"Presence":{"VALUE":true},"join_leave":null,"x":1},'
        b'"recover_since":{"Offset":7,"epoch":null}}'
    )
    assert subscribe.override is not None
    assert subscribe.override.presence is not None
    assert subscribe.override.presence.value
    assert subscribe.override.join_leave is None
    assert subscribe.recover_since is not None
    assert (subscribe.recover_since.offset, subscribe.recover_since.epoch) == (7, "")
    disconnect = decoder_of(DisconnectRequest)(b'{"disconnect":{"Code":3000},"whitelist":["a",null]}')
    assert disconnect.disconnect is not None
    assert (disconnect.disconnect.code, list(disconnect.whitelist)) == (3000, ["a", ""])


def test_lists_of_commands_keep_their_nulls() -> None:
    commands = b'[null,{"Publish":{"Data":null}},{"nope":{}},{"publish":null}]'
    batch = decoder_of(BatchRequest)(b'{"Commands":%b}' % commands)
    first, second, *others = batch.commands
    assert first is None
    assert second is not None
    assert second.publish is not None
    assert bytes(second.publish.data) == b"null"
    assert [command and command.publish for command in others] == [None, None]


def test_members_of_pro_are_ignored() -> None:
    assert decoder_of(RefreshRequest)(b'{"user":"a","all_users":true,"label_filter":{"x":[]}}').user == "a"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[]",
        b'"a"',
        b"1",
        b"{} {}",
        b"null null",
        b'{"channel":1}',
        b'{"Channel":1}',
        b'{"channel":["a"]}',
        b'{"tags":{"a":1}}',
        b'{"tags":[]}',
        b'{"version":1.0}',
        b'{"version":-1}',
        b'{"version":18446744073709551616}',
        b'{"skip_history":"true"}',
        b'{"skip_history":1}',
        b'{"data":01}',
        b'{"data":[1,]}',
        b'{"data":nul}',
        b'{"data":"\x01"}',
        b'{"data":"\\x"}',
        b'{"data":"\xff"}',
        b'{"channel":"\xed\xa0\x80"}',
        b"{'channel':'a'}",
        b'\xef\xbb\xbf{"channel":"a"}',
        b'{"unknown":}',
        b'{"data":%b}' % (b"[" * 100_000 + b"]" * 100_000),
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_publish(body)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "channels": st.lists(st.text()),
            "data": st.recursive(st.none() | st.integers() | st.text(), st.lists),
            "tags": st.dictionaries(st.text(), st.text()),
            "version": st.integers(0, 2**64 - 1),
            "delta": st.booleans(),
        },
    )
)
def test_case_changes_nothing(members: dict[str, Any]) -> None:
    decode = decoder_of(BroadcastRequest)
    exact = decode(_dump(members))
    other = decode(_dump({name.upper(): value for name, value in members.items()}))
    assert exact == other
    if "data" in members:
        assert bytes(exact.data) == _dump(members["data"])


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode()
