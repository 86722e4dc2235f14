"""Calls as Centrifugo's control messages (engines specification 3.11): byte for byte, and there and back."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast import errors
from centrifast.auth.claims import SubscriptionOverride
from centrifast.calls import (
    ChannelsCall,
    DisconnectCall,
    Instruction,
    RefreshCall,
    StatsCall,
    SubscribeCall,
    UnsubscribeCall,
)
from centrifast.engine.redis import commands
from centrifast.engine.redis import control_pb2 as pb
from centrifast.engine.redis.commands import (
    INSTRUCTIONS,
    NO_SUCH_OP,
    SURVEYS,
    SURVEYS_BY_OP,
    MalformedError,
    Slices,
    decode,
    encode_answer,
    encode_instruction,
    encode_node,
    encode_shutdown,
    encode_survey,
    instruction_of,
    node_of,
)
from centrifast.model import NO_METRICS, Metrics, NodeInfo, StreamPosition
from tests.contract.test_controller import RecordingNode

# ------------------------------------------------------------------ by hand from the tables of the specification


def value_of(work: Slices[Any]) -> Any:
    """What comes of work that is done in slices."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            return done.value


def number(value: int) -> bytes:
    """A varint."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + number(rest) if rest else bytes([low])


def integer(field: int, value: int) -> bytes:
    return number(field << 3) + number(value)


def text(field: int, value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return number(field << 3 | 2) + number(len(data)) + data


SENDER = text(1, "me")

OPTIONS = SubscriptionOverride(True, True, True, True, True)
NO_OPTIONS = SubscriptionOverride(False, False, False, False, False)

MESSAGES: list[tuple[Instruction, bytes]] = [
    (
        SubscribeCall(user="42", channel="news", override=NO_OPTIONS),
        text(10, text(1, "42") + text(2, "news") + integer(14, 10)),
    ),
    (
        SubscribeCall(
            user="42",
            client="c1",
            session="s1",
            all_users=True,
            channel="news",
            info=b"1",
            data=b"2",
            expire_at=1_700_000_060,
            override=OPTIONS,
            recover_since=StreamPosition(5, "abcd"),
        ),
        text(
            10,
            b"".join(
                (
                    text(1, "42"),
                    text(2, "news"),
                    integer(3, 1),
                    integer(4, 1),
                    integer(5, 1_700_000_060),
                    integer(6, 1),
                    integer(7, 1),
                    text(8, b"1"),
                    text(9, "c1"),
                    text(10, b"2"),
                    text(11, integer(1, 5) + text(2, "abcd")),
                    text(12, "s1"),
                    integer(13, 1),
                    integer(14, 10),
                    integer(16, 1),
                )
            ),
        ),
    ),
    (
        UnsubscribeCall(
            user="42",
            client="c1",
            session="s1",
            all_users=True,
            channel="news",
            code=2000,
            reason="server unsubscribe",
        ),
        text(
            5,
            text(1, "news")
            + text(2, "42")
            + text(3, "c1")
            + text(4, "s1")
            + integer(5, 2000)
            + text(6, "server unsubscribe")
            + integer(8, 1),
        ),
    ),
    (
        DisconnectCall(
            user="42",
            client="c1",
            session="s1",
            all_users=True,
            whitelist=["c2", "c3"],
            code=3503,
            reason="force disconnect",
        ),
        text(
            6,
            text(1, "42")
            + text(2, "c2")
            + text(2, "c3")
            + integer(3, 3503)
            + text(4, "force disconnect")
            + text(6, "c1")
            + text(7, "s1")
            + integer(9, 1),
        ),
    ),
    (
        RefreshCall(
            user="42",
            client="c1",
            session="s1",
            all_users=True,
            expired=True,
            expire_at=1_700_000_060,
            info=b"{}",
        ),
        text(
            12,
            text(1, "42")
            + text(2, "c1")
            + integer(3, 1)
            + integer(4, 1_700_000_060)
            + text(5, b"{}")
            + text(6, "s1")
            + integer(8, 1),
        ),
    ),
]


@pytest.mark.parametrize(("call", "message"), MESSAGES, ids=lambda value: getattr(value, "name", ""))
def test_an_instruction_has_the_bytes_of_the_specification(call: Instruction, message: bytes) -> None:
    assert encode_instruction("me", call) == SENDER + message
    assert received(SENDER + message) == call


def received(message: bytes) -> Instruction | None:
    command = decode(message)
    kind = command.WhichOneof("body")
    assert kind in INSTRUCTIONS
    return instruction_of(getattr(command, kind))


def test_what_a_node_says_of_itself_has_the_bytes_of_the_specification() -> None:
    info = NodeInfo(
        uid="me",
        name="n",
        version="1",
        num_clients=2,
        num_users=3,
        num_channels=4,
        uptime=5,
        metrics=Metrics(60.0, {"a": 0.0}),
        num_subs=6,
    )
    numbers = b"".join(integer(field, value) for field, value in ((4, 2), (5, 3), (6, 4), (7, 5)))
    start = text(1, "me") + text(2, "n") + text(3, "1") + numbers
    metrics = text(
        8, b"\x09" + b"\x00\x00\x00\x00\x00\x00\x4e\x40" + text(2, text(1, "a") + b"\x11" + bytes(8))
    )
    assert encode_node(info, metrics=True) == SENDER + text(4, start + metrics + integer(10, 6))
    assert encode_node(info, metrics=False) == SENDER + text(4, start + integer(10, 6))


def test_surveys_have_the_bytes_of_the_specification() -> None:
    channels = SURVEYS[ChannelsCall]
    call, answer = ChannelsCall("a*"), {"news": 300}
    assert channels.op == "channels"
    assert channels.encode_call(call) == text(1, "a*")
    assert value_of(channels.encode_answer(answer)) == text(1, text(1, "news") + text(2, integer(1, 300)))
    assert encode_survey("me", 7, "channels", b"x") == SENDER + text(
        8, integer(1, 7) + text(2, "channels") + text(3, b"x")
    )
    assert encode_answer("me", 7, 0, b"x") == SENDER + text(9, integer(1, 7) + text(3, b"x"))
    assert encode_answer("me", 7, NO_SUCH_OP, b"") == SENDER + text(9, integer(1, 7) + integer(2, 3))
    assert encode_shutdown("me") == SENDER + text(7, b"")


# ------------------------------------------------------------------ there and back

texts = st.text(max_size=8)
switches = st.builds(SubscriptionOverride, *[st.booleans()] * 5)
positions = st.builds(StreamPosition, st.integers(0, 2**64 - 1), texts)
targets = {"user": texts, "client": texts, "session": texts, "all_users": st.booleans()}
unix = st.integers(-(2**63), 2**63 - 1)
instructions = st.one_of(
    st.builds(
        SubscribeCall,
        channel=texts,
        info=st.binary(max_size=8),
        data=st.binary(max_size=8),
        expire_at=unix,
        override=switches,
        recover_since=st.none() | positions,
        **targets,
    ),
    st.builds(UnsubscribeCall, channel=texts, code=st.integers(0, 2**32 - 1), reason=texts, **targets),
    st.builds(
        DisconnectCall,
        code=st.integers(3000, 4999),
        reason=texts,
        whitelist=st.lists(texts, max_size=3),
        **targets,
    ),
    st.builds(RefreshCall, expired=st.booleans(), expire_at=unix, info=st.binary(max_size=8), **targets),
)


@given(instructions)
def test_an_instruction_arrives_as_it_was_told(call: Instruction) -> None:
    assert received(encode_instruction("me", call)) == call


@given(st.text(max_size=8), st.dictionaries(texts, st.integers(0, 2**32 - 1), max_size=4))
def test_a_survey_of_channels_arrives_as_it_was_asked_and_answered(
    pattern: str, counts: dict[str, int]
) -> None:
    survey = SURVEYS_BY_OP["channels"]
    assert survey.decode_call(survey.encode_call(ChannelsCall(pattern))) == ChannelsCall(pattern)
    assert value_of(survey.decode_answer(value_of(survey.encode_answer(counts)))) == counts


def test_stats_are_a_survey_of_our_own() -> None:
    survey = SURVEYS[StatsCall]
    stats = RecordingNode("one").stats(1)
    assert survey.op == "centrifast_stats"
    assert survey.decode_call(survey.encode_call(StatsCall(3))) == StatsCall(3)
    assert value_of(survey.decode_answer(value_of(survey.encode_answer(stats)))) == stats


# ------------------------------------------------------------------ what others may say


def test_fields_that_are_not_there_have_their_defaults_and_no_others() -> None:
    assert received(SENDER + text(5, b"")) == UnsubscribeCall(user="", channel="", code=0, reason="")
    assert received(SENDER + text(10, b"")) == SubscribeCall(user="", channel="", override=NO_OPTIONS)
    assert received(SENDER + text(12, b"")) == RefreshCall(user="")


@pytest.mark.parametrize("code", [0, 1000, 2999, 5000])
def test_a_disconnect_that_no_close_frame_can_say_lets_clients_come_back(code: int) -> None:
    back = errors.INTERNAL_SERVER_ERROR
    call = received(SENDER + text(6, integer(3, code) + text(4, "x")))
    assert call == DisconnectCall(user="", code=back.code, reason=back.reason, whitelist=[])
    assert back.reconnect


def test_a_reason_that_no_close_frame_can_hold_is_cut_between_characters() -> None:
    call = received(SENDER + text(6, integer(3, 4000) + text(4, "a" + "я" * 100)))
    assert isinstance(call, DisconnectCall)
    assert call.reason == "a" + "я" * 61


@pytest.mark.parametrize(("kind", "field"), [(10, 15), (5, 7), (6, 8), (12, 7)])
def test_what_is_meant_for_labels_means_nobody_here(kind: int, field: int) -> None:
    assert received(SENDER + text(kind, text(field, text(1, "not")) + integer(50, 1))) is None


def test_unknown_fields_are_ignored() -> None:
    message = encode_instruction("me", RefreshCall(user="42")) + text(99, "new") + integer(98, 1)
    assert received(message) == RefreshCall(user="42")
    assert decode(SENDER + text(99, "new")).WhichOneof("body") is None


@pytest.mark.parametrize(
    "message", [b"\xff", text(5, b""), b"", SENDER + b"\x2a\x05", text(1, b"\xff"), SENDER + text(5, b"\x0a")]
)
def test_what_is_no_control_message_is_refused(message: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(message)


READERS: list[Callable[[bytes], object]] = [
    decode,
    *(survey.decode_call for survey in SURVEYS.values()),
    *(lambda data, read=survey.decode_answer: value_of(read(data)) for survey in SURVEYS.values()),
]


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    for read in READERS:
        try:
            read(message)
        except MalformedError:
            continue


def test_many_channels_are_encoded_and_read_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "CHANNELS_AT_ONCE", 3)
    survey, counts = SURVEYS[ChannelsCall], {f"channel{number}": number for number in range(10)}
    whole = pb.ChannelsResult(
        channels={name: pb.ChannelInfo(num_clients=count) for name, count in counts.items()}
    )
    encoded = value_of(survey.encode_answer(counts))
    assert pb.ChannelsResult.FromString(encoded) == whole
    assert value_of(survey.decode_answer(encoded)) == counts
    assert sum(1 for _ in survey.encode_answer(counts)) == sum(1 for _ in survey.decode_answer(encoded)) == 4


def test_metrics_stay_known_until_they_are_told_again() -> None:
    known, told = Metrics(60.0, {"a": 1.0}), Metrics(60.0, {"b": 2.0})
    node = pb.Node(uid="u", name="n", version="1", num_clients=1)
    assert node_of("u", node, known).metrics == known
    node.metrics.CopyFrom(pb.Metrics(interval=60.0, items={"b": 2.0}))
    assert node_of("u", node, known).metrics == told


def test_a_node_arrives_as_it_was_described() -> None:
    info = RecordingNode("one").describe()
    command = decode(encode_node(info, metrics=True))
    assert node_of(command.uid, command.node, NO_METRICS) == info
    assert msgspec.structs.replace(info, metrics=NO_METRICS) == node_of(
        command.uid, decode(encode_node(info, metrics=False)).node, NO_METRICS
    )
