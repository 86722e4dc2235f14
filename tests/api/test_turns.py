import asyncio

from centrifast.api.turns import CALLS_AT_ONCE, run_all
from tests.server.http_peer import run


async def double(number: int) -> int:
    return 2 * number


async def double_later(number: int) -> int:
    if number % 2:
        await asyncio.sleep(0)
    return 2 * number


def test_results_come_in_the_order_of_the_items() -> None:
    numbers = range(2 * CALLS_AT_ONCE + 1)
    for call in (double, double_later):
        for at_once in (1, CALLS_AT_ONCE):
            assert run(run_all(call, numbers, at_once)) == [2 * number for number in numbers]


def test_nothing_to_do() -> None:
    assert run(run_all(double, [])) == []


def test_the_loop_gets_its_turn_also_when_calls_run_one_by_one() -> None:
    async def scenario() -> None:
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count_turns())
        await run_all(double, range(3 * CALLS_AT_ONCE), 1)
        counting.cancel()
        assert turns == 3

    run(scenario())
