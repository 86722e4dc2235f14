"""What the real daemon logs, what it never logs, and that nobody who reads the log can hold it up."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from centrifast import __version__
from centrifast.auth.issue import issue_token
from tests.integration.daemon import WAIT, Daemon, eventually
from tests.raw_websocket import RawWebSocket

SECRETS = {
    "key of the api": "SECRET-api-key",
    "key of tokens": "SECRET-hmac-key-of-more-than-thirty-two-bytes",
    "older key of tokens": "SECRET-older-hmac-key-of-more-than-thirty-two-bytes",
    "payload": "SECRET-payload",
    "info": "SECRET-info",
    "password": "SECRET-admin-password",
}


def test_a_start_says_what_runs_where(tmp_path: Path) -> None:
    with Daemon(tmp_path) as server:
        serving = f"serving websocket, api, health, debug, quickstart endpoints on :{server.port}"
        assert server.event(serving)["level"] == "info"
        events = {event["message"]: event for event in server.events()}
        assert events["configuration file"]["path"] == str(server.config_file)
        starting = events["starting centrifast"]
        assert (starting["version"], starting["pid"]) == (__version__, server.pid)
        assert starting["runtime"].startswith("Python 3.")
        limits = events["descriptor limit"]
        assert limits["connections"] == limits["limit"] - 64
        assert events["engine"]["engine"] == "memory"
        assert events["enabled token algorithms"]["algorithms"] == "HS256, HS384, HS512"
        assert all(re.fullmatch(r"\d{4}-.*T.*Z", event["time"]) for event in server.events())


def test_the_life_of_a_connection_is_told_at_debug(tmp_path: Path) -> None:
    with Daemon(tmp_path) as server:
        with RawWebSocket(server.port, headers={"X-Forwarded-For": "198.51.100.7, 10.0.0.1"}) as client:
            connected = client.connect(token=issue_token({"sub": "42"}, "secret"))
            assert client.command(subscribe={"channel": "closed:1"})["error"]["code"] == 103
            server.api("disconnect", user="42", disconnect={"code": 4242, "reason": "go away"})
            assert client.receive_close().close_code == 4242
        who = {"client": connected["client"], "user": "42"}
        ended = {**who, "transport": "websocket", "code": 4242, "reason": "go away"}
        assert server.event("client disconnected").items() >= ended.items()
        assert server.event("client connected").items() >= {**who, "transport": "websocket"}.items()
        refused = {**who, "level": "info", "method": "subscribe", "channel": "closed:1", "code": 103}
        assert server.event("command refused").items() >= {**refused, "reason": "permission denied"}.items()
        upgrade = next(event for event in server.events("http request") if event["status"] == 101)
        assert (upgrade["method"], upgrade["path"]) == ("GET", "/connection/websocket")
        assert upgrade["address"] == "198.51.100.7"


def secretive(folder: Path) -> Daemon:
    changes = {
        "log": {"level": "trace"},
        "client": {
            "token": {
                "hmac_secret_key": SECRETS["key of tokens"],
                "hmac_previous_secret_key": SECRETS["older key of tokens"],
            }
        },
        "http_api": {"key": SECRETS["key of the api"]},
        "admin": {"password": SECRETS["password"]},
    }
    return Daemon(folder, changes)


def call(server: Daemon, method: str, body: Any, *, query: str = "", **headers: str) -> None:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    server.request("POST", f"/api/{method}{query}", text, names)


def test_no_secret_ever_stands_in_the_log(tmp_path: Path) -> None:
    """A client and a backend do everything, right and wrong, at level trace."""
    api_key, payload = SECRETS["key of the api"], {"text": SECRETS["payload"]}
    key = SECRETS["key of tokens"]
    good = issue_token({"sub": "42", "info": {"x": SECRETS["info"]}, "meta": payload}, key)
    expired = issue_token({"sub": "42", "exp": 1, "info": {"x": SECRETS["info"]}}, key)
    forged = issue_token({"sub": "42"}, "another key of more than thirty-two bytes")
    private = issue_token({"sub": "42", "channel": "$private", "info": payload}, key)
    with secretive(tmp_path) as server:
        for token in (good, expired, forged, "SECRET-no-token", SECRETS["key of tokens"]):
            with RawWebSocket(
                server.port, headers={"Authorization": f"Bearer {good}", "Cookie": payload["text"]}
            ) as client:
                client.send_text(json.dumps({"id": 1, "connect": {"token": token, "data": payload}}))
                if token != good:
                    client.receive()
                    continue
                client.reply(1)
                client.subscribe("news")
                client.subscribe("$private", token=private)
                client.subscribe("history:1")
                for channel in ("news", "history:1", "closed:1", "nowhere:1", "news" * 1000):
                    client.command(publish={"channel": channel, "data": payload})
                client.command(rpc={"method": SECRETS["payload"], "data": payload})
                client.command(history={"channel": "history:1", "limit": 5})
                client.command(refresh={"token": good})
                client.command(sub_refresh={"channel": "$private", "token": private})
                call(server, "publish", {"channel": "news", "data": payload}, X_API_Key=api_key)
                client.push()
                client.send_text(json.dumps({"id": 99, "subscribe": {"channel": "$x", "token": private}}))
                client.receive_close()
        with RawWebSocket(server.port) as client:
            client.connect(token=good)
            client.send_text('{"id": 99, "publish": {"channel": "news", "data": "' + SECRETS["payload"])
            client.receive_close()
        bad_bodies: list[Any] = [
            {"channel": "nowhere:1", "data": payload},
            {"data": payload},
            b'{"SECRET-payload',
            [],
        ]
        for body in bad_bodies:
            call(server, "publish", body, X_API_Key=api_key)
            call(server, "publish", body, Authorization=f"apikey {api_key}")
            call(server, "publish", body, query=f"?api_key={api_key}")
            call(server, "publish", body, X_API_Key=f"{api_key}-wrong")
        call(
            server,
            "batch",
            {"commands": [{"publish": {"channel": "news", "data": payload}}]},
            X_API_Key=api_key,
        )
        server.request("POST", f"/api?api_key={api_key}", b'{"method": "SECRET"}', {})
        server.get(f"/connection/websocket?cf_connect={good}")
        server.get(f"/?token={good}&api_key={api_key}")
        server.reload()
        server.config_file.write_text(server.config_file.read_text()[:-1])
        server.reload("configuration was not reloaded, the old one stays")
    text = server.log()
    levels = {json.loads(line)["level"] for line in text.splitlines()}
    assert {"trace", "debug", "info", "error"} <= levels
    assert "SECRET" not in text
    for token in (good, expired, forged, private):
        for part in token.split("."):
            assert part not in text or part == token.split(".")[0]
    assert good.split(".")[0] not in text


def test_a_log_that_nobody_reads_holds_up_nobody(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    try:
        with Daemon(tmp_path, {"log": {"level": "trace"}}, stderr=writer) as server:
            os.close(writer)
            with RawWebSocket(server.port) as client:
                client.connect()
                client.subscribe("news")
                # Some 200 bytes a command: far more than the pipe and the buffer take.
                frame = "\n".join(
                    json.dumps({"id": number, "rpc": {"method": "x"}}) for number in range(3, 503)
                )
                for _ in range(20):
                    client.send_text(frame)
                    for number in range(3, 503):
                        assert client.reply(number)["error"]["code"] == 108
                server.publish("news", "served")
                assert client.push()["pub"]["data"] == "served"
            received = read_until(reader, b"log lines dropped")
            events = [json.loads(line) for line in received.splitlines() if line.startswith(b"{")]
            dropped = next(event for event in events if event["message"] == "log lines dropped")
            assert dropped["level"] == "warn"
            assert dropped["dropped"] > 1000
            os.close(reader)  # from here on every write fails
            reader = -1
            assert server.get("/health")[0] == 200
    finally:
        if reader >= 0:
            os.close(reader)


def read_until(fd: int, text: bytes) -> bytes:
    """All that is there up to the end of the line with *text*."""
    received = bytearray()
    while text not in received or not received.endswith(b"\n"):
        part = os.read(fd, 1 << 16)
        assert part, "the log has ended"
        received += part
    return bytes(received)


def test_a_blocked_log_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    try:
        with Daemon(tmp_path, {"log": {"level": "trace"}}, stderr=writer) as server:
            os.close(writer)
            with RawWebSocket(server.port) as client:
                client.connect()
                for number in range(2, 1000):
                    client.command(rpc={"method": str(number)})
            assert server.stop() == 0
    finally:
        os.close(reader)


@pytest.mark.parametrize("coloured", [True, False])
def test_a_terminal_gets_lines_for_humans(tmp_path: Path, coloured: bool) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"http_server": {"port": 0, "address": "127.0.0.1"}, "client.insecure": true}')
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "NO_COLOR": "" if coloured else "1"}
    command = [sys.executable, "-m", "centrifast", "-c", str(config)]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environ) as process:
        os.close(theirs)
        try:
            text = read_until(ours, b"serving websocket").decode()
        finally:
            process.terminate()
            assert process.wait(WAIT) == 0
            assert process.stderr is not None
            assert process.stderr.read() == b""
            os.close(ours)
    assert ("\x1b[33mWARN \x1b[0m configuration" in text) is coloured
    assert ("Z WARN  configuration" in text) is not coloured
    assert 'reason="insecure mode is on: client.insecure"' in text


def test_level_none_logs_nothing(tmp_path: Path) -> None:
    with Daemon(tmp_path, {"log": {"level": "none"}}) as server:
        eventually(lambda: server.get("/health")[0] == 200, "an answer")
    assert server.log() == ""
