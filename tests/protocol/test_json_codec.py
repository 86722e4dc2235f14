import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from centrifast.protocol.codec import MalformedError, NotJsonError
from centrifast.protocol.json_codec import JsonCodec
from centrifast.protocol.wire import (
    NO_DATA,
    Command,
    ConnectRequest,
    ConnectResult,
    Error,
    FilterNode,
    HistoryRequest,
    HistoryResult,
    Info,
    Join,
    Message,
    PresenceResult,
    PresenceStatsResult,
    Pub,
    PublishRequest,
    PublishResult,
    Push,
    RefreshResult,
    Reply,
    RPCRequest,
    RPCResult,
    StreamPositionRequest,
    SubscribeRequest,
    SubscribeResult,
)
from tests.protocol.client_side import decoded

CODEC = JsonCodec()


def decode(frame: bytes) -> list[Command]:
    return decoded(CODEC, frame)


def publish(data: bytes) -> bytes:
    return b'{"id":1,"publish":{"channel":"a","data":' + data + b"}}"


def published(frame: bytes) -> bytes:
    (command,) = decode(frame)
    assert command.publish is not None
    return bytes(command.publish.data)


# ---------------------------------------------------------------- decoding


def test_one_newline_at_the_end_is_tolerated() -> None:
    assert decode(b'{"id":1,"presence":{}}\n') == decode(b'{"id":1,"presence":{}}')


@pytest.mark.parametrize(
    "frame", [b"", b"\n", b"\n\n", b"{}\n\n", b"{}\n\n{}", b"\n{}", b"{}\n \n{}", b"\r\n"]
)
def test_a_frame_without_commands_or_with_a_blank_line_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(frame)


def test_carriage_returns_are_white_space() -> None:
    assert decode(b"{}\r\n{}\r\n") == [Command(), Command()]


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"null",
        b"[]",
        b"1",
        b'"text"',
        b"{",
        b'{"id":1,}',
        b"{} {}",
        b'{"id":1}x',
        b"\xef\xbb\xbf{}",
        b"\x00",
        b'{"id":NaN}',
        b'{"id":01}',
        b"{'id':1}",
    ],
)
def test_what_is_no_json_object_is_malformed(line: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(line)


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":"1"}',
        b'{"id":-1}',
        b'{"id":4294967296}',
        b'{"id":1.5}',
        b'{"id":true}',
        b'{"id":1,"connect":[]}',
        b'{"id":1,"connect":{"token":1}}',
        b'{"id":1,"connect":{"headers":{"a":1}}}',
        b'{"id":1,"connect":{"headers":{"a":null}}}',
        b'{"id":1,"connect":{"subs":{"a":null}}}',
        b'{"id":1,"connect":{"subs":[]}}',
        b'{"id":1,"connect":{"flag":9223372036854775808}}',
        b'{"id":1,"subscribe":{"offset":-1}}',
        b'{"id":1,"subscribe":{"offset":18446744073709551616}}',
        b'{"id":1,"subscribe":{"recover":1}}',
        b'{"id":1,"subscribe":{"type":2147483648}}',
        b'{"id":1,"subscribe":{"tf":{"vals":[null]}}}',
        b'{"id":1,"subscribe":{"tf":{"nodes":[1]}}}',
        b'{"id":1,"history":{"limit":-2147483649}}',
        b'{"id":1,"history":{"since":{"offset":18446744073709551616}}}',
        b'{"id":1,"connect":{"token":null,"name":1}}',
    ],
)
def test_a_known_field_of_the_wrong_type_is_malformed(line: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(line)


def test_numbers_reach_to_the_ends_of_their_types() -> None:
    assert decode(
        b'{"id":4294967295,"history":{"limit":-2147483648,"since":{"offset":18446744073709551615,"epoch":"e"}}}'
    ) == [
        Command(
            id=4294967295,
            history=HistoryRequest(
                limit=-2147483648, since=StreamPositionRequest(offset=2**64 - 1, epoch="e")
            ),
        )
    ]


def test_unknown_fields_are_ignored() -> None:
    assert decode(b'{"id":1,"method":2,"params":[{}],"presence":{"channel":"a","x":null}}') == decode(
        b'{"id":1,"presence":{"channel":"a"}}'
    )


def test_a_command_without_a_known_request_keeps_its_id() -> None:
    assert decode(b'{"id":7,"ping":{}}') == [Command(id=7)]


def test_null_means_absent() -> None:
    line = (
        b'{"id":1,"publish":null,"connect":{"token":null,"name":"js","version":null,"headers":null,"flag":null,'
        b'"later":null,"subs":{"a":{"epoch":null,"offset":3,"data":null,"tf":{"op":"not","key":null,'
        b'"nodes":[{"key":"k","vals":null}]}}}}}'
    )
    tags_filter = FilterNode(op="not", nodes=[FilterNode(key="k")])
    assert decode(line) == [
        Command(
            id=1,
            connect=ConnectRequest(
                name="js", subs={"a": SubscribeRequest(offset=3, data=Raw(b"null"), tf=tags_filter)}
            ),
        )
    ]


def test_null_for_a_payload_is_a_payload() -> None:
    assert published(publish(b"null")) == b"null"
    assert published(b'{"id":null,"publish":{"key":null,"data":null}}') == b"null"


def test_an_absent_payload_is_empty() -> None:
    assert decode(b'{"id":1,"publish":{"channel":"a"}}') == [
        Command(id=1, publish=PublishRequest(channel="a", data=NO_DATA))
    ]


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,  "a" :2, "b": 3}',
        b"123456789012345678901234567890.10e+5",
        b'"\\u00e9\\/ \xc3\xa9"',
        b"[1,\t2]",
        b'"\\ud83d\\ude00"',
    ],
)
def test_a_payload_passes_byte_for_byte(data: bytes) -> None:
    assert published(publish(data)) == data
    assert published(publish(data)[:-2] + b',"key":null}}') == data  # the second look keeps it as well


