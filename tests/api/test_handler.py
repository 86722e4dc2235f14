import asyncio
import json

import pytest

from centrifast.api.handler import BODY_SIZE_LIMIT, ApiHandler
from centrifast.config.schema_server import HttpApiConfig
from centrifast.model import ClientInfo, Publication
from centrifast.server.routes import Routes
from tests.api.node import FakeNode
from tests.server.http_peer import Answer, post, run, serving

KEY = "secret"
INSECURE = HttpApiConfig(insecure=True)
JSON = "application/json"


def ask(
    method: str, body: bytes, *headers: str, config: HttpApiConfig = INSECURE, node: FakeNode | None = None
) -> Answer:
    """One call over a socket."""

    async def scenario() -> Answer:
        routes = Routes()
        ApiHandler(config, node or FakeNode()).add_to(routes)
        async with serving(routes) as served:
            peer = await served.connect()
            peer.send(
                post(method if method.startswith("/") else f"/api/{method}".rstrip("/"), body, *headers)
            )
            return await peer.answer()

    return run(scenario())


# ------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("method", "body", "expected"),
    [
        ("publish", '{"channel":"a","data":{}}', '{"result":{}}'),
        ("publish", '{"channel":"history:a","data":{}}', '{"result":{"offset":1,"epoch":"HyfEqRtb"}}'),
        ("publish", '{"channel":"a","data":null}', '{"result":{}}'),
        ("publish", '{"channel":"a"}', '{"error":{"code":107,"message":"bad request"}}'),
        ("publish", "{}", '{"error":{"code":107,"message":"bad request"}}'),
        ("publish", "null", '{"error":{"code":107,"message":"bad request"}}'),
        ("publish", '{"channel":"nope:a","data":1}', '{"error":{"code":102,"message":"unknown channel"}}'),
        (
            "publish",
            '{"channel":"away:a","data":1}',
            '{"error":{"code":100,"message":"internal server error"}}',
        ),
        (
            "broadcast",
            '{"channels":["history:a","b","nope:c"],"data":1}',
            '{"result":{"responses":[{"result":{"offset":1,"epoch":"HyfEqRtb"}},{"result":{}},'
            '{"error":{"code":102,"message":"unknown channel"}}]}}',
        ),
        ("subscribe", '{"user":"u","channel":"a"}', '{"result":{}}'),
        ("unsubscribe", "{}", '{"result":{}}'),
        ("disconnect", '{"user":"u"}', '{"result":{}}'),
        (
            "channels",
            "{}",
            '{"result":{"channels":{"news":{"num_clients":2},'
            '"a\\u003cb\\u003e\\u0026\\u2028":{"num_clients":1}}}}',
        ),
        (
            "info",
            "{}",
            '{"result":{"nodes":[{"uid":"u","name":"\\u003chost\\u003e","version":"1","num_clients":0,'
            '"num_users":0,"num_channels":0,"metrics":{"interval":0.0,"items":{}},"num_subs":3}]}}',
        ),
        ("rpc", '{"method":"m"}', '{"error":{"code":104,"message":"not found"}}'),
        ("refresh", '{"user":"u"}', '{"result":{}}'),
        ("presence_stats", '{"channel":"present:a"}', '{"result":{"num_clients":0,"num_users":0}}'),
        (
            "history",
            '{"channel":"history:a"}',
            '{"result":{"publications":[],"epoch":"HyfEqRtb","offset":0}}',
        ),
        ("history_remove", '{"channel":"history:a"}', '{"result":{}}'),
        ("presence", '{"channel":"a"}', '{"error":{"code":108,"message":"not available"}}'),
        ("presence_stats", '{"channel":"nope:a"}', '{"error":{"code":102,"message":"unknown channel"}}'),
        ("history", '{"limit":1}', '{"error":{"code":107,"message":"bad request"}}'),
        ("history_remove", '{"channel":"a"}', '{"error":{"code":108,"message":"not available"}}'),
        (
            "batch",
            '{"commands":[{"publish":{"channel":"history:a","data":1}},{"channels":{"pattern":"n*"}},null,{}]}',
            '{"replies":[{"publish":{"offset":1,"epoch":"HyfEqRtb"}},'
            '{"channels":{"channels":{"news":{"num_clients":2}}}},'
            '{"error":{"code":107,"message":"bad request"}},{"error":{"code":104,"message":"not found"}}]}',
        ),
        ("batch", "{}", "{}"),
    ],
)
def test_answers_to_the_byte(method: str, body: str, expected: str) -> None:
    answer = ask(method, body.encode())
    assert (answer.status, answer.headers["content-type"], answer.body.decode()) == (200, JSON, expected)


