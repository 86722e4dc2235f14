"""Clients that lose nothing without being told, and publishers that never pause, while something is broken.

What publishers were told must be in the history in the end, and what clients got must be what is there.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count as count_from
from itertools import cycle
from types import TracebackType

import msgspec

from centrifast.model import StreamPosition
from tests.integration.daemon import eventually
from tests.integration.follower import Follower, Run
from tests.integration.test_recovery_burst import Publisher, Streams
from tests.server_process import ServerProcess

LEVEL = 10.0
"""Seconds within which everybody must have caught up after a failure."""

PACE = 0.01
"""Seconds that a publisher waits after each answer: the load."""

ENOUGH = 3
"""Publications in a channel after which it counts as flowing."""

CONFIG = {
    "client": {"recovery_max_publication_limit": 100_000},
    "channel": {
        "namespaces": [
            {
                "name": "stream",
                "history_size": 100_000,
                "history_ttl": "300s",
                "force_recovery": True,
                "allow_subscribe_for_client": True,
                "allow_subscribe_for_anonymous": True,
            }
        ]
    },
}


class Given(msgspec.Struct, frozen=True):
    """A publication and the place that it was given."""

    epoch: str
    offset: int
    data: bytes


def given(run: Run) -> set[Given]:
    """All that came in it."""
    return {Given(run.epoch, offset, data) for offset, data in enumerate(run.payloads, run.start + 1)}


class Crowd:
    """*count* followers of *channels*, spread over *servers*, and a publisher at each. Use as a context manager.

    It lives in a thread of its own, so that a test may wait while it goes on. ``QUIET`` is a channel that is followed,
    and to which only the test publishes.
    """

    QUIET = "stream:quiet"

    def __init__(self, servers: Sequence[ServerProcess], channels: Sequence[str], count: int = 50) -> None:
        self._servers = servers
        self._channels = channels
        self._followed = [*channels, self.QUIET]
        self._count = count
        self.followers: list[Follower] = []
        self.counts: Counter[str] = Counter()
        """Close codes, and how often clients found their state insufficient, recovered, or had to begin anew."""

        self.accepted: list[tuple[str, Given]] = []
        """Publications that the API has answered with success, with their channels."""

        self.refused: Counter[str] = Counter()
        """Publications that the API did not take, by channel."""

        self.doubtful: set[bytes] = set()
        """What they were: it may have been published all the same."""

        self._numbers = count_from(1)
        self._publishing = 0
        self._is_enough = False
        self._is_over = threading.Event()
        self._failures: list[BaseException] = []
        self._thread = threading.Thread(target=self._live)

    def __enter__(self) -> "Crowd":
        self._thread.start()
        try:
            eventually(lambda: self._is_right() and self._has_come(), "clients to subscribe")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Return when *condition* holds, within ``LEVEL``; nothing may be wrong meanwhile."""
        try:
            eventually(lambda: self._is_right() and condition(), what, LEVEL)
        except AssertionError as error:
            error.add_note(f"{self.counts}, refused: {self.refused}")
            raise

    def flow(self, channels: Sequence[str] = ()) -> None:
        """Return when some more publications have been accepted in each of *channels*, or in all."""
        before = self._accepted_by_channel()

        def is_flowing() -> bool:
            now = self._accepted_by_channel()
            return all(now[channel] >= before[channel] + ENOUGH for channel in channels or self._channels)

        self.wait_for(is_flowing, "publications")

    def level(self, channels: Sequence[str] = ()) -> None:
        """Return when everybody on *channels*, or on all, has what has been published by now; more goes on coming."""
        self.flow(channels)
        self._wait_for_followers(
            channels or self._followed,
            lambda run, top: run.epoch == top.epoch and run.offset >= top.offset,
        )

    def publish_quietly(self) -> None:
        """Publish to ``QUIET`` as soon as that is possible."""

        def is_taken() -> bool:
            number = next(self._numbers)
            self.doubtful.add(b"%d" % number)
            return "error" not in self._servers[0].api("publish", channel=self.QUIET, data=number)

        self.wait_for(is_taken, "the API to take it")

    def followers_of(self, channel: str) -> int:
        """How many there are."""
        return sum(follower.channel == channel for follower in self.followers)

    def compare(self, *, may_lose: bool = False) -> None:
        """Stop publishing; then everybody must have what is in the history, and that must be all that was accepted.

        *may_lose*: except for what Redis itself has lost. Where it has given such an offset again before a client came
        back, neither can know that.
        """
        self.level()
        self._is_enough = True
        self.wait_for(lambda: not self._publishing, "publishers to end")
        self._wait_for_followers(
            self._followed, lambda run, top: (run.epoch, run.offset) == (top.epoch, top.offset)
        )
        for channel in self._followed:
            self._compare(channel, may_lose=may_lose)

    # -------------------------------------------------------------- inside

    def _wait_for_followers(
        self, channels: Sequence[str], is_there: Callable[[Run, StreamPosition], bool]
    ) -> None:
        tops: dict[str, StreamPosition] = {}

        def are_there() -> bool:
            for channel in channels:
                if channel not in tops:
                    answer = self._servers[0].api("history", channel=channel)
                    if "error" in answer:
                        return False
                    tops[channel] = StreamPosition(answer["result"]["offset"], answer["result"]["epoch"])
            return all(
                is_there(follower.run, tops[follower.channel])
                for follower in self.followers
                if follower.channel in tops
            )

        self.wait_for(are_there, "clients to catch up")

    def _accepted_by_channel(self) -> Counter[str]:
        return Counter(channel for channel, _ in tuple(self.accepted))

    def _has_come(self) -> bool:
        return len(self.followers) == self._count and all(follower.runs for follower in self.followers)

    def _is_right(self) -> bool:
        """Raise what has been wrong."""
        for failure in (*self._failures, *(follower.fault for follower in tuple(self.followers))):
            if failure is not None:
                raise failure
        return True

    def _compare(self, channel: str, *, may_lose: bool) -> None:
        result = self._servers[0].api("history", channel=channel, limit=-1)["result"]
        kept = {
            Given(result["epoch"], entry["offset"], b"%d" % entry["data"]) for entry in result["publications"]
        }
        accepted = {one for name, one in self.accepted if name == channel}
        if not may_lose:
            lost = {one for one in accepted if one.epoch == result["epoch"]} - kept
            assert not lost, "what was accepted is not in the history"
        for follower in self.followers:
            if follower.channel != channel:
                continue
            if not may_lose:
                assert not given(follower.run) - kept, "what was delivered is not in the history"
            held = set().union(*map(given, follower.runs)) - kept - accepted
            assert all(one.data in self.doubtful for one in held), "what was delivered was never published"

    # ------------------------------------------------------- in its own thread

    def _live(self) -> None:
        try:
            asyncio.run(self._live_on())
        except Exception as error:  # noqa: BLE001 - it is raised where somebody waits
            self._failures.append(error)

    async def _live_on(self) -> None:
        streams = Streams()
        places = zip(cycle(self._servers), cycle(self._followed), range(self._count), strict=False)
        for server, channel, _ in places:
            follower = Follower(streams, server.port, channel, self.counts)
            self.followers.append(follower)
            await follower.connect()
        publishers = [asyncio.create_task(self._publish(server)) for server in self._servers]
        try:
            await asyncio.to_thread(self._is_over.wait)
        finally:
            for follower in self.followers:
                follower.leave()
            for publisher in publishers:
                publisher.cancel()
            await asyncio.wait(publishers)
            await asyncio.sleep(0)  # in which connections are closed

    async def _publish(self, server: ServerProcess) -> None:
        publisher = Publisher(*await asyncio.open_connection("127.0.0.1", server.port))
        self._publishing += 1
        try:
            for channel in cycle(self._channels):
                if self._is_enough:
                    break
                await self._publish_one(publisher, channel)
                await asyncio.sleep(PACE)
        except Exception as error:  # noqa: BLE001 - it is raised where somebody waits
            self._failures.append(error)
        finally:
            self._publishing -= 1
            publisher.close()

    async def _publish_one(self, publisher: Publisher, channel: str) -> None:
        number = next(self._numbers)
        answer = await publisher.call("publish", channel=channel, data=number)
        if "error" in answer:
            assert answer["error"]["code"] == 100, answer
            self.refused[channel] += 1
            self.doubtful.add(b"%d" % number)
        else:
            result = answer["result"]
            self.accepted.append((channel, Given(result["epoch"], result["offset"], b"%d" % number)))

    def _end(self) -> None:
        self._is_over.set()
        self._thread.join(LEVEL)
