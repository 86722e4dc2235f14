"""Brings together what node, core and process have counted: for a scrape, and for a snapshot.

O(families and their labels): nothing here looks at clients or channels one by one, so a scrape costs the same with
100,000 connections (``bench/metrics.py``).
"""

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from centrifast import __version__, errors
from centrifast._core import Drain
from centrifast._framing import Variant
from centrifast._metrics import FRAME_TYPES, Histogram, quantiles_of
from centrifast.clock import Clock
from centrifast.metrics import registry
from centrifast.metrics.exposition import Distribution, Row, Spread
from centrifast.metrics.metrics import Metrics
from centrifast.metrics.process import process_families, read_process
from centrifast.metrics.registry import QUANTILES, Family
from centrifast.metrics.snapshot import Percentiles, Snapshot
from centrifast.metrics.vector import UNKNOWN, Vector
from centrifast.protocol.frame_types import COMMAND_KINDS

NO_NAMESPACE = ""
"""Of ``channel_namespace``: always empty (server specification 9.3), like ``accept_protocol``."""

CLOSE_CODES = frozenset({*range(1000, 1012), *(row.code for row in errors.DISCONNECTS)})
"""Codes a connection is closed with that have a name (RFC 6455 section 7.4.1)."""

Collected = tuple[Family, Sequence[Row]]


class Population(Struct, frozen=True):
    """Who is on this node at the moment."""

    clients: int = 0
    users: int = 0
    subscriptions: int = 0
    channels: int = 0
    nodes: int = 1


