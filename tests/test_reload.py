"""Reading the configuration again: what takes effect, what does not, and what never leaves the old one half."""

import asyncio
import json
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest

from centrifast import log
from centrifast.config.error import ConfigError
from centrifast.config.loader import LoadedConfig, load
from centrifast.config.option import walk
from centrifast.config.schema import Config
from centrifast.reload import (
    LIVE,
    NOT_LIVE,
    Basis,
    NodeConfiguration,
    Prepared,
    Reloader,
    Reread,
    differences,
    in_thread,
    is_live,
    merged,
    prepare,
    read_again,
)
from centrifast.systemd import Notifier
from tests.client import conftest
from tests.client.conftest import Serve
from tests.config.building import config_of
from tests.fakes import FakeClock

serve = conftest.serve
OPEN = {"client": {"allow_anonymous_connect_without_token": True, "ping_interval": "-1s"}}


class ConfigFile:
    """A file and what was read from it."""

    def __init__(self, path: Path, tree: Mapping[str, object]) -> None:
        self.path = path
        self.write(tree)
        self.loaded = load(path, {}, {})

    def write(self, tree: Mapping[str, object]) -> None:
        self.path.write_text(json.dumps({**OPEN, **tree}))

    def read_again(self, *, strict: bool = False) -> Reread:
        config = self.loaded.config
        return read_again(Basis(self.loaded, config, config), {}, strict=strict)

    def prepare(self, *, strict: bool = False) -> Prepared:
        return prepare(self.loaded.config, self.read_again(strict=strict).config, FakeClock())


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, dict[str, object]]]:
    """Every event that is logged."""
    events: list[tuple[int, str, dict[str, object]]] = []
    monkeypatch.setattr(
        log, "event", lambda level, name, fields, exception=None: events.append((level, name, fields))
    )
    return events


# ------------------------------------------------------------------ what takes effect


def test_every_name_of_the_tables_is_an_option_or_a_section() -> None:
    known = {path for path, _ in walk(Config)}
    assert {*LIVE, *NOT_LIVE} <= known


@pytest.mark.parametrize(
    ("path", "live"),
    [
        ("channel.namespaces", True),
        ("channel.without_namespace.presence", True),
        ("channel.max_length", True),
        ("channel.proxy.subscribe.endpoint", False),
        ("rpc.namespaces", True),
        ("rpc.proxy.endpoint", False),
        ("client.insecure", True),
        ("client.insecure_skip_token_signature_verify", True),
        ("client.token.jwks_public_endpoint", True),
        ("client.subscription_token.enabled", True),
        ("client.subscribe_to_user_personal_channel.single_connection", True),
        ("client.connection_limit", False),
        ("client.channel_limit", False),
        ("client.allowed_origins", False),
        ("client.ping_interval", False),
        ("http_api.key", False),
        ("http_server.port", False),
        ("log.level", False),
        ("proxies", False),
    ],
)
def test_what_takes_effect_is_what_the_specification_says(path: str, live: bool) -> None:
    assert is_live(path, Config()) is live


@pytest.mark.parametrize("option", ["connection_limit", "connection_rate_limit"])
def test_the_connection_limit_takes_effect_if_a_limit_was_set_at_start(option: str) -> None:
    assert is_live("client.connection_limit", config_of({f"client.{option}": 5}))


def test_what_does_not_take_effect_keeps_its_value() -> None:
    running = config_of({"client": {"channel_limit": 1, "insecure": False}, "http_api.key": "old"})
    wanted = config_of({"client": {"channel_limit": 2, "insecure": True}, "http_api.key": "new"})
    config = merged(running, wanted, lambda path: is_live(path, running))
    assert (config.client.channel_limit, config.client.insecure) == (1, True)
    assert config.http_api.key == "old"
    assert list(differences(running, config)) == ["client.insecure"]
    assert list(differences(config, wanted)) == ["client.channel_limit", "http_api.key"]


