"""The receiving side: one picows listener per connection, counting into shared memory."""

import asyncio
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol, final, type_check_only

from picows import WSListener

from centrifast_loadgen._board import Shard
from centrifast_loadgen.messages import Message, Unsubscribed

class Encoding(IntEnum):
    JSON = 0
    PROTOBUF = 1
    RAW = 2

SUBSCRIPTION_ID_BASE: int

@type_check_only
class Owner(Protocol):
    def on_closed(self, connection: Connection, reason: str) -> None: ...
    def on_unsubscribed(self, connection: Connection, slot: int, ended: Unsubscribed) -> None: ...
    def slot_of(self, connection: Connection, channel: str) -> int: ...

@final
class Plan:
    shard: Shard
    encoding: Encoding
    channels: int
    channels_per_connection: int
    stopping: bool
    track_joins: bool
    def __init__(
        self,
        shard: Shard,
        encoding: Encoding,
        channels: int,
        channels_per_connection: int,
        decode: Callable[[bytes], Message],
        owner: Owner,
    ) -> None: ...
    def channels_of(self, number: int) -> list[int]: ...

@final
class Connection(WSListener):
    number: int
    delivered: int
    missing: int
    slow: bool
    was_ready: bool
    saw_itself: bool
    epochs: list[str | None]
    @property
    def is_open(self) -> bool: ...
    def __init__(self, plan: Plan, number: int) -> None: ...
    def prepare(
        self,
        commands: list[bytes],
        ready: asyncio.Future[str | None],
        resume: bool = False,
        exact: bool = True,
    ) -> None: ...
    def position(self, slot: int) -> tuple[str, int] | None: ...
    def lost(self) -> int: ...
    def drop(self, graceful: bool = False) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def send(self, command: bytes) -> None: ...
