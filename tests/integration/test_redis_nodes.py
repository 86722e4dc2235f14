"""Nodes on the same Redis: that nobody can tell which one they are at, whatever the shape of the deployment."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from tests.integration.daemon import WAIT, Daemon, eventually
from tests.integration.redis_nodes import NodeClient, Nodes, Payloads
from tests.scraping import key, scrape_until


def test_what_the_api_publishes_at_one_node_comes_to_all(nodes: Nodes, stack: ExitStack, stream: str) -> None:
    clients, apis = nodes.clients(stack), nodes.apis(stack)
    for client in clients:
        client.subscribe(stream)
    for number, api in enumerate(apis):
        assert api.call("publish", channel=stream, data=number)["offset"] == number + 1
    for client in clients:
        assert client.data(len(apis)) == list(range(len(apis)))


def test_what_a_client_publishes_comes_to_all_and_names_it(
    nodes: Nodes, stack: ExitStack, stream: str, user: str
) -> None:
    clients = nodes.clients(stack, user)
    for client in clients:
        client.subscribe(stream)
    for client in clients:
        assert "error" not in client.command(publish={"channel": stream, "data": client.id})
    for client in clients:
        for publisher in clients:
            pub = client.push()["pub"]
            assert (pub["data"], pub["info"]) == (publisher.id, {"client": publisher.id, "user": user})


def test_many_channels_are_shared_out_and_all_arrive(nodes: Nodes, stack: ExitStack, stream: str) -> None:
    channels = [f"{stream}:{number}" for number in range(50)]
    clients, apis = nodes.clients(stack), nodes.apis(stack)
    for client in clients:
        for channel in channels:
            client.subscribe(channel)
    for api in apis:
        responses = api.call("broadcast", channels=channels, data="all")["responses"]
        assert all("result" in response for response in responses)
    for client in clients:
        heard = [client.push()["channel"] for _ in range(len(channels) * len(apis))]
        assert sorted(heard) == sorted(channels * len(apis))


def test_presence_is_the_same_everywhere(nodes: Nodes, stack: ExitStack, room: str, user: str) -> None:
    clients, apis = nodes.clients(stack, user), nodes.apis(stack)
    anonymous = nodes.clients(stack)
    for client in (*clients, *anonymous):
        client.subscribe(room)
    expected = {client.id: {"client": client.id, "user": user} for client in clients}
    expected |= {client.id: {"client": client.id, "user": ""} for client in anonymous}
    for api in apis:
        presence = api.call("presence", channel=room)["presence"]
        assert {id: {"user": "", **info} for id, info in presence.items()} == expected
        stats = api.call("presence_stats", channel=room)
        assert stats == {"num_clients": len(expected), "num_users": 2}
    for client in clients:
        assert set(client.command(presence={"channel": room})["presence"]["presence"]) == set(expected)
        stats = client.command(presence_stats={"channel": room})["presence_stats"]
        assert stats == {"num_clients": len(expected), "num_users": 2}
    for client in anonymous:
        client.command(unsubscribe={"channel": room})
    left = {client.id for client in clients}
    for api in apis:
        eventually(lambda: set(api.call("presence", channel=room)["presence"]) == left, "who left to be gone")  # noqa: B023


def test_joins_and_leaves_come_from_every_node(nodes: Nodes, stack: ExitStack, room: str, user: str) -> None:
    watchers = nodes.clients(stack)
    for number, watcher in enumerate(watchers):
        watcher.subscribe(room)
        for earlier in watchers[: number + 1]:
            assert earlier.push()["join"]["info"]["client"] == watcher.id
    with ExitStack() as leaving:
        comers = nodes.clients(leaving, user)
        for comer in comers:
            comer.subscribe(room)
            for watcher in watchers:
                assert watcher.push()["join"]["info"] == {"client": comer.id, "user": user}
        comers[0].command(unsubscribe={"channel": room})
        for watcher in watchers:
            assert watcher.push()["leave"]["info"] == {"client": comers[0].id, "user": user}
    for watcher in watchers:
        gone = {watcher.push()["leave"]["info"]["client"] for _ in comers[1:]}
        assert gone == {comer.id for comer in comers[1:]}


def test_history_is_the_same_everywhere(nodes: Nodes, stack: ExitStack, stream: str) -> None:
    clients, apis = nodes.clients(stack), nodes.apis(stack)
    for number, api in enumerate(apis):
        api.call("publish", channel=stream, data={"n": number}, tags={"k": "v"})
    histories = [api.call("history", channel=stream, limit=-1) for api in apis]
    assert [pub["data"] for pub in histories[0]["publications"]] == [{"n": n} for n in range(len(apis))]
    assert histories == [histories[0]] * len(apis)
    for client in clients:
        client.subscribe(stream)
        read = client.command(history={"channel": stream, "limit": -1})["history"]
        assert read["publications"] == histories[0]["publications"]
    apis[0].call("history_remove", channel=stream)
    assert not apis[-1].call("history", channel=stream, limit=-1).get("publications")


def test_a_key_is_known_at_every_node(nodes: Nodes, stack: ExitStack, stream: str) -> None:
    clients, apis = nodes.clients(stack), nodes.apis(stack)
    for client in clients:
        client.subscribe(stream)
    results = [api.call("publish", channel=stream, data="once", idempotency_key="key") for api in apis]
    assert results == [results[0]] * len(apis)
    apis[-1].call("publish", channel=stream, data="after")
    for client in clients:
        assert client.data(2) == ["once", "after"]


def test_channels_are_counted_over_all_nodes(nodes: Nodes, stack: ExitStack, room: str) -> None:
    clients = nodes.clients(stack)
    for client in clients:
        client.subscribe(room)
        client.subscribe(f"{room}:{client.id}")
    expected = {room: {"num_clients": len(clients)}}
    expected |= {f"{room}:{client.id}": {"num_clients": 1} for client in clients}
    for api in nodes.apis(stack):
        assert api.call("channels", pattern=f"{room}*")["channels"] == expected


def test_info_lists_every_node_under_a_name_of_its_own(nodes: Nodes, stack: ExitStack) -> None:
    nodes.clients(stack)
    apis = nodes.apis(stack)
    listed = [{node["uid"]: node["name"] for node in api.call("info")["nodes"]} for api in apis]
    assert len(set(listed[0].values())) == len(listed[0]) == len(apis)
    assert listed == [listed[0]] * len(apis)
    for api in apis:
        eventually(lambda: all(node["num_clients"] for node in api.call("info")["nodes"]), "clients")  # noqa: B023


def test_every_node_is_in_the_statistics_with_its_clients(nodes: Nodes, stack: ExitStack) -> None:
    nodes.clients(stack)
    for api in nodes.apis(stack):
        found = api.call("stats")["nodes"]
        assert {node["uid"] for node in found} == {node["uid"] for node in api.call("info")["nodes"]}
        assert all(node["num_clients"] for node in found)


def test_who_watches_a_channel_sees_what_other_nodes_publish(
    nodes: Nodes, stack: ExitStack, stream: str
) -> None:
    watchers = [stack.enter_context(watching(daemon.port, stream)) for daemon in nodes.daemons]
    for number, api in enumerate(nodes.apis(stack)):
        api.call("publish", channel=stream, data=number)
        for watcher in watchers:
            event = json.loads(watcher.readline())
            assert (event["event"], event["offset"], event["data"]) == ("publication", number + 1, number)


@contextmanager
def watching(port: int, channel: str) -> Iterator[http.client.HTTPResponse]:
    """An answer of ``/api/tail`` that has begun."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
    with closing(connection):
        connection.request("POST", "/api/tail", json.dumps({"channel": channel}), {"X-API-Key": "key"})
        answer = connection.getresponse()
        assert json.loads(answer.readline())["event"] == "open"
        yield answer