def test_what_was_changed_is_told_by_name(tmp_path: Path) -> None:
    file = ConfigFile(tmp_path / "c.json", {})
    file.write({"channel": {"namespaces": [{"name": "chat"}]}, "http_server": {"port": 1}, "pid_file": "x"})
    reread = file.read_again()
    assert reread.changed == ("channel.namespaces",)
    assert reread.need_restart == ("http_server.port", "pid_file")
    assert file.prepare().rules.options_of("chat:1").allow_subscribe_for_client is False


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"client": {"ping_interval": "1s"}}, "client.ping_interval must be greater"),
        ({"client": {"token": {"rsa_public_key": "-----BEGIN PUBLIC KEY-----"}}}, "rsa_public_key"),
        ({"channel": {"namespaces": [{"name": "x"}]}}, "'x'"),
        ({"broker": {"enabled": True, "type": "nats"}}, "not supported by this version"),
        ({"http_server": {"port": "x"}}, "http_server.port"),
    ],
)
def test_what_could_not_be_started_is_refused(tree: dict[str, object], message: str, tmp_path: Path) -> None:
    file = ConfigFile(tmp_path / "c.json", {})
    file.write(tree)
    with pytest.raises((ConfigError, ValueError), match=message):
        file.prepare()


def test_a_file_that_has_disappeared_is_refused(tmp_path: Path) -> None:
    file = ConfigFile(tmp_path / "c.json", {})
    file.path.unlink()
    with pytest.raises(ConfigError, match="disappeared"):
        file.prepare()


def test_unknown_keys_are_refused_where_they_were_at_start(tmp_path: Path) -> None:
    file = ConfigFile(tmp_path / "c.json", {})
    file.write({"clinet": 1})
    file.prepare()
    with pytest.raises(ConfigError, match="clinet"):
        file.prepare(strict=True)


# ------------------------------------------------------------------ tokens


def test_verifiers_stay_when_nothing_of_tokens_has_changed(tmp_path: Path) -> None:
    client = {**OPEN["client"], "token": {"hmac_secret_key": "one"}}
    file = ConfigFile(tmp_path / "c.json", {"client": client})
    assert file.prepare().verifiers is None
    file.write({"client": {**client, "insecure_skip_token_signature_verify": True}})
    assert file.prepare().verifiers is not None
    file.write({"client": {**client, "token": {"hmac_secret_key": "two"}}})
    assert file.prepare().verifiers is not None


# ------------------------------------------------------------------ one after another


def reloading(
    file: ConfigFile, serve: Serve, work: Callable[[Reloader, Any], Coroutine[Any, Any, None]]
) -> None:
    """Run *work* with a reloader and its node."""
    server = serve(file.loaded.config)

    async def main() -> None:
        configuration = NodeConfiguration(server.node, server.clock)
        reloader = Reloader(file.loaded, configuration.apply, Notifier({}))
        await work(reloader, server)
        await reloader.close()

    asyncio.run(main())


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it is asked, not told
            await asyncio.sleep(0.001)


def test_a_reload_swaps_everything_and_says_so(
    tmp_path: Path, serve: Serve, lines: list[tuple[int, str, dict[str, object]]]
) -> None:
    file = ConfigFile(tmp_path / "c.json", {"client": {**OPEN["client"], "connection_limit": 5}})

    async def work(reloader: Reloader, server: Any) -> None:
        node = server.node
        tokens, rules = node.tokens, node.rules
        file.write(
            {
                "client": {
                    **OPEN["client"],
                    "connection_limit": 7,
                    "channel_limit": 1,
                    "token": {"hmac_secret_key": "k"},
                },
                "channel": {"namespaces": [{"name": "chat", "history_size": 1, "history_ttl": "1m"}]},
            }
        )
        reloader.request()
        await until(lambda: len(lines) >= 2)
        assert node.tokens is not tokens
        assert node.rules is not rules
        assert node.histories.of(node.channel_options("chat:1")).size == 1
        assert node.admission.limit == 7
        assert node.config.client.channel_limit == 128

    reloading(file, serve, work)
    (_, reloaded, fields), (level, restart, options) = lines[:2]
    assert reloaded == "configuration reloaded"
    assert fields["changed"] == "client.token.hmac_secret_key, client.connection_limit, channel.namespaces"
    assert (level, restart) == (log.INFO, "changed options need a restart")
    assert options == {"options": "client.channel_limit"}


