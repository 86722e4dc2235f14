"""Lines 17 to 22 of the server's checklist: the HTTP API in front of a node with clients (server specification 6)."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec import Raw

from centrifast import errors
from centrifast.api.handler import ApiHandler
from centrifast.config.schema import HttpApiConfig, Namespace
from centrifast.errors import DisconnectCode
from centrifast.protocol.wire import Encoding, Pub, Push, Refresh, Reply, Subscribe
from centrifast.server.routes import Routes
from tests.client.conftest import Serve
from tests.client.fakes import NOW, OPEN, Far, Server, config, publication, subscribe, unsubscribed
from tests.client.streams import EPOCH
from tests.server.http_peer import Answer, post, run, serving

KEY = "X-API-Key: secret"
TRANSPORT = "X-Centrifugo-Error-Mode: transport"
NAMESPACES = (
    Namespace(name="kept", history_size=5, history_ttl=60.0, allow_subscribe_for_client=True),
    Namespace(name="seen", presence=True, allow_subscribe_for_client=True),
    Namespace(name="json", publication_data_format="json_object"),
    Namespace(name="delta", history_size=5, history_ttl=60.0, force_recovery=True,
              allowed_delta_types=("fossil",), allow_subscribe_for_client=True),
)  # fmt: skip
STATUSES = {100: 500, 102: 404, 104: 404, 107: 400, 108: 400, 112: 416}
MESSAGES = {100: "internal server error", 102: "unknown channel", 104: "not found", 107: "bad request",
            108: "not available", 112: "unrecoverable position"}  # fmt: skip
"""Server specification 6.4."""


class Api:
    """The API of a server with user 42 connected."""

    def __init__(self, server: Server, settings: HttpApiConfig | None = None) -> None:
        self.server = server
        self._settings = settings or HttpApiConfig(key="secret")

    def post(self, path: str, body: bytes, *headers: str) -> Answer:
        """Any request."""

        async def asked() -> Answer:
            routes = Routes()
            ApiHandler(self._settings, self.server.node).add_to(routes)
            async with serving(routes) as served:
                peer = await served.connect()
                peer.send(post(f"/api{path}", body, *headers))
                return await peer.answer()

        return run(asked())

    def text(self, method: str, request: object = None, *headers: str) -> str:
        """Body of a call that reaches the node."""
        body = json.dumps({} if request is None else request).encode()
        answer = self.post(f"/{method}".rstrip("/"), body, KEY, *headers)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        return answer.body.decode()

    def call(self, name: str, /, **request: object) -> Any:
        """What a call answers, decoded."""
        return json.loads(self.text(name, request))


@pytest.fixture
def api(serve: Serve) -> Api:
    return Api(serve(config(options=OPEN, namespaces=NAMESPACES)))


def failed(code: int) -> Mapping[str, object]:
    return {"error": {"code": code, "message": MESSAGES[code]}}


# ------------------------------------------------------------------ 17: authentication


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("", ["X-API-Key: secret"], 200),
        ("", ["x-api-key: secret"], 200),
        ("", ["X-API-Key: wrong"], 401),
        ("", ["Authorization: apikey secret"], 200),
        ("", ["Authorization: ApiKey    secret"], 200),
        ("", ["Authorization: Bearer secret"], 401),
        ("", ["Authorization: apikey secret more"], 401),
        ("", ["Authorization: secret"], 401),
        ("", ["X-API-Key: wrong", "Authorization: apikey secret"], 401),
        ("?api_key=secret", [], 200),
        ("?api_key=wrong", [], 401),
        ("?api_key=secret", ["X-API-Key: wrong"], 200),
        ("?api_key=secret", ["Authorization: apikey wrong"], 200),
        ("", [], 401),
    ],
)
def test_17_authentication(api: Api, path: str, headers: list[str], status: int) -> None:
    answer = api.post(f"/info{path}", b"{}", *headers)
    assert answer.status == status
    if status == 401:
        assert answer.body == b""


@pytest.mark.parametrize("given", [["X-API-Key: "], [], ["Authorization: apikey "]])
def test_17_empty_configured_key(api: Api, given: list[str]) -> None:
    closed = Api(api.server, HttpApiConfig())
    assert closed.post("/info", b"{}", *given).status == 401
    assert closed.post("/info?api_key=", b"{}", *given).status == 401
    assert Api(api.server, HttpApiConfig(insecure=True)).post("/info", b"{}", *given).status == 200


# ------------------------------------------------------------------ 18: every method

GOOD: dict[str, dict[str, object]] = {
    "publish": {"channel": "kept:a", "data": 1},
    "broadcast": {"channels": ["kept:a"], "data": 1},
    "subscribe": {"user": "42", "channel": "kept:a"},
    "unsubscribe": {"user": "42", "channel": "kept:a"},
    "disconnect": {"user": "42"},
    "refresh": {"user": "42"},
    "presence": {"channel": "seen:a"},
    "presence_stats": {"channel": "seen:a"},
    "history": {"channel": "kept:a"},
    "history_remove": {"channel": "kept:a"},
    "channels": {},
    "info": {},
}
BAD = [
    *(
        (name, GOOD[name] | {"channel": ""}, 107)
        for name in GOOD
        if "channel" in GOOD[name] and name != "unsubscribe"
    ),
    *((name, GOOD[name] | {"channel": "nope:a"}, 102) for name in GOOD if "channel" in GOOD[name]),
    *((name, {"channel": "a"}, 108) for name in ("presence", "presence_stats", "history", "history_remove")),
    ("publish", {"channel": "a"}, 107),
    ("publish", {"channel": "json:a", "data": [1]}, 107),
    ("publish", {"channel": "a", "b64data": "*"}, 107),
    ("broadcast", {"channels": [], "data": 1}, 107),
    ("history", {"channel": "kept:a", "since": {"offset": 1, "epoch": "x"}}, 112),
    ("history", {"channel": "kept:a", "since": {"offset": 0}, "reverse": True}, 107),
    ("channels", {"pattern": "["}, 100),
    ("rpc", {"method": ""}, 107),
    ("rpc", {"method": "m"}, 104),
    ("subscribe", {"user": "42", "channel": "a", "expire_at": 1}, 100),
]


@pytest.mark.parametrize("name", GOOD)
def test_18_good_input(api: Api, name: str) -> None:
    api.server.connect(sub="42")
    for header in ("X-Nothing: 1", TRANSPORT):
        assert "result" in json.loads(api.text(name, GOOD[name], header))


@pytest.mark.parametrize(("name", "request_", "code"), BAD)
def test_18_errors_and_their_statuses_in_transport_mode(
    api: Api, name: str, request_: dict[str, object], code: int
) -> None:
    api.server.connect(sub="42")
    assert api.call(name, **request_) == failed(code)
    answer = api.post(f"/{name}", json.dumps(request_).encode(), KEY, TRANSPORT)
    assert (answer.status, json.loads(answer.body)) == (STATUSES[code], failed(code)["error"])


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b"{}{}", 400), (b"[]", 400), (b'{"channel":1}', 400), (b"null", 200)],
)
def test_18_bodies_that_are_no_request(api: Api, body: bytes, status: int) -> None:
    answer = api.post("/history", body, KEY)
    assert answer.status == status
    if status == 400:
        assert answer.body == b"Bad Request"


@pytest.mark.parametrize("encoding", Encoding)
def test_18_what_clients_see(api: Api, encoding: Encoding) -> None:
    client, other = api.server.connect(encoding, sub="42"), api.server.connect(encoding, sub="7")
    assert api.call("subscribe", user="42", channel="news", data={"a": 1}) == {"result": {}}
    pushed = Reply(push=Push(channel="news", subscribe=Subscribe(data=Raw(b'{"a": 1}'))))
    assert client.received() == [pushed]
    assert api.call("publish", channel="news", data=1) == {"result": {}}
    assert client.received() == [publication("news", b"1")]
    assert api.call("subscribe", user="42", channel="news", data={"a": 1}) == {"result": {}}
    assert client.received() == [pushed]
    assert api.call("refresh", user="42", expire_at=NOW + 60) == {"result": {}}
    assert client.received() == [Reply(push=Push(refresh=Refresh(True, 60)))]
    assert api.call("unsubscribe", user="42", channel="news") == {"result": {}}
    assert client.received() == [unsubscribed("news", errors.SERVER_UNSUBSCRIBE)]
    assert api.call("disconnect", user="42", whitelist=[client.id]) == {"result": {}}
    assert client.closed_with is None
    wanted = {"code": 4001, "reason": "moved"}
    assert api.call("disconnect", user="42", disconnect=wanted) == {"result": {}}
    assert client.closed_with == DisconnectCode(4001, "moved")
    for code in ({}, {"disconnect": {"code": 0}}):
        again = api.server.connect(encoding, sub="42")
        api.call("disconnect", user="42", **code)
        assert again.closed_with == errors.FORCE_DISCONNECT
    assert api.call("refresh", user="7", expired=True) == {"result": {}}
    assert other.closed_with == errors.CONNECTION_EXPIRED


# ------------------------------------------------------------------ 19: bytes of answers


def test_19_omitted_and_always_present_fields(api: Api) -> None:
    assert api.text("publish", {"channel": "a", "data": 1}) == '{"result":{}}'
    assert api.text("history", {"channel": "kept:a"}) == (
        f'{{"result":{{"publications":[],"epoch":"{EPOCH}","offset":0}}}}'
    )
    assert api.text("publish", {"channel": "kept:a", "data": {"b": "<"}}) == (
        f'{{"result":{{"offset":1,"epoch":"{EPOCH}"}}}}'
    )
    assert api.text("history", {"channel": "kept:a", "limit": -1}) == (
        f'{{"result":{{"publications":[{{"data":{{"b":"\\u003c"}},"offset":1}}],"epoch":"{EPOCH}","offset":1}}}}'
    )
    assert api.text("presence", {"channel": "seen:a"}) == '{"result":{"presence":{}}}'
    assert api.text("presence_stats", {"channel": "seen:a"}) == '{"result":{"num_clients":0,"num_users":0}}'
    assert api.text("channels") == '{"result":{"channels":{}}}'
    client = api.server.connect(sub="42")
    client.ask(subscribe(2, "seen:a"))
    assert api.text("presence", {"channel": "seen:a"}) == (
        f'{{"result":{{"presence":{{"{client.id}":{{"user":"42","client":"{client.id}"}}}}}}}}'
    )
    assert api.text("channels") == '{"result":{"channels":{"seen:a":{"num_clients":1}}}}'
    assert api.text("rpc", {"method": "m"}) == '{"error":{"code":104,"message":"not found"}}'


# ------------------------------------------------------------------ 20: options of a publication


def offset_of(answer: Any) -> int:
    return int(answer["result"].get("offset", 0))


def enter(api: Api, channel: str, **fields: object) -> Far:
    client = api.server.connect(sub="42")
    (reply,) = client.ask(subscribe(2, channel, **fields))
    assert reply.error is None
    return client


def pubs_of(client: Far) -> list[Pub]:
    return [
        reply.push.pub for reply in client.received() if reply.push is not None and reply.push.pub is not None
    ]


def test_20_idempotency_key_twice(api: Api) -> None:
    client = enter(api, "kept:a")
    first, second = (api.call("publish", channel="kept:a", data=n, idempotency_key="k") for n in (1, 2))
    assert first == second
    assert [pub.data for pub in pubs_of(client)] == [Raw(b"1")]
    assert offset_of(api.call("publish", channel="kept:b", data=3, idempotency_key="k")) == 1
    api.server.clock.advance(301)
    assert offset_of(api.call("publish", channel="kept:a", data=4, idempotency_key="k")) == 2


def test_20_version_suppression(api: Api) -> None:
    client = enter(api, "kept:a")
    offsets = [
        offset_of(api.call("publish", channel="kept:a", data=version, version=version, version_epoch=epoch))
        for version, epoch in ((5, "a"), (5, "a"), (4, "a"), (6, "a"), (1, "b"), (7, ""))
    ]
    assert offsets == [1, 1, 1, 2, 3, 4]
    assert [pub.data for pub in pubs_of(client)] == [Raw(b"5"), Raw(b"6"), Raw(b"1"), Raw(b"7")]


def test_20_skip_history_tags_and_b64data(api: Api) -> None:
    client = enter(api, "kept:a")
    assert api.call("publish", channel="kept:a", data=1, skip_history=True) == {"result": {}}
    encoded = base64.b64encode(b'{"b": 2}').decode()
    answer = api.call("publish", channel="kept:a", data=1, b64data=encoded, tags={"k": "v"})
    assert offset_of(answer) == 1
    first, second = pubs_of(client)
    assert (first.data, first.offset, first.tags) == (Raw(b"1"), 0, None)
    assert (second.data, second.offset, second.tags) == (Raw(b'{"b": 2}'), 1, {"k": "v"})
    (kept,) = api.call("history", channel="kept:a", limit=-1)["result"]["publications"]
    assert kept == {"data": {"b": 2}, "offset": 1, "tags": {"k": "v"}}


def test_20_data_null_is_data(api: Api) -> None:
    client = enter(api, "news")
    assert api.call("publish", channel="news", data=None) == {"result": {}}
    assert client.received() == [publication("news", b"null")]


def test_20_delta(api: Api) -> None:
    client = enter(api, "delta:a", delta="fossil")
    for number in range(3):
        api.call("publish", channel="delta:a", data={"text": "x" * 200, "n": number}, delta=number == 1)
    assert [pub.delta for pub in pubs_of(client)] == [False, True, False]


# ------------------------------------------------------------------ 21: broadcast and batch


def test_21_broadcast_with_one_bad_channel(api: Api) -> None:
    answer = api.call("broadcast", channels=["kept:a", "nope:a", "", "json:a", "a"], data=1)
    kept, unknown, empty, wrong, plain = answer["result"]["responses"]
    assert kept == {"result": {"offset": 1, "epoch": EPOCH}}
    assert [unknown, empty, wrong, plain] == [failed(102), failed(107), failed(107), {"result": {}}]


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("mode", [(), (TRANSPORT,)])
def test_21_batch(api: Api, parallel: bool, mode: tuple[str, ...]) -> None:
    commands = [
        {"publish": {"channel": "kept:a", "data": 1}},
        {"history": {"channel": "kept:b"}, "presence_stats": {"channel": "seen:a"}},
        {"presence_stats": {"channel": "seen:a"}},
        {"publish": {"channel": "nope:a", "data": 1}},
        {},
        None,
        {"block_user": {"user": "42"}},
    ]
    answer = json.loads(api.text("batch", {"commands": commands, "parallel": parallel}, *mode))
    assert set(answer) == {"replies"}
    published, history, stats, *refused = answer["replies"]
    assert published["publish"]["offset"] == 1
    assert (set(history), history["history"]["offset"]) == ({"history"}, 0)
    assert stats == {"presence_stats": {"num_clients": 0, "num_users": 0}}
    assert refused == [failed(102), failed(104), failed(107), failed(104)]


def test_21_empty_batch(api: Api) -> None:
    assert api.text("batch", {"commands": []}) == "{}"


# ------------------------------------------------------------------ 22: the old command format


def test_22_old_command_format(api: Api) -> None:
    commands = [
        {"id": 1, "method": "publish", "params": {"channel": "kept:a", "data": 1}},
        {"id": 2, "method": 0, "params": {"channel": "kept:a", "data": 2}},
        {"id": 3, "method": "presence_stats", "params": {"channel": "nope:a"}},
        {"id": 4, "method": 99, "params": {}},
        {"id": 5, "method": 6, "params": {"channel": "kept:a"}},
        {"id": 6, "method": "PUBLISH", "params": {"channel": "kept:a", "data": 3}},
        {"id": 7, "params": {"channel": "kept:a", "data": 4}},
        {"id": 8, "method": "publish", "params": {"channel": 7}},
        {"id": 9, "method": "publish"},
        {"id": 10, "method": "channels", "params": None},
    ]
    body = "\n".join(map(json.dumps, commands)).encode()
    answer = api.post("", body, KEY)
    assert answer.status == 200
    replies = [json.loads(line) for line in answer.body.splitlines()]
    assert [reply.get("id") for reply in replies] == list(range(1, 11))
    assert [offset_of(replies[index]) for index in (0, 1, 4, 5, 6)] == [1, 2, 2, 3, 4]
    assert [replies[index]["error"]["code"] for index in (2, 3, 7, 8)] == [102, 104, 107, 107]
    assert replies[9]["result"] == {"channels": {}}
    assert api.post("", body).status == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"id":1,"method":"nonsense","params":{}}',
        b'{"id":"x","method":"info"}',
        b'{"id":1,"method":"info"}[',
    ],
)
def test_22_bodies_that_are_no_commands(api: Api, body: bytes) -> None:
    assert api.post("", body, KEY).status == 400
