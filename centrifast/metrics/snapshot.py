"""The numbers of one process at one moment: what the server API's ``stats`` answers and ``centrifast top`` shows.

Counters are totals since the process started: whoever wants a rate takes two snapshots and the time between them.
"""

from collections.abc import Sequence

from msgspec import Struct


class Percentiles(Struct, frozen=True):
    """Of one duration, in seconds, over the last ten minutes; all 0 while nothing was measured."""

    p50: float = 0.0
    p99: float = 0.0
    p999: float = 0.0


NOT_MEASURED = Percentiles()


class Snapshot(Struct, frozen=True, kw_only=True):
    """One process in numbers. Sizes in bytes, durations in seconds; *time* is Unix time, *uptime* since its start.

    ``bytes_sent`` and ``bytes_received`` count protocol messages, without the framing of a transport.
    ``publications`` were published through this node. ``slow_disconnects`` are clients disconnected with 3008.
    ``outbox_bytes`` wait for single clients, ``drain_length`` is how many outboxes and channels are due to be written.
    ``cpu_seconds`` is user and system time; ``open_descriptors`` is -1 where the system does not say.
    """

    uid: str
    name: str
    version: str
    pid: int
    uptime: float
    time: float
    num_clients: int
    num_users: int
    num_subs: int
    num_channels: int
    messages_sent: int
    bytes_sent: int
    messages_received: int
    bytes_received: int
    publications: int
    slow_disconnects: int
    outbox_bytes: int
    drain_length: int
    rss: int
    cpu_seconds: float
    open_descriptors: int
    descriptor_limit: int
    publish_to_socket: Percentiles = NOT_MEASURED
    client_command: Percentiles = NOT_MEASURED
    api_command: Percentiles = NOT_MEASURED
    loop_lag: Percentiles = NOT_MEASURED


class SlowClient(Struct, frozen=True):
    """A client for which bytes wait in this process, because its socket takes no more."""

    client: str
    user: str
    bytes: int


class NodeStats(Snapshot, frozen=True, kw_only=True):
    """One process in numbers, and its slowest clients. Sizes in bytes, durations in seconds, counters since start."""

    slow: Sequence[SlowClient] = ()