def test_half_an_emoji_becomes_a_replacement_character() -> None:
    # JavaScript cuts strings between surrogates and JSON.stringify escapes what is left.
    assert published(publish(rb'"a\ud83d"')) == rb'"a\ufffd"'
    assert published(publish(rb'"\uDE00\ud83d\ude00\\ud83d\n"')) == rb'"\ufffd\ud83d\ude00\\ud83d\n"'
    assert decode(rb'{"id":1,"rpc":{"method":"\ud83d"}}') == [Command(id=1, rpc=RPCRequest(method="\ufffd"))]


@pytest.mark.parametrize("data", [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc3"'])
def test_invalid_utf8_is_malformed_even_inside_a_payload(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(publish(data))


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":1,"x":' + b"[" * 60_000,
        b'{"id":1,"connect":{"data":' + b'{"a":' * 12_000,
        b'{"id":1,"subscribe":{"tf":' + b'{"nodes":[' * 6_000 + b"]}" * 6_000 + b"}}",
        b'{"id":1,"subscribe":{"token":null,"tf":' + b'{"nodes":[' * 6_000 + b"]}" * 6_000 + b"}}",
    ],
)
def test_deep_nesting_is_malformed(line: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(line)


@given(
    st.recursive(st.none() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_any_json_value_in_any_place_is_a_command_or_malformed(value: Any) -> None:
    for document in (
        value,
        {"id": value},
        {"id": 1, "connect": value},
        {"id": 1, "connect": {"subs": value, "token": None}},
        {"id": 1, "subscribe": {"tf": value, "channel": None}},
    ):
        try:
            assert len(decode(json.dumps(document).encode())) == 1
        except MalformedError:
            pass


# ---------------------------------------------------------------- encoding


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (Reply(), b"{}"),
        (Reply(id=7, publish=PublishResult()), b'{"id":7,"publish":{}}'),
        (Reply(id=2, subscribe=SubscribeResult()), b'{"id":2,"subscribe":{}}'),
        (
            Reply(id=3, error=Error(103, "permission denied")),
            b'{"id":3,"error":{"code":103,"message":"permission denied"}}',
        ),
        (
            Reply(id=3, error=Error(100, "internal server error", temporary=True)),
            b'{"id":3,"error":{"code":100,"message":"internal server error","temporary":true}}',
        ),
        (
            Reply(id=1, connect=ConnectResult(client="c", version="1", ping=25, pong=True)),
            b'{"id":1,"connect":{"client":"c","version":"1","ping":25,"pong":true}}',
        ),
        (
            Reply(id=1, connect=ConnectResult(subs={"news": SubscribeResult()})),
            b'{"id":1,"connect":{"subs":{"news":{}}}}',
        ),
        (Reply(id=4, presence=PresenceResult({})), b'{"id":4,"presence":{"presence":{}}}'),
        (
            Reply(id=4, presence=PresenceResult({"c": Info("", "c", conn_info=Raw(b"1"))})),
            b'{"id":4,"presence":{"presence":{"c":{"user":"","client":"c","conn_info":1}}}}',
        ),
        (
            Reply(id=5, presence_stats=PresenceStatsResult(0, 0)),
            b'{"id":5,"presence_stats":{"num_clients":0,"num_users":0}}',
        ),
        (
            Reply(id=6, history=HistoryResult([], "", 0)),
            b'{"id":6,"history":{"publications":[],"epoch":"","offset":0}}',
        ),
        (
            Reply(push=Push(channel="a", join=Join(Info("u", "c")))),
            b'{"push":{"channel":"a","join":{"info":{"user":"u","client":"c"}}}}',
        ),
    ],
)
def test_zero_values_are_left_out_and_what_clients_rely_on_is_kept(reply: Reply, line: bytes) -> None:
    assert CODEC.encode(reply) == line


def test_empty_payloads_lists_and_maps_are_left_out() -> None:
    empty = Raw(b"")
    assert CODEC.encode(Reply(id=1, rpc=RPCResult(data=empty))) == b'{"id":1,"rpc":{}}'
    assert CODEC.encode_publication("a", Pub(data=empty, tags={})) == b'{"push":{"channel":"a","pub":{}}}'
    reply = Reply(id=1, connect=ConnectResult(subs={}, data=empty))
    assert CODEC.encode(reply) == b'{"id":1,"connect":{}}'
    assert CODEC.encode(Reply(id=1, subscribe=SubscribeResult(publications=[]))) == b'{"id":1,"subscribe":{}}'


def test_a_bare_push_has_no_envelope() -> None:
    assert CODEC.encode_push(Push(message=Message(data=Raw(b"[1]")))) == b'{"message":{"data":[1]}}'
    assert CODEC.encode_push(Push(connect=ConnectResult(client="c"))) == b'{"connect":{"client":"c"}}'


def test_newlines_leave_a_payload_and_nothing_else_does() -> None:
    data = b'{\n  "b": 1.0,\r\n\t"a": "\\n \xc3\xa9"\n}\n'
    line = CODEC.encode_publication("a", Pub(data=Raw(data), offset=1))
    assert line == (b'{"push":{"channel":"a","pub":{"data":' + data.replace(b"\n", b"") + b',"offset":1}}}')


def test_every_payload_of_a_message_is_looked_at() -> None:
    pretty = Raw(b"[\n1]")
    info = Info("u", "c", conn_info=pretty, chan_info=pretty)
    pub = Pub(data=pretty, info=info)
    reply = Reply(
        id=1,
        connect=ConnectResult(data=pretty, subs={"a": SubscribeResult(data=pretty, publications=[pub])}),
        presence=PresenceResult({"c": info}),
        history=HistoryResult([pub], "e", 1),
        rpc=RPCResult(data=pretty),
        push=Push(pub=pub, join=Join(info), message=Message(data=pretty)),
        refresh=RefreshResult(ttl=1),
    )
    line = CODEC.encode(reply)
    assert b"\n" not in line
    assert line.count(b"[1]") == 17


def test_encoding_changes_no_value() -> None:
    pub = Pub(data=Raw(b"[\n1]"))
    CODEC.encode_publication("a", pub)
    assert bytes(pub.data) == b"[\n1]"


@pytest.mark.parametrize(
    "data",
    [
        b"text",
        b" ",
        b"\n",
        b"{",
        b"1 2",
        b'1,"channel":"b"',
        b"{}}",
        b"\x00\xff",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"a\nb"',
        b"NaN",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
)
def test_a_payload_that_is_not_json_cannot_be_embedded(data: bytes) -> None:
    raw = Raw(data)
    with pytest.raises(NotJsonError):
        CODEC.encode_publication("a", Pub(data=raw))
    with pytest.raises(NotJsonError):
        CODEC.encode(Reply(id=1, history=HistoryResult([Pub(data=raw)], "", 1)))


def test_half_an_emoji_in_a_payload_is_replaced_on_the_way_out_too() -> None:
    line = CODEC.encode_publication("a", Pub(data=Raw(b'[\n"\\ud83d"]')))
    assert line == rb'{"push":{"channel":"a","pub":{"data":["\ufffd"]}}}'


@given(st.binary() | st.text().map(str.encode))
def test_what_is_embedded_is_json_in_one_line(data: bytes) -> None:
    try:
        line = CODEC.encode_publication("a", Pub(data=Raw(data)))
    except NotJsonError:
        return
    assert b"\n" not in line
    assert json.loads(line)["push"]["channel"] == "a"


def test_a_payload_may_nest_hundreds_of_levels() -> None:
    data = b"[" * 300 + b"]" * 300
    assert published(publish(data)) == data
    assert data in CODEC.encode_publication("a", Pub(data=Raw(data)))
