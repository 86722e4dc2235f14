"""The endpoint that Prometheus scrapes."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from centrifast._core import Drain
from centrifast.errors import INTERNAL, ClientError
from centrifast.metrics.collector import Collected, Collector, Population
from centrifast.metrics.metrics import Metrics
from centrifast.server.prometheus import add_prometheus
from centrifast.server.routes import RouteError, Routes
from tests.fakes import FakeClock
from tests.server.http_peer import echo, get, post, run, serving


def collect(metrics: Metrics) -> Callable[[], Awaitable[Sequence[Collected]]]:
    collector = Collector(metrics, [], Drain(lambda _: None, 1 << 20), Population, FakeClock())

    async def collected() -> Sequence[Collected]:
        return collector.collect()

    return collected


def test_a_scrape_gets_the_text_format() -> None:
    async def scenario() -> None:
        metrics, routes = Metrics(), Routes()
        add_prometheus(routes, "metrics/", collect(metrics))
        async with serving(routes) as served:
            peer = await served.connect()
            metrics.sent["publication"].add(41)
            peer.send(get("/metrics", "Accept: application/openmetrics-text"))
            answer = await peer.answer()
            assert (answer.status, answer.headers["content-type"]) == (
                200,
                "text/plain; version=0.0.4; charset=utf-8",
            )
            line = b'centrifugo_node_messages_sent_count{type="publication",channel_namespace=""} %d\n'
            assert line % 41 in answer.body
            metrics.sent["publication"].add()
            peer.send(get("/metrics"))
            assert line % 42 in (await peer.answer()).body
            peer.send(post("/metrics", b""))
            assert (await peer.answer()).status == 405

    run(scenario())


def test_a_part_of_the_node_is_not_shown_as_the_whole() -> None:
    async def away() -> Sequence[Collected]:
        raise ClientError(INTERNAL)

    async def scenario() -> None:
        routes = Routes()
        add_prometheus(routes, "/metrics", away)
        async with serving(routes) as served:
            peer = await served.connect()
            peer.send(get("/metrics"))
            assert (await peer.answer()).status == 503

    run(scenario())


def test_the_path_must_be_free() -> None:
    routes = Routes()
    routes.add("/metrics", "api", echo)
    with pytest.raises(RouteError, match="/metrics"):
        add_prometheus(routes, "/metrics", collect(Metrics()))