def test_every_node_is_ready(nodes: Nodes) -> None:
    for daemon in nodes.daemons:
        assert daemon.get("/health/ready") == (200, b"{}")


def test_metrics_are_those_of_the_daemon_that_is_asked(nodes: Nodes, stack: ExitStack) -> None:
    clients = "centrifugo_node_num_clients"
    near, far = nodes.daemons
    eventually(lambda: all(scrape_once(daemon, clients) == 0 for daemon in (near, far)), "clients to be gone")
    for daemon, count in ((near, 6), (far, 7)):
        for _ in range(count):
            stack.enter_context(NodeClient(daemon.port)).sign_in()
    scrape_until(far, lambda samples: samples[key(clients)] == 7)
    scrape_until(near, lambda samples: samples[key(clients)] == 6)


def scrape_once(daemon: Daemon, name: str) -> float:
    return scrape_until(daemon, lambda samples: True)[key(name)]


def test_a_position_is_the_same_everywhere(nodes: Nodes, stack: ExitStack, stream: str) -> None:
    clients, apis = nodes.clients(stack), nodes.apis(stack)
    before = clients[0].subscribe(stream)
    for number in range(10):
        apis[number % len(apis)].call("publish", channel=stream, data=number)
    for client in clients[1:]:
        result = client.subscribe(stream, recover=True, epoch=before["epoch"], offset=4)
        assert result["recovered"]
        assert [pub["data"] for pub in result["publications"]] == [4, 5, 6, 7, 8, 9]
        assert [pub["offset"] for pub in result["publications"]] == [5, 6, 7, 8, 9, 10]
        assert result["epoch"] == before["epoch"]


