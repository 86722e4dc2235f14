"""presence, presence_stats and history, which this version does not have: their checks, then 108."""

import pytest

from centrifast import errors
from centrifast.config.schema import ChannelOptions
from centrifast.errors import ErrorCode
from centrifast.protocol.wire import (
    Command,
    Encoding,
    HistoryRequest,
    PresenceRequest,
    PresenceStatsRequest,
)
from tests.client.conftest import Serve
from tests.client.fakes import Server, config, error

COMMANDS = pytest.mark.parametrize("field", ["presence", "presence_stats", "history"])
BOTH = pytest.mark.parametrize("encoding", Encoding)


def command(field: str, channel: str) -> Command:
    requests = {
        "presence": Command(id=2, presence=PresenceRequest(channel=channel)),
        "presence_stats": Command(id=2, presence_stats=PresenceStatsRequest(channel=channel)),
        "history": Command(id=2, history=HistoryRequest(channel=channel)),
    }
    return requests[field]


@COMMANDS
@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("nowhere:é", errors.UNKNOWN_CHANNEL),
        ("é", errors.BAD_REQUEST),
        ("news", errors.NOT_AVAILABLE),
        ("x" * 300, errors.NOT_AVAILABLE),
    ],
)
@BOTH
def test_channel_name_and_feature_are_checked_before_permission(
    serve: Serve, field: str, channel: str, expected: ErrorCode, encoding: Encoding
) -> None:
    client = serve(config(options=ChannelOptions())).connect(encoding)
    assert client.ask(command(field, channel)) == [error(2, expected)]


@COMMANDS
def test_an_empty_channel_disconnects(server: Server, field: str) -> None:
    client = server.connect()
    assert client.ask(command(field, "")) == []
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT
