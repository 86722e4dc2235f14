"""Messages of queues as calls."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from centrifast.api.decoding import MalformedError
from centrifast.api.messages import BroadcastRequest, DisconnectRequest, PublishRequest
from centrifast.config.schema_consumer import ValueDataMode
from centrifast.consumers.messages import (
    METHODS,
    Call,
    decode_call,
    decode_calls,
    decode_payload,
    decode_publication,
    rest_of,
)

NEWS = Call("publish", PublishRequest(channel="news", data=Raw(b'{"a": 1}')))
NAMES = ValueDataMode(enabled=True)


def written(**members: Any) -> bytes:
    return json.dumps(members).encode()


@pytest.mark.parametrize(
    "message",
    [
        b'{"method":"publish","payload":{"channel":"news","data":{"a": 1}}}',
        b'{"method":"publish","params":{"channel":"news","data":{"a": 1}}}',
        b' {"params":{"data":{"a": 1},"channel":"news"},"method":"publish","uid":"x","id":7} ',
        b'{"Method":"publish","Payload":{"Channel":"news","data":{"a": 1},"other":[]},"further":{"a":null}}',
        b'{"method":"publish","payload":"{\\"channel\\":\\"news\\",\\"data\\":{\\"a\\": 1}}"}',
        b'{"method":"publish","payload": "{\\"channel\\":\\"news\\",\\"data\\":{\\"a\\": 1}}" }',
    ],
)
def test_a_command_is_read_in_every_form(message: bytes) -> None:
    assert decode_call(message) == NEWS
    assert list(decode_calls(message)) == [NEWS]


def test_a_payload_wins_over_params() -> None:
    payload, params = {"user": "payload"}, {"user": "params"}
    call = decode_call(written(method="disconnect", payload=payload, params=params))
    assert call == Call("disconnect", DisconnectRequest(user="payload"))


def test_data_passes_byte_for_byte() -> None:
    data = b'{ "z" : 1.50 , "\\u00e4":[ ] }'
    call = decode_call(b'{"method":"publish","payload":{"channel":"a","data":%b}}' % data)
    assert bytes(call.request.data) == data


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_read(method: str) -> None:
    assert decode_call(written(method=method, payload={})).method == method
    assert decode_payload(method, b"{}").method == method


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "Input data was truncated"),
        (b"garbage", "malformed"),
        (b"[]", "Expected `object`"),
        (b'"publish"', "Expected `object`"),
        (b"null", "no method"),
        (b"{}", "no method"),
        (b'{"method":1,"payload":{}}', "Expected `str`"),
        (b'{"method":"Publish","payload":{}}', "unsupported method"),
        (b'{"method":"rpc","payload":{}}', "unsupported method"),
        (b'{"method":"publish"}', "no payload"),
        (b'{"method":"publish","payload":[]}', "Expected `object`"),
        (b'{"method":"publish","payload":"garbage"}', "malformed"),
        (b'{"method":"publish","payload":"\\"twice\\""}', "Expected `object`"),
        (b'{"method":"publish","payload":{"channel":5}}', "Expected `str`"),
        (b'{"method":"publish","payload":{"channel":"\xff"}}', "invalid start byte"),
        (b'{"method":"publish","payload":' + b'{"a":' * 100_000, "recursion|truncated"),
    ],
)
def test_what_is_no_command_says_why(message: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        decode_call(message)


def test_a_payload_that_is_no_whole_text_says_why() -> None:
    with pytest.raises(MalformedError, match="payload: Input data was truncated"):
        decode_payload("publish", b'"open')


def test_a_half_of_a_character_in_a_text_of_json_costs_only_itself() -> None:
    call = decode_payload("publish", b'"{\\"channel\\":\\"a\\\\ud83d\\",\\"data\\":1}"')
    assert call.request.channel == "a\ufffd"


# ---------------------------------------------------------------- the old form


def test_the_old_form_has_many_commands() -> None:
    pieces = [{"method": "publish", "params": {"channel": "news", "data": number}} for number in range(3)]
    calls = decode_calls(written(data=pieces))
    assert [bytes(call.request.data) for call in calls if isinstance(call, Call)] == [b"0", b"1", b"2"]


def test_a_wrong_piece_of_the_old_form_stands_in_its_place() -> None:
    good = {"method": "disconnect", "params": {"user": "a"}}
    found = decode_calls(written(data=[good, 5, {"method": "x", "params": {}}, good]))
    assert [isinstance(one, Call) for one in found] == [True, False, False, True]
    assert list(map(str, found[1:3])) == ["Expected `object`, got `int`", "unsupported method"]


def test_the_old_form_may_be_empty() -> None:
    assert list(decode_calls(b'{"data":[]}')) == []


@pytest.mark.parametrize("data", [b"5", b"{}", b'"[]"', b"null"])
def test_the_old_form_holds_a_list(data: bytes) -> None:
    with pytest.raises(MalformedError, match="data: Expected `array`"):
        decode_calls(b'{"data":%b}' % data)


def test_the_old_form_is_not_read_where_there_is_one_command() -> None:
    with pytest.raises(MalformedError, match="no method"):
        decode_call(written(data=[]))


@given(st.integers(0, 5))
def test_the_rest_of_the_old_form_is_what_was_not_done(done: int) -> None:
    pieces = [{"method": "disconnect", "params": {"user": str(number)}} for number in range(5)]
    rest = decode_calls(rest_of(written(data=pieces), done))
    assert [call.request.user for call in rest if isinstance(call, Call)] == [str(n) for n in range(done, 5)]


# ------------------------------------------------------------ publications


def test_a_publication_has_everything_else_beside_it() -> None:
    fields = {
        "centrifugo-channels": b"a",
        "centrifugo-idempotency-key": b"key",
        "centrifugo-delta": b"true",
        "centrifugo-version": b"18446744073709551615",
        "centrifugo-version-epoch": b"epoch",
        "centrifugo-tag-lang": b"de",
        "centrifugo-tag-": b"no name",
        "other": b"\xff",
    }
    request = PublishRequest(
        channel="a",
        data=Raw(b"[1]"),
        idempotency_key="key",
        delta=True,
        version=2**64 - 1,
        version_epoch="epoch",
        tags={"lang": "de"},
    )
    assert decode_publication(b"[1]", fields, NAMES) == Call("publish", request)


def test_several_channels_are_a_broadcast() -> None:
    call = decode_publication(b"1", {"centrifugo-channels": b"a,b,,c"}, NAMES)
    assert call == Call("broadcast", BroadcastRequest(channels=["a", "b", "c"], data=Raw(b"1"), tags={}))


def test_fields_have_the_names_of_the_configuration() -> None:
    names = ValueDataMode(True, "c", "i", "d", "v", "e", "")
    fields = {"c": b"x", "i": b"1", "d": b"0", "v": b"2", "e": b"3", "t": b"4"}
    request = decode_publication(b"1", fields, names).request
    assert (request.channel, request.idempotency_key, request.delta) == ("x", "1", False)
    assert (request.version, request.version_epoch, dict(request.tags)) == (2, "3", {})


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "no channels in centrifugo-channels"),
        ({"centrifugo-channels": b","}, "no channels in centrifugo-channels"),
        ({"centrifugo-channels": b"\xff"}, "centrifugo-channels is no UTF-8"),
        (
            {"centrifugo-channels": b"a", "centrifugo-delta": b"yes"},
            "centrifugo-delta is neither true nor false",
        ),
        *(
            (
                {"centrifugo-channels": b"a", "centrifugo-version": word},
                "centrifugo-version is no unsigned number of 64 bits",
            )
            for word in (b"-1", b"1.0", b" 1", b"1_0", "٣".encode(), b"18446744073709551616", b"1" * 5000)
        ),
    ],
)
def test_what_is_no_publication_says_why(fields: dict[str, bytes], reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        decode_publication(b"1", fields, NAMES)


# -------------------------------------------------------------------- anything

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
)
LIKE_A_COMMAND = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from([*METHODS, "info", "PUBLISH"]) | JSON,
        "payload": JSON | st.text(),
        "params": JSON
        | st.dictionaries(st.sampled_from(["channel", "data", "channels", "user", "tags"]), JSON),
        "data": st.lists(JSON) | JSON,
    },
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_is_a_command_or_malformed(message: bytes) -> None:
    for decode in (decode_call, decode_calls):
        try:
            decode(message)
        except MalformedError:
            pass


@given(LIKE_A_COMMAND)
def test_anything_like_a_command_is_one_or_malformed(members: dict[str, Any]) -> None:
    try:
        calls = decode_calls(written(**members))
    except MalformedError:
        return
    assert all(isinstance(call, MalformedError) or call.method in METHODS for call in calls)


@given(
    st.binary(),
    st.dictionaries(
        st.sampled_from([f"centrifugo-{x}" for x in ("channels", "delta", "version", "tag-x")]), st.binary()
    ),
)
def test_anything_is_a_publication_or_malformed(data: bytes, fields: dict[str, bytes]) -> None:
    try:
        call = decode_publication(data, fields, NAMES)
    except MalformedError:
        return
    assert bytes(call.request.data) == data
