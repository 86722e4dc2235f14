"""Any bytes from a Protobuf client are commands or malformed, and what was accepted can be sent on."""

from msgspec import Raw

from centrifast.protocol.codec import MalformedError, NotJsonError
from centrifast.protocol.json_codec import JsonCodec
from centrifast.protocol.protobuf_codec import ProtobufCodec
from centrifast.protocol.wire import Command, Pub
from tests.fuzz import fuzz_json_command
from tests.fuzz.mutate import main
from tests.protocol.client_side import decoded, protobuf_frame

_codec = ProtobufCodec()
_json_codec = JsonCodec()

SEEDS = [b"".join(map(protobuf_frame, decoded(_json_codec, seed))) for seed in fuzz_json_command.SEEDS]


def check(data: bytes) -> None:
    """Raises when the codec raises what it does not promise, or loses something."""
    commands: list[Command] = []
    try:
        commands.extend(command for command, _ in _codec.decode(data))
    except MalformedError:
        pass
    for command in commands:
        assert decoded(_codec, protobuf_frame(command)) == [command]
        if command.publish is not None:
            _check_publication(command.publish.channel, command.publish.data)


def _check_publication(channel: str, data: Raw) -> None:
    pub = Pub(data=data, offset=1)
    assert bytes(data) in _codec.encode_publication(channel, pub)
    try:
        _json_codec.encode_publication(channel, pub)
    except NotJsonError:
        pass


if __name__ == "__main__":
    main(check, SEEDS)
