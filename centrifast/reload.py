"""Reads the configuration again while the server runs (SIGHUP, server specification 1.9).

How it works: a thread reads files and environment, checks them, and makes ready what is made of them; the loop then
swaps all of it in one step. What is not in ``LIVE`` keeps the value it was started with, so who reads the running
configuration never sees a mixture that no start could have made. Existing subscriptions keep what they were made with.
"""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from centrifast import log
from centrifast.auth.tokens import TokenVerifier, verifiers
from centrifast.channels import ChannelRules
from centrifast.clock import Clock
from centrifast.config.error import ConfigError
from centrifast.config.loader import LoadedConfig, reload
from centrifast.config.option import Kind, options_of
from centrifast.config.review import review
from centrifast.config.schema import Config
from centrifast.history_options import HistoryRules
from centrifast.node import Node
from centrifast.systemd import Notifier

T = TypeVar("T")
V = TypeVar("V")

Verifiers = tuple[TokenVerifier, TokenVerifier]

LIVE = (
    "channel",
    "rpc",
    "client.allow_anonymous_connect_without_token",
    "client.connection_limit",
    "client.disallow_anonymous_connection_tokens",
    "client.insecure",
    "client.insecure_skip_token_signature_verify",
    "client.subscribe_to_user_personal_channel",
    "client.subscription_token",
    "client.token",
)
"""Options and sections that take effect without a restart."""

NOT_LIVE = ("channel.proxy", "rpc.proxy")
"""Sections inside of those that do not."""


def is_live(path: str, started: Config) -> bool:
    """Whether an option takes effect in a server that was started with *started*."""
    if path == "client.connection_limit":
        client = started.client
        return client.connection_limit > 0 or client.connection_rate_limit > 0
    return is_below(path, LIVE) and not is_below(path, NOT_LIVE)


def is_below(path: str, sections: tuple[str, ...]) -> bool:
    """Whether an option is one of these, or inside one."""
    return any(path == section or path.startswith(f"{section}.") for section in sections)


def merged(running: T, wanted: T, live: Callable[[str], bool], path: str = "") -> T:
    """*running* with those options of *wanted* that are *live*, by their path."""
    values = {}
    for option in options_of(type(running)):
        name = path + option.name
        old, new = getattr(running, option.name), getattr(wanted, option.name)
        if option.kind is Kind.SECTION:
            values[option.name] = merged(old, new, live, f"{name}.")
        else:
            values[option.name] = new if live(name) else old
    return type(running)(**values)


def differences(one: object, other: object, path: str = "") -> Iterator[str]:
    """Paths of options whose values differ, in the order of the schema; a list of objects counts as one."""
    for option in options_of(type(one)):
        name = path + option.name
        old, new = getattr(one, option.name), getattr(other, option.name)
        if option.kind is Kind.SECTION:
            yield from differences(old, new, f"{name}.")
        elif old != new:
            yield name


@dataclass(frozen=True, slots=True)
class Basis:
    """What a reload begins with: what was read last, what the server was started with, what it runs with."""

    loaded: LoadedConfig
    started: Config
    running: Config


@dataclass(frozen=True, slots=True)
class Reread:
    """What files and environment say by now: *loaded* as it stands there, *config* runs from here on."""

    loaded: LoadedConfig
    config: Config
    changed: tuple[str, ...]
    need_restart: tuple[str, ...]


