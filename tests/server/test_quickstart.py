import base64
import hashlib
import re
from html.parser import HTMLParser

from centrifast.server.quickstart import add_quickstart
from centrifast.server.routes import Routes
from tests.server.http_peer import Answer, get, run, serving


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


def test_only_its_own_script_and_style_may_run() -> None:
    answer = page()
    policy = answer.headers["content-security-policy"]
    for element in (b"script", b"style"):
        (content,) = re.findall(b"<%b>(.*?)</%b>" % (element, element), answer.body, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        assert f"{element.decode()}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_comes_from_elsewhere_and_no_handler_is_inline() -> None:
    class Checked(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            for name, value in attrs:
                assert not name.startswith("on"), (tag, name)
                assert name != "style", tag  # the policy blocks them
                assert not (value or "").startswith(("http", "//")), (tag, name, value)

    Checked().feed(page().body.decode())
