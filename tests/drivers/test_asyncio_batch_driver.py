"""What only a batch for asyncio can get wrong: tasks, cancellation, a batch that is dropped."""

import asyncio
import gc
import logging
from collections.abc import Iterator

import pytest

from mailbridge import MailObject, Receipt
from mailbridge.asyncio import Pool
from mailbridge.testing import ScriptedServer, Then
from tests.drivers.helpers import in_a_loop, looping, server_of

CHUNKING = ("PIPELINING", "CHUNKING")


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mailbridge")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(extensions=CHUNKING) as server:
        yield server


def mail(number: int) -> MailObject:
    head = f"Message-ID: <{number}@x>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\nSubject: {number}\r\n\r\n"
    return MailObject(head.encode() + b"hello\r\n", "ann@example.com", ["bob@example.org"])


def mails(count: int) -> Iterator[MailObject]:
    return (mail(number) for number in range(count))


def pool_of(server: ScriptedServer) -> Pool:
    return Pool(server_of(server), max_connections=1, max_messages=10_000)


def records(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records]


@in_a_loop
async def test_a_batch_gives_way(server: ScriptedServer) -> None:
    """A message of another task goes out in the middle of it: nobody waits for its end."""
    async with pool_of(server) as pool:
        other: list[asyncio.Task[Receipt]] = []

        def source() -> Iterator[MailObject]:
            yield from mails(50)
            other.append(asyncio.create_task(pool.send(mail(1000))))
            yield from mails(150)

        async for receipt in pool.send_many(source()):
            assert receipt.complete
        assert (await other[0]).complete
    ids = [m.content.split(b"\r\n")[0] for m in server.messages]
    assert ids.index(b"Message-ID: <1000@x>") < 199


@in_a_loop
async def test_its_own_caller_may_send(server: ScriptedServer) -> None:
    """A loop over receipts that sends by the same pool gets the only connection in between."""
    async with pool_of(server) as pool:
        number = 1000
        async for receipt in pool.send_many(mails(40)):
            assert receipt.complete
            number += 1
            assert (await pool.send(mail(number))).complete
    assert len(server.messages) == 80


@in_a_loop
async def test_other_tasks_go_on(server: ScriptedServer) -> None:
    """Nobody is kept waiting by a batch whose server is silent."""
    server.cut_before("CONTENT", Then.SILENCE, nth=5)
    async with pool_of(server) as pool:
        batch = pool.send_many(mails(20))
        task = asyncio.ensure_future(anext(batch))
        async with Pool(server_of(server)) as other:
            assert (await other.send(mail(1000))).complete
        await task
        waiting = [asyncio.ensure_future(anext(batch))]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


@in_a_loop
async def test_cancelled(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """The connection is closed, its place is free, and each message that was pulled has its record."""
    server.cut_before("CONTENT", Then.SILENCE, nth=5)
    pulled: list[MailObject] = []

    def source() -> Iterator[MailObject]:
        for message in mails(40):
            pulled.append(message)
            yield message

    async def main(pool: Pool) -> None:
        async for receipt in pool.send_many(source()):
            assert receipt.complete

    async with pool_of(server) as pool:
        task = asyncio.create_task(main(pool))
        await asyncio.to_thread(server.wait_for, lambda: len(server.messages) >= 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert pool.stats().open == 0
        assert len(records(caplog)) == len(pulled)
        assert "ERROR" in records(caplog)
        assert (await pool.send(mail(1000))).complete


@in_a_loop
async def test_dropped(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """After `break` nothing more is pulled; what is under way comes to its end, and each receipt is logged."""
    async with pool_of(server) as pool:
        async for receipt in pool.send_many(mails(100)):
            assert receipt.complete
            break
        gc.collect()
        assert await pool.drain(5)
        await asyncio.sleep(0)
        assert len(server.messages) == len(records(caplog)) < 100
    assert set(records(caplog)) == {"INFO"}


@in_a_loop
async def test_closed(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """At the end of the block all that is under way is known."""
    async with pool_of(server) as pool:
        async with pool.send_many(mails(100)) as batch:
            await anext(batch)
        assert len(server.messages) == len(records(caplog)) < 100
        assert pool.stats().idle == 1


@in_a_loop
async def test_never_iterated(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing was sent, and it says so twice: for the developer and for the log."""
    async with pool_of(server) as pool:
        with pytest.warns(ResourceWarning, match="never iterated"):
            pool.send_many(mails(1))
    assert server.messages == []
    assert records(caplog) == ["ERROR"]


def test_ctrl_c(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """It leaves the loop, and each message that was begun has its record."""

    def source() -> Iterator[MailObject]:
        yield from mails(3)
        raise KeyboardInterrupt

    async def main() -> None:
        async with pool_of(server) as pool:
            async for _ in pool.send_many(source()):
                pass

    with pytest.raises(KeyboardInterrupt), looping() as runner:
        runner.run(main())
    assert len(records(caplog)) == 3
