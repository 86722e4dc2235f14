"""Publishing over the HTTP API, one publication after another, numbered; and waiting for what was published."""

import time
from collections import Counter as Tally
from collections.abc import Callable

from centrifast_loadgen import wire
from centrifast_loadgen._board import HISTOGRAM_BUCKETS, Board, Counter, histogram_bucket
from centrifast_loadgen.histogram import quantile
from centrifast_loadgen.publisher import Publisher, PublishError
from centrifast_loadgen.settings import Protocol, Settings, Target

# How often a waiting loop comes back to look after progress and workers.
WAIT_SLICE = 0.1
# A closed connection's deliveries will never come: after so many quiet seconds the rest is here.
CLOSED_PATIENCE = 1.0


class Feed:
    """The publishing side of a run. *look* is called often: it checks the workers and shows progress."""

    def __init__(self, settings: Settings, board: Board, look: Callable[[str], None]) -> None:
        self.published = 0
        self.errors = 0
        self.expected = 0  # deliveries
        self.began_ns = 0  # of the first publication
        self.reasons: Tally[str] = Tally()
        self._settings = settings
        self._board = board
        self._look = look
        self._latency = [0] * HISTOGRAM_BUCKETS
        self._turn = 0
        self._publisher = Publisher(*_endpoint(settings, "publish"))

    def close(self) -> None:
        """Close the connection to the API."""
        self._publisher.close()

    def latency_us(self, q: float) -> int:
        """A quantile of how long the API took to answer."""
        return quantile(self._latency, q)

    def publish(
        self,
        messages: int,
        *,
        rate: float = 0.0,
        duration: float = 0.0,
        inflight: int = 0,
        everybody: int | None = None,
    ) -> None:
        """Publish to the channels in turn.

        *everybody* is how many will get each one, when that is not who is subscribed at the moment.
        """
        started = time.monotonic_ns()
        self.began_ns = self.began_ns or started
        for message in range(messages):
            if rate:
                self._sleep_until(started / 1e9 + message / rate)
            if duration and time.monotonic_ns() - started >= duration * 1e9:
                break
            channel = self._turn % self._settings.channels
            self._turn += 1
            subscribers = self._board.subscribers(channel) if everybody is None else everybody
            if not self._publish_one(channel):
                continue
            self.expected += subscribers
            if inflight and self.published >= inflight:
                self.wait(self.expected - (inflight - 1) * subscribers)
            self._look("publishing")

    def wait(self, target: int | None = None, patience: float | None = None) -> bool:
        """Wait for *target* deliveries, by default all expected, until nothing comes for *patience*: stall_timeout."""
        wanted = self.expected if target is None else target
        seen, seen_at = -1, time.monotonic()
        while not self._board.wait_delivered(wanted, WAIT_SLICE):
            self._look("waiting for deliveries")
            delivered = self._board.total(Counter.DELIVERED)
            if delivered != seen:
                seen, seen_at = delivered, time.monotonic()
            limit = self._settings.stall_timeout if patience is None else patience
            if time.monotonic() - seen_at > (CLOSED_PATIENCE if self._board.total(Counter.CLOSED) else limit):
                return False
        return True

    def ask(self, method: str, body: bytes) -> bytes | None:
        """One call of another method of the API; None when it is refused or not there."""
        publisher = Publisher(*_endpoint(self._settings, method))
        try:
            status, answer = publisher.post(body)
        except PublishError:
            return None
        finally:
            publisher.close()
        return answer if status == 200 and wire.api_error(answer) is None else None

    def _sleep_until(self, due: float) -> None:
        """Sleep, but look around meanwhile; by the monotonic clock."""
        while (left := due - time.monotonic()) > WAIT_SLICE:
            time.sleep(WAIT_SLICE)
            self._look("publishing")
        time.sleep(max(0.0, left))

    def _publish_one(self, channel: int) -> bool:
        settings, board = self._settings, self._board
        number = (board.published(channel) + 1) * settings.channels + channel
        now_ns = time.monotonic_ns()
        body = wire.publication_body(settings, settings.channel(channel), now_ns, number)
        try:
            status, answer = self._publisher.post(body)
            error = (
                wire.api_error(answer)
                if status // 100 == 2  # plain servers say 201 and 202 too
                else f"HTTP {status} {answer[:200].decode(errors='replace')}"
            )
        except PublishError as failure:
            error = str(failure)
        self._latency[histogram_bucket((time.monotonic_ns() - now_ns) // 1000)] += 1
        if error is not None:
            self.errors += 1
            self.reasons[f"publish: {error}"] += 1
            return False
        board.count_published(channel)
        self.published += 1
        return True


def _endpoint(settings: Settings, method: str) -> tuple[Target, dict[str, str]]:
    """Where a method of the API is, and with what headers."""
    target = Target.parse(settings.api_url, "http")
    if settings.protocol is Protocol.RAW:
        return target, {"Content-Type": "text/plain"}
    headers = {"Content-Type": "application/json"}
    if settings.api_key:
        headers["X-API-Key"] = settings.api_key
    return Target(target.host, target.port, f"{target.path.rstrip('/')}/{method}"), headers