def test_a_failure_leaves_the_old_one_and_the_next_reload_works(
    tmp_path: Path, serve: Serve, lines: list[tuple[int, str, dict[str, object]]]
) -> None:
    file = ConfigFile(tmp_path / "c.json", {})

    async def work(reloader: Reloader, server: Any) -> None:
        config = server.node.config
        file.path.write_text("{")
        reloader.request()
        await until(lambda: lines)
        assert server.node.config is config
        file.write({"channel": {"max_length": 3}})
        reloader.request()
        await until(lambda: len(lines) == 2)
        assert server.node.config.channel.max_length == 3

    reloading(file, serve, work)
    assert lines[0][:2] == (log.ERROR, "configuration was not reloaded, the old one stays")
    assert "cannot be read" in str(lines[0][2]["error"])


def test_a_bug_in_a_reload_costs_the_reload_only(
    tmp_path: Path,
    serve: Serve,
    lines: list[tuple[int, str, dict[str, object]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = ConfigFile(tmp_path / "c.json", {})

    def broken(*_: object, **__: object) -> LoadedConfig:
        raise RuntimeError("bug")

    async def work(reloader: Reloader, server: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("centrifast.reload.reload", broken)
            reloader.request()
            await until(lambda: lines)
        reloader.request()
        await until(lambda: len(lines) == 2)

    reloading(file, serve, work)
    assert [level for level, _, _ in lines] == [log.ERROR, log.INFO]


def test_requests_during_a_reload_are_served_together_after_it(
    tmp_path: Path, serve: Serve, lines: list[tuple[int, str, dict[str, object]]]
) -> None:
    """The file is a pipe here: reading it hangs until somebody writes."""
    file = ConfigFile(tmp_path / "c.json", {})
    file.path.unlink()
    os.mkfifo(file.path)

    async def work(reloader: Reloader, server: Any) -> None:
        reloader.request()
        for_first = await asyncio.to_thread(file.path.open, "w")  # waits for the reader
        for _ in range(5):
            reloader.request()
        for_first.write(json.dumps({**OPEN, "channel": {"max_length": 10}}))
        for_first.close()
        await until(lambda: server.node.config.channel.max_length == 10)
        for_second = await asyncio.to_thread(file.path.open, "w")
        for_second.write(json.dumps({**OPEN, "channel": {"max_length": 20}}))
        for_second.close()
        await until(lambda: len(lines) == 2)
        assert server.node.config.channel.max_length == 20

    reloading(file, serve, work)
    assert [name for _, name, _ in lines] == ["configuration reloaded"] * 2


def test_what_takes_effect_with_a_restart_of_the_workers_is_said_by_who_asks(
    tmp_path: Path, serve: Serve
) -> None:
    file = ConfigFile(tmp_path / "c.json", {})

    async def work(reloader: Reloader, _: Any) -> None:
        file.write({"client": {**OPEN["client"], "channel_limit": 7}, "http_server": {"port": 1}})
        reread = await reloader.read(lambda path: path != "http_server.port")
        assert (reread.changed, reread.need_restart) == (("client.channel_limit",), ("http_server.port",))
        assert reloader.running.client.channel_limit == 128
        reloader.adopt(reread, as_start=True)
        assert reloader.running.client.channel_limit == 7
        assert (await reloader.read()).changed == ()

    reloading(file, serve, work)


# ------------------------------------------------------------------ the thread


def test_work_in_a_thread_gives_its_result_or_its_error() -> None:
    def failing() -> None:
        raise KeyError("x")

    async def main() -> None:
        assert await in_thread(lambda: 5) == 5
        with pytest.raises(KeyError):
            await in_thread(failing)

    asyncio.run(main())


def test_nobody_waits_for_a_thread_that_hangs() -> None:
    go_on = threading.Event()

    async def main() -> None:
        waiting = asyncio.ensure_future(in_thread(go_on.wait))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])

    asyncio.run(main())
    go_on.set()
