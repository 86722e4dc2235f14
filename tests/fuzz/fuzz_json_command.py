"""Any bytes from a JSON client are commands or malformed, and what was accepted can be sent on."""

import json

from msgspec import Raw

from centrifast.protocol.codec import MalformedError, NotJsonError
from centrifast.protocol.json_codec import JsonCodec
from centrifast.protocol.wire import Command, Pub
from tests.fuzz.mutate import main
from tests.protocol.client_side import decoded, json_line

SEEDS = [
    b"{}",
    b'{"id":1,"connect":{"token":"t","data":{"a":[1,2.5e3]},"name":"js","version":"5","headers":{"a":"b"},'
    b'"subs":{"news":{"recover":true,"epoch":"abcd","offset":18446744073709551615}}}}',
    b'{"id":2,"subscribe":{"channel":"news","token":"t","recover":true,"epoch":"abcd","offset":7,"data":null,'
    b'"positioned":true,"recoverable":true,"join_leave":true,"delta":"fossil","flag":1,"type":0,'
    b'"tf":{"op":"and","nodes":[{"key":"k","cmp":"in","vals":["a","b"]},{"op":"not","nodes":[{"key":"k"}]}]}}}',
    b'{"id":3,"publish":{"channel":"news","data":{"text":"\\ud83d\\ude00 \xc3\xa9","n":-0.1e-7,"b":[null]}}}',
    b'{"id":4,"history":{"channel":"news","limit":-1,"since":{"offset":3,"epoch":"abcd"},"reverse":true}}',
    b'{"id":5,"rpc":{"method":"m","data":"\\ud83d"}}\n{"send":{"data":1}}\n{"id":6,"presence":{"channel":"a"}}\n',
    b'{"id":7,"refresh":{"token":"t"}}\n{"id":8,"sub_refresh":{"channel":"a","token":"t"}}\n'
    b'{"id":9,"unsubscribe":{"channel":"a"}}\n{"id":10,"presence_stats":{"channel":"a"}}',
    b'{"id":11,"connect":null,"subscribe":{"channel":null,"tf":{"key":null}}}',
]

_codec = JsonCodec()


def check(data: bytes) -> None:
    """Raises when the codec raises what it does not promise, or loses something."""
    commands: list[Command] = []
    try:
        commands.extend(command for command, _ in _codec.decode(data))
    except MalformedError:
        pass
    for command in commands:
        line = json_line(command)  # lines are compared: an empty list and an absent one are the same there
        assert list(map(json_line, decoded(_codec, line))) == [line]
        if command.publish is not None:
            assert b"\n" not in _codec.encode_publication("news", Pub(data=command.publish.data))
    _check_embedding(data)


def _check_embedding(data: bytes) -> None:
    try:
        line = _codec.encode_publication("news", Pub(data=Raw(data)))
    except NotJsonError:
        return
    assert b"\n" not in line
    json.loads(line, parse_int=len, parse_float=len)  # numbers of any length


if __name__ == "__main__":
    main(check, SEEDS)
