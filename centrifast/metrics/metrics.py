"""What one node counts and measures. Everything here is written where it happens and read when somebody asks.

What the core counts by itself is not here: see ``Variant.counted``, ``Drain.round_times``.
"""

from msgspec import Struct

from centrifast import errors
from centrifast._metrics import FRAME_TYPES, Histogram, Tally
from centrifast.metrics.registry import BROADCAST_BOUNDS, COMMAND_BOUNDS, LAG_BOUNDS, RECOVERED_BOUNDS
from centrifast.metrics.vector import Vector

MESSAGE_TYPES = ("publication", "join", "leave", "control")

ACTIONS = (
    "add_client",
    "remove_client",
    "add_subscription",
    "remove_subscription",
    "broker_subscribe",
    "broker_unsubscribe",
    "add_presence",
    "remove_presence",
    "presence",
    "presence_stats",
    "history",
    "history_recover",
    "history_recover_cache",
    "history_stream_top",
    "history_remove",
    "survey",
)
"""Those of engines specification 8.2 that exist here."""

HTTP_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE")
"""RFC 9110 section 9 and RFC 5789."""

IDEMPOTENCY, VERSION = "idempotency", "version"
"""Why a publication was suppressed."""

PUB_SUB_ERRORS = (
    "subscribe_shard_channel",
    "subscribe_channel",
    "connection",
    "handle_client_message",
    "probe_publish",
    "probe_timeout",
    "subscribe_control_channel",
    "control_connection",
    "handle_control_message",
    "control_probe_publish",
    "control_probe_timeout",
)
"""What can go wrong with PUB/SUB of Redis (engines specification 3.7.2)."""

PUB_SUB_TYPES = ("client", "control")
"""What travels over PUB/SUB of Redis: messages of channels, and calls between nodes."""

_DISCONNECTS = frozenset(row.code for row in errors.DISCONNECTS)
_UNSUBSCRIBES = frozenset(row.code for row in errors.UNSUBSCRIBES)
_CLIENT_ERRORS = frozenset(row.code for row in errors.CLIENT_ERRORS)
_API_ERRORS = frozenset(row.code for row in errors.API_ERRORS)
_YES_NO = ("yes", "no")
_NAMES = ("unnamed", "unregistered")
_VERSIONS = ("unversioned", "unregistered")


HTTP = "http"
CONSUMING = "consuming"
"""What the ways are called by which calls of the server API come."""


class Durations(dict[str, Histogram]):
    """Of calls, by method: one is made when it is first asked for."""

    def __missing__(self, method: str) -> Histogram:
        histogram = self[method] = Histogram(COMMAND_BOUNDS, windowed=True)
        return histogram


class Meter(Struct, frozen=True):
    """What all clients have in common that look alike to metrics: how many there are, and their subscriptions."""

    accepted: Tally
    connections: Tally
    subscriptions: Tally


class QueueState(Struct, frozen=True):
    """What waits in one queue; None where the queue does not say. Ages in seconds."""

    lag: int | None = None
    pending: int | None = None
    pending_age: float | None = None


NOBODY = Meter(Tally(), Tally(), Tally())
"""Of a client that has not connected: never asked."""


class Metrics:
    """The instruments of a node, by what they count. *recovered_publications*: also measure how many were recovered.

    Where a family has the label ``channel_namespace`` it is empty, and does not occur here.
    """

    def __init__(self, *, recovered_publications: bool = False) -> None:
        self.sent = {name: Tally() for name in MESSAGE_TYPES}
        self.received = {name: Tally() for name in MESSAGE_TYPES}
        self.actions = {name: Tally() for name in ACTIONS}
        self.broadcasts = {name: Histogram(BROADCAST_BOUNDS) for name in ("publication", "join", "leave")}
        self.lag = Histogram(LAG_BOUNDS)
        self.surveys: dict[str, Histogram] = {}  # by op
        self.filtered = Tally()
        self.connection_limit = Tally()
        self.http_requests = Vector(None, HTTP_METHODS, None)
        self.commands = [Histogram(COMMAND_BOUNDS, windowed=True) for _ in FRAME_TYPES]  # by kind
        self.reply_errors = Vector(FRAME_TYPES, _CLIENT_ERRORS)
        self.unsubscribes = Vector(_UNSUBSCRIBES)
        self.disconnects = Vector(_DISCONNECTS)
        self.recoveries = Vector(_YES_NO, _YES_NO)
        self.recovered = Histogram(RECOVERED_BOUNDS) if recovered_publications else None
        self.accepted = Vector(None, _NAMES, _VERSIONS)
        self.connections = Vector(None, _NAMES, _VERSIONS)
        self.subscriptions = Vector(_NAMES)
        self.suppressed = Vector((IDEMPOTENCY, VERSION))
        self.pub_sub_errors = Vector(PUB_SUB_ERRORS)
        self.pub_sub_dropped = Vector(PUB_SUB_TYPES)
        self.control_ignored = Tally()
        self.api_calls = {HTTP: Durations(), CONSUMING: Durations()}
        self.api_errors = Vector(None, None, _API_ERRORS)
        self.consumed = Vector(None)
        self.consume_errors = Vector(None)
        self.queues: dict[tuple[str, str, str], QueueState] = {}  # by consumer, shard, key
        self.loop_lag = Histogram(COMMAND_BOUNDS, windowed=True)
        self._meters: dict[tuple[str, bool, bool], Meter] = {}

    def meter_of(self, transport: str, *, named: bool, versioned: bool) -> Meter:
        """What counts a client whose connect had a name, and a version, or not (server specification 9.3)."""
        key = (transport, named, versioned)
        meter = self._meters.get(key)
        if meter is None:
            name, version = _NAMES[named], _VERSIONS[versioned]
            meter = self._meters[key] = Meter(
                self.accepted.of(transport, name, version),
                self.connections.of(transport, name, version),
                self.subscriptions.of(name),
            )
        return meter

    def survey_ended(self, op: str, started: float) -> None:
        """Other nodes were asked something, at ``_metrics.now()`` *started*, and the answer is there, or none comes."""
        self.actions["survey"].add()
        self.surveys.setdefault(op, Histogram(LAG_BOUNDS)).observe_since(started)

    def recovery_ended(self, publications: int, *, recovered: bool) -> None:
        """A client that wanted to recover was told whether it could, and was given so many publications."""
        self.recoveries.of(_YES_NO[not recovered], _YES_NO[not publications]).add()
        if recovered and self.recovered is not None:
            self.recovered.observe(publications)