PRESENCE = (
    '{"presence":{"c":{"user":"u","client":"c","conn_info":{"a":1},"chan_info":"\\u003c"},'
    '"d":{"user":"","client":"d"}}}'
)
HISTORY = (
    '{"publications":[{"data":{"text":"hi"},"info":{"user":"u","client":"c","conn_info":{"a":1},'
    '"chan_info":"\\u003c"},"offset":1,"tags":{"k":"v"}},{"data":null,"offset":2}],"epoch":"HyfEqRtb","offset":2}'
)


def full_node() -> FakeNode:
    """Two clients are present, one of them has published."""
    info = ClientInfo("u", "c", b'{"a": 1}', b'"<"')
    return FakeNode(
        clients={"c": info, "d": ClientInfo("", "d")},
        publications=[Publication(b'{"text": "hi"}', 1, info, {"k": "v"}), Publication(b"null", 2)],
    )


@pytest.mark.parametrize(
    ("method", "body", "expected"),
    [
        ("presence", '{"channel":"present:a"}', '{"result":' + PRESENCE + "}"),
        ("presence_stats", '{"channel":"present:a"}', '{"result":{"num_clients":2,"num_users":2}}'),
        ("history", '{"channel":"history:a","limit":-1}', '{"result":' + HISTORY + "}"),
        (
            "batch",
            '{"commands":[{"presence":{"channel":"present:a"}},{"presence_stats":{"channel":"present:a"}},'
            '{"history":{"channel":"history:a","limit":-1}},{"history_remove":{"channel":"history:a"}},'
            '{"refresh":{"user":"u"}}]}',
            '{"replies":[{"presence":' + PRESENCE + '},{"presence_stats":{"num_clients":2,"num_users":2}},'
            '{"history":' + HISTORY + '},{"history_remove":{}},{"refresh":{}}]}',
        ),
        (
            "",
            '{"method":"presence","params":{"channel":"present:a"}}\n'
            '{"id":7,"method":6,"params":{"channel":"history:a","limit":-1}}',
            '{"result":' + PRESENCE + '}\n{"id":7,"result":' + HISTORY + "}",
        ),
    ],
)
def test_presence_and_history_to_the_byte(method: str, body: str, expected: str) -> None:
    answer = ask(method, body.encode(), node=full_node())
    assert (answer.status, answer.headers["content-type"], answer.body.decode()) == (200, JSON, expected)


@pytest.mark.parametrize("body", [b"", b"{", b'{"channel":1}', b"{} {}", b'{"data":"\xff"}'])
def test_malformed_bodies(body: bytes) -> None:
    answer = ask("publish", body)
    assert (answer.status, answer.body) == (400, b"Bad Request")


def test_unknown_methods() -> None:
    for path in ("/api/connections", "/api/publish/", "/api/PUBLISH"):
        answer = ask(path, b"{}")
        assert (answer.status, answer.body) == (404, b"404 page not found")


@pytest.mark.parametrize(("prefix", "path"), [("/api", "/api"), ("v1/api/", "/v1/api")])
def test_the_prefix_itself_takes_old_commands(prefix: str, path: str) -> None:
    config = HttpApiConfig(key=KEY, handler_prefix=prefix)
    command = b'{"id":1,"method":"publish","params":{"channel":"a","data":1}}'
    answer = ask(path, command, f"X-API-Key: {KEY}", config=config)
    assert (answer.status, answer.headers["content-type"], answer.body) == (
        200,
        JSON,
        b'{"id":1,"result":{}}',
    )
    assert ask(path, command, config=config).status == 401
    malformed = ask(path, b"[]", f"X-API-Key: {KEY}", config=config)
    assert (malformed.status, malformed.body) == (400, b"Bad Request")