def test_deltas_are_made_at_every_node(nodes: Nodes, stack: ExitStack, stream: str) -> None:
    clients, apis = nodes.clients(stack), nodes.apis(stack)
    for client in clients:
        assert client.subscribe(stream, delta="fossil")["delta"]
    payloads = [{"text": "much that stays the same " * 20, "number": number} for number in range(6)]
    for number, payload in enumerate(payloads):
        apis[number % len(apis)].call("publish", channel=stream, data=payload, delta=True)
    for client in clients:
        pushes = [client.push()["pub"] for _ in payloads]
        assert [pub.get("delta", False) for pub in pushes] == [False] + [True] * 5
        decoder = Payloads()
        assert [decoder.of(pub) for pub in pushes] == payloads


# ------------------------------------------------- what the API does to clients


def test_a_user_is_subscribed_wherever_it_is(nodes: Nodes, stack: ExitStack, stream: str, user: str) -> None:
    clients, apis = nodes.clients(stack, user), nodes.apis(stack)
    others = nodes.clients(stack, f"{user}-2")
    channels = [f"{stream}:{number}" for number in range(len(apis))]
    for api, channel in zip(apis, channels, strict=True):
        api.call("subscribe", user=user, channel=channel, data={"for": channel})
    for client in clients:
        pushes = [client.push() for _ in channels]
        assert sorted((push["channel"], push["subscribe"]["data"]["for"]) for push in pushes) == sorted(
            zip(channels, channels, strict=True)
        )
    for channel in channels:
        apis[0].call("publish", channel=channel, data="for all")
    for client in clients:
        assert client.data(len(channels)) == ["for all"] * len(channels)
    for client in others:
        client.subscribe(stream)
        apis[0].call("publish", channel=stream, data=client.id)
        assert client.data(1) == [client.id]  # and nothing before


def test_a_user_is_unsubscribed_wherever_it_is(
    nodes: Nodes, stack: ExitStack, stream: str, user: str
) -> None:
    clients, apis = nodes.clients(stack, user), nodes.apis(stack)
    others = nodes.clients(stack)
    channels = [f"{stream}:{number}" for number in range(len(apis))]
    for client in (*clients, *others):
        for channel in channels:
            client.subscribe(channel)
    for api, channel in zip(apis, channels, strict=True):
        api.call("unsubscribe", user=user, channel=channel)
    for client in clients:
        pushes = [client.push() for _ in channels]
        assert sorted((push["channel"], push["unsubscribe"]["code"]) for push in pushes) == [
            (channel, 2000) for channel in channels
        ]
    for channel in channels:
        apis[0].call("publish", channel=channel, data="for others")
    for client in others:
        assert client.data(len(channels)) == ["for others"] * len(channels)


def test_a_user_is_disconnected_wherever_it_is(nodes: Nodes, stack: ExitStack, user: str) -> None:
    for number in range(len(nodes.apis(stack))):
        clients, others = nodes.clients(stack, user), nodes.clients(stack)
        nodes.apis(stack)[number].call("disconnect", user=user, disconnect={"code": 4242, "reason": "enough"})
        for client in clients:
            closed = client.receive_close()
            assert (closed.close_code, closed.payload[2:]) == (4242, b"enough")
        assert all_answer(others)


def test_the_anonymous_user_is_disconnected_wherever_it_is(nodes: Nodes, stack: ExitStack, user: str) -> None:
    clients, others = nodes.clients(stack), nodes.clients(stack, user)
    nodes.apis(stack)[-1].call("disconnect", user="")
    assert [client.receive_close().close_code for client in clients] == [3503] * len(clients)
    assert all_answer(others)


def test_who_is_on_the_whitelist_stays(nodes: Nodes, stack: ExitStack, user: str) -> None:
    clients, spared = nodes.clients(stack, user), nodes.clients(stack, user)
    nodes.apis(stack)[0].call("disconnect", user=user, whitelist=[client.id for client in spared])
    assert [client.receive_close().close_code for client in clients] == [3503] * len(clients)
    assert all_answer(spared)


def test_one_client_is_disconnected_by_its_id(nodes: Nodes, stack: ExitStack, user: str) -> None:
    clients, others = nodes.clients(stack, user), nodes.clients(stack, user)
    for client in clients:
        nodes.apis(stack)[0].call("disconnect", user=user, client=client.id)
        assert client.receive_close().close_code == 3503
    assert all_answer(others)


def test_connections_are_refreshed_wherever_they_are(nodes: Nodes, stack: ExitStack, user: str) -> None:
    expire_at = int(time.time()) + 3600
    for api in nodes.apis(stack):
        clients = nodes.clients(stack, user, exp=expire_at)
        api.call("refresh", user=user, expire_at=expire_at + 3600)
        for client in clients:
            refresh = client.push()["refresh"]
            assert refresh["expires"]
            assert refresh["ttl"] > 3600
        api.call("refresh", user=user, expired=True)
        assert [client.receive_close().close_code for client in clients] == [3005] * len(clients)


def all_answer(clients: list[NodeClient]) -> bool:
    """Whether they are connected still."""
    return all("error" in client.command(rpc={"method": "none"}) for client in clients)
