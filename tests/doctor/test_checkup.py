"""The whole run, against made-up machines."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from centrifast.auth.jws import parse
from centrifast.config.schema import Config
from centrifast.doctor.checkup import CONNECTIONS, Checkup, Plan, guarded, streams_of, token_of
from centrifast.doctor.finding import Finding, Level, ok
from centrifast.doctor.machine import Machine
from centrifast.doctor.wire import Target
from tests.auth.signing import RSA, jwk_of, private_pem_of, public_pem_of
from tests.config.building import config_of
from tests.doctor.certificates import DAY, make_certificate
from tests.doctor.scripted_server import answering, http, scripted_server
from tests.server_process import free_port

URL = Target(False, "a", 80, "/live/connection/websocket")
steps: list[str] = []


def run(tmp_path: Path, tree: Mapping[str, object], **plan: object) -> dict[str, Finding]:
    steps.clear()
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"http_server": {"address": "127.0.0.1", "port": free_port()}, **tree}))
    machine = Machine(tmp_path / "made-up")
    planned = Plan(path, **plan)  # type: ignore[arg-type]
    return {finding.check: finding for finding in Checkup(planned, {}, machine, steps.append).run()}


def test_a_machine_that_tells_nothing_is_unknown_and_no_failure(tmp_path: Path) -> None:
    found = run(tmp_path, {}, connections=1)
    assert found["fs.nr_open"].level is Level.UNKNOWN
    assert found["net.core.somaxconn"].level is Level.UNKNOWN
    assert found["memory"].level is Level.UNKNOWN
    assert not any(finding.level is Level.FAIL for finding in found.values())
    assert steps[0] == "looking at the machine, for 1 connections"


def test_the_number_of_connections_comes_from_the_plan_the_configuration_or_a_default(tmp_path: Path) -> None:
    limited = {"client.connection_limit": 77}
    assert run(tmp_path, limited, connections=5)["fs.nr_open"].needed == "at least 105"
    assert run(tmp_path, limited)["fs.nr_open"].needed == "at least 177"
    assert run(tmp_path, {})["fs.nr_open"].needed == f"at least {CONNECTIONS + 100:,}"


def test_the_limits_of_a_running_server_are_read(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(str(os.getpid()))
    limits = tmp_path / "made-up" / "proc" / str(os.getpid()) / "limits"
    limits.parent.mkdir(parents=True)
    limits.write_text("Max open files            1024                 1024                 files \n")
    found = run(tmp_path, {"pid_file": str(tmp_path / "pid")})
    assert (
        found["descriptor limit"].seen
        == f"soft 1,024, hard 1,024 (of the running server, process {os.getpid()})"
    )


def test_a_configuration_that_can_not_be_read_does_not_end_the_run(tmp_path: Path) -> None:
    found = run(tmp_path, {"log.level": {}})
    assert found["configuration"].level is Level.FAIL
    assert "memory" in found


def test_everything_behind_the_configuration_is_asked(tmp_path: Path) -> None:
    now = time.time()
    keys = json.dumps({"keys": [jwk_of(RSA, "a")]}).encode()
    with scripted_server([answering(http(200, keys, "Date: Tue, 14 Nov 2023 22:13:20 GMT"))]) as port:
        found = run(
            tmp_path,
            {
                "pid_file": str(tmp_path / "absent" / "pid"),
                "client.token.jwks_public_endpoint": f"http://127.0.0.1:{port}/keys",
                "engine": {"type": "redis", "redis": {"address": "127.0.0.1:1"}},
                "http_server": {
                    "address": "127.0.0.1",
                    "port": free_port(),
                    "tls": {
                        "enabled": True,
                        "cert_pem": make_certificate(RSA, now - DAY, now + DAY),
                        "key_pem": private_pem_of(RSA),
                    },
                    "internal_tls": {
                        "enabled": True,
                        "cert_pem": make_certificate(RSA, now - DAY, now + DAY),
                        "key_pem": public_pem_of(RSA),
                    },
                },
            },
            url="nonsense",
        )
    assert found["pid_file"].level is Level.FAIL
    assert found["client.token.jwks_public_endpoint"].level is Level.OK
    assert found["engine.redis"].level is Level.FAIL
    assert found["http_server.tls"].level is Level.WARN
    assert found["http_server.internal_tls"].level is Level.FAIL
    assert found[f"clock of 127.0.0.1:{port}"].level is Level.WARN
    assert found["url"].level is Level.FAIL
    assert any("asking Redis" in step for step in steps)
    assert any("fetching a key set" in step for step in steps)


def test_a_url_is_looked_at(tmp_path: Path) -> None:
    with scripted_server([answering(http(502, b"", "Date: Tue, 14 Nov 2023 22:13:20 GMT"))]) as port:
        found = run(tmp_path, {}, url=f"ws://127.0.0.1:{port}/connection/websocket")
    assert found["url handshake"].seen == "HTTP 502"
    assert found[f"clock of 127.0.0.1:{port}"].level is Level.WARN


def test_a_port_that_is_none_does_not_end_the_run(tmp_path: Path) -> None:
    found = run(tmp_path, {"http_server": {"internal_port": "x"}})
    assert found["configuration"].level is Level.FAIL
    assert not any(name.startswith("port ") for name in found)


def test_what_the_machine_refuses_is_unknown() -> None:
    def refused(config: Config) -> list[Finding]:
        raise OSError("no")

    def step(config: Config) -> Iterator[Finding]:
        yield ok("a", "b")
        refused(config)

    first, second = guarded(step, Config())
    assert first.level is Level.OK
    assert (second.check, second.level, second.seen) == ("step", Level.UNKNOWN, "could not be looked at: no")


def test_a_token_is_made_only_where_the_configuration_can() -> None:
    assert token_of(config_of({})) == ""
    secret = {"client.token.hmac_secret_key": "s" * 32}
    assert token_of(config_of({**secret, "client.token.jwks_public_endpoint": "http://a"})) == ""
    claims = json.loads(parse(token_of(config_of(secret))).payload)
    assert claims["sub"] == "centrifast-doctor"
    assert 0 < claims["exp"] - time.time() <= 300
    demanding = {
        "client.token": {"hmac_secret_key": "s" * 32, "user_id_claim": "uid", "audience": "a", "issuer": "i"}
    }
    claims = json.loads(parse(token_of(config_of(demanding))).payload)
    assert (claims["uid"], claims["aud"], claims["iss"]) == ("centrifast-doctor", "a", "i")


@pytest.mark.parametrize(
    ("tree", "paths"),
    [
        ({}, {}),
        ({"sse.enabled": True}, {"sse": "/live/connection/sse"}),
        (
            {"sse.enabled": True, "http_stream": {"enabled": True, "handler_prefix": "/s"}},
            {"sse": "/live/connection/sse", "http_stream": "/live/s"},
        ),
        ({"sse.enabled": True, "websocket.handler_prefix": "/other"}, {}),
    ],
)
def test_streaming_transports_are_beside_the_websocket(
    tree: dict[str, object], paths: dict[str, str]
) -> None:
    assert {name: target.path for name, target in streams_of(URL, config_of(tree)).items()} == paths
