"""A real browser on the quickstart page, on the page that explains the API, and on the browser example."""

import functools
import http.server
import json
import shutil
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import text_to_be_present_in_element
from selenium.webdriver.support.wait import WebDriverWait

from tests.sdk.conftest import STREAM, StartServer
from tests.sdk.driver import WAIT_TIMEOUT
from tests.sdk.test_examples import EXAMPLES, copy_of
from tests.server_process import ServerProcess

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
]


def program(*names: str) -> str:
    """The first of these programs that is installed."""
    found = next(filter(None, map(shutil.which, names)), None)
    assert found, f"none of these is installed: {', '.join(names)}"
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A headless Chromium with a profile of its own."""
    options = ChromeOptions()
    options.binary_location = program("chromium", "chromium-browser", "google-chrome")
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    browser = Chrome(options, Service(program("chromedriver")))
    browser.set_page_load_timeout(WAIT_TIMEOUT)
    yield browser
    browser.quit()


def wait_for_text(browser: Chrome, element_id: str, text: str) -> None:
    """Until an element of the page contains the text."""
    condition = text_to_be_present_in_element((By.ID, element_id), text)
    WebDriverWait(browser, WAIT_TIMEOUT, poll_frequency=0.05).until(condition)


def test_the_quickstart_page_shows_what_is_published(browser: Chrome, server: ServerProcess) -> None:
    browser.get(f"http://127.0.0.1:{server.port}/")
    wait_for_text(browser, "status", "subscribed")
    text = f"<b>{uuid.uuid4()}</b> & more"
    server.publish("news", {"text": text})
    wait_for_text(browser, "messages", json.dumps(text))


def test_the_browser_is_sent_deflated_messages(browser: Chrome, own_server: StartServer) -> None:
    server = own_server({"websocket": {"compression": True}})
    browser.get(f"http://127.0.0.1:{server.port}/")
    wait_for_text(browser, "status", "subscribed")
    text = "again and again " * 5000
    server.publish("news", {"text": text})
    wait_for_text(browser, "messages", json.dumps(text))
    extensions = browser.execute_async_script(
        "const socket = new WebSocket(arguments[0]), done = arguments[1];"
        "socket.onopen = () => { done(socket.extensions); socket.close(); }",
        server.url,
    )
    assert extensions == "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def test_the_quickstart_page_catches_up_on_what_it_missed(browser: Chrome, own_server: StartServer) -> None:
    server = own_server({"channel": {"without_namespace": STREAM}})
    browser.get(f"http://127.0.0.1:{server.port}/")
    wait_for_text(browser, "status", "subscribed")
    server.publish("news", "seen")
    wait_for_text(browser, "messages", "seen")
    server.api("disconnect", user="", disconnect={"code": 3011, "reason": "force reconnect"})
    server.publish("news", "missed")  # it waits a quarter of a second before it comes back
    wait_for_text(browser, "messages", "missed")
    server.publish("news", "live again")
    wait_for_text(browser, "messages", "live again")
    assert [item.text for item in browser.find_elements(By.CSS_SELECTOR, "#messages code")] == [
        '"live again"',
        '"missed"',
        '"seen"',
    ]


def test_a_page_of_another_origin_can_not_connect(browser: Chrome, server: ServerProcess) -> None:
    browser.get(f"http://localhost:{server.port}/")
    wait_for_text(browser, "status", "connection lost")


def send(browser: Chrome, body: str) -> None:
    """Make the call that the page shows with another body."""
    field = browser.find_element(By.ID, "body")
    field.clear()
    field.send_keys(body)
    browser.find_element(By.ID, "send").click()


def test_the_api_page_calls_the_api(browser: Chrome, own_server: StartServer) -> None:
    server = own_server({"swagger": {"enabled": True}})
    browser.get(f"http://127.0.0.1:{server.port}/swagger")
    wait_for_text(browser, "name", "POST /api/publish")
    send(browser, '{"channel": "history:page", "data": {"from": "the page"}}')
    wait_for_text(browser, "status", "401 Unauthorized")
    browser.find_element(By.ID, "key").send_keys("key")
    browser.find_element(By.ID, "send").click()
    wait_for_text(browser, "status", "200 OK")
    wait_for_text(browser, "answer", '"offset": 1')
    history = server.api("history", channel="history:page", limit=-1)
    assert history["result"]["publications"] == [{"data": {"from": "the page"}, "offset": 1}]

    browser.find_element(By.CSS_SELECTOR, "a[data-name=presence_stats]").click()
    wait_for_text(browser, "name", "POST /api/presence_stats")
    assert browser.find_element(By.ID, "status").text == "Nothing sent yet."
    browser.find_element(By.ID, "transport").click()
    send(browser, '{"channel": "absent:a"}')
    wait_for_text(browser, "status", "404 Not Found")
    wait_for_text(browser, "answer", "unknown channel")


def test_the_api_page_shows_every_method_and_its_fields(browser: Chrome, own_server: StartServer) -> None:
    server = own_server({"swagger": {"enabled": True}})
    browser.get(f"http://127.0.0.1:{server.port}/swagger/")
    wait_for_text(browser, "methods", "publish")
    document = json.loads(server.get("/swagger/openapi.json")[1])
    names = [item["post"]["operationId"] for item in document["paths"].values()]
    links = browser.find_elements(By.CSS_SELECTOR, "#methods a")
    assert [link.get_attribute("data-name") for link in links] == names
    for link, (path, item) in zip(links, document["paths"].items(), strict=True):
        link.click()
        wait_for_text(browser, "name", f"POST {path}")
        assert browser.find_element(By.ID, "summary").text == item["post"]["summary"]
        answers = browser.find_elements(By.CSS_SELECTOR, "#answers > details > summary > strong")
        assert [answer.text for answer in answers] == sorted(item["post"]["responses"], key=int)
        for summary in browser.find_elements(By.CSS_SELECTOR, "#request-schema summary"):
            summary.click()
        shown = {
            code.text for code in browser.find_elements(By.CSS_SELECTOR, "#request-schema td:first-child")
        }
        example = item["post"]["requestBody"]["content"]["application/json"]["example"]
        assert example.keys() <= shown


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def example_url(tmp_path: Path, server: ServerProcess) -> Iterator[str]:
    """Where the browser example is served, told which daemon to connect to."""
    page = copy_of(EXAMPLES / "javascript/browser.html", tmp_path)
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as files:
        thread = threading.Thread(target=files.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{files.server_port}/{page.name}?url={server.url}"
        files.shutdown()
        thread.join()


def test_the_browser_example_shows_what_is_published(
    browser: Chrome, server: ServerProcess, example_url: str
) -> None:
    browser.get(example_url)
    wait_for_text(browser, "state", "subscribed")
    text = f"hello {uuid.uuid4()}"
    server.publish("news", {"text": text})
    wait_for_text(browser, "messages", text)
