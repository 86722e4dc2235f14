"""Every message is of the kind that the specification names."""

import pytest

from centrifast._metrics import FRAME_TYPES
from centrifast.protocol import wire
from centrifast.protocol.frame_types import CLIENT_PONG, COMMAND_KINDS, UNKNOWN, kind_of, kind_of_push
from centrifast.protocol.wire import REQUEST_FIELDS, Command, Push

REQUESTS = {
    "connect": wire.ConnectRequest(),
    "subscribe": wire.SubscribeRequest(),
    "unsubscribe": wire.UnsubscribeRequest(),
    "publish": wire.PublishRequest(),
    "presence": wire.PresenceRequest(),
    "presence_stats": wire.PresenceStatsRequest(),
    "history": wire.HistoryRequest(),
    "rpc": wire.RPCRequest(),
    "send": wire.SendRequest(),
    "refresh": wire.RefreshRequest(),
    "sub_refresh": wire.SubRefreshRequest(),
}
INFO = wire.Info("u", "c")
PUSHES = {
    "push_publication": Push(pub=wire.Pub()),
    "push_join": Push(join=wire.Join(INFO)),
    "push_leave": Push(leave=wire.Leave(INFO)),
    "push_unsubscribe": Push(unsubscribe=wire.Unsubscribe(2000, "")),
    "push_message": Push(message=wire.Message()),
    "push_subscribe": Push(subscribe=wire.Subscribe()),
    "push_connect": Push(connect=wire.ConnectResult()),
    "push_disconnect": Push(disconnect=wire.DisconnectPush(3000, "")),
    "push_refresh": Push(refresh=wire.Refresh()),
}


@pytest.mark.parametrize("name", REQUEST_FIELDS)
def test_a_command_is_named_after_its_request(name: str) -> None:
    command = Command(id=1, **{name: REQUESTS[name]})  # type: ignore[arg-type]
    assert FRAME_TYPES[kind_of(command)] == name
    assert kind_of(command) in COMMAND_KINDS


def test_of_several_requests_the_first_counts() -> None:
    command = Command(id=1, presence=wire.PresenceRequest(), history=wire.HistoryRequest())
    assert FRAME_TYPES[kind_of(command)] == "presence"


def test_an_empty_command_is_a_pong_and_one_with_an_id_is_unknown() -> None:
    assert kind_of(Command()) == CLIENT_PONG
    assert kind_of(Command(id=1)) == UNKNOWN


@pytest.mark.parametrize("name", PUSHES)
def test_a_push_is_named_after_what_it_carries(name: str) -> None:
    assert FRAME_TYPES[kind_of_push(PUSHES[name])] == name


def test_every_kind_of_push_is_known() -> None:
    assert {name for name in FRAME_TYPES if name.startswith("push_")} == set(PUSHES)
    assert kind_of_push(Push()) == UNKNOWN
