import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.api.commands import NUMBERED_METHODS, Command, answer, decode_command
from centrifast.api.decoding import MalformedError
from centrifast.api.turns import CALLS_AT_ONCE
from tests.api.node import FakeNode
from tests.server.http_peer import run

PUBLISH = b'{"method":"publish","params":{"channel":"a","data":1}}'


def ask(body: bytes, node: FakeNode | None = None) -> str:
    return run(answer(node or FakeNode(), body)).decode()


# ------------------------------------------------------------------- replies


@pytest.mark.parametrize("between", ["", "\n", "\r\n", " ", "\n\n  "])
def test_each_command_has_a_reply_in_order(between: str) -> None:
    commands = [
        '{"id": 1, "method": "publish", "params": {"channel": "history:a", "data": 1}}',
        '{"id": 2, "method": "presence", "params": {"channel": "a"}}',
        '{"method":"info"}',
        '{"id":4,"method":"rpc","params":{"method":"m"}}',
        '{"id":5,"method":"unsubscribe","params":null}',
    ]
    first, second, third, *others = ask(between.join(commands).encode()).split("\n")
    assert first == '{"id":1,"result":{"offset":1,"epoch":"HyfEqRtb"}}'
    assert second == '{"id":2,"error":{"code":108,"message":"not available"}}'
    assert third.startswith('{"result":{"nodes":[{"uid":"u",')
    assert others == ['{"id":4,"error":{"code":104,"message":"not found"}}', '{"id":5,"result":{}}']


PARAMS: dict[str, dict[str, Any]] = {
    "publish": {"channel": "a", "data": 1},
    "broadcast": {"channels": ["a"], "data": 1},
    "unsubscribe": {"channel": "a"},
    "disconnect": {"user": "u"},
    "presence": {"channel": "present:a"},
    "presence_stats": {"channel": "present:a"},
    "history": {"channel": "history:a"},
    "history_remove": {"channel": "history:a"},
    "channels": {},
    "info": {},
    "rpc": {"method": "m"},
    "subscribe": {"channel": "a"},
    "refresh": {"user": "u"},
}


@pytest.mark.parametrize(("number", "name"), list(enumerate(NUMBERED_METHODS)))
def test_a_method_has_a_name_in_any_case_and_a_number(number: int, name: str) -> None:
    replies = set()
    for method in (name, name.upper(), number):
        node = FakeNode()
        reply = ask(json.dumps({"id": 3, "method": method, "params": PARAMS[name]}).encode(), node)
        replies.add((reply, repr(node.calls)))
    ((reply, _),) = replies
    assert ("result" in json.loads(reply)) == (name != "rpc")


@pytest.mark.parametrize(
    "command",
    [b'{"params":{"channel":"a","data":1}}', PUBLISH, b'{"method":null,"params":{"channel":"a","data":1}}'],
)
def test_without_a_method_it_is_publish(command: bytes) -> None:
    node = FakeNode()
    assert ask(command, node) == '{"result":{}}'
    assert node.calls == [("publish", "a", b"1", {})]


@pytest.mark.parametrize("name", NUMBERED_METHODS)
def test_params_are_missed_in_all_methods_but_info(name: str) -> None:
    reply = json.loads(ask(json.dumps({"id": 1, "method": name}).encode()))
    assert reply.get("error", {}).get("code", 0) == (0 if name == "info" else 107)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ('{"method":13,"params":{}}', 104),
        ('{"method":33,"params":{}}', 104),
        ('{"method":-1,"params":{}}', 104),
        ('{"method":18446744073709551616,"params":{}}', 104),
        ('{"method":13}', 104),
        ('{"method":"publish","params":[]}', 107),
        ('{"method":"publish","params":{"channel":1}}', 107),
        ('{"method":"publish","params":"x"}', 107),
        ('{"method":"publish","params":{}}', 107),
        ('{"method":"publish","params":{"channel":"nope:a","data":1}}', 102),
        ('{"method":"publish","params":{"channel":"away:a","data":1}}', 100),
        ('{"method":"history","params":{"channel":"history:a","since":{"epoch":"x"}}}', 112),
        ("null", 107),
        ("{}", 107),
    ],
)
def test_errors_stand_in_the_reply_and_the_next_command_runs(command: str, code: int) -> None:
    first, second = ask(command.encode() + b"\n" + PUBLISH).split("\n")
    assert json.loads(first)["error"]["code"] == code
    assert second == '{"result":{}}'


def test_names_of_members_are_matched_in_any_case_and_unknown_ones_ignored() -> None:
    command = b'{"ID":9,"Method":"Publish","PARAMS":{"Channel":"a","data":{"X": 1}},"extra":[]}'
    node = FakeNode()
    assert ask(command, node) == '{"id":9,"result":{}}'
    assert node.calls == [("publish", "a", b'{"X": 1}', {})]


def test_halves_of_a_character_are_replaced() -> None:
    node = FakeNode()
    body = PUBLISH + b'{"method":"publish","params":{"channel":"a","data":"\\ud83d"}}'
    assert ask(body, node) == '{"result":{}}\n{"result":{}}'
    assert node.calls[1] == ("publish", "a", b'"\\ufffd"', {})


# ---------------------------------------------------------------------- bodies


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_a_body_has_a_command(body: bytes) -> None:
    with pytest.raises(MalformedError):
        ask(body)


@pytest.mark.parametrize(
    "command",
    [
        b"{",
        b"x",
        b"[]",
        b"[%b]" % PUBLISH,
        b"1",
        b'"publish"',
        b"{},{}",
        b'{"method":"nope","params":{}}',
        b'{"method":"batch","params":{}}',
        b'{"method":"","params":{}}',
        b'{"method":"1","params":{}}',
        b'{"method":1.5,"params":{}}',
        b'{"method":true,"params":{}}',
        b'{"method":[],"params":{}}',
        b'{"id":"1","method":"info"}',
        b'{"id":-1,"method":"info"}',
        b'{"id":4294967296,"method":"info"}',
        b'{"method":"info","params":{"x":"\xff"}}',
        b'{"method":"info","params":"\\x"}',
        b"[" * 100_000,
    ],
)
def test_one_malformed_command_refuses_all(command: bytes) -> None:
    node = FakeNode()
    for body in (command, PUBLISH + command):
        with pytest.raises(MalformedError):
            ask(body, node)
    assert node.calls == []


def test_many_commands_run_one_after_another() -> None:
    node = FakeNode()
    count = 2 * CALLS_AT_ONCE + 1
    body = b"".join(
        b'{"id":%d,"params":{"channel":"history:a","data":1}}' % number for number in range(1, count + 1)
    )
    replies = [json.loads(line) for line in ask(body, node).split("\n")]
    assert [reply["id"] for reply in replies] == list(range(1, count + 1))
    assert [reply["result"]["offset"] for reply in replies] == list(range(1, count + 1))


@given(
    st.integers(0, 2**32 - 1), st.sampled_from(NUMBERED_METHODS), st.dictionaries(st.text(), st.integers())
)
def test_params_pass_through_byte_for_byte(identifier: int, name: str, params: dict[str, int]) -> None:
    text = json.dumps(params, separators=(" , ", " : ")).encode()
    command = decode_command(b'{"id":%d,"method":"%b","params":%b}' % (identifier, name.encode(), text))
    assert command == Command(identifier, name, text)
