"""Everything that was counted, brought together."""

import pytest

from centrifast import errors
from centrifast._core import Drain
from centrifast._framing import Variant
from centrifast._metrics import FRAME_TYPES
from centrifast.metrics.collector import Collector, Population
from centrifast.metrics.exposition import samples_of
from centrifast.metrics.metrics import HTTP, Metrics, QueueState
from centrifast.metrics.registry import FAMILIES
from centrifast.metrics.snapshot import NOT_MEASURED
from tests.fakes import FakeClock

PUBLISH = FRAME_TYPES.index("publish")


class World:
    """A collector and all it reads."""

    def __init__(self, *, recovered_publications: bool = False) -> None:
        self.metrics = Metrics(recovered_publications=recovered_publications)
        self.json = Variant("json", 1, b"\n", b"{}", b"{}")
        self.protobuf = Variant("protobuf", 2, b"", b"\0", b"\0")
        self.sse = Variant("sse", 1, b"\n", b"{}", b"{}", transport="sse")
        self.clock = FakeClock()
        self.collector = Collector(
            self.metrics,
            [self.json, self.protobuf, self.sse],
            Drain(lambda _: None, 1 << 20),
            lambda: Population(5, 4, 3, 2),
            self.clock,
        )

    def samples(self) -> dict[str, float]:
        """As they are scraped: name with labels, without the empty namespace."""
        return {
            f"{name}{{{labels}}}".replace(',channel_namespace=""', ""): value
            for family, rows in self.collector.collect()
            for row in rows
            for name, labels, value in samples_of(family, row)
        }


@pytest.fixture
def world() -> World:
    return World()


def test_every_family_of_the_registry_is_collected_once_and_in_order() -> None:
    collected = [family for family, _ in World(recovered_publications=True).collector.collect()]
    assert collected == list(FAMILIES)


def test_gauges_are_what_is_there_now(world: World) -> None:
    samples = world.samples()
    names = ("clients", "users", "subscriptions", "channels", "nodes")
    assert [samples[f"centrifugo_node_num_{name}{{}}"] for name in names] == [5, 4, 3, 2, 1]


def test_variants_of_a_transport_are_one_to_metrics(world: World) -> None:
    world.json.count_received(PUBLISH, 10)
    world.protobuf.count_received(PUBLISH, 5)
    world.sse.count_received(PUBLISH, 1)
    samples = world.samples()
    received = "centrifugo_transport_messages_received"
    assert samples[f'{received}{{transport="websocket",frame_type="publish"}}'] == 2
    assert samples[f'{received}_size{{transport="websocket",frame_type="publish"}}'] == 15
    assert samples[f'{received}{{transport="sse",frame_type="publish"}}'] == 1
    assert not any('frame_type="rpc"' in name for name in samples), "nobody asked for one"
    assert not any(name.startswith("centrifugo_transport_messages_sent") for name in samples)


def test_every_client_has_an_empty_accept_protocol(world: World) -> None:
    world.metrics.meter_of("websocket", named=True, versioned=False).connections.add()
    labels = (
        'transport="websocket",accept_protocol="",client_name="unregistered",client_version="unversioned"'
    )
    assert world.samples()[f"centrifugo_client_connections_inflight{{{labels}}}"] == 1


def test_failures_of_redis_have_the_empty_name_of_the_broker_in_front(world: World) -> None:
    world.metrics.pub_sub_errors.of("connection").add()
    world.metrics.pub_sub_dropped.of("client").add(2)
    samples = world.samples()
    assert samples['centrifugo_broker_redis_pub_sub_errors{broker_name="",error="connection"}'] == 1
    assert (
        samples['centrifugo_broker_redis_pub_sub_dropped_messages{broker_name="",channel_type="client"}'] == 2
    )


def test_codes_that_nobody_knows_are_one(world: World) -> None:
    world.json.closes.update({3000: 1, 1002: 2, 4000: 3, 4001: 4})
    closes = 'centrifugo_transport_outgoing_close_count{transport="websocket",code='
    samples = {name: value for name, value in world.samples().items() if name.startswith(closes)}
    assert samples == {f'{closes}"1002"}}': 2, f'{closes}"3000"}}': 1, f'{closes}"unknown"}}': 7}


def test_a_summary_and_its_histogram_say_the_same(world: World) -> None:
    for _ in range(3):
        world.metrics.commands[PUBLISH].observe(0.25)
    samples = world.samples()
    summary, histogram = (f"centrifugo_client_command_duration_seconds{end}" for end in ("", "_histogram"))
    assert (
        samples[f'{summary}_count{{method="publish"}}']
        == samples[f'{histogram}_count{{method="publish"}}']
        == 3
    )
    assert samples[f'{summary}{{method="publish",quantile="0.5"}}'] == pytest.approx(0.25, rel=1 / 32)
    assert samples[f'{histogram}_bucket{{method="publish",le="0.1"}}'] == 0
    assert samples[f'{histogram}_bucket{{method="publish",le="0.25"}}'] == 3
    assert samples[f'{summary}_count{{method="connect"}}'] == 0


def test_a_queue_shows_what_it_says_of_itself(world: World) -> None:
    world.metrics.consumed.of("jobs").add(3)
    world.metrics.consume_errors.of("jobs").add()
    world.metrics.queues["jobs", "h:1", "list"] = QueueState(lag=5)
    world.metrics.queues["jobs", "h:1", "stream"] = QueueState(pending=2, pending_age=1.5)
    samples = world.samples()
    queues = {name: value for name, value in samples.items() if name.startswith("centrifugo_consumers")}
    place = 'consumer_name="jobs",shard="h:1",key='
    assert queues == {
        'centrifugo_consumers_messages_processed_total{consumer_name="jobs"}': 3,
        'centrifugo_consumers_errors_total{consumer_name="jobs"}': 1,
        f'centrifugo_consumers_lag{{{place}"list"}}': 5,
        f'centrifugo_consumers_pending{{{place}"stream"}}': 2,
        f'centrifugo_consumers_pending_age_seconds{{{place}"stream"}}': 1.5,
    }


def test_a_snapshot_has_totals_and_percentiles(world: World) -> None:
    world.clock.advance(12.5)
    world.json.count_received(PUBLISH, 10)
    world.metrics.sent["publication"].add(7)
    world.metrics.disconnects.of(errors.SLOW.code).add()
    world.metrics.commands[PUBLISH].observe(0.001)
    world.metrics.api_calls[HTTP]["publish"].observe(0.002)
    snapshot = world.collector.snapshot("uid", "name")
    assert (snapshot.uid, snapshot.name, snapshot.uptime, snapshot.time) == (
        "uid",
        "name",
        12.5,
        world.clock.unix(),
    )
    assert (snapshot.num_clients, snapshot.num_users, snapshot.num_subs, snapshot.num_channels) == (
        5,
        4,
        3,
        2,
    )
    assert (snapshot.messages_sent, snapshot.messages_received, snapshot.bytes_received) == (0, 1, 10)
    assert (snapshot.publications, snapshot.slow_disconnects) == (7, 1)
    assert snapshot.client_command.p50 == pytest.approx(0.001, rel=1 / 32)
    assert snapshot.api_command.p50 == pytest.approx(0.002, rel=1 / 32)
    assert snapshot.publish_to_socket == snapshot.loop_lag == NOT_MEASURED
    assert snapshot.rss > 0
    assert 0 < snapshot.open_descriptors <= snapshot.descriptor_limit
