"""Requests that nobody waits for: run at once, owned until they end, logged when the engine is away."""

import asyncio

import pytest

from centrifast.background import Background
from tests.client.fakes import done, settle


def test_what_never_waits_is_done_at_once_without_a_loop() -> None:
    seen: list[int] = []

    async def request() -> None:
        seen.append(1)

    background = Background()
    background.run("request failed", request())
    assert seen == [1]
    done(background.close())


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError()])
@pytest.mark.parametrize("waits", [False, True])
def test_an_engine_that_is_away_is_logged(
    failure: Exception, waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def request() -> None:
        if waits:
            await asyncio.sleep(0)
        raise failure

    async def main() -> None:
        Background().run("leave failed", request())
        await settle()
        assert "leave failed" in caplog.text

    asyncio.run(main())


@pytest.mark.parametrize("waits", [False, True])
def test_a_bug_costs_one_request_and_is_logged_with_its_place(
    waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def request() -> None:
        if waits:
            await asyncio.sleep(0)
        raise ZeroDivisionError

    async def main() -> None:
        Background().run("leave failed", request())
        await settle()
        assert "leave failed" in caplog.text
        assert "Traceback" in caplog.text

    asyncio.run(main())


def test_what_waits_goes_on_until_it_is_done_or_stopped() -> None:
    async def main() -> None:
        ended: list[str] = []
        gate = asyncio.Event()

        async def request(name: str, opened: asyncio.Event) -> None:
            try:
                await opened.wait()
            finally:
                ended.append(name)

        background = Background()
        background.run("failed", request("first", gate))
        background.run("failed", request("second", asyncio.Event()))
        await settle()
        assert ended == []
        gate.set()
        await settle()
        assert ended == ["first"]
        await background.close()
        assert ended == ["first", "second"]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_what_runs_is_counted_until_it_ends() -> None:
    async def main() -> None:
        background, may_end = Background(), asyncio.Event()

        async def request() -> None:
            await may_end.wait()

        background.run("request failed", request())
        background.run("request failed", request())
        assert len(background) == 2
        may_end.set()
        await settle()
        assert len(background) == 0

    asyncio.run(main())
