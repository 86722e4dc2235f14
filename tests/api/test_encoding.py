import asyncio
import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.api.encoding import PIECE_SIZE, TURN_SIZE, compacted, encode, pieces, write
from centrifast.api.messages import (
    EMPTY,
    AnyResult,
    BatchResult,
    BroadcastResult,
    ChannelInfo,
    ChannelsResult,
    Error,
    HistoryResult,
    Outcome,
    PresenceResult,
    PresenceStatsResult,
    PublishResult,
)
from centrifast.model import ClientInfo, Publication
from tests.server.http_peer import run


def text_of(result: AnyResult) -> bytes:
    return b"".join(pieces(result))


def history_of(*publications: Publication) -> bytes:
    """What stands in the list."""
    text = text_of(HistoryResult(publications, "e", 0))
    return text.removeprefix(b'{"publications":[').removesuffix(b'],"epoch":"e","offset":0}')


# ------------------------------------------------------------------- members


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (EMPTY, "{}"),
        (PublishResult(7, "HyfEqRtb"), '{"offset":7,"epoch":"HyfEqRtb"}'),
        (PresenceResult({}), '{"presence":{}}'),
        (PresenceStatsResult(0, 0), '{"num_clients":0,"num_users":0}'),
        (HistoryResult((), "", 0), '{"publications":[],"epoch":"","offset":0}'),
        (ChannelsResult({}), '{"channels":{}}'),
        (ChannelsResult({"<": ChannelInfo(1)}), '{"channels":{"\\u003c":{"num_clients":1}}}'),
        (
            BroadcastResult([Outcome(result=PublishResult()), Outcome(error=Error(102, "unknown channel"))]),
            '{"responses":[{"result":{}},{"error":{"code":102,"message":"unknown channel"}}]}',
        ),
        (BatchResult(), "{}"),
        (
            BatchResult(
                [
                    {"publish": EMPTY},
                    {"error": Error(104, "not found")},
                    {"history": HistoryResult((), "e", 1)},
                ]
            ),
            '{"replies":[{"publish":{}},{"error":{"code":104,"message":"not found"}},'
            '{"history":{"publications":[],"epoch":"e","offset":1}}]}',
        ),
        (
            PresenceResult({"c": ClientInfo("", ""), "d": ClientInfo("u", "d", b"1", b"2")}),
            '{"presence":{"c":{"user":"","client":""},'
            '"d":{"user":"u","client":"d","conn_info":1,"chan_info":2}}}',
        ),
        (
            HistoryResult(
                [
                    Publication(b"{}", 3, ClientInfo("u", "c"), {"b": "1", "a": ""}, "e", 99),
                    Publication(b"0", 4, tags={}),
                ],
                "e<",
                2**64 - 1,
            ),
            '{"publications":[{"data":{},"info":{"user":"u","client":"c"},"offset":3,"tags":{"b":"1","a":""}},'
            '{"data":0,"offset":4}],"epoch":"e\\u003c","offset":18446744073709551615}',
        ),
    ],
)
def test_empty_members_are_left_out_but_those_of_the_table(result: AnyResult, expected: str) -> None:
    assert text_of(result).decode() == expected


def test_what_centrifugo_escapes_is_escaped() -> None:
    value = {"<&>": "\u2028\u2029\u2030é"}
    encoded = encode(value)
    assert encoded == '{"\\u003c\\u0026\\u003e":"\\u2028\\u2029\u2030é"}'.encode()
    assert json.loads(encoded) == value


# ------------------------------------------------------------------ payloads


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{ "a" : [1, 2],\r\n\t"b c": " d " }\n', b'{"a":[1,2],"b c":" d "}'),
        (b"1.0e+2", b"1.0e+2"),
        (b"-0", b"-0"),
        (b"123456789012345678901234567890", b"123456789012345678901234567890"),
        (b'"\\u00e9\xc3\xa9\\/<"', b'"\\u00e9\xc3\xa9\\/<"'),
        (b'"\\ud83d\\ude00"', b'"\\ud83d\\ude00"'),
        (b'{"a": "\\ud83d"}', b'{"a":"\\ufffd"}'),
        (b"null", b"null"),
        (b"", b""),
    ],
)
def test_payloads_lose_their_blanks_and_nothing_else(payload: bytes, expected: bytes) -> None:
    raw = compacted(payload)
    assert raw is not None
    assert bytes(raw) == expected