def test_old_commands_are_refused_during_a_stop_and_methods_served() -> None:
    async def scenario() -> None:
        stopping = asyncio.Event()
        node = FakeNode()
        routes = Routes()
        ApiHandler(INSECURE, node, stopping.is_set).add_to(routes)
        async with serving(routes) as served:
            peer = await served.connect()
            for path, status in (("/api", 200), ("/api", 503), ("/api/publish", 200)):
                peer.send(post(path, b'{"method":"refresh","params":{"user":"u"},"channel":"a","data":1}'))
                answer = await peer.answer()
                assert (path, answer.status) == (path, status)
                stopping.set()
        assert [call[0] for call in node.calls] == ["refresh", "publish"]

    run(scenario())


@pytest.mark.parametrize("prefix", ["", "/"])
def test_without_a_prefix_unknown_paths_stay_unknown(prefix: str) -> None:
    config = HttpApiConfig(insecure=True, handler_prefix=prefix)
    for path in ("/", "/nothing"):
        assert ask(path, b'{"method":"info"}', config=config).status == 404


@pytest.mark.parametrize(
    ("prefix", "path"), [("", "/publish"), ("/", "/publish"), ("v1/api/", "/v1/api/publish")]
)
def test_the_prefix_is_configurable(prefix: str, path: str) -> None:
    config = HttpApiConfig(insecure=True, handler_prefix=prefix)
    assert ask(path, b'{"channel":"a","data":1}', config=config).status == 200


def test_other_http_methods() -> None:
    async def scenario() -> None:
        routes = Routes()
        ApiHandler(HttpApiConfig(), FakeNode()).add_to(routes)
        async with serving(routes) as served:
            peer = await served.connect()
            for method in (b"GET", b"PUT", b"OPTIONS", b"BREW"):
                peer.send(post("/api/publish", b"{}").replace(b"POST", method))
                answer = await peer.answer()
                assert (answer.status, answer.body) == (405, b"")

    run(scenario())


# ---------------------------------------------------------------- error modes


@pytest.mark.parametrize(
    ("method", "body", "status", "expected"),
    [
        ("publish", '{"channel":"nope:a","data":1}', 404, '{"code":102,"message":"unknown channel"}'),
        ("publish", "{}", 400, '{"code":107,"message":"bad request"}'),
        ("publish", '{"channel":"away:a","data":1}', 500, '{"code":100,"message":"internal server error"}'),
        ("presence", '{"channel":"a"}', 400, '{"code":108,"message":"not available"}'),
        ("rpc", '{"method":"m"}', 404, '{"code":104,"message":"not found"}'),
        ("publish", '{"channel":"a","data":1}', 200, '{"result":{}}'),
        (
            "",
            '{"method":"presence","params":{"channel":"a"}}',
            200,
            '{"error":{"code":108,"message":"not available"}}',
        ),
        ("batch", '{"commands":[{}]}', 200, '{"replies":[{"error":{"code":104,"message":"not found"}}]}'),
        (
            "broadcast",
            '{"channels":[""],"data":1}',
            200,
            '{"result":{"responses":[{"error":{"code":107,"message":"bad request"}}]}}',
        ),
    ],
)
def test_transport_mode(method: str, body: str, status: int, expected: str) -> None:
    configured = HttpApiConfig(insecure=True, error_mode="transport")
    for answer in (
        ask(method, body.encode(), config=configured),
        ask(method, body.encode(), "X-Centrifugo-Error-Mode: transport"),
    ):
        assert (answer.status, answer.headers["content-type"], answer.body.decode()) == (
            status,
            JSON,
            expected,
        )


def test_another_mode_in_the_header_means_nothing() -> None:
    assert ask("publish", b"{}", "X-Centrifugo-Error-Mode: other").status == 200
    configured = HttpApiConfig(insecure=True, error_mode="transport")
    assert ask("publish", b"{}", "X-Centrifugo-Error-Mode: other", config=configured).status == 400