def read_again(
    basis: Basis, environ: Mapping[str, str], *, strict: bool, live: Callable[[str], bool] | None = None
) -> Reread:
    """Read again what was read before; blocks, changes nothing. *live* stands in for ``is_live``.

    Raises ConfigError or OSError for what could not be started with either.
    """
    again = reload(basis.loaded, environ)
    review(again, strict=strict)
    running = basis.running
    config = merged(running, again.config, live or (lambda path: is_live(path, basis.started)))
    return Reread(
        loaded=again,
        config=config,
        changed=tuple(differences(running, config)),
        need_restart=tuple(differences(config, again.config)),
    )


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a reload swaps in.

    No *verifiers*: nothing of tokens has changed, and those that run know keys that would have to be fetched again.
    """

    config: Config
    rules: ChannelRules
    histories: HistoryRules
    verifiers: Verifiers | None


def prepare(running: Config, config: Config, clock: Clock) -> Prepared:
    """Make ready what is made of a configuration; blocks, changes nothing. Raises ValueError, OSError."""
    return Prepared(
        config=config,
        rules=ChannelRules(config.channel),
        histories=HistoryRules(config.channel),
        verifiers=None if same_tokens(running, config) else verifiers(config.client, clock),
    )


def same_tokens(one: Config, other: Config) -> bool:
    """Whether both verify tokens in the same way."""
    return all(
        getattr(one.client, name) == getattr(other.client, name)
        for name in ("token", "subscription_token", "insecure_skip_token_signature_verify")
    )


def swap(node: Node, prepared: Prepared) -> tuple[TokenVerifier, ...]:
    """Let the node work with the new configuration, all at once; the verifiers that it no longer uses."""
    node.config = prepared.config
    node.rules, node.histories = prepared.rules, prepared.histories
    node.admission.limit = prepared.config.client.connection_limit
    if prepared.verifiers is None:
        return ()
    old = node.tokens, node.subscription_tokens
    node.tokens, node.subscription_tokens = prepared.verifiers
    return old


class NodeConfiguration:
    """Lets a node that runs go over to another configuration."""

    def __init__(self, node: Node, clock: Clock) -> None:
        self._node = node
        self._clock = clock

    async def apply(self, config: Config) -> Sequence[TokenVerifier]:
        """Go over to *config* in one step; the verifiers that are no longer used. Raises like ``prepare``."""
        running = self._node.config
        return swap(self._node, await in_thread(lambda: prepare(running, config, self._clock)))


async def let_go(old: Sequence[TokenVerifier]) -> None:
    """Close verifiers when no token waits in them any more."""
    try:
        for verifier in old:
            await verifier.drain()
    finally:
        for verifier in old:
            await verifier.close()


Apply = Callable[[Config], Awaitable[Sequence[TokenVerifier]]]
"""Goes over to a configuration; what is no longer used is to be let go of."""


class Reloader:
    """Serves one request after another; those that come while one is served are served together, after it."""

    def __init__(
        self, loaded: LoadedConfig, apply: Apply, notifier: Notifier, *, strict: bool = False
    ) -> None:
        """*loaded* is what the server was started with; *strict* refuses unknown keys."""
        self._basis = Basis(loaded, loaded.config, loaded.config)
        self._apply = apply
        self._notifier = notifier
        self._strict = strict
        self._is_wanted = False
        self._task: asyncio.Task[None] | None = None
        self.turn = asyncio.Lock()
        """Held by who changes the configuration."""

    @property
    def running(self) -> Config:
        """What the server runs with."""
        return self._basis.running

    def request(self) -> None:
        """Reload as soon as possible."""
        self._is_wanted = True
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._serve())
            self._task.add_done_callback(self._on_done)

    async def read(self, live: Callable[[str], bool] | None = None) -> Reread:
        """Read files and environment again, in a thread; see ``read_again``. Changes nothing."""
        basis, strict = self._basis, self._strict
        return await in_thread(lambda: read_again(basis, os.environ.copy(), strict=strict, live=live))

    def adopt(self, reread: Reread, *, as_start: bool = False) -> None:
        """Compare the next one with this; *as_start*: the server has been started with it as good as new."""
        self._basis = Basis(reread.loaded, reread.config if as_start else self._basis.started, reread.config)

    async def close(self) -> None:
        """Give up what runs; the node's verifiers are the caller's to close."""
        self._is_wanted = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if self._is_wanted:  # asked for between the last look and now
            self.request()

    async def _serve(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            async with self.turn:
                await self._serve_one()

    async def _serve_one(self) -> None:
        self._notifier.reloading()
        status = "configuration reloaded"
        try:
            await self._reload()
        except (ConfigError, OSError, ValueError) as error:
            status = f"configuration was not reloaded: {error}"
            log.error("configuration was not reloaded, the old one stays", error=error)
        except Exception:  # noqa: BLE001 - the boundary where a bug costs a reload, not the server
            status = "configuration was not reloaded"
            log.exception("configuration was not reloaded, the old one stays")
        self._notifier.ready(status)

    async def _reload(self) -> None:
        reread = await self.read()
        old = await self._apply(reread.config)
        self.adopt(reread)
        log.info("configuration reloaded", changed=", ".join(reread.changed))
        if reread.need_restart:
            log.info("changed options need a restart", options=", ".join(reread.need_restart))
        await let_go(old)


async def in_thread(work: Callable[[], V]) -> V:
    """Run *work*, which may block, beside the loop.

    The thread is a daemon, not one of the loop's: one that hangs in reading a file must not hold the end.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[V] = loop.create_future()

    def settle(value: V | None, error: BaseException | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]  # there is one where there is no error

    def run() -> None:
        value, error = None, None
        try:
            value = work()
        except BaseException as raised:  # noqa: BLE001 - it is raised where the result is waited for
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, name="reload", daemon=True).start()
    return await result
