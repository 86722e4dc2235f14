"""Counters in shared memory: one writer per block, the coordinator adds them up."""

from enum import IntEnum
from typing import final

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
    DOUBLED = 11
    MAX_SLOW_US = 12
    DISORDERED = 13
    MISSING = 14
    STRAY = 15
    OFFSET_GAPS = 16
    OFFSET_REPEATS = 17
    RECOVERED = 18
    RECOVERIES = 19
    UNRECOVERED = 20
    JOINS = 21
    LEAVES = 22
    DOUBLED_JOINS = 23
    PUSHES = 24
    UNSUBSCRIBED = 25
    DROPPED = 26
    REOPENED = 27
    ATTEMPTS = 28
    RETRIED = 29
    TIMEOUTS = 30
    DEFLATED = 31
    WIRE_BYTES = 32
    SLOW_DELIVERED = 33
    SLOW_CLOSED = 34
    SLOW_LEVEL = 35
    SLOW_LOST = 36
    OPEN = 37
    MAX_CONNECT_US = 38
    RECOVERABLE = 39
    UNSEEN = 40
    SLOW_GONE = 41

class Histogram(IntEnum):
    DELIVERY = 0
    CONNECT = 1
    SLOW = 2

HISTOGRAM_BUCKETS: int

def histogram_bucket(us: int) -> int: ...

@final
class Shard:
    def add(self, counter: Counter, amount: int = 1) -> None: ...
    def get(self, counter: Counter) -> int: ...
    def scan(self, message: bytes, now_ns: int) -> int: ...
    def record_connect(self, us: int) -> None: ...

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
    def histogram(self, histogram: Histogram = ...) -> list[int]: ...
    def count_published(self, channel: int) -> None: ...
    def published(self, channel: int) -> int: ...
    def wait_delivered(self, target: int, timeout: float) -> bool: ...
