import pytest

from centrifast.protocol.http1 import BadRequestError, Request
from centrifast.server.routes import RouteError, Routes, normalize_prefix
from tests.server.http_peer import echo


def request(path: str, method: str = "POST") -> Request:
    return Request(method, path, "", {}, True, True, False)


def test_paths_match_exactly() -> None:
    routes = Routes()
    routes.add("/api/publish", "api", echo)
    assert routes.find("/api/publish") is not None
    for path in ("/api/publish/", "/api", "/API/publish", "/", "//api/publish", ""):
        assert routes.find(path) is None


@pytest.mark.parametrize(
    ("prefix", "path"), [("", "/"), ("/", "/"), ("api", "/api"), ("/api//", "/api"), ("/a/b", "/a/b")]
)
def test_prefixes_are_normalized(prefix: str, path: str) -> None:
    assert normalize_prefix(prefix) == path


def test_the_root_catches_what_nothing_else_serves() -> None:
    routes = Routes()
    routes.add("", "websocket", echo)
    routes.add("/api", "api", echo)
    found = [routes.find(path) for path in ("/", "/else", "/api")]
    assert [route and route.name for route in found] == ["websocket", "websocket", "api"]


def test_the_root_can_be_served_alone() -> None:
    routes = Routes()
    routes.add("/", "quickstart", echo, exact=True)
    assert routes.find("/") is not None
    assert routes.find("/else") is None


def test_a_tree_serves_what_is_below_its_prefix_and_nothing_else_does() -> None:
    routes = Routes()
    routes.add_tree("/a/", "outer", echo)
    routes.add_tree("/a/b", "inner", echo)
    routes.add("/a/c", "leaf", echo)
    paths = ("/a", "/a/", "/a/x/y", "/a/b", "/a/b/x", "/a/bx", "/a/c", "/a/c/d")
    found = [routes.find(path) for path in paths]
    names = ["outer", "outer", "outer", "inner", "inner", "outer", "leaf", "outer"]
    assert [route and route.name for route in found] == names
    assert [routes.find(path) for path in ("/ab", "/", "/A/x")] == [None, None, None]
    with pytest.raises(RouteError, match="path /a is configured for both outer and other"):
        routes.add("/a", "other", echo)


def test_a_tree_at_the_root_is_everything() -> None:
    routes = Routes()
    routes.add_tree("", "admin", echo, ("GET",))
    found = [routes.find(path) for path in ("/", "/x", "/x/y")]
    assert [route and route.name for route in found] == ["admin"] * 3


def test_two_endpoints_on_one_path_are_an_error_that_names_both() -> None:
    routes = Routes()
    routes.add("/a", "health", echo)
    with pytest.raises(RouteError, match="path /a is configured for both health and websocket"):
        routes.add_upgrade("a/", "websocket", lambda transport, request, rest: None)


def test_names_come_once_in_order() -> None:
    routes = Routes()
    routes.add_upgrade("/ws", "websocket", lambda transport, request, rest: None)
    for path in ("/api/a", "/api/b"):
        routes.add(path, "api", echo)
    assert routes.names == ["websocket", "api"]


def test_methods_not_served_are_named() -> None:
    routes = Routes()
    routes.add("/a", "a", echo, ("POST", "GET"))
    route = routes.find("/a")
    assert route is not None
    assert route.refusal_of("GET") is None
    refusal = route.refusal_of("PUT")
    assert refusal is not None
    assert (refusal.status, refusal.body, refusal.headers) == (405, b"", (("Allow", "GET, POST"),))


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/a", "GET", 405), ("/b", "POST", 413), ("/c", "POST", 413)]
)
def test_large_bodies_nobody_wants_are_refused(path: str, method: str, status: int) -> None:
    routes = Routes()
    routes.add("/a", "a", echo, ("POST",), lambda request: 7)
    routes.add("/b", "b", echo)
    with pytest.raises(BadRequestError) as refused:
        routes.body_limit(request(path, method))
    assert refused.value.status == status
    assert routes.body_limit(request("/a")) == 7
