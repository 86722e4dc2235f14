"""The official Python library for the server API, unmodified, as synchronous and as asynchronous client."""

import asyncio
import base64
import time
from collections.abc import Callable, Iterator
from typing import Any

import cent
import pytest

from tests.sdk.conftest import SHARED_CONFIG, Launch, clean_server, token
from tests.sdk.driver import Sdk
from tests.server_process import BASE_CONFIG, WORKERS, ServerProcess

NAMESPACES = [
    *BASE_CONFIG["channel"]["namespaces"],
    {
        "name": "present",
        "presence": True,
        "allow_subscribe_for_client": True,
        "allow_subscribe_for_anonymous": True,
    },
    {
        "name": "shared",
        "history_size": 10,
        "history_ttl": "60s",
        "allow_subscribe_for_client": True,
        "allow_publish_for_subscriber": True,
    },
]

Call = Callable[..., Any]
"""Makes one API call: name of the method, then the request; ``key`` to use another one."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The daemon of these tests, with presence in one namespace."""
    config = SHARED_CONFIG | {"channel": {"namespaces": NAMESPACES}}
    with clean_server(tmp_path_factory.mktemp("cent"), config) as server:
        yield server


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
    nodes = call("info", cent.InfoRequest()).nodes
    assert len({node.uid for node in nodes}) == len({node.name for node in nodes}) == WORKERS
    assert all(node.uid and node.name and node.version for node in nodes)
    assert sum(node.num_clients for node in nodes) >= 1
    assert sum(node.num_subs for node in nodes) >= 1
    assert sum(node.num_channels for node in nodes) >= 1


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


# ---------------------------------------------------------- publish options


def test_a_known_idempotency_key_publishes_nothing(call: Call, channel: str) -> None:
    request = cent.PublishRequest(channel=f"history:{channel}", data=1, idempotency_key="key")
    assert [call("publish", request).offset for _ in range(2)] == [1, 1]
    result = call("history", cent.HistoryRequest(channel=f"history:{channel}", limit=-1))
    assert [publication.data for publication in result.publications] == [1]


def test_skip_history_keeps_nothing(call: Call, channel: str) -> None:
    request = cent.PublishRequest(channel=f"history:{channel}", data=1, skip_history=True)
    assert call("publish", request).offset == 0
    assert call("history", cent.HistoryRequest(channel=f"history:{channel}", limit=-1)).publications == []


def test_base64_data_wins(call: Call, channel: str) -> None:
    encoded = base64.b64encode(b'{"from": "base64"}').decode()
    call("publish", cent.PublishRequest(channel=f"history:{channel}", data=1, b64data=encoded))
    (publication,) = call("history", cent.HistoryRequest(channel=f"history:{channel}", limit=-1)).publications
    assert publication.data == {"from": "base64"}


def test_broadcast_takes_the_same_options(call: Call, channel: str) -> None:
    names = [f"history:{channel}-{letter}" for letter in "ab"]
    request = cent.BroadcastRequest(channels=names, data=1, tags={"a": "b"}, idempotency_key="key")
    for _ in range(2):
        assert [response.result.offset for response in call("broadcast", request).responses] == [1, 1]
    for name in names:
        (publication,) = call("history", cent.HistoryRequest(channel=name, limit=-1)).publications
        assert (publication.data, publication.tags) == (1, {"a": "b"})


# ------------------------------------------------------------------ history


@pytest.fixture
def stream(call: Call, channel: str) -> str:
    """A channel with four publications."""
    name = f"history:{channel}"
    for number in range(1, 5):
        call("publish", cent.PublishRequest(channel=name, data={"n": number}, tags={"n": str(number)}))
    return name


