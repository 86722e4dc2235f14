import base64
import hashlib
import re

from centrifast.server.page import load_page

VALUES = {"WEBSOCKET_PATH": "/ws", "API_PATH": "/api"}


def test_only_its_own_script_and_style_may_run() -> None:
    page = load_page("quickstart.html", VALUES)
    headers = dict(page.headers)
    policy = headers["Content-Security-Policy"]
    for element in (b"script", b"style"):
        (content,) = re.findall(b"<%b>(.*?)</%b>" % (element, element), page.body, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        assert f"{element.decode()}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_values_are_escaped() -> None:
    page = load_page("quickstart.html", VALUES | {"API_PATH": '/"><script>'})
    assert b'data-websocket="/ws" data-api="/&quot;&gt;&lt;script&gt;"' in page.body