class Collector:
    """Reads *metrics*, the counts of *variants* and of the *drain*, and who is here."""

    def __init__(
        self,
        metrics: Metrics,
        variants: Iterable[Variant],
        drain: Drain,
        population: Callable[[], Population],
        clock: Clock,
    ) -> None:
        self._metrics = metrics
        self._variants = tuple(variants)
        self._drain = drain
        self._population = population
        self._clock = clock
        self._started_at = clock.monotonic()

    def collect(self) -> list[Collected]:
        """Every family with its rows, in the order of ``registry.FAMILIES``; those without a row may be there."""
        return [
            *self._node(),
            *self._client(),
            *self._transport(),
            *self._api(),
            *self._queues(),
            *self._own(),
            *process_families(),
        ]

    def snapshot(self, uid: str, name: str) -> Snapshot:
        """This process, which is called *name*, in numbers."""
        metrics, population, process = self._metrics, self._population(), read_process()
        sent, sent_size, received, received_size = self._traffic_of_all()
        return Snapshot(
            uid=uid,
            name=name,
            version=__version__,
            pid=os.getpid(),
            uptime=self._clock.monotonic() - self._started_at,
            time=self._clock.unix(),
            num_clients=population.clients,
            num_users=population.users,
            num_subs=population.subscriptions,
            num_channels=population.channels,
            messages_sent=sent,
            bytes_sent=sent_size,
            messages_received=received,
            bytes_received=received_size,
            publications=metrics.sent["publication"].value,
            slow_disconnects=metrics.disconnects.of(errors.SLOW.code).value,
            outbox_bytes=self._drain.outbox_bytes,
            drain_length=self._drain.length,
            rss=process.resident_memory,
            cpu_seconds=process.cpu_seconds,
            open_descriptors=process.open_descriptors,
            descriptor_limit=process.descriptor_limit,
            publish_to_socket=percentiles([self._drain.round_times]),
            client_command=percentiles(metrics.commands),
            api_command=percentiles(
                [times for calls in metrics.api_calls.values() for times in calls.values()]
            ),
            loop_lag=percentiles([metrics.loop_lag]),
        )

    # -------------------------------------------------------------- inside

    def _node(self) -> list[Collected]:
        metrics, population = self._metrics, self._population()
        return [
            (
                registry.MESSAGES_SENT,
                [Row(tally.value, (name, NO_NAMESPACE)) for name, tally in metrics.sent.items()],
            ),
            (
                registry.MESSAGES_RECEIVED,
                [Row(tally.value, (name, NO_NAMESPACE)) for name, tally in metrics.received.items()],
            ),
            (
                registry.ACTIONS,
                [Row(tally.value, (name, NO_NAMESPACE)) for name, tally in metrics.actions.items()],
            ),
            (registry.CLIENTS, [Row(population.clients)]),
            (registry.USERS, [Row(population.users)]),
            (registry.SUBSCRIPTIONS, [Row(population.subscriptions)]),
            (registry.CHANNELS, [Row(population.channels)]),
            (registry.NODES, [Row(population.nodes)]),
            (registry.BUILD, [Row(1, (__version__,))]),
            (registry.LAG, [Row(distribution(metrics.lag), (NO_NAMESPACE,))]),
            (
                registry.SURVEYS,
                [Row(distribution(times), (op,)) for op, times in sorted(metrics.surveys.items())],
            ),
            (
                registry.BROADCAST,
                [
                    Row(distribution(times), (name, NO_NAMESPACE))
                    for name, times in metrics.broadcasts.items()
                ],
            ),
            (registry.FILTERED, [Row(metrics.filtered.value, (NO_NAMESPACE,))]),
            (registry.CONNECTION_LIMIT, [Row(metrics.connection_limit.value)]),
            (registry.HTTP_REQUESTS, rows(metrics.http_requests)),
        ]

    def _client(self) -> list[Collected]:
        metrics = self._metrics
        methods = [(FRAME_TYPES[kind], metrics.commands[kind]) for kind in COMMAND_KINDS]
        return [
            (registry.CONNECTIONS_ACCEPTED, connection_rows(metrics.accepted)),
            (registry.CONNECTIONS, connection_rows(metrics.connections)),
            (registry.CLIENT_SUBSCRIPTIONS, rows(metrics.subscriptions, NO_NAMESPACE)),
            (registry.COMMANDS, [Row(spread(times), (method, NO_NAMESPACE)) for method, times in methods]),
            (
                registry.COMMANDS_HISTOGRAM,
                [Row(distribution(times), (method, NO_NAMESPACE)) for method, times in methods],
            ),
            (registry.REPLY_ERRORS, rows(metrics.reply_errors, NO_NAMESPACE)),
            (registry.SERVER_UNSUBSCRIBES, rows(metrics.unsubscribes, NO_NAMESPACE)),
            (registry.SERVER_DISCONNECTS, rows(metrics.disconnects)),
            (
                registry.RECOVERIES,
                [
                    Row(value, (recovered, NO_NAMESPACE, has_publications))
                    for (recovered, has_publications), value in metrics.recoveries
                ],
            ),
            (
                registry.RECOVERED_PUBLICATIONS,
                [] if metrics.recovered is None else [Row(distribution(metrics.recovered), (NO_NAMESPACE,))],
            ),
        ]

    def _transport(self) -> list[Collected]:
        """The variants of one transport differ in their encoding only, and are one to metrics."""
        names = sorted({variant.transport for variant in self._variants})
        frames: list[list[Row]] = [[], [], [], []]
        round_trips, closes = [], []
        for name in names:
            variants = [variant for variant in self._variants if variant.transport == name]
            round_trips.append(Row(distribution(*(variant.round_trips for variant in variants)), (name,)))
            for kind, counts in zip(FRAME_TYPES, _summed(variants), strict=True):
                for index in range(4):
                    if counts[index // 2 * 2]:
                        frames[index].append(Row(counts[index], (name, kind, NO_NAMESPACE)))
            codes = Counter[int | str]()
            for variant in variants:
                for code, count in variant.closes.items():
                    codes[code if code in CLOSE_CODES else UNKNOWN] += count
            closes += [
                Row(count, (name, code))
                for code, count in sorted(codes.items(), key=lambda item: str(item[0]))
            ]
        sent, sent_size, received, received_size = frames
        return [
            (registry.ROUND_TRIPS, round_trips),
            (registry.FRAMES_SENT, sent),
            (registry.FRAMES_SENT_SIZE, sent_size),
            (registry.FRAMES_RECEIVED, received),
            (registry.FRAMES_RECEIVED_SIZE, received_size),
            (registry.CLOSES, closes),
        ]

    def _api(self) -> list[Collected]:
        metrics = self._metrics
        calls = [
            ((protocol, method), times)
            for protocol, durations in sorted(metrics.api_calls.items())
            for method, times in sorted(durations.items())
        ]
        return [
            (registry.SUPPRESSED, rows(metrics.suppressed, NO_NAMESPACE)),
            (registry.PUB_SUB_ERRORS, broker_rows(metrics.pub_sub_errors)),
            (registry.PUB_SUB_DROPPED, broker_rows(metrics.pub_sub_dropped)),
            (registry.API_COMMANDS, [Row(spread(times), labels) for labels, times in calls]),
            (registry.API_COMMANDS_HISTOGRAM, [Row(distribution(times), labels) for labels, times in calls]),
            (registry.API_ERRORS, rows(metrics.api_errors)),
            (registry.CONSUMED, rows(metrics.consumed)),
            (registry.CONSUME_ERRORS, rows(metrics.consume_errors)),
        ]

    def _queues(self) -> list[Collected]:
        queues = sorted(self._metrics.queues.items())
        return [
            (
                family,
                [
                    Row(value, labels)
                    for labels, state in queues
                    if (value := getattr(state, name)) is not None
                ],
            )
            for family, name in (
                (registry.QUEUE_LAG, "lag"),
                (registry.QUEUE_PENDING, "pending"),
                (registry.QUEUE_PENDING_AGE, "pending_age"),
            )
        ]

    def _own(self) -> list[Collected]:
        return [
            (registry.PUBLISH_TO_SOCKET, [Row(distribution(self._drain.round_times))]),
            (registry.LOOP_LAG, [Row(distribution(self._metrics.loop_lag))]),
            (registry.OUTBOX_BYTES, [Row(self._drain.outbox_bytes)]),
            (registry.DRAIN_LENGTH, [Row(self._drain.length)]),
            (registry.CONTROL_IGNORED, [Row(self._metrics.control_ignored.value)]),
        ]

    def _traffic_of_all(self) -> list[int]:
        counts = _summed(self._variants)
        return [sum(kind[index] for kind in counts) for index in range(4)]


def _summed(variants: Sequence[Variant]) -> list[list[int]]:
    """What ``Variant.counted`` says, over all *variants*."""
    counted = [variant.counted() for variant in variants]
    return [[sum(column) for column in zip(*kinds, strict=True)] for kinds in zip(*counted, strict=True)]


def rows(vector: Vector, *further: str) -> list[Row]:
    """A row for each combination of labels, with *further* ones behind."""
    return [Row(value, (*labels, *further)) for labels, value in vector]


def broker_rows(vector: Vector) -> list[Row]:
    """Rows with the empty name of the only broker in front."""
    return [Row(value, ("", *labels)) for labels, value in vector]


def connection_rows(vector: Vector) -> list[Row]:
    """Rows of transport, client_name and client_version, with the empty accept_protocol in its place."""
    return [Row(value, (labels[0], "", *labels[1:])) for labels, value in vector]


def distribution(*histograms: Histogram) -> Distribution:
    """The value of a histogram, or of several with the same bounds together."""
    counts = [sum(column) for column in zip(*(one.cumulative() for one in histograms), strict=True)]
    return Distribution(histograms[0].bounds, counts, sum(one.sum for one in histograms))


def spread(histogram: Histogram) -> Spread:
    """The value of a summary."""
    return Spread(histogram.quantiles(QUANTILES), histogram.cumulative()[-1], histogram.sum)


def percentiles(histograms: Iterable[Histogram]) -> Percentiles:
    """Those of several together; 0 where nothing was observed."""
    found = quantiles_of(histograms, QUANTILES)
    return Percentiles(*(0.0 if math.isnan(quantile) else quantile for quantile in found))