# -------------------------------------------------------------- authentication


@pytest.mark.parametrize(
    ("headers", "query", "allowed"),
    [
        ([], "", False),
        (["X-API-Key: secret"], "", True),
        (["x-api-key:secret "], "", True),
        (["X-API-Key: Secret"], "", False),
        (["X-API-Key: secre"], "", False),
        (["X-API-Key:"], "", False),
        (["X-API-Key: secret", "X-API-Key: secret"], "", False),
        (["Authorization: apikey secret"], "", True),
        (["Authorization: ApiKey \t secret"], "", True),
        (["Authorization: apikey secret x"], "", False),
        (["Authorization: apikey"], "", False),
        (["Authorization: bearer secret"], "", False),
        (["Authorization: secret"], "", False),
        (["X-API-Key: wrong", "Authorization: apikey secret"], "", False),
        (["X-API-Key: secret", "Authorization: apikey wrong"], "", True),
        ([], "?api_key=secret", True),
        ([], "?a=b&api_key=%73ecret", True),
        ([], "?api_key=wrong&api_key=secret", False),
        ([], "?api_key=", False),
        ([], "?api_key=%ff", False),
        (["X-API-Key: wrong"], "?api_key=secret", True),
        (["Authorization: apikey wrong"], "?api_key=secret", True),
        (["X-API-Key: secret"], "?api_key=wrong", True),
        (["X-API-Key: \xe9"], "", False),
    ],
)
def test_keys(headers: list[str], query: str, allowed: bool) -> None:
    config = HttpApiConfig(key=KEY)
    answer = ask(f"/api/publish{query}", b'{"channel":"a","data":1}', *headers, config=config)
    assert (answer.status, answer.body) == ((200, b'{"result":{}}') if allowed else (401, b""))


def test_a_key_beyond_ascii() -> None:
    config = HttpApiConfig(key="schlüssel")
    for request in ("/api/info", "/api/info?api_key=schl%C3%BCssel"):
        header = ["X-API-Key: schlüssel"] if "?" not in request else []
        assert ask(request, b"{}", *header, config=config).status == 200


def test_without_a_configured_key_everything_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    for header in ("X-API-Key: ", "X-API-Key: x"):
        assert ask("publish", b"{}", header, config=HttpApiConfig()).status == 401
    assert {record.levelname for record in caplog.records} == {"ERROR"}


def test_the_missing_key_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        routes = Routes()
        ApiHandler(HttpApiConfig(), FakeNode()).add_to(routes)
        async with serving(routes) as served:
            peer = await served.connect()
            for _ in range(3):
                peer.send(post("/api/info", b"{}"))
                assert (await peer.answer()).status == 401

    run(scenario())
    assert len(caplog.records) == 1


def test_the_key_is_checked_before_the_body() -> None:
    assert ask("publish", b"{", config=HttpApiConfig(key=KEY)).status == 401


# --------------------------------------------------------------------- bodies


def large_body(size: int) -> bytes:
    return json.dumps({"channel": "a", "data": "x" * size}).encode()


def test_a_large_body_is_read_for_those_who_have_the_key() -> None:
    config = HttpApiConfig(key=KEY)
    assert ask("publish", large_body(1_000_000), f"X-API-Key: {KEY}", config=config).status == 200
    assert ask("publish", large_body(1_000_000), config=config).status == 401


@pytest.mark.parametrize("limit", [100, 100_000])
def test_the_body_limit_is_configurable(limit: int) -> None:
    config = HttpApiConfig(insecure=True, max_request_body_size=limit)
    assert ask("publish", large_body(limit), config=config).status == 413
    assert ask("publish", large_body(limit - 50), config=config).status == 200


def test_without_one_the_limit_is_ours() -> None:
    assert ask("publish", b"", f"Content-Length: {BODY_SIZE_LIMIT + 1}").status == 400  # two lengths
    handler = ApiHandler(INSECURE, FakeNode())
    routes = Routes()
    handler.add_to(routes)
    route = routes.find("/api/publish")
    assert route is not None
    assert route.body_limit == handler.body_limit
