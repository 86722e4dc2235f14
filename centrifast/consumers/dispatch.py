"""What becomes of a message: it is executed, comes again, or is skipped (server specification 8.1)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum

from centrifast import errors, log
from centrifast._metrics import Tally
from centrifast.api.decoding import MalformedError
from centrifast.api.messages import AnyResult, BroadcastResult
from centrifast.api.methods import ApiNode, perform
from centrifast.clock import Clock
from centrifast.consumers.messages import Call
from centrifast.engine.redis.contract import Shard
from centrifast.errors import ApiErrorCode
from centrifast.limits import CONSUMER_MESSAGE_SIZE, QUEUED_MESSAGE_LOG_SIZE
from centrifast.metrics.metrics import CONSUMING

OpenShard = Callable[[float], Awaitable[Shard]]
"""Connects to a shard anew, for commands that may block for so many seconds. Raises what ``Shard.start`` raises."""


class Verdict(Enum):
    """The end of an attempt; only the last kind is worth another one."""

    DONE = "done"
    SKIPPED = "skipped"
    RETRY = "retry"


class Dispatcher:
    """Executes messages of the consumer called *name*. No message raises, and none is ever in the way for good."""

    def __init__(self, name: str, node: ApiNode) -> None:
        self.name = name
        self._node = node
        self._processed: Tally = node.metrics.consumed.of(name)
        self._errors: Tally = node.metrics.consume_errors.of(name)

    async def make(self, call: Call | MalformedError, message: bytes) -> Verdict:
        """Make a call, or skip what is none; *message* is where it comes from."""
        if isinstance(call, MalformedError):
            return self.skip(str(call), message)
        outcome = await perform(self._node, call.method, call.request, CONSUMING)
        if is_worth_a_retry(outcome):
            self._errors.add()
            return Verdict.RETRY
        if isinstance(outcome, ApiErrorCode):
            return self.skip(f"error {outcome.code}: {outcome.message}", message)
        if isinstance(outcome, BroadcastResult):
            failed = {one.error.code: one.error.message for one in outcome.responses if one.error is not None}
            if failed:
                reason = ", ".join(f"error {code}: {text}" for code, text in sorted(failed.items()))
                return self.skip(f"not for every channel: {reason}", message)
        self._processed.add()
        return Verdict.DONE

    def skip(self, reason: str, message: bytes) -> Verdict:
        """Give up a message that no other attempt would make better, and say so."""
        log.error(
            "message of a queue is skipped",
            consumer=self.name,
            reason=reason[:QUEUED_MESSAGE_LOG_SIZE],
            beginning=message[:QUEUED_MESSAGE_LOG_SIZE].decode("utf-8", "replace"),
        )
        self._processed.add()
        return Verdict.SKIPPED


def is_worth_a_retry(outcome: AnyResult | ApiErrorCode) -> bool:
    """Whether the server failed, and not the call; of a broadcast, whether it failed for any channel."""
    internal = errors.API_INTERNAL.code
    if isinstance(outcome, ApiErrorCode):
        return outcome.code == internal
    return isinstance(outcome, BroadcastResult) and any(
        one.error is not None and one.error.code == internal for one in outcome.responses
    )


def read(
    message: bytes, decode: Callable[[bytes], Sequence[Call | MalformedError]]
) -> Sequence[Call | MalformedError]:
    """Return what *decode* makes of *message*: calls, and what could not be read in their places."""
    if len(message) > CONSUMER_MESSAGE_SIZE:
        return (MalformedError(f"more than {CONSUMER_MESSAGE_SIZE} bytes"),)
    try:
        return decode(message)
    except MalformedError as error:
        return (error,)


class Backoff:
    """Pauses between attempts: *first* seconds, doubled each time up to *last*, each longer by a random part."""

    def __init__(self, clock: Clock, first: float, last: float) -> None:
        self._clock = clock
        self._first, self._last = first, last
        self._next = first

    def reset(self) -> None:
        """An attempt went well."""
        self._next = self._first

    def take(self) -> float:
        """Return the next pause, in seconds."""
        pause = min(self._next * (1 + self._clock.random()), self._last)
        self._next = min(2 * self._next, self._last)
        return pause


async def wait_for(event: asyncio.Event, seconds: float) -> bool:
    """Wait until *event* is set, but not longer; whether it is."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel *tasks*, and wait until they are gone."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
