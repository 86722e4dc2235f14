"""The receiving side: one picows listener per connection, counting into shared memory."""

import asyncio
from collections.abc import Callable
from enum import IntEnum
from typing import final

from picows import WSListener
from typing_extensions import Buffer

class Counter(IntEnum):
    CONNECTED = 0
    READY = 1
    FAILED = 2
    CLOSED = 3
    DELIVERED = 4
    MESSAGES = 5
    BYTES = 6
    PINGS = 7
    LAST_NS = 8
    MAX_US = 9
    LOST = 10
    SURPLUS = 11

class Encoding(IntEnum):
    JSON = 0
    PROTOBUF = 1
    RAW = 2

HISTOGRAM_BUCKETS: int
SUBSCRIPTION_ID_BASE: int

def histogram_bucket(us: int) -> int: ...

@final
class Shard:
    def add(self, counter: Counter, amount: int = 1) -> None: ...
    def get(self, counter: Counter) -> int: ...
    def scan(self, message: bytes, now_ns: int) -> int: ...

@final
class Board:
    workers: int
    channels: int
    def __init__(self, buffer: Buffer, workers: int, channels: int) -> None: ...
    @staticmethod
    def size(workers: int, channels: int) -> int: ...
    def release(self) -> None: ...
    def shard(self, worker: int) -> Shard: ...
    def total(self, counter: Counter) -> int: ...
    def largest(self, counter: Counter) -> int: ...
    def subscribers(self, channel: int) -> int: ...
    def histogram(self) -> list[int]: ...
    def count_published(self, channel: int) -> None: ...
    def published(self, channel: int) -> int: ...
    def wait_delivered(self, target: int, timeout: float) -> bool: ...

@final
class Plan:
    shard: Shard
    encoding: Encoding
    channels: int
    channels_per_connection: int
    stopping: bool
    def __init__(
        self,
        shard: Shard,
        encoding: Encoding,
        channels: int,
        channels_per_connection: int,
        parse_reply: Callable[[bytes], tuple[int, str | None]],
        on_closed: Callable[[str], None],
    ) -> None: ...
    def channels_of(self, number: int) -> list[int]: ...

@final
class Connection(WSListener):
    number: int
    delivered: int
    @property
    def is_open(self) -> bool: ...
    def __init__(
        self, plan: Plan, number: int, commands: list[bytes], ready: asyncio.Future[str | None]
    ) -> None: ...