@pytest.mark.parametrize(
    ("options", "offsets"),
    [
        ({}, []),
        ({"limit": 0}, []),
        ({"limit": 2}, [1, 2]),
        ({"limit": -1}, [1, 2, 3, 4]),
        ({"limit": -1, "reverse": True}, [4, 3, 2, 1]),
        ({"limit": 2, "since": cent.StreamPosition(offset=1)}, [2, 3]),
        ({"limit": 2, "since": cent.StreamPosition(offset=3), "reverse": True}, [2, 1]),
        ({"limit": -1, "since": cent.StreamPosition(offset=4)}, []),
        ({"limit": -1, "since": cent.StreamPosition(offset=9)}, []),
    ],
)
def test_history(call: Call, stream: str, options: dict[str, Any], offsets: list[int]) -> None:
    result = call("history", cent.HistoryRequest(channel=stream, **options))
    assert [publication.offset for publication in result.publications] == offsets
    for publication in result.publications:
        assert publication.data == {"n": publication.offset}
        assert publication.tags == {"n": str(publication.offset)}
        assert publication.info is None
    assert result.offset == 4
    assert len(result.epoch) == 8


@pytest.mark.parametrize(
    ("since", "reverse", "code"),
    [
        (cent.StreamPosition(offset=1, epoch="other"), False, 112),
        (cent.StreamPosition(offset=0), True, 107),
    ],
)
def test_a_history_that_can_not_be_read(
    call: Call, stream: str, since: cent.StreamPosition, code: int, *, reverse: bool
) -> None:
    request = cent.HistoryRequest(channel=stream, limit=1, since=since, reverse=reverse)
    with pytest.raises(cent.CentApiResponseError) as failure:
        call("history", request)
    assert failure.value.code == code


def test_history_shows_who_has_published(call: Call, launch: Launch, channel: str, user: str) -> None:
    name = f"shared:{channel}"
    client = launch(token(sub=user, info={"name": "someone"}))
    identifier = client.connect()
    client.subscribe(name)
    client.command("publish", channel=name, data="from a client")
    client.wait("result")
    (publication,) = call("history", cent.HistoryRequest(channel=name, limit=-1)).publications
    assert publication.data == "from a client"
    assert publication.info is not None
    assert (publication.info.user, publication.info.client) == (user, identifier)
    assert publication.info.conn_info == {"name": "someone"}
    assert publication.info.chan_info is None


def test_history_remove_keeps_the_position(call: Call, stream: str) -> None:
    before = call("history", cent.HistoryRequest(channel=stream, limit=-1))
    call("history_remove", cent.HistoryRemoveRequest(channel=stream))
    after = call("history", cent.HistoryRequest(channel=stream, limit=-1))
    assert after.publications == []
    assert (after.offset, after.epoch) == (before.offset, before.epoch)
    assert call("publish", cent.PublishRequest(channel=stream, data=5)).offset == 5


# ----------------------------------------------------------------- presence


def test_presence_shows_clients_and_their_infos(call: Call, launch: Launch, channel: str, user: str) -> None:
    name = f"present:{channel}"
    client = launch(token(sub=user, info={"name": "someone"}))
    identifier = client.connect()
    call("subscribe", cent.SubscribeRequest(user=user, channel=name, info={"seat": 7}))
    client.wait("server_subscribed", channel=name)
    other = launch()
    other_identifier = other.connect()
    other.subscribe(name)

    presence = call("presence", cent.PresenceRequest(channel=name)).presence
    assert presence.keys() == {identifier, other_identifier}
    first, second = presence[identifier], presence[other_identifier]
    assert (first.user, first.client) == (user, identifier)
    assert (first.conn_info, first.chan_info) == ({"name": "someone"}, {"seat": 7})
    assert (second.user, second.client) == ("", other_identifier)
    assert (second.conn_info, second.chan_info) == (None, None)

    stats = call("presence_stats", cent.PresenceStatsRequest(channel=name))
    assert (stats.num_clients, stats.num_users) == (2, 2)
    other.command("unsubscribe", channel=name)
    other.wait("unsubscribed", channel=name)
    call("unsubscribe", cent.UnsubscribeRequest(user=user, channel=name))
    client.wait("server_unsubscribed", channel=name)
    assert call("presence", cent.PresenceRequest(channel=name)).presence == {}


