"""The contract between a process and whoever shows its numbers."""

import msgspec

from centrifast.metrics.snapshot import Percentiles, Snapshot

SNAPSHOT = Snapshot(
    uid="u",
    name="n",
    version="1",
    pid=1,
    uptime=2.5,
    time=1700000000.0,
    num_clients=1,
    num_users=1,
    num_subs=2,
    num_channels=1,
    messages_sent=10,
    bytes_sent=100,
    messages_received=5,
    bytes_received=50,
    publications=3,
    slow_disconnects=0,
    outbox_bytes=0,
    drain_length=0,
    rss=1 << 20,
    cpu_seconds=0.5,
    open_descriptors=10,
    descriptor_limit=1024,
    loop_lag=Percentiles(0.001, 0.002, 0.003),
)


def test_it_survives_json_and_message_pack() -> None:
    assert msgspec.json.decode(msgspec.json.encode(SNAPSHOT), type=Snapshot) == SNAPSHOT
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(SNAPSHOT), type=Snapshot) == SNAPSHOT


def test_what_was_not_measured_is_zero() -> None:
    assert SNAPSHOT.publish_to_socket == Percentiles(0.0, 0.0, 0.0)
