"""What comes by while history is read, and reads that are shared (client protocol 6.4)."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from centrifast import catch_up
from centrifast.catch_up import CatchUp, CatchUps
from centrifast.engine.contract import History, HistoryFilter
from centrifast.model import NO_POSITION, Publication, StreamPosition
from tests.client.fakes import done, settle

EPOCH = "QpLd"
TOP = HistoryFilter()
ALL = HistoryFilter(limit=-1)
ANSWER = History([], StreamPosition(1, EPOCH))


def publish(catch_ups: CatchUps, offset: int, data: bytes = b"1", channel: str = "news") -> None:
    catch_ups.on_publication(channel, Publication(data, offset), StreamPosition(offset, EPOCH))


def kept(buffer: CatchUp, start: int = 0) -> list[int]:
    return [item.position.offset for item in buffer.since(start)]


# ------------------------------------------------------------------ buffers


def test_only_what_comes_by_while_somebody_reads_is_kept() -> None:
    catch_ups = CatchUps()
    publish(catch_ups, 1)
    buffer = catch_ups.begin("news")
    publish(catch_ups, 2)
    publish(catch_ups, 3, channel="other")
    catch_ups.on_publication("news", Publication(b"1", 0), NO_POSITION)  # no part of the stream
    publish(catch_ups, 3)
    assert (kept(buffer), kept(buffer, 1), kept(buffer, 2)) == ([2, 3], [3], [])
    catch_ups.end("news", buffer)
    assert catch_ups.count == 0


def test_what_came_by_before_a_stream_goes_back_is_of_no_use() -> None:
    catch_ups = CatchUps()
    catch_ups.on_rewound("news")
    before = catch_ups.begin("news")
    publish(catch_ups, 3)
    catch_ups.on_rewound("news")
    publish(catch_ups, 2)
    after = catch_ups.begin("news")
    publish(catch_ups, 3)
    assert (before.is_useless, kept(before)) == (True, [])
    assert (after.is_useless, kept(after)) == (False, [3])
    catch_ups.end("news", before)
    assert catch_ups.count == 1


def test_a_buffer_is_kept_until_the_last_reader_is_done() -> None:
    catch_ups = CatchUps()
    first, second = catch_ups.begin("news"), catch_ups.begin("news")
    assert first is second
    catch_ups.end("news", first)
    publish(catch_ups, 1)
    assert kept(second) == [1]
    catch_ups.end("news", second)
    assert catch_ups.begin("news") is not second


def test_a_full_buffer_is_given_up_and_the_next_reader_begins_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catch_up, "CATCH_UP_SIZE", catch_up.ENTRY_SIZE + 8)
    catch_ups = CatchUps()
    full = catch_ups.begin("news")
    publish(catch_ups, 1, b"x" * 8)
    assert not full.is_useless
    publish(catch_ups, 2)
    assert (full.is_useless, kept(full), catch_ups.count) == (True, [], 0)
    publish(catch_ups, 3)
    other = catch_ups.begin("news")
    publish(catch_ups, 4)
    catch_ups.end("news", full)
    assert (kept(other), catch_ups.count) == ([4], 1)
    catch_ups.end("news", other)
    assert catch_ups.count == 0


def test_publications_without_a_payload_fill_a_buffer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "CATCH_UP_SIZE", 10 * catch_up.ENTRY_SIZE)
    catch_ups = CatchUps()
    buffer = catch_ups.begin("news")
    for offset in range(1, 11):
        publish(catch_ups, offset, b"")
    assert not buffer.is_useless
    publish(catch_ups, 11, b"")
    assert buffer.is_useless


# ------------------------------------------------------------------ reads


class Store:
    """Answers reads when the test says so."""

    def __init__(self) -> None:
        self.asked: list[HistoryFilter] = []
        self.answer: asyncio.Future[History] = asyncio.get_running_loop().create_future()

    async def read(self, wanted: HistoryFilter) -> History:
        self.asked.append(wanted)
        return await self.answer


def run(test: Callable[[CatchUps, CatchUp, Store], Awaitable[None]]) -> None:
    async def main() -> None:
        catch_ups = CatchUps()
        await test(catch_ups, catch_ups.begin("news"), Store())
        await settle()
        await catch_ups.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_read_that_never_waits_needs_no_loop() -> None:
    async def read(wanted: HistoryFilter) -> History:
        return ANSWER

    catch_ups = CatchUps()
    buffer = catch_ups.begin("news")
    publish(catch_ups, 1)
    assert done(buffer.read(ALL, read)) == (ANSWER, 1)


def test_the_same_is_read_once_and_what_came_by_since_counts_for_all() -> None:
    async def test(catch_ups: CatchUps, buffer: CatchUp, store: Store) -> None:
        publish(catch_ups, 1)
        first = asyncio.create_task(buffer.read(ALL, store.read))
        await settle()
        publish(catch_ups, 2)
        second = asyncio.create_task(buffer.read(ALL, store.read))
        other = asyncio.create_task(buffer.read(TOP, store.read))
        await settle()
        assert store.asked == [ALL, TOP]
        store.answer.set_result(ANSWER)
        assert [await first, await second, await other] == [(ANSWER, 1), (ANSWER, 1), (ANSWER, 2)]

    run(test)


def test_after_an_answer_the_next_one_reads_anew() -> None:
    async def test(catch_ups: CatchUps, buffer: CatchUp, store: Store) -> None:
        store.answer.set_result(ANSWER)
        for _ in range(2):
            await asyncio.create_task(buffer.read(ALL, store.read))
        assert store.asked == [ALL, ALL]

    run(test)


def test_who_is_cancelled_does_not_cancel_the_read_of_others() -> None:
    async def test(catch_ups: CatchUps, buffer: CatchUp, store: Store) -> None:
        first, second = (asyncio.create_task(buffer.read(ALL, store.read)) for _ in range(2))
        await settle()
        first.cancel()
        await settle()
        store.answer.set_result(ANSWER)
        assert await second == (ANSWER, 0)

    run(test)


def test_a_failure_reaches_all_and_harms_nobody_if_all_have_gone() -> None:
    async def test(catch_ups: CatchUps, buffer: CatchUp, store: Store) -> None:
        gone, waits = (asyncio.create_task(buffer.read(ALL, store.read)) for _ in range(2))
        alone = asyncio.create_task(buffer.read(TOP, store.read))
        await settle()
        gone.cancel()
        alone.cancel()
        await settle()
        store.answer.set_exception(ConnectionError("away"))
        with pytest.raises(ConnectionError):
            await waits

    run(test)


def test_closing_stops_reads_that_nobody_waits_for() -> None:
    async def test(catch_ups: CatchUps, buffer: CatchUp, store: Store) -> None:
        reader = asyncio.create_task(buffer.read(ALL, store.read))
        await settle()
        reader.cancel()
        await settle()
        assert not store.answer.cancelled()
        await catch_ups.close()
        assert store.answer.cancelled()

    run(test)