def test_users_are_counted_once(call: Call, launch: Launch, channel: str, user: str) -> None:
    name = f"present:{channel}"
    for _ in range(2):
        client = launch(token(sub=user))
        client.connect()
        client.subscribe(name)
    stats = call("presence_stats", cent.PresenceStatsRequest(channel=name))
    assert (stats.num_clients, stats.num_users) == (2, 1)


def test_an_override_takes_a_subscription_out_of_presence(
    call: Call, launch: Launch, channel: str, user: str
) -> None:
    name = f"present:{channel}"
    client = launch(token(sub=user))
    client.connect()
    override = cent.ChannelOptionsOverride(presence=cent.BoolValue(value=False))
    call("subscribe", cent.SubscribeRequest(user=user, channel=name, override=override))
    client.wait("server_subscribed", channel=name)
    assert call("presence", cent.PresenceRequest(channel=name)).presence == {}


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("presence", cent.PresenceRequest),
        ("presence_stats", cent.PresenceStatsRequest),
        ("history", cent.HistoryRequest),
        ("history_remove", cent.HistoryRemoveRequest),
    ],
)
def test_what_is_switched_off_is_not_available(
    call: Call, channel: str, method: str, request_type: type[Any]
) -> None:
    with pytest.raises(cent.CentApiResponseError) as failure:
        call(method, request_type(channel=channel))
    assert failure.value.code == 108


# ------------------------------------------------------------- subscriptions


def test_subscribe_recovers_what_was_missed(call: Call, launch: Launch, stream: str, user: str) -> None:
    epoch = call("history", cent.HistoryRequest(channel=stream)).epoch
    client = launch(token(sub=user))
    client.connect()
    override = cent.ChannelOptionsOverride(force_recovery=cent.BoolValue(value=True))
    since = cent.StreamPosition(offset=2, epoch=epoch)
    call(
        "subscribe",
        cent.SubscribeRequest(user=user, channel=stream, recover_since=since, override=override),
    )
    client.wait("server_subscribed", channel=stream)
    for number in (3, 4):
        client.wait("server_publication", channel=stream, data={"n": number})


# ------------------------------------------------------------------- refresh


@pytest.mark.parametrize("expired", [True, False])
def test_refresh_ends_what_is_expired(call: Call, launch: Launch, user: str, *, expired: bool) -> None:
    client = launch(token(sub=user))
    client.connect()
    options = {"expired": True} if expired else {"expire_at": int(time.time()) - 1}
    call("refresh", cent.RefreshRequest(user=user, **options))
    client.wait("connecting", code=3005)


def test_refresh_moves_the_expiration(call: Call, launch: Launch, channel: str, user: str) -> None:
    client = launch(token(sub=user, lifetime=3600))
    client.connect()
    client.subscribe(channel)
    for expire_at in (int(time.time()) + 3600, 0):
        call("refresh", cent.RefreshRequest(user=user, expire_at=expire_at))
        call("publish", cent.PublishRequest(channel=channel, data=expire_at))
        client.wait("publication", channel=channel, data=expire_at)


# --------------------------------------------------------------------- batch


def test_a_batch_reads_presence_and_history(call: Call, launch: Launch, stream: str) -> None:
    name = stream.replace("history:", "present:")
    client = launch()
    identifier = client.connect()
    client.subscribe(name)
    requests = [
        cent.PresenceRequest(channel=name),
        cent.PresenceStatsRequest(channel=name),
        cent.HistoryRequest(channel=stream, limit=1, reverse=True),
        cent.HistoryRemoveRequest(channel=stream),
        cent.HistoryRequest(channel=stream, limit=-1),
    ]
    presence, stats, history, _, rest = call("batch", cent.BatchRequest(requests=requests)).replies
    assert presence.presence.keys() == {identifier}
    assert (stats.num_clients, stats.num_users) == (1, 1)
    assert [publication.offset for publication in history.publications] == [4]
    assert (rest.publications, rest.offset) == ([], 4)
