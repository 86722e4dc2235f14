"""Every call that the official Python library has, in both of its clients, against the running daemon.

What calls do to connected clients is in ``tests/sdk/test_cent.py``; here no method may be left out, those of PRO
included, which answer as they do where there is no PRO (server specification 6.1).
"""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import cent
import pytest
import requests
from cent import dto

from tests.server_process import BASE_CONFIG, ServerProcess

NAMESPACES = [*BASE_CONFIG["channel"]["namespaces"], {"name": "present", "presence": True}]
LIMIT = 100_000
TRANSPORT = {"X-Centrifugo-Error-Mode": "transport"}

SERVED: dict[str, cent.CentRequest[Any]] = {
    "publish": cent.PublishRequest(channel="history:a", data={"n": 1}),
    "broadcast": cent.BroadcastRequest(channels=["history:a", "b"], data=[]),
    "subscribe": cent.SubscribeRequest(user="u", channel="a"),
    "unsubscribe": cent.UnsubscribeRequest(user="u", channel="a"),
    "disconnect": cent.DisconnectRequest(user="u"),
    "refresh": cent.RefreshRequest(user="u"),
    "presence": cent.PresenceRequest(channel="present:a"),
    "presence_stats": cent.PresenceStatsRequest(channel="present:a"),
    "history": cent.HistoryRequest(channel="history:a", limit=-1),
    "history_remove": cent.HistoryRemoveRequest(channel="history:a"),
    "channels": cent.ChannelsRequest(pattern="*"),
    "info": cent.InfoRequest(),
    "batch": cent.BatchRequest(requests=[cent.InfoRequest(), cent.ChannelsRequest()]),
}
OF_PRO: dict[str, cent.CentRequest[Any]] = {
    "connections": cent.ConnectionsRequest(user="u", expression="true"),
    "update_user_status": cent.UpdateUserStatusRequest(users=["u"]),
    "get_user_status": cent.GetUserStatusRequest(users=["u"]),
    "delete_user_status": cent.DeleteUserStatusRequest(users=["u"]),
    "block_user": cent.BlockUserRequest(user="u"),
    "unblock_user": cent.UnblockUserRequest(user="u"),
    "revoke_token": cent.RevokeTokenRequest(uid="t"),
    "invalidate_user_tokens": cent.InvalidateUserTokensRequest(user="u"),
    "device_register": cent.DeviceRegisterRequest(provider="fcm", token="t", platform="ios"),
    "device_update": cent.DeviceUpdateRequest(ids=["d"]),
    "device_remove": cent.DeviceRemoveRequest(ids=["d"]),
    "device_list": cent.DeviceListRequest(),
    "device_topic_list": cent.DeviceTopicListRequest(),
    "device_topic_update": cent.DeviceTopicUpdateRequest(device_id="d", op="add", topics=["t"]),
    "user_topic_list": cent.UserTopicListRequest(),
    "user_topic_update": dto.UserTopicUpdateRequest(user="u", op="add", topics=["t"]),
    "send_push_notification": cent.SendPushNotificationRequest(
        recipient=dto.PushRecipient(), notification=cent.PushNotification()
    ),
    "update_push_status": cent.UpdatePushStatusRequest(analytics_uid="a", status="delivered"),
    "cancel_push": cent.CancelPushRequest(uid="p"),
}

Call = Callable[..., Any]
"""Makes one call: name of the method, then the request; ``key`` and ``headers`` to send others."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The daemon of these tests."""
    config = {"channel": {"namespaces": NAMESPACES}, "http_api": {"max_request_body_size": LIMIT}}
    with ServerProcess(tmp_path_factory.mktemp("cent"), config) as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[Call]:
    """One call with a client of this kind."""
    url = f"http://127.0.0.1:{server.port}/api"

    def call(method: str, api_request: Any, key: str = "key", headers: dict[str, str] | None = None) -> Any:
        session = requests.Session()
        session.headers.update(headers or {})
        with cent.Client(url, key, timeout=20, session=session) as client:
            return getattr(client, method)(api_request)

    async def call_async(
        method: str, api_request: Any, key: str = "key", headers: dict[str, str] | None = None
    ) -> Any:
        session = aiohttp.ClientSession(headers=headers)
        async with cent.AsyncClient(url, key, timeout=20, session=session) as client:
            return await getattr(client, method)(api_request)

    if request.param == "sync":
        yield call
    else:
        with asyncio.Runner() as runner:
            yield lambda *arguments, **options: runner.run(call_async(*arguments, **options))


@pytest.mark.parametrize("client", [cent.Client, cent.AsyncClient])
def test_no_call_of_the_library_is_left_out(client: type[Any]) -> None:
    names = {name for name, _ in inspect.getmembers(client, inspect.isfunction) if not name.startswith("_")}
    assert names - {"close"} == SERVED.keys() | OF_PRO.keys()


@pytest.mark.parametrize("name", SERVED)
def test_what_is_served_answers_with_its_result(call: Call, name: str) -> None:
    assert type(call(name, SERVED[name])) is SERVED[name].__returning__


@pytest.mark.parametrize("name", OF_PRO)
def test_what_is_of_pro_is_not_found(call: Call, name: str) -> None:
    with pytest.raises(cent.CentTransportError) as failure:
        call(name, OF_PRO[name])
    assert failure.value.status_code == 404


def test_a_batch_of_everything_served(call: Call) -> None:
    served = {name: request for name, request in SERVED.items() if name != "batch"}
    for parallel in (False, True):
        replies = call("batch", cent.BatchRequest(requests=list(served.values()), parallel=parallel)).replies
        assert [type(reply) for reply in replies] == [request.__returning__ for request in served.values()]


def test_an_error_in_a_batch_stands_in_its_reply(call: Call) -> None:
    for refused in (cent.PublishRequest(channel="absent:a", data=1), OF_PRO["block_user"]):
        with pytest.raises(KeyError, match=refused.api_method):  # the library knows no errors in a batch
            call("batch", cent.BatchRequest(requests=[refused]))


def test_errors_in_the_body_and_as_status(call: Call) -> None:
    request = cent.PublishRequest(channel="absent:a", data=1)
    with pytest.raises(cent.CentApiResponseError) as in_body:
        call("publish", request)
    assert (in_body.value.code, in_body.value.message) == (102, "unknown channel")
    with pytest.raises(cent.CentTransportError) as as_status:
        call("publish", request, headers=TRANSPORT)
    assert as_status.value.status_code == 404


def test_a_wrong_key_and_none(call: Call) -> None:
    for key in ("wrong", ""):
        with pytest.raises(cent.CentUnauthorizedError):
            call("info", cent.InfoRequest(), key=key)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (cent.PublishRequest(channel="a", data="x" * LIMIT), 413),
        (cent.HistoryRequest(channel="history:a", since=cent.StreamPosition(offset=-1)), 400),
        (cent.HistoryRequest(channel="history:a", limit=2**31), 400),
    ],
)
def test_what_can_not_be_read_is_refused(call: Call, request_: cent.CentRequest[Any], status: int) -> None:
    with pytest.raises(cent.CentTransportError) as failure:
        call(request_.api_method, request_)
    assert failure.value.status_code == status
