"""SIGHUP against the real daemon (server specification 1.9)."""

import json
import signal
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from centrifast.auth.issue import issue_token
from tests.auth.signing import RSA, jwk_of, sign
from tests.integration.daemon import WAIT, Daemon, eventually
from tests.raw_websocket import RawWebSocket

NOT_RELOADED = "configuration was not reloaded, the old one stays"
ROOM = {"name": "room", "allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path) as running:
        yield running


def test_a_new_namespace_can_be_used(server: Daemon) -> None:
    with RawWebSocket(server.port) as client:
        client.connect()
        assert client.command(subscribe={"channel": "room:1"})["error"]["code"] == 102
        server.write_config({"channel": {"namespaces": [ROOM]}})
        assert server.reload()["changed"] == "channel.namespaces"
        client.subscribe("room:1")
        server.publish("room:1", "hello")
        assert client.push()["pub"]["data"] == "hello"
        assert client.command(subscribe={"channel": "history:1"})["error"]["code"] == 102


def test_existing_subscriptions_keep_what_they_were_made_with(tmp_path: Path) -> None:
    kept = {**ROOM, "name": "kept", "history_size": 5, "history_ttl": "1m", "force_recovery": True}
    with (
        Daemon(tmp_path, {"channel": {"namespaces": [kept]}}) as server,
        RawWebSocket(server.port) as client,
    ):
        client.connect()
        assert client.subscribe("kept:1")["recoverable"]
        client.subscribe("news")
        closed = {"allow_subscribe_for_client": False, "allow_subscribe_for_anonymous": False}
        plain = {**ROOM, "name": "kept"}
        server.write_config({"channel": {"without_namespace": closed, "namespaces": [plain]}})
        server.reload()
        for channel in ("news", "kept:1"):
            server.publish(channel, "still here")
            assert client.push()["pub"] == {"data": "still here"}
        assert client.command(subscribe={"channel": "other"})["error"]["code"] == 103
        client.command(unsubscribe={"channel": "kept:1"})
        assert "recoverable" not in client.subscribe("kept:1")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read"),
        ('{"client": {"ping_interval": "1s"}}', "client.ping_interval must be greater"),
        ('{"engine": {"type": "nats"}}', "engine.type"),
        ('{"sse": {"enabled": true}}', "not supported by this version: sse.enabled"),
        ('{"client": {"token": {"ecdsa_public_key": "-----BEGIN PUBLIC KEY-----"}}}', "ecdsa_public_key"),
    ],
)
def test_a_bad_file_keeps_the_old_configuration(server: Daemon, text: str, reason: str) -> None:
    server.config_file.write_text(text)
    event = server.reload(NOT_RELOADED)
    assert event["level"] == "error"
    assert reason in event["error"]
    with RawWebSocket(server.port) as client:
        client.connect()
        client.subscribe("history:1")


def test_a_file_that_has_disappeared_keeps_the_old_configuration(server: Daemon) -> None:
    server.config_file.unlink()
    assert "disappeared" in server.reload(NOT_RELOADED)["error"]
    server.publish("history:1", "x")
    server.write_config({"channel": {"namespaces": [ROOM]}})
    server.reload()
    server.publish("room:1", "x")


def test_what_needs_a_restart_is_named_and_has_no_effect(server: Daemon) -> None:
    server.write_config(
        {"http_api": {"key": "another"}, "client": {"channel_limit": 1}, "log": {"level": "info"}}
    )
    assert "changed" not in server.reload()
    event = server.event("changed options need a restart")
    assert event["level"] == "info"
    assert event["options"] == "log.level, client.channel_limit, http_api.key"
    with RawWebSocket(server.port) as client:
        client.connect()
        client.subscribe("one")
        client.subscribe("two")
    server.publish("one", "with the old key")


def test_tokens_are_verified_with_the_rotated_key(server: Daemon) -> None:
    old, new = (issue_token({"sub": "42"}, key) for key in ("secret", "a new one"))
    token = {"hmac_secret_key": "a new one", "hmac_previous_secret_key": "secret"}
    server.write_config({"client": {"token": token}})
    changed = server.reload()["changed"]
    assert changed == "client.token.hmac_secret_key, client.token.hmac_previous_secret_key"
    for good in (old, new):
        with RawWebSocket(server.port) as client:
            client.connect(token=good)
    server.write_config({"client": {"token": {"hmac_previous_secret_key": ""}}})
    server.reload()
    with RawWebSocket(server.port) as client:
        client.send_text(json.dumps({"id": 1, "connect": {"token": old}}))
        assert client.receive_close().close_code == 3500


def test_the_environment_and_dotenv_keep_their_start_values(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CENTRIFUGO_CHANNEL_MAX_LENGTH=5\n")
    with Daemon(tmp_path) as server, RawWebSocket(server.port) as client:
        client.connect()
        (tmp_path / ".env").write_text("CENTRIFUGO_CHANNEL_MAX_LENGTH=100\n")
        server.write_config({"channel": {"namespaces": [ROOM]}})
        server.reload()
        assert client.command(subscribe={"channel": "123456"})["error"]["code"] == 107
        client.subscribe("12345")


def test_many_signals_at_once_end_with_the_newest_file(server: Daemon) -> None:
    for number in range(20):
        server.write_config({"channel": {"namespaces": [{**ROOM, "name": f"room{number}"}]}})
        server.signal(signal.SIGHUP)

    def is_newest() -> bool:
        answer = server.api("publish", channel="room19:1", data={})
        return "error" not in answer

    eventually(is_newest, "the newest namespace")
    assert server.events(NOT_RELOADED) == []


def test_a_verification_under_way_ends_as_it_began(tmp_path: Path) -> None:
    """The key set is asked for, the configuration changes, the key set comes: the client is let in all the same."""
    asked, may_answer = Event(), Event()

    class KeySet(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            assert may_answer.wait(WAIT)
            body = json.dumps({"keys": [jwk_of(RSA, "a")]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    provider = ThreadingHTTPServer(("127.0.0.1", 0), KeySet)
    Thread(target=provider.serve_forever).start()
    try:
        url = f"http://127.0.0.1:{provider.server_address[1]}/keys"
        with (
            Daemon(tmp_path, {"client": {"token": {"jwks_public_endpoint": url}}}) as server,
            RawWebSocket(server.port) as client,
        ):
            client.send_text(
                json.dumps({"id": 1, "connect": {"token": sign({"sub": "42"}, RSA, "RS256", "a")}})
            )
            assert asked.wait(WAIT)
            server.write_config({"client": {"token": {"jwks_public_endpoint": ""}}})
            server.reload()
            may_answer.set()
            assert "connect" in client.reply(1)
            with RawWebSocket(server.port) as other:
                other.connect(token=issue_token({"sub": "42"}, "secret"))
    finally:
        may_answer.set()
        provider.shutdown()
        provider.server_close()


def test_a_log_file_that_was_moved_away_is_opened_again(tmp_path: Path) -> None:
    path, moved = tmp_path / "server.log", tmp_path / "server.log.1"
    with Daemon(tmp_path, {"log": {"file": str(path)}}) as server:
        eventually(lambda: "serving websocket" in path.read_text(), "the start")
        assert path.stat().st_mode & 0o777 == 0o644
        path.rename(moved)
        server.signal(signal.SIGHUP)
        eventually(lambda: path.exists() and "configuration reloaded" in path.read_text(), "the new file")
        assert server.log() == ""
    assert "shutting down" in path.read_text()
    assert "shutting down" not in moved.read_text()
