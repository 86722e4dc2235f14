"""Publications filtered by their tags, for the client libraries (client protocol 9.1)."""

from typing import Any

import pytest

from tests.sdk.cable import Cable
from tests.sdk.conftest import Launch, publish_all
from tests.server_process import ServerProcess

DEAR_STOCKS = {
    "op": "and",
    "nodes": [
        {"key": "ticker", "cmp": "in", "vals": ["AAPL", "GOOG"]},
        {"key": "price", "cmp": "gte", "val": "100.5"},
    ],
}
NOT_SOLD = {"op": "not", "nodes": [{"key": "sold", "cmp": "ex"}]}


def publish(server: ServerProcess, channel: str, data: object, **tags: str) -> None:
    publish_all(server, channel, [data], tags=tags)


def test_only_what_matches_arrives(launch: Launch, server: ServerProcess, channel: str) -> None:
    stream = f"stream:{channel}"
    filtered, other, plain = launch(), launch(), launch()
    for client in (filtered, other, plain):
        client.connect()
    filtered.subscribe(stream, tags_filter=DEAR_STOCKS)
    other.subscribe(stream, tags_filter=NOT_SOLD)
    plain.subscribe(stream)
    publish(server, stream, "cheap", ticker="AAPL", price="100.4999")
    publish(server, stream, "dear", ticker="AAPL", price="0100.50", sold="yes")
    publish(server, stream, "another", ticker="MSFT", price="1000")
    publish(server, stream, "not a number", ticker="GOOG", price="1e3", sold="yes")
    publish(server, stream, "untagged")
    publish(server, stream, "last", ticker="GOOG", price="200")
    assert filtered.publications(stream, 2) == ["dear", "last"]
    assert other.publications(stream, 4) == ["cheap", "another", "untagged", "last"]
    assert plain.publications(stream, 5)[-1] == "untagged"
    last = plain.wait("publication", channel=stream)
    assert (last["data"], last["offset"], last["tags"]) == ("last", 6, {"ticker": "GOOG", "price": "200"})
    for client in (filtered, other):
        client.refuse("publication", "unsubscribed")


def test_recovery_brings_only_what_matches(
    launch: Launch, server: ServerProcess, cable: Cable, channel: str
) -> None:
    stream = f"stream:{channel}"
    client = launch(server=cable)
    client.connect()
    client.subscribe(stream, tags_filter=DEAR_STOCKS)
    publish(server, stream, "hidden", ticker="MSFT")
    publish(server, stream, "seen", ticker="AAPL", price="300")
    publish(server, stream, "hidden", ticker="MSFT")
    assert client.publications(stream, 1) == ["seen"]
    cable.pull()
    client.wait("subscribing", channel=stream)
    publish(server, stream, "hidden", ticker="MSFT")
    publish(server, stream, "missed", ticker="AAPL", price="300")
    publish(server, stream, "hidden", ticker="MSFT")
    cable.plug()
    client.wait("subscribed", channel=stream, was_recovering=True, recovered=True)
    assert client.publications(stream, 1) == ["missed"]
    publish(server, stream, "hidden", ticker="MSFT")
    publish(server, stream, "live", ticker="AAPL", price="300")
    assert client.publications(stream, 1) == ["live"]
    client.refuse("publication", "unsubscribed")


def test_a_namespace_may_not_have_it(launch: Launch, channel: str) -> None:
    client = launch()
    client.connect()
    client.command("subscribe", channel=channel, tags_filter=NOT_SOLD)
    client.wait("unsubscribed", channel=channel, code=107)


@pytest.mark.parametrize(
    "invalid",
    [
        {"key": "ticker", "cmp": "like", "val": "A"},
        {"key": "ticker", "cmp": "in"},
        {"op": "not", "nodes": [NOT_SOLD, NOT_SOLD]},
        {"op": "and"},
    ],
    ids=["unknown comparison", "no values", "not of two", "and of none"],
)
def test_one_that_makes_no_sense_is_refused(launch: Launch, channel: str, invalid: dict[str, Any]) -> None:
    client = launch()
    client.connect()
    client.command("subscribe", channel=f"stream:{channel}", tags_filter=invalid)
    client.wait("unsubscribed", channel=f"stream:{channel}", code=107)
