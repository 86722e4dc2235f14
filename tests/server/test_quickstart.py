from html.parser import HTMLParser

from centrifast.server.quickstart import add_quickstart
from centrifast.server.routes import Routes
from tests.server.http_peer import Answer, get, post, run, serving


def page(websocket_prefix: str = "/connection/websocket", path: str = "/") -> Answer:
    async def scenario() -> Answer:
        routes = Routes()
        add_quickstart(routes, websocket_prefix=websocket_prefix, api_prefix="/api/")
        async with serving(routes) as served:
            peer = await served.connect()
            peer.send(get(path))
            return await peer.answer()

    return run(scenario())


def test_the_page_knows_where_to_connect() -> None:
    answer = page()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b'data-websocket="/connection/websocket" data-api="/api"' in answer.body
    assert b"%WEBSOCKET_PATH%" not in answer.body


def test_a_configured_path_can_not_break_out_of_its_attribute() -> None:
    assert b'data-websocket="/&quot;&gt;&lt;script&gt;"' in page('/"><script>').body


def test_only_the_root_is_served() -> None:
    assert page(path="/favicon.ico").status == 404


def test_what_is_served_nowhere_is_not_found_by_any_method() -> None:
    async def scenario() -> tuple[int, int]:
        routes = Routes()
        add_quickstart(routes, websocket_prefix="/ws", api_prefix="/api")
        async with serving(routes) as served:
            peer = await served.connect()
            peer.send(post("/api/connections", b"{}") + post("/", b"{}"))
            return (await peer.answer()).status, (await peer.answer()).status

    assert run(scenario()) == (404, 405)


def test_nothing_comes_from_elsewhere_and_no_handler_is_inline() -> None:
    class Checked(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            for name, value in attrs:
                assert not name.startswith("on"), (tag, name)
                assert name != "style", tag  # the policy blocks them
                assert not (value or "").startswith(("http", "//")), (tag, name, value)

    Checked().feed(page().body.decode())
