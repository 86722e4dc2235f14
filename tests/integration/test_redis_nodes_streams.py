"""Streams that several nodes write and read at the same time, over Redis."""

import base64
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import pytest

from tests.integration.redis_nodes import NodeClient, Nodes, Payloads
from tests.integration.workers import ApiConnection

EACH = 300
"""Publications of each publisher."""


def at_once(works: Sequence[Callable[[], None]]) -> None:
    """Do them in threads; the first failure is raised when all are done."""
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - raised below
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def publisher(api: ApiConnection, channel: str, number: int) -> Callable[[], None]:
    """Publishes at one node, in an order of its own."""

    def publish() -> None:
        for count in range(EACH):
            api.call("publish", channel=channel, data=[number, count], delta=True)

    return publish


@pytest.mark.parametrize("delta", [False, True], ids=["whole", "delta"])
def test_nodes_that_publish_at_once_make_one_stream(
    nodes: Nodes, stack: ExitStack, stream: str, delta: bool
) -> None:
    clients, apis = nodes.clients(stack), nodes.apis(stack)
    for client in clients:
        client.subscribe(stream, **({"delta": "fossil"} if delta else {}))
    at_once([publisher(api, stream, number) for number, api in enumerate(apis)])
    count = EACH * len(apis)
    history = apis[0].call("history", channel=stream, limit=-1)["publications"]
    assert [pub["offset"] for pub in history] == list(range(1, count + 1))
    for number in range(len(apis)):
        mine = [data[1] for data in (pub["data"] for pub in history) if data[0] == number]
        assert mine == list(range(EACH))
    for client in clients:
        decoder = Payloads()
        pushed = [client.push()["pub"] for _ in range(count)]
        payloads = [decoder.of(pub) if delta else pub["data"] for pub in pushed]
        assert [pub["offset"] for pub in pushed] == list(range(1, count + 1))
        assert payloads == [pub["data"] for pub in history]


def test_who_comes_and_goes_meanwhile_misses_nothing(nodes: Nodes, stack: ExitStack, stream: str) -> None:
    clients, apis = nodes.clients(stack), nodes.apis(stack)
    count = EACH * len(apis)

    def come_and_go(client: NodeClient) -> None:
        position = client.subscribe(stream)
        offset = position.get("offset", 0)
        while offset < count:
            for _ in range(min(3, count - offset)):
                offset += 1
                assert client.push()["pub"]["offset"] == offset
            client.command(unsubscribe={"channel": stream})
            while client.has_push():
                offset += 1
                assert client.push()["pub"]["offset"] == offset
            position = client.subscribe(stream, recover=True, epoch=position["epoch"], offset=offset)
            assert position["recovered"]
            for pub in position.get("publications", []):
                offset += 1
                assert pub["offset"] == offset

    publishers = [publisher(api, stream, number) for number, api in enumerate(apis)]
    at_once([*publishers, *((lambda client=client: come_and_go(client)) for client in clients)])


NAMES = (
    "a{b}c",
    "{}",
    "a.b.c",
    "with space",
    "-" * 200,
    "*?[a-z]",
    "a/b//c",
    "client.node.control",
    "\\r\\n",
)


def test_channels_of_every_name_are_kept_apart(nodes: Nodes, stack: ExitStack) -> None:
    channels = [f"stream:{name}" for name in NAMES]
    clients, apis = nodes.clients(stack), nodes.apis(stack)
    for client in clients:
        for channel in channels:
            client.subscribe(channel)
    for channel in channels:
        apis[0].call("publish", channel=channel, data=channel)
    for client in clients:
        pushes = [client.push() for _ in channels]  # those of different shards come in any order
        assert sorted((push["channel"], push["pub"]["data"]) for push in pushes) == sorted(
            zip(channels, channels, strict=True)
        )
    for channel in channels:
        history = apis[-1].call("history", channel=channel, limit=-1)
        assert [pub["data"] for pub in history["publications"]] == [channel]
        apis[-1].call("history_remove", channel=channel)


@pytest.mark.parametrize("size", [0, 1, 1000, 65_536, 500_000])
def test_payloads_of_every_size_arrive_as_they_are(
    nodes: Nodes, stack: ExitStack, stream: str, size: int
) -> None:
    clients, apis = nodes.clients(stack), nodes.apis(stack)
    payload = "ä" * (size // 2) + "\\u0000" * (size % 2)
    for client in clients:
        client.subscribe(stream)
    apis[0].call("publish", channel=stream, data=payload, tags={"größe": "ß"})
    apis[-1].call("publish", channel=stream, b64data=base64.b64encode(b' {"b": [1.50, null]}').decode())
    history = apis[-1].call("history", channel=stream, limit=-1)["publications"]
    for client in clients:
        pushed = [client.push()["pub"] for _ in range(2)]
        pushed[0].pop("epoch", None)  # which a stream's first publication has on the wire
        assert pushed == history
        assert pushed[0] == {"data": payload, "offset": 1, "tags": {"größe": "ß"}}
        assert pushed[1] == {"data": {"b": [1.5, None]}, "offset": 2}


def test_the_newest_publication_is_recovered_at_every_node(nodes: Nodes, stack: ExitStack, user: str) -> None:
    channel = f"cache:{user}"
    clients, apis = nodes.clients(stack), nodes.apis(stack)
    epoch = clients[0].subscribe(channel)["epoch"]
    for number, api in enumerate(apis):
        api.call("publish", channel=channel, data=number)
    for client in clients[1:]:
        result = client.subscribe(channel, recover=True, epoch=epoch, offset=0)
        assert result["recovered"]
        assert [pub["data"] for pub in result["publications"]] == [len(apis) - 1]


def test_who_is_subscribed_from_elsewhere_gets_what_it_missed(
    nodes: Nodes, stack: ExitStack, stream: str, user: str
) -> None:
    clients, apis = nodes.clients(stack, user), nodes.apis(stack)
    positions = [apis[0].call("publish", channel=stream, data=number) for number in range(5)]
    apis[-1].call("subscribe", user=user, channel=stream, recover_since=positions[1])
    for client in clients:
        assert client.push()["subscribe"]["offset"] == positions[1]["offset"]
        assert client.data(3) == [2, 3, 4]


def test_a_removed_history_begins_anew_everywhere(nodes: Nodes, stack: ExitStack, stream: str) -> None:
    clients, apis = nodes.clients(stack), nodes.apis(stack)
    first = apis[0].call("publish", channel=stream, data="before")
    apis[-1].call("history_remove", channel=stream)
    result = clients[-1].subscribe(stream, recover=True, epoch=first["epoch"], offset=0)
    assert (result.get("recovered", False), result.get("publications", [])) == (False, [])
    second = apis[0].call("publish", channel=stream, data="after")
    assert (second["offset"], second["epoch"]) == (first["offset"] + 1, first["epoch"])
    assert clients[-1].data(1) == ["after"]
