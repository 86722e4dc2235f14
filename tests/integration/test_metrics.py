"""What the daemon counts while real clients do known things, as Prometheus and its tools see it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from centrifast import __version__
from centrifast.metrics.metrics import ACTIONS
from tests.scraping import CountingWebSocket, Samples, key, scrape, scrape_until
from tests.sdk.driver import DriverPool, Sdk, SdkClient
from tests.server_process import ServerProcess

NODE = "centrifugo_node_"
CLIENT = "centrifugo_client_"

CONFIG: dict[str, Any] = {
    "prometheus": {
        "enabled": True,
        "instrument_http_handlers": True,
        "recovered_publications_histogram": True,
    },
    "client": {"ping_interval": "600s", "insecure": False},
    "channel": {
        "without_namespace": {
            "presence": True,
            "allow_presence_for_subscriber": True,
            "allow_presence_for_anonymous": True,
        },
        "namespaces": [
            {
                "name": "stream",
                "history_size": 10,
                "history_ttl": "60s",
                "force_recovery": True,
                "allow_subscribe_for_client": True,
                "allow_subscribe_for_anonymous": True,
                "allow_history_for_subscriber": True,
                "allow_history_for_anonymous": True,
            },
            {
                "name": "room",
                "join_leave": True,
                "force_push_join_leave": True,
                "allow_subscribe_for_client": True,
                "allow_subscribe_for_anonymous": True,
            },
            {
                "name": "tags",
                "allow_tags_filter": True,
                "allow_subscribe_for_client": True,
                "allow_subscribe_for_anonymous": True,
            },
            {"name": "closed"},
        ],
    },
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, CONFIG) as running:
        yield running


def rows(samples: Samples, name: str) -> dict[tuple[str, ...], float]:
    """The values of a family by those of its labels, which stand in the order of their names."""
    return {
        tuple(value for label, value in labels if label != "channel_namespace"): value
        for (found, labels), value in samples.items()
        if found == name
    }


def actions(samples: Samples) -> dict[str, float]:
    return {labels[0]: value for labels, value in rows(samples, f"{NODE}action_count").items()}


def traffic(samples: Samples, what: str) -> dict[str, float]:
    """By frame type; the only transport here is the WebSocket."""
    found = rows(samples, f"centrifugo_transport_messages_{what}")
    assert {transport for _, transport in found} <= {"websocket"}
    return {kind: value for (kind, _), value in found.items()}


def play(server: ServerProcess) -> tuple[CountingWebSocket, CountingWebSocket]:
    """Let two clients do something of every kind; both are gone at the end, one of them thrown out."""
    with CountingWebSocket(server.port) as one, CountingWebSocket(server.port) as two:
        one.connect(name="js", version="1.2")
        two.connect()
        for client in (one, two):
            client.subscribe("news")
            client.subscribe("room:1")
        assert ["join" in client.push() for client in (one, one, two)] == [True] * 3
        assert one.command(publish={"channel": "news", "data": {"a": 1}})["publish"] == {}
        for client in (one, two):
            assert client.push()["pub"]["data"] == {"a": 1}
        assert len(one.command(presence={"channel": "news"})["presence"]["presence"]) == 2
        assert one.command(presence_stats={"channel": "news"})["presence_stats"]["num_clients"] == 2
        assert one.command(subscribe={"channel": "closed:1"})["error"]["code"] == 103
        assert one.command(subscribe={"channel": "none:1"})["error"]["code"] == 102
        assert one.command(subscribe={"channel": "news"})["error"]["code"] == 105
        assert one.command(rpc={"method": "m"})["error"]["code"] == 108
        recover(server, one)
        server.api("unsubscribe", user="", channel="room:1")
        for client in (one, two):
            pushes = [client.push()]
            if "leave" in pushes[-1]:  # whoever goes last sees the other one go
                pushes.append(client.push())
            assert pushes[-1]["unsubscribe"]["code"] == 2000
        assert one.command(unsubscribe={"channel": "news"})["unsubscribe"] == {}
        two.send_text('{"id":100}')
        assert two.receive_close().close_code == 3501
        assert two.is_closed_by_peer()
        server.api("disconnect", user="", disconnect={"code": 4321, "reason": "mine"})
        assert one.receive_close().close_code == 4321
        assert one.is_closed_by_peer()
    return one, two


def recover(server: ServerProcess, client: CountingWebSocket) -> None:
    """Subscribe, miss two publications, get them; then ask for what nobody has."""
    epoch = client.subscribe("stream:1")["epoch"]
    client.command(unsubscribe={"channel": "stream:1"})
    for number in range(2):
        server.publish("stream:1", number)
    assert server.api("publish", channel="stream:1", data=2, idempotency_key="k")["result"]["offset"] == 3
    assert server.api("publish", channel="stream:1", data=3, idempotency_key="k")["result"]["offset"] == 3
    result = client.subscribe("stream:1", recover=True, epoch=epoch, offset=1)
    assert [publication["data"] for publication in result["publications"]] == [1, 2]
    assert client.command(history={"channel": "stream:1", "limit": 1})["history"]["offset"] == 3
    client.command(unsubscribe={"channel": "stream:1"})
    assert "recovered" not in client.subscribe("stream:1", recover=True, epoch="other", offset=1)


def everybody_is_gone(samples: Samples) -> bool:
    return samples[key(f"{NODE}num_clients")] == 0


def test_everything_that_happened_is_counted(server: ServerProcess) -> None:
    clients = play(server)
    samples = scrape_until(server, everybody_is_gone)
    assert traffic(samples, "sent") == clients[0].received + clients[1].received
    assert traffic(samples, "sent_size") == clients[0].received_size + clients[1].received_size
    assert traffic(samples, "received") == clients[0].sent + clients[1].sent
    assert traffic(samples, "received_size") == clients[0].sent_size + clients[1].sent_size


def test_what_the_node_did_is_counted(server: ServerProcess) -> None:
    play(server)
    samples = scrape_until(server, everybody_is_gone)
    assert rows(samples, f"{NODE}messages_sent_count") == {
        ("publication",): 5,
        ("join",): 2,
        ("leave",): 2,
        ("control",): 0,
    }
    assert rows(samples, f"{NODE}messages_received_count") == {
        ("publication",): 1,  # nobody was subscribed to the stream
        ("join",): 2,
        ("leave",): 1,  # with the last one went the interest in the channel
        ("control",): 0,
    }
    assert actions(samples) == {
        "add_client": 2,
        "remove_client": 2,
        "add_subscription": 7,
        "remove_subscription": 7,
        "broker_subscribe": 5,
        "broker_unsubscribe": 5,
        "add_presence": 2,
        "remove_presence": 2,
        "presence": 1,
        "presence_stats": 1,
        "history": 1,
        "history_recover": 2,
        "history_recover_cache": 0,
        "history_stream_top": 1,
        "history_remove": 0,
        "survey": 0,
    }
    assert set(actions(samples)) == set(ACTIONS)
    assert rows(samples, "centrifugo_broker_publish_suppressed_count") == {("idempotency",): 1}
    assert rows(samples, f"{NODE}broadcast_duration_seconds_count") == {
        ("publication",): 1,
        ("join",): 2,
        ("leave",): 1,
    }
    assert rows(samples, f"{NODE}pub_sub_lag_seconds_count") == {(): 1}
    assert rows(samples, f"{NODE}build") == {(__version__,): 1}
    assert rows(samples, f"{NODE}num_nodes") == {(): 1}


def test_what_clients_met_with_is_counted(server: ServerProcess) -> None:
    play(server)
    samples = scrape_until(server, everybody_is_gone)
    assert rows(samples, f"{CLIENT}num_reply_errors") == {
        ("103", "subscribe"): 1,
        ("102", "subscribe"): 1,
        ("105", "subscribe"): 1,
        ("108", "rpc"): 1,
    }
    assert rows(samples, f"{CLIENT}num_server_unsubscribes") == {("2000",): 2}
    assert rows(samples, f"{CLIENT}num_server_disconnects") == {("3501",): 1, ("unknown",): 1}
    assert rows(samples, "centrifugo_transport_outgoing_close_count") == {
        ("3501", "websocket"): 1,
        ("unknown", "websocket"): 1,
    }
    assert rows(samples, f"{CLIENT}recover") == {("yes", "yes"): 1, ("no", "no"): 1}
    assert rows(samples, f"{CLIENT}recovered_publications_count") == {(): 1}
    assert rows(samples, f"{CLIENT}recovered_publications_sum") == {(): 2}
    assert rows(samples, f"{CLIENT}connections_accepted") == {
        ("", "unnamed", "unversioned", "websocket"): 1,
        ("", "unregistered", "unregistered", "websocket"): 1,
    }
    expected = {
        "connect": 2,
        "subscribe": 10,
        "unsubscribe": 3,
        "publish": 1,
        "presence": 1,
        "presence_stats": 1,
        "history": 1,
        "rpc": 1,
        "send": 0,
        "refresh": 0,
        "sub_refresh": 0,
        "unknown": 1,
    }
    for name in ("command_duration_seconds_count", "command_duration_seconds_histogram_count"):
        assert rows(samples, CLIENT + name) == {(method,): count for method, count in expected.items()}


def test_calls_and_requests_are_counted(server: ServerProcess) -> None:
    play(server)
    assert server.api("publish", channel="none:1", data=1)["error"]["code"] == 102
    assert server.request("POST", "/api/publish", b"{}", {})[0] == 401
    assert server.get("/favicon.ico")[0] == 404
    assert server.request("BREW", "/metrics", None, {})[0] == 405
    scrape(server)
    samples = scrape(server)
    assert rows(samples, "centrifugo_api_command_errors_total") == {("102", "publish", "http"): 1}
    for name in ("", "_histogram"):
        counts = rows(samples, f"centrifugo_api_command_duration_seconds{name}_count")
        assert counts == {("publish", "http"): 5, ("unsubscribe", "http"): 1, ("disconnect", "http"): 1}
    requests = rows(samples, f"{NODE}incoming_http_requests_total")
    health = requests.pop(("GET", "/health", "200"))
    assert health >= 1, "asked until the server answered"
    assert requests.pop(("GET", "/metrics", "200")) == 1, "the one before"
    assert requests == {
        ("GET", "/connection/websocket", "101"): 2,
        ("POST", "/api/publish", "200"): 5,
        ("POST", "/api/publish", "401"): 1,
        ("POST", "/api/unsubscribe", "200"): 1,
        ("POST", "/api/disconnect", "200"): 1,
        ("GET", "unknown", "404"): 1,
        ("unknown", "/metrics", "405"): 1,
    }


def test_gauges_rise_with_what_is_there_and_fall_to_nothing(server: ServerProcess) -> None:
    with CountingWebSocket(server.port) as one, CountingWebSocket(server.port) as two:
        one.connect(name="js")
        two.connect(version="1")
        for client, channel in ((one, "a"), (one, "b"), (two, "b")):
            client.subscribe(channel)
        samples = scrape(server)
        names = ("clients", "users", "subscriptions", "channels")
        assert [samples[key(f"{NODE}num_{name}")] for name in names] == [2, 1, 3, 2]
        assert rows(samples, f"{CLIENT}connections_inflight") == {
            ("", "unregistered", "unversioned", "websocket"): 1,
            ("", "unnamed", "unregistered", "websocket"): 1,
        }
        assert rows(samples, f"{CLIENT}subscriptions_inflight") == {("unregistered",): 2, ("unnamed",): 1}
    samples = scrape_until(server, everybody_is_gone)
    assert [samples[key(f"{NODE}num_{name}")] for name in names] == [0, 0, 0, 0]
    for name in ("connections_inflight", "subscriptions_inflight"):
        assert set(rows(samples, CLIENT + name).values()) == {0}
    assert samples[key("centrifugo_outbox_bytes")] == samples[key("centrifugo_drain_length")] == 0


def test_pings_are_counted_and_round_trips_measured(tmp_path: Path) -> None:
    with (
        ServerProcess(
            tmp_path,
            {"prometheus": {"enabled": True}, "client": {"ping_interval": "1s", "pong_timeout": "800ms"}},
        ) as server,
        CountingWebSocket(server.port) as client,
    ):
        client.connect()
        for number in (1, 2):
            while client.received["server_ping"] < number:
                client.receive()
            client.send_text("{}")
        client.command(rpc={"method": "m"})  # the pong has been read when this is answered
        samples = scrape(server)
        assert traffic(samples, "received")["client_pong"] == 2
        assert traffic(samples, "received_size")["client_pong"] == 4
        assert traffic(samples, "sent")["server_ping"] >= 2
        assert rows(samples, f"{CLIENT}ping_pong_duration_seconds_count") == {("websocket",): 1}
        assert 0 < rows(samples, f"{CLIENT}ping_pong_duration_seconds_sum")[("websocket",)] < 60


def test_filtered_publications_are_counted_for_each_subscriber(server: ServerProcess) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(CountingWebSocket(server.port)) for _ in range(3)]
        for client in clients:
            client.connect()
            client.subscribe("tags:1", tf={"key": "k", "cmp": "eq", "val": "a"})
        server.api("publish", channel="tags:1", data=1, tags={"k": "b"})
        server.api("publish", channel="tags:1", data=2, tags={"k": "a"})
        assert [client.push()["pub"]["data"] for client in clients] == [2, 2, 2]
        samples = scrape(server)
        assert rows(samples, f"{NODE}tags_filter_dropped_publications") == {(): 3}
        assert traffic(samples, "sent")["push_publication"] == 3


def test_refused_connections_are_counted(tmp_path: Path) -> None:
    with (
        ServerProcess(
            tmp_path, {"prometheus": {"enabled": True}, "client": {"connection_limit": 1}}
        ) as server,
        CountingWebSocket(server.port) as client,
    ):
        client.connect()
        for _ in range(2):
            with CountingWebSocket(server.port) as refused:
                assert refused.status == 503
        assert rows(scrape(server), f"{NODE}client_connection_limit") == {(): 2}


@pytest.mark.parametrize("sdk", [Sdk("python", "protobuf"), Sdk("javascript", "json")], ids=str)
def test_a_real_client_is_counted(server: ServerProcess, sdk: Sdk, tmp_path: Path) -> None:
    with DriverPool(tmp_path) as pool:
        client = SdkClient(pool, sdk, server.url)
        client.connect()
        client.subscribe("news")
        server.publish("news", {"a": 1})
        client.wait("publication")
        samples = scrape(server)
        assert traffic(samples, "sent") == {"connect": 1, "subscribe": 1, "push_publication": 1}
        assert traffic(samples, "received") == {"connect": 1, "subscribe": 1}
        ((labels, count),) = rows(samples, f"{CLIENT}connections_inflight").items()
        assert (labels[1], count) == ("unregistered", 1)
        client.close()


def test_info_shows_metrics_from_the_first_second_on(server: ServerProcess) -> None:
    (node,) = server.api("info")["result"]["nodes"]
    assert node["metrics"]["interval"] == 60
    items = node["metrics"]["items"]
    assert items["centrifugo.node.num_clients"] == 0
    assert items["centrifugo.node.messages_sent_count.type.publication"] == 0
    server.publish("news", 1)
    (node,) = server.api("info")["result"]["nodes"]
    items = node["metrics"]["items"]
    assert items["centrifugo.node.messages_sent_count.type.publication"] == 1
    assert items["centrifugo.api.command_duration_seconds.count.method.publish.protocol.http"] == 1
    assert not any("_histogram" in name for name in items)


def test_graphite_is_pushed_to(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as carbon:
        changes = {
            "graphite": {
                "enabled": True,
                "host": "127.0.0.1",
                "port": carbon.getsockname()[1],
                "interval": "200ms",
            },
            "node": {"name": "one"},
        }
        with ServerProcess(tmp_path, changes) as server:
            server.publish("news", 1)
            published = []
            while "1" not in published:
                lines = pushed(carbon)
                published.append(lines["centrifugo.one.centrifugo.node.messages_sent_count.type.publication"])
            lines = pushed(carbon)
            assert lines["centrifugo.one.centrifugo.node.messages_sent_count.type.publication"] == "0", (
                "as before"
            )
            assert lines["centrifugo.one.centrifugo.node.num_nodes"] == "1"


def pushed(carbon: socket.socket) -> dict[str, str]:
    """What comes over the next connection: values by path."""
    connection, _ = carbon.accept()
    with connection, connection.makefile() as lines:
        return {path: value for path, value, _ in map(str.split, lines)}
