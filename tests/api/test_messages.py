import msgspec
import pytest

from centrifast.api.messages import (
    EMPTY,
    BatchCommand,
    BatchResult,
    BroadcastResult,
    ChannelsResult,
    Outcome,
    PublishRequest,
    PublishResult,
)
from centrifast.model import Metrics, NodeInfo


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (EMPTY, b"{}"),
        (PublishResult(), b"{}"),
        (PublishResult(7, "HyfEqRtb"), b'{"offset":7,"epoch":"HyfEqRtb"}'),
        (BroadcastResult([Outcome(result=PublishResult())]), b'{"responses":[{"result":{}}]}'),
        (BatchResult(), b"{}"),
        (ChannelsResult({}), b'{"channels":{}}'),
        (
            NodeInfo(
                uid="u", name="", version="", num_clients=0, num_users=0, num_channels=0, num_subs=0, uptime=0
            ),
            b'{"uid":"u","name":"","version":"","num_clients":0,"num_users":0,"num_channels":0,'
            b'"metrics":{"interval":0.0,"items":{}},"num_subs":0}',
        ),
        (Metrics(60.0, {"a": 1.5}), b'{"interval":60.0,"items":{"a":1.5}}'),
    ],
)
def test_empty_members_are_left_out_but_those_of_the_table(value: object, expected: bytes) -> None:
    assert msgspec.json.encode(value) == expected


def test_the_order_of_batch_commands_is_the_one_that_decides() -> None:
    assert BatchCommand.__struct_fields__ == (
        "publish",
        "broadcast",
        "subscribe",
        "unsubscribe",
        "disconnect",
        "history",
        "history_remove",
        "presence",
        "presence_stats",
        "info",
        "rpc",
        "refresh",
        "channels",
        "stats",
    )


def test_versions_are_unsigned_64_bit() -> None:
    decode = msgspec.json.Decoder(PublishRequest).decode
    assert decode(b'{"version":18446744073709551615}').version == 2**64 - 1
    for version in (b"18446744073709551616", b"-1", b"1.5", b'"1"'):
        with pytest.raises(msgspec.ValidationError):
            decode(b'{"version":%b}' % version)
