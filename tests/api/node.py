"""A node that remembers what the API asked of it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from centrifast import errors
from centrifast.auth.claims import NO_OVERRIDE, SubscriptionOverride
from centrifast.config.schema import ChannelOptions
from centrifast.engine.contract import PUBLISHED, History, HistoryFilter, PublishResult
from centrifast.errors import ClientError, DisconnectCode
from centrifast.glob import Glob
from centrifast.metrics.metrics import Metrics
from centrifast.metrics.snapshot import NodeStats, SlowClient, Snapshot
from centrifast.model import ClientInfo, NodeInfo, PresenceStats, Publication, StreamPosition

OPTIONS = ChannelOptions()

NUMBERS: dict[str, Any] = {
    name: "u" if name in ("uid", "name", "version") else 0
    for name in Snapshot.__struct_fields__
    if name not in ("publish_to_socket", "client_command", "api_command", "loop_lag")
}

DEFAULTS: dict[str, Any] = {
    "history": True,
    "tags": None,
    "idempotency_key": "",
    "version": 0,
    "version_epoch": "",
    "delta": False,
}
"""Of ``publish``; only what differs is remembered."""


@dataclass
class FakeNode:
    """``ApiNode``: namespaces other than ``nope`` exist, ``history`` has history, ``present`` has presence.

    Channels of ``slow`` wait until ``opened``, channels of ``away`` and ``bug`` fail.
    """

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    publications: Sequence[Publication] = ()
    clients: Mapping[str, ClientInfo] = field(default_factory=dict)
    offset: int = 0
    running: int = 0
    most_running: int = 0
    metrics: Metrics = field(default_factory=Metrics)

    def channel_options(self, channel: str) -> ChannelOptions:
        if channel.startswith("nope:"):
            raise ClientError(errors.UNKNOWN_CHANNEL)
        return OPTIONS

    def check_data(self, options: ChannelOptions, data: bytes) -> bool:
        assert options is OPTIONS
        return bool(data)

    async def publish(self, channel: str, data: bytes, **options: Any) -> PublishResult:
        options = {name: value for name, value in options.items() if value != DEFAULTS[name]}
        self.calls.append(("publish", channel, data, options))
        namespace = self._reached(channel)
        if namespace == "limit":
            raise ClientError(errors.LIMIT_EXCEEDED)
        if namespace == "slow":
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            await self.opened.wait()
            self.running -= 1
        if namespace != "history":
            return PUBLISHED
        self.offset += 1
        return PublishResult(StreamPosition(self.offset, "HyfEqRtb"))

    async def subscribe(
        self,
        user: str,
        channel: str,
        *,
        client: str = "",
        session: str = "",
        info: bytes = b"",
        data: bytes = b"",
        expire_at: int = 0,
        override: SubscriptionOverride = NO_OVERRIDE,
        recover_since: StreamPosition | None = None,
    ) -> None:
        self._reached(channel)
        self.calls.append(
            ("subscribe", user, channel, client, session, info, data, expire_at, override, recover_since)
        )

    async def unsubscribe(self, user: str, channel: str, *, client: str = "", session: str = "") -> None:
        self._reached(channel)
        self.calls.append(("unsubscribe", user, channel, client, session))

    async def disconnect(
        self,
        user: str,
        *,
        client: str = "",
        session: str = "",
        whitelist: Sequence[str] = (),
        disconnect: DisconnectCode,
    ) -> None:
        self.calls.append(("disconnect", user, client, session, list(whitelist), disconnect))

    async def refresh(
        self,
        user: str,
        *,
        client: str = "",
        session: str = "",
        expired: bool = False,
        expire_at: int = 0,
        info: bytes = b"",
    ) -> None:
        self.calls.append(("refresh", user, client, session, expired, expire_at, info))

    async def presence(self, channel: str) -> Mapping[str, ClientInfo]:
        self._reached(channel, only="present")
        return self.clients

    async def presence_stats(self, channel: str) -> PresenceStats:
        self._reached(channel, only="present")
        return PresenceStats(len(self.clients), len({info.user for info in self.clients.values()}))

    async def history(self, channel: str, wanted: HistoryFilter) -> History:
        self._reached(channel, only="history")
        self.calls.append(("history", channel, wanted))
        if wanted.reverse and wanted.since is not None and not wanted.since.offset:
            raise ClientError(errors.BAD_REQUEST)
        if wanted.since is not None and wanted.since.epoch not in ("", "HyfEqRtb"):
            raise ClientError(errors.UNRECOVERABLE_POSITION)
        publications = self.publications if wanted.limit else ()
        return History(publications, StreamPosition(len(self.publications), "HyfEqRtb"))

    async def remove_history(self, channel: str) -> None:
        self._reached(channel, only="history")
        self.calls.append(("remove_history", channel))

    def _reached(self, channel: str, *, only: str = "") -> str:
        """The namespace, if the engine can be reached and does what *only* one namespace has switched on."""
        self.channel_options(channel)
        namespace = channel.partition(":")[0]
        if namespace == "away":
            raise ClientError(errors.INTERNAL)
        if namespace == "bug":
            raise RuntimeError("broken")
        if only and namespace != only:
            raise ClientError(errors.NOT_AVAILABLE)
        return namespace

    async def channels(self, pattern: str) -> Mapping[str, int]:
        glob = Glob(pattern or "*")
        return {name: count for name, count in {"news": 2, "a<b>&\u2028": 1}.items() if glob.matches(name)}

    async def stats(self, slow: int) -> Sequence[NodeStats]:
        return [NodeStats(**NUMBERS, slow=[SlowClient("c", "u", 5)][:slow])]

    async def info(self) -> Sequence[NodeInfo]:
        return [
            NodeInfo(
                uid="u",
                name="<host>",
                version="1",
                num_clients=0,
                num_users=0,
                num_subs=3,
                num_channels=0,
            )
        ]
