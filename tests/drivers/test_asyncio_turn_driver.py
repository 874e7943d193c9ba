"""Tasks that share one connection use it one after the other."""

import asyncio

from mailbridge.asyncio.turn import Turn
from tests.drivers.helpers import in_a_loop


def waiting(turn: Turn, order: list[int], number: int) -> asyncio.Task[None]:
    """A task that wants the turn, and writes down that it had it."""

    async def work() -> None:
        async with turn.lock:
            order.append(number)
            await asyncio.sleep(0)

    return asyncio.create_task(work())


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


@in_a_loop
async def test_whoever_waits_longest_is_next() -> None:
    """The turn goes round in the order in which it was asked for."""
    turn, order = Turn(), list[int]()
    await asyncio.gather(*(waiting(turn, order, number) for number in range(5)))

    assert order == [0, 1, 2, 3, 4]
    assert turn.lock.take() is None


@in_a_loop
async def test_nobody_waits_for_who_was_cancelled() -> None:
    """A task that was cancelled while it waited is passed over, whether it knows that yet or not."""
    turn, order = Turn(), list[int]()
    assert turn.lock.take() is None
    first, second, third = (waiting(turn, order, number) for number in range(3))
    await settled()
    first.cancel()
    await settled()
    second.cancel()
    turn.lock.release()
    await asyncio.wait_for(third, 5)

    assert first.cancelled()
    assert order == [2]
    assert turn.lock.take() is None


@in_a_loop
async def test_cancelled_as_its_turn_came() -> None:
    """Who was given the turn and cancelled in the same breath gives it to the next."""
    turn, order = Turn(), list[int]()
    assert turn.lock.take() is None
    first, second = (waiting(turn, order, number) for number in range(2))
    await settled()
    turn.lock.release()
    first.cancel()
    await asyncio.wait_for(second, 5)

    assert first.cancelled()
    assert order == [1]
    assert turn.lock.take() is None


def test_a_turn_ends_with_its_loop() -> None:
    """What was taken in a loop that is gone is free in the next one."""
    turn = Turn()

    async def take() -> bool:
        return turn.lock.take() is None

    assert [asyncio.run(take()), asyncio.run(take())] == [True, True]
