"""The official Python library for the server API, unmodified, as synchronous and as asynchronous client."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import cent
import pytest

from tests.sdk.conftest import Launch, token
from tests.sdk.driver import Sdk
from tests.server_process import ServerProcess

Call = Callable[..., Any]
"""Makes one API call: name of the method, then the request; ``key`` to use another one."""


@pytest.fixture(params=[Sdk("python", "json")], ids="-".join)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    """The library of the connections that the API does something with; which one does not matter."""
    sdk: Sdk = request.param
    return sdk


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[Call]:
    """One API call with a client of this kind."""
    url = f"http://127.0.0.1:{server.port}/api"

    def call(method: str, api_request: Any, *, key: str = "key") -> Any:
        with cent.Client(url, key, timeout=20) as client:
            return getattr(client, method)(api_request)

    async def call_async(method: str, api_request: Any, *, key: str = "key") -> Any:
        async with cent.AsyncClient(url, key, timeout=20) as client:
            return await getattr(client, method)(api_request)

    if request.param == "sync":
        yield call
    else:
        with asyncio.Runner() as runner:
            yield lambda *arguments, **options: runner.run(call_async(*arguments, **options))


def test_publish_reaches_the_subscriber(call: Call, launch: Launch, channel: str) -> None:
    client = launch()
    client.connect()
    client.subscribe(channel)
    result = call("publish", cent.PublishRequest(channel=channel, data={"n": 1}))
    assert (result.offset, result.epoch) == (0, "")
    client.wait("publication", channel=channel, data={"n": 1})


def test_publish_with_history_returns_the_position(call: Call, channel: str) -> None:
    results = [
        call("publish", cent.PublishRequest(channel=f"history:{channel}", data=number)) for number in range(2)
    ]
    assert [result.offset for result in results] == [1, 2]
    assert results[0].epoch == results[1].epoch != ""


def test_broadcast_reaches_all_channels(call: Call, launch: Launch, channel: str) -> None:
    channels = [f"{channel}-a", f"{channel}-b"]
    client = launch()
    client.connect()
    for name in channels:
        client.subscribe(name)
    result = call("broadcast", cent.BroadcastRequest(channels=channels, data="all"))
    assert [response.error for response in result.responses] == [None, None]
    for name in channels:
        client.wait("publication", channel=name, data="all")


def test_broadcast_reports_errors_by_channel(call: Call, channel: str) -> None:
    result = call("broadcast", cent.BroadcastRequest(channels=[channel, f"absent:{channel}"], data=1))
    errors = [response.error and response.error.code for response in result.responses]
    assert errors == [None, 102]


def test_info_counts_clients(call: Call, launch: Launch, channel: str) -> None:
    client = launch()
    client.connect()
    client.subscribe(channel)
    (node,) = call("info", cent.InfoRequest()).nodes
    assert node.uid
    assert node.name
    assert node.version
    assert node.num_clients >= 1
    assert node.num_subs >= 1
    assert node.num_channels >= 1


def test_channels_lists_those_with_subscribers(call: Call, launch: Launch, channel: str) -> None:
    clients = [launch(), launch()]
    for client in clients:
        client.connect()
        client.subscribe(channel)
    channels = call("channels", cent.ChannelsRequest(pattern="channel-*")).channels
    assert channels[channel].num_clients == 2


def test_subscribe_and_unsubscribe_a_user(call: Call, launch: Launch, channel: str, user: str) -> None:
    client = launch(token(sub=user))
    client.connect()
    call("subscribe", cent.SubscribeRequest(user=user, channel=channel))
    client.wait("server_subscribed", channel=channel)
    call("unsubscribe", cent.UnsubscribeRequest(user=user, channel=channel))
    client.wait("server_unsubscribed", channel=channel)


def test_disconnect_a_user(call: Call, launch: Launch, user: str) -> None:
    client = launch(token(sub=user))
    client.connect()
    reason = cent.Disconnect(code=4500, reason="enough")
    call("disconnect", cent.DisconnectRequest(user=user, disconnect=reason))
    client.wait("disconnected", code=4500, reason="enough")


@pytest.mark.parametrize("parallel", [False, True])
def test_batch_answers_in_order(call: Call, launch: Launch, channel: str, *, parallel: bool) -> None:
    client = launch()
    client.connect()
    client.subscribe(channel)
    requests = [
        cent.PublishRequest(channel=channel, data="batched"),
        cent.ChannelsRequest(pattern=channel),
        cent.BroadcastRequest(channels=[channel], data="batched as well"),
    ]
    publish, channels, broadcast = call(
        "batch", cent.BatchRequest(requests=requests, parallel=parallel)
    ).replies
    assert publish.offset == 0
    assert channels.channels[channel].num_clients == 1
    assert [response.error for response in broadcast.responses] == [None]
    for data in ("batched", "batched as well"):
        client.wait("publication", data=data)


def test_a_wrong_key_is_unauthorized(call: Call, channel: str) -> None:
    with pytest.raises(cent.CentUnauthorizedError):
        call("publish", cent.PublishRequest(channel=channel, data=1), key="wrong")


def test_an_unknown_namespace_is_an_api_error(call: Call, channel: str) -> None:
    with pytest.raises(cent.CentApiResponseError, match="unknown channel") as failure:
        call("publish", cent.PublishRequest(channel=f"absent:{channel}", data=1))
    assert failure.value.code == 102


def test_an_empty_channel_is_a_bad_request(call: Call) -> None:
    with pytest.raises(cent.CentApiResponseError) as failure:
        call("publish", cent.PublishRequest(channel="", data=1))
    assert failure.value.code == 107
