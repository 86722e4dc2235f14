"""Every metric family this server has: name, type, labels and what it says (engines specification 8.2).

Names, types and labels are Centrifugo's, so that dashboards and alerts go on working; some break the conventions of
Prometheus (``docs/decisions/metrics-exposition.md``). ``docs/reference/metrics.md`` is made from these tables. What
belongs to parts that are not built has no family here.
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """Types of the text format."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with its labels, in the order of the values in a row."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


QUANTILES = (0.5, 0.99, 0.999)

COMMAND_BOUNDS = (1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds (server specification 9.3)."""

BROADCAST_BOUNDS = (1e-6, 5e-6, 1e-5, 5e-5, *COMMAND_BOUNDS)
"""Seconds (engines specification 8.2)."""

LAG_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds (engines specification 8.2)."""

RECOVERED_BOUNDS = (0, 1, 2, 3, 5, 10, 20, 50, 100, 250, 500, 1000, 2000, 5000, 10000)
"""Publications (engines specification 8.2)."""

C, G, H, S = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM, Kind.SUMMARY
NAMESPACE = "channel_namespace"

# ---------------------------------------------------------------------- node

MESSAGES_SENT = Family(
    "centrifugo_node_messages_sent_count", C, "Messages handed to the broker.", ("type", NAMESPACE)
)
MESSAGES_RECEIVED = Family(
    "centrifugo_node_messages_received_count", C, "Messages the broker delivered.", ("type", NAMESPACE)
)
ACTIONS = Family("centrifugo_node_action_count", C, "Things done, by what they are.", ("action", NAMESPACE))
CLIENTS = Family("centrifugo_node_num_clients", G, "Clients connected to this node.")
USERS = Family(
    "centrifugo_node_num_users", G, "Distinct users connected to this node; anonymous ones are one."
)
SUBSCRIPTIONS = Family("centrifugo_node_num_subscriptions", G, "Subscriptions on this node.")
CHANNELS = Family("centrifugo_node_num_channels", G, "Channels with subscribers on this node.")
NODES = Family("centrifugo_node_num_nodes", G, "Nodes of the cluster.")
BUILD = Family("centrifugo_node_build", G, "Constantly 1; the label says what runs.", ("version",))
LAG = Family(
    "centrifugo_node_pub_sub_lag_seconds",
    H,
    "From the moment a publication was made to its arrival from the broker.",
    (NAMESPACE,),
)
SURVEYS = Family(
    "centrifugo_node_survey_duration_seconds_histogram",
    H,
    "From a question to other nodes to the last answer.",
    ("op",),
)
BROADCAST = Family(
    "centrifugo_node_broadcast_duration_seconds",
    H,
    "Handing a message to all local subscribers: encoding and queueing, not the writing.",
    ("type", NAMESPACE),
)
FILTERED = Family(
    "centrifugo_node_tags_filter_dropped_publications",
    C,
    "Publications not sent to a subscriber because of its tags filter.",
    (NAMESPACE,),
)
CONNECTION_LIMIT = Family(
    "centrifugo_node_client_connection_limit", C, "Connections refused by client.connection_limit."
)
HTTP_REQUESTS = Family(
    "centrifugo_node_incoming_http_requests_total",
    C,
    "HTTP requests by path of an endpoint; only with prometheus.instrument_http_handlers.",
    ("path", "method", "status"),
)

# -------------------------------------------------------------------- client

CONNECTIONS_ACCEPTED = Family(
    "centrifugo_client_connections_accepted",
    C,
    "Clients whose connect was answered with a result.",
    ("transport", "accept_protocol", "client_name", "client_version"),
)
CONNECTIONS = Family(
    "centrifugo_client_connections_inflight",
    G,
    "Clients connected now.",
    ("transport", "accept_protocol", "client_name", "client_version"),
)
CLIENT_SUBSCRIPTIONS = Family(
    "centrifugo_client_subscriptions_inflight", G, "Subscriptions now.", ("client_name", NAMESPACE)
)
COMMANDS = Family(
    "centrifugo_client_command_duration_seconds",
    S,
    "From a client's command to its reply, over ten minutes.",
    ("method", NAMESPACE),
)
COMMANDS_HISTOGRAM = Family(
    "centrifugo_client_command_duration_seconds_histogram",
    H,
    "From a client's command to its reply.",
    ("method", NAMESPACE),
)
REPLY_ERRORS = Family(
    "centrifugo_client_num_reply_errors",
    C,
    "Commands answered with an error.",
    ("method", "code", NAMESPACE),
)
SERVER_UNSUBSCRIBES = Family(
    "centrifugo_client_num_server_unsubscribes", C, "Subscriptions ended by the server.", ("code", NAMESPACE)
)
SERVER_DISCONNECTS = Family(
    "centrifugo_client_num_server_disconnects", C, "Connections ended by the server.", ("code",)
)
RECOVERIES = Family(
    "centrifugo_client_recover",
    C,
    "Attempts to recover what was missed.",
    ("recovered", NAMESPACE, "has_recovered_publications"),
)
RECOVERED_PUBLICATIONS = Family(
    "centrifugo_client_recovered_publications",
    H,
    "Publications in a successful recovery; only with prometheus.recovered_publications_histogram.",
    (NAMESPACE,),
)
ROUND_TRIPS = Family(
    "centrifugo_client_ping_pong_duration_seconds",
    H,
    "From a ping to its pong, without the first of a connection.",
    ("transport",),
)

# ----------------------------------------------------------------- transport

_FRAMES = ("transport", "frame_type", NAMESPACE)
FRAMES_SENT = Family(
    "centrifugo_transport_messages_sent", C, "Messages queued for clients, one for each client.", _FRAMES
)
FRAMES_SENT_SIZE = Family(
    "centrifugo_transport_messages_sent_size", C, "Bytes of these messages, without framing.", _FRAMES
)
FRAMES_RECEIVED = Family(
    "centrifugo_transport_messages_received", C, "Messages received from clients.", _FRAMES
)
FRAMES_RECEIVED_SIZE = Family(
    "centrifugo_transport_messages_received_size", C, "Bytes of these messages, without framing.", _FRAMES
)
CLOSES = Family(
    "centrifugo_transport_outgoing_close_count",
    C,
    "Connections closed from this side, by code of the close.",
    ("transport", "code"),
)

# --------------------------------------------------------------- broker, API

SUPPRESSED = Family(
    "centrifugo_broker_publish_suppressed_count",
    C,
    "Publications that were not made again, by what told so.",
    ("reason", NAMESPACE),
)
PUB_SUB_ERRORS = Family(
    "centrifugo_broker_redis_pub_sub_errors",
    C,
    "Failures of PUB/SUB connections to Redis, by what failed.",
    ("broker_name", "error"),
)
PUB_SUB_DROPPED = Family(
    "centrifugo_broker_redis_pub_sub_dropped_messages",
    C,
    "Messages from Redis that could not be read or handled.",
    ("broker_name", "channel_type"),
)
API_COMMANDS = Family(
    "centrifugo_api_command_duration_seconds",
    S,
    "Serving a call of the server API, over ten minutes.",
    ("protocol", "method"),
)
API_COMMANDS_HISTOGRAM = Family(
    "centrifugo_api_command_duration_seconds_histogram",
    H,
    "Serving a call of the server API.",
    ("protocol", "method"),
)
API_ERRORS = Family(
    "centrifugo_api_command_errors_total",
    C,
    "Calls of the server API answered with an error, by its code.",
    ("protocol", "method", "error"),
)

CONSUMED = Family(
    "centrifugo_consumers_messages_processed_total",
    C,
    "Messages of queues that are done with: executed, or skipped because nothing can be made of them.",
    ("consumer_name",),
)
CONSUME_ERRORS = Family(
    "centrifugo_consumers_errors_total",
    C,
    "Attempts to execute a message that failed with an internal error and are repeated.",
    ("consumer_name",),
)

# ----------------------------------------------------------- not Centrifugo's

_QUEUE = ("consumer_name", "shard", "key")
QUEUE_LAG = Family(
    "centrifugo_consumers_lag",
    G,
    "Messages that wait in a queue: elements of a list, entries that a stream's group has not been given.",
    _QUEUE,
)
QUEUE_PENDING = Family(
    "centrifugo_consumers_pending",
    G,
    "Entries of a stream that somebody has and has not acknowledged.",
    _QUEUE,
)
QUEUE_PENDING_AGE = Family(
    "centrifugo_consumers_pending_age_seconds", G, "Age of the oldest of these entries.", _QUEUE
)

PUBLISH_TO_SOCKET = Family(
    "centrifugo_publish_to_socket_seconds",
    H,
    "From the moment a channel has something to say until its last subscriber has been written to.",
)
LOOP_LAG = Family(
    "centrifugo_event_loop_lag_seconds",
    H,
    "How much later than due the server's timer ran, 20 times a second.",
)
OUTBOX_BYTES = Family("centrifugo_outbox_bytes", G, "Bytes that wait for single clients.")
DRAIN_LENGTH = Family("centrifugo_drain_length", G, "Clients and channels due to be written to.")
CONTROL_IGNORED = Family(
    "centrifugo_control_ignored_count", C, "Messages of other nodes that mean nothing to this one."
)

# ------------------------------------------------------------------- process

CPU = Family("process_cpu_seconds_total", C, "User and system time spent.")
OPEN_DESCRIPTORS = Family("process_open_fds", G, "Open file descriptors.")
DESCRIPTOR_LIMIT = Family("process_max_fds", G, "How many descriptors may be open.")
VIRTUAL_MEMORY = Family("process_virtual_memory_bytes", G, "Address space.")
RESIDENT_MEMORY = Family("process_resident_memory_bytes", G, "Memory in use.")
START_TIME = Family("process_start_time_seconds", G, "When the process began, in Unix time.")
PYTHON = Family(
    "python_info",
    G,
    "Constantly 1; the labels say which Python runs.",
    ("implementation", "major", "minor", "patchlevel", "version"),
)
GC_COLLECTIONS = Family(
    "python_gc_collections_total", C, "How often this generation was collected.", ("generation",)
)
GC_COLLECTED = Family("python_gc_objects_collected_total", C, "Objects found and freed.", ("generation",))
GC_UNCOLLECTABLE = Family(
    "python_gc_objects_uncollectable_total", C, "Objects found and not freed.", ("generation",)
)


def _families() -> tuple[Family, ...]:
    return tuple(value for value in globals().values() if isinstance(value, Family))


FAMILIES = _families()
"""All of them, in the order above."""