NOT_JSON = [
    b"\x00\xff",
    b"hello",
    b"{",
    b"{} {}",
    b" ",
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b"NaN",
    b"01",
    b"[" * 100_000,
]


@pytest.mark.parametrize("payload", NOT_JSON)
def test_what_is_no_json_is_answered_in_base64(payload: bytes) -> None:
    assert compacted(payload) is None
    encoded = b64encode(payload)
    assert history_of(Publication(payload, 1), Publication(b"1", 2)) == (
        b'{"b64data":"%b","offset":1},{"data":1,"offset":2}' % encoded
    )
    presence = text_of(PresenceResult({"c": ClientInfo("u", "c", payload, b"1")}))
    assert presence == (
        b'{"presence":{"c":{"user":"u","client":"c","chan_info":1,"b64conn_info":"%b"}}}' % encoded
    )
    assert history_of(Publication(b"1", 1, ClientInfo("u", "c", b"", payload))) == (
        b'{"data":1,"info":{"user":"u","client":"c","b64chan_info":"%b"},"offset":1}' % encoded
    )


def test_an_empty_payload_is_left_out() -> None:
    assert history_of(Publication(b"", 1)) == b'{"offset":1}'


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values, st.sampled_from([None, 0, 1]), st.booleans())
def test_any_json_keeps_its_tokens(value: Any, indent: int | None, ascii_only: bool) -> None:
    written = json.dumps(value, indent=indent, ensure_ascii=ascii_only, separators=(" , ", " : "))
    raw = compacted(written.encode())
    assert raw is not None
    assert bytes(raw).decode() == json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))


# -------------------------------------------------------------------- pieces


def large_results(count: int) -> Sequence[AnyResult]:
    info = ClientInfo("u", "c", b'{"a":"' + b"x" * 50 + b'"}', b"")
    publications = [Publication(b'"%d"' % number, number, info) for number in range(1, count + 1)]
    clients = {f"client-{number}": info for number in range(count)}
    return [
        HistoryResult(publications, "e", count),
        PresenceResult(clients),
        ChannelsResult({f"channel-{number}": ChannelInfo(1) for number in range(count)}),
        BroadcastResult([Outcome(result=PublishResult(number, "e")) for number in range(1, count + 1)]),
        BatchResult([{"publish": PublishResult(number, "e")} for number in range(1, count + 1)]),
    ]


@pytest.mark.parametrize("result", large_results(5000), ids=lambda result: type(result).__name__)
def test_a_large_result_is_the_same_in_pieces(result: AnyResult) -> None:
    sizes = [len(piece) for piece in pieces(result)]
    assert len(sizes) > 3
    assert max(sizes) <= 2 * PIECE_SIZE
    whole = json.loads(text_of(result))
    (entries,) = (member for member in whole.values() if isinstance(member, list | dict))
    assert len(entries) == 5000


def test_a_large_payload_is_a_piece_of_its_own() -> None:
    payload = b'"%b"' % (b"x" * 2 * PIECE_SIZE)
    result = HistoryResult([Publication(payload, number) for number in range(1, 4)], "e", 3)
    large = [piece for piece in pieces(result) if len(piece) > 10]
    assert [len(piece) // (2 * PIECE_SIZE) for piece in large] == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("result", large_results(5000), ids=lambda result: type(result).__name__)
def test_a_large_result_gives_the_loop_its_turns(result: AnyResult) -> None:
    async def scenario() -> None:
        turns = 0
        task = asyncio.create_task(write(result, b"<", b">"))
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        text = await task
        assert text == b"<%b>" % text_of(result)
        assert turns >= len(text) // (TURN_SIZE + 2 * PIECE_SIZE)

    run(scenario())


def test_a_small_result_does_not_wait() -> None:
    coroutine = write(large_results(10)[0], b"{", b"}")
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    assert json.loads(ended.value.value[1:-1])["offset"] == 10


def test_clients_that_come_while_a_presence_is_written_change_nothing() -> None:
    clients = {str(number): ClientInfo("u", str(number)) for number in range(20_000)}

    async def scenario() -> None:
        task = asyncio.create_task(write(PresenceResult(clients)))
        await asyncio.sleep(0)
        assert not task.done()
        clients["late"] = ClientInfo("u", "late")
        assert len(json.loads(await task)["presence"]) == 20_000

    run(scenario())
