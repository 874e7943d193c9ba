"""The pool for asyncio: connections lent to tasks, in the loop that they belong to."""

import asyncio
import logging
import os
import pickle
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mailbridge import Receipt, SMTPConnectError, SMTPPoolClosed, SMTPPoolTimeout, SMTPSenderRefused, State
from mailbridge.asyncio import Client, Pool
from mailbridge.asyncio.lending import Lender
from mailbridge.sockets.pooled import PoolSettings
from mailbridge.testing import ScriptedServer, Then
from tests.drivers.helpers import BOTH, MESSAGE, PATIENCE, in_a_loop, server_of


def pool_of(server: ScriptedServer, **options: Any) -> Pool:
    return Pool(server_of(server), **options)


@in_a_loop
async def test_a_hundred_tasks(server: ScriptedServer) -> None:
    """They share the connections that there may be, and each message arrives once."""
    async with pool_of(server, max_connections=5) as pool:
        names = [f"r{n}@example.org" for n in range(100)]
        receipts = await asyncio.gather(*(pool.send(MESSAGE, recipients=[name]) for name in names))
        stats = pool.stats()
    assert all(receipt.complete for receipt in receipts)
    assert sorted(r for m in server.messages for r in m.recipients) == sorted(names)
    assert len(server.connections) == stats.opened == 5
    assert (stats.idle, stats.waiting, stats.handshakes_saved) == (5, 0, 95)
    assert [c.lines[-1] for c in server.connections] == [b"QUIT"] * 5


@in_a_loop
async def test_whoever_waits_longest_is_first(server: ScriptedServer) -> None:
    """Nobody is passed over by those who came later."""
    names = [f"r{n}@example.org" for n in range(20)]
    async with pool_of(server, max_connections=1) as pool:
        await asyncio.gather(*(pool.send(MESSAGE, recipients=[name]) for name in names))
    assert [m.recipients for m in server.messages] == [(name,) for name in names]


@in_a_loop
async def test_no_connection_in_time(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """A claim has a deadline and its own error; nothing was sent, and the record says so."""
    async with pool_of(server, max_connections=1, claim_timeout=0.1) as pool, pool.lease():
        with pytest.raises(SMTPPoolTimeout, match="none of 1 connections came free") as caught:
            await pool.send(MESSAGE)
    assert caught.value.receipt is not None
    assert list(caught.value.receipt.not_sent) == BOTH
    assert [r.levelname for r in caplog.records if r.levelno > logging.INFO] == ["ERROR"]


@in_a_loop
async def test_each_claim_has_its_own_deadline(server: ScriptedServer) -> None:
    """Of those who wait together, each gives up at its own moment, and no later one with it."""
    lender = Lender(server_of(server), PoolSettings(max_connections=1))

    async def wait(seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with pytest.raises(SMTPPoolTimeout):
            await lender.claim(deadline)
        assert time.monotonic() >= deadline

    held = await lender.claim(time.monotonic() + PATIENCE)
    patient = asyncio.create_task(lender.claim(time.monotonic() + PATIENCE))
    await asyncio.gather(*map(wait, (0.04, 0.02, 0.03)))
    assert not patient.done()
    lender.give_back(held)
    lender.give_back(await patient)


@in_a_loop
async def test_a_lease(server: ScriptedServer) -> None:
    """A Client of the pool's own, for several things in a row on one connection."""
    async with pool_of(server) as pool:
        async with pool.lease() as client:
            assert (await client.noop()).code == 250
            assert (await client.send(MESSAGE)).complete
        assert (await pool.send(MESSAGE)).reused
    assert len(server.connections) == 1


@in_a_loop
async def test_cancelled_in_the_queue(server: ScriptedServer) -> None:
    """The message was not sent, and its turn goes to the next one."""
    async with pool_of(server, max_connections=1) as pool:
        async with pool.lease():
            tasks = [asyncio.create_task(pool.send(MESSAGE)) for _ in range(3)]
            await asyncio.sleep(0)
            tasks[1].cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await tasks[1]
        assert list(caught.value.receipt.not_sent) == BOTH  # type: ignore[attr-defined]  # as our own errors have it
        receipts = await asyncio.gather(tasks[0], tasks[2])
        assert all(receipt.complete for receipt in receipts)
    assert len(server.messages) == 2


@in_a_loop
async def test_cancelled_as_its_turn_came(server: ScriptedServer) -> None:
    """A place that was granted to a task that is gone goes to the next one."""
    async with pool_of(server, max_connections=1) as pool:
        async with pool.lease():
            first, second = (asyncio.create_task(pool.send(MESSAGE)) for _ in range(2))
            await asyncio.sleep(0)
        first.cancel()
        assert (await second).complete
        with pytest.raises(asyncio.CancelledError):
            await first
        assert pool.stats().open == 1


@in_a_loop
async def test_cancelled_in_the_middle(server: ScriptedServer) -> None:
    """The connection is closed, its place is free, and the content that had left is unknown."""
    server.cut_before("CONTENT", Then.SILENCE)
    async with pool_of(server, max_connections=1) as pool:
        task = asyncio.create_task(pool.send(MESSAGE))
        await asyncio.to_thread(server.wait_for, lambda: server.messages)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        receipt: Receipt = caught.value.receipt  # type: ignore[attr-defined]  # as above
        assert {result.state for result in receipt.results.values()} == {State.UNKNOWN}
        assert pool.stats().open == 0
        assert (await pool.send(MESSAGE)).complete
    assert len(server.connections) == 2


@pytest.mark.parametrize("how", [Then.CLOSE, Then.RESET])
@in_a_loop
async def test_a_connection_that_died_while_it_was_idle(server: ScriptedServer, how: Then) -> None:
    """It is replaced in silence, and the message arrives once."""
    async with pool_of(server) as pool:
        await pool.send(MESSAGE)
        server.hang_up(how)
        assert (await pool.send(MESSAGE)).complete
        assert pool.stats().stale == 1
    assert [m.connection for m in server.messages] == [1, 2]


@in_a_loop
async def test_a_refused_message(server: ScriptedServer) -> None:
    """What refuses a message is raised, and the connection serves the next one."""
    server.refuse_sender("x@example.com")
    async with pool_of(server) as pool:
        with pytest.raises(SMTPSenderRefused):
            await pool.send(MESSAGE, sender="x@example.com")
        assert (await pool.send(MESSAGE)).complete
    assert len(server.connections) == 1


@in_a_loop
async def test_too_many_connections_for_the_server(server: ScriptedServer) -> None:
    """The pool makes do with fewer, and nobody sees an error."""
    server.answer("GREETING", b"421 4.7.0 too many connections\r\n", nth=2, times=2, then=Then.CLOSE)
    async with pool_of(server, max_connections=3) as pool:
        receipts = await asyncio.gather(*(pool.send(MESSAGE) for _ in range(6)))
    assert all(receipt.complete for receipt in receipts)
    assert len(server.messages) == 6


@in_a_loop
async def test_a_server_that_takes_nobody(server: ScriptedServer) -> None:
    """What the server said is the cause of the error in the end."""
    server.answer("GREETING", b"421 4.7.0 too many connections\r\n", then=Then.CLOSE)
    async with pool_of(server, claim_timeout=0.2) as pool:
        with pytest.raises(SMTPPoolTimeout, match="too many") as caught:
            await pool.send(MESSAGE)
    assert isinstance(caught.value.__cause__, SMTPConnectError)


@in_a_loop
async def test_drain(server: ScriptedServer) -> None:
    """What is under way comes to its end, and nothing more is taken."""
    pool = pool_of(server, max_connections=1)
    tasks = [asyncio.create_task(pool.send(MESSAGE)) for _ in range(3)]
    await asyncio.sleep(0)
    assert await pool.drain(5)
    assert all(task.result().complete for task in tasks)
    with pytest.raises(SMTPPoolClosed):
        await pool.send(MESSAGE)
    assert server.connections[0].lines[-1] == b"QUIT"


@in_a_loop
async def test_drain_gives_up(server: ScriptedServer) -> None:
    """Its deadline passes while a server is silent: it says so."""
    server.cut_before("MAIL", Then.SILENCE)
    pool = pool_of(server)
    task = asyncio.create_task(pool.send(MESSAGE))
    await asyncio.to_thread(server.wait_for, lambda: len(server.lines) > 1)
    assert not await pool.drain(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@in_a_loop
async def test_goodbyes_are_said_at_the_same_time(server: ScriptedServer) -> None:
    """The answers to all of them are waited for together, and no longer than the caller says."""
    server.cut_before("QUIT", Then.SILENCE, times=None)
    pool = pool_of(server)
    await asyncio.gather(pool.send(MESSAGE), pool.send(MESSAGE))
    begun = time.monotonic()
    await pool.close(0.2)
    assert 0.19 < time.monotonic() - begun < 2
    assert [c.lines[-1] for c in server.connections] == [b"QUIT"] * 2


@in_a_loop
async def test_a_provider_that_needs_a_connection_itself() -> None:
    """It may send by the same pool: its own place does not count meanwhile."""

    async def provider(**options: bool) -> str:
        lender = pool._here()
        lender.give_back(await lender.claim(time.monotonic() + 5))
        return "t"

    with ScriptedServer(accounts={"ann": "t"}, auth=("XOAUTH2",)) as server:
        pool = Pool(server_of(server, username="ann", token_provider=provider), max_connections=1)
        assert (await pool.send(MESSAGE)).complete
        await pool.close()


@in_a_loop
async def test_it_is_asked_whether_it_lives(server: ScriptedServer) -> None:
    """With `probe_after` a connection that was idle for so long is asked by NOOP before it is used."""
    async with pool_of(server, probe_after=1e-6) as pool:
        assert [(await pool.send(MESSAGE)).complete for _ in range(2)] == [True, True]
    assert [line for line in server.lines if line == b"NOOP"] == [b"NOOP"]


@pytest.mark.parametrize("tls", [None, "implicit"])
def test_one_loop_after_the_other(tls: Any) -> None:
    """Connections end with their loop: the next one has its own, and no descriptor stays behind."""
    with ScriptedServer(tls=tls) as server:
        pool = pool_of(server)
        for _ in range(3):
            assert asyncio.run(pool.send(MESSAGE)).complete
        server.wait_for(lambda: [bool(c.ended) for c in server.connections] == [True, True, False])
        asyncio.run(pool.close())
        server.wait_for(lambda: all(c.ended for c in server.connections))
        assert [m.connection for m in server.messages] == [1, 2, 3]


def test_loops_side_by_side(server: ScriptedServer) -> None:
    """Two threads with a loop each share a pool, and no connection."""

    async def main(name: str) -> None:
        await asyncio.gather(*(pool.send(MESSAGE, recipients=[name]) for _ in range(20)))
        await pool.close()

    pool = pool_of(server, max_connections=1)
    with ThreadPoolExecutor() as threads:
        list(threads.map(asyncio.run, (main("a@example.org"), main("b@example.org"))))
    assert sorted({(m.connection, m.recipients) for m in server.messages}, key=lambda one: one[1]) in (
        [(1, ("a@example.org",)), (2, ("b@example.org",))],
        [(2, ("a@example.org",)), (1, ("b@example.org",))],
    )
    assert len(server.messages) == 40


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("kind", [Client, Pool])
@in_a_loop
async def test_a_fork(server: ScriptedServer, kind: Any) -> None:
    """The child sends over a connection of its own, and the parent's goes on as if nothing had been (S21)."""
    async with kind(server_of(server)) as pool:
        await pool.send(MESSAGE)
        with warnings.catch_warnings():
            # The server of the test is a thread, and the child does nothing with it.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            os._exit(0 if asyncio.run(pool.send(MESSAGE)).complete else 1)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert status == 0
        assert (await pool.send(MESSAGE)).reused
    assert [m.connection for m in server.messages] == [1, 2, 1]


@in_a_loop
async def test_retired_by_another_thread(server: ScriptedServer) -> None:
    """The loop lets go of what is idle; who still sends gets a connection for each message."""
    pool = pool_of(server)
    await pool.send(MESSAGE)
    await asyncio.to_thread(pool.retire)
    await asyncio.to_thread(server.wait_for, lambda: server.connections[0].ended)
    assert (await pool.send(MESSAGE)).complete
    assert (await pool.send(MESSAGE)).complete
    assert [connection.messages for connection in server.connections] == [1, 1, 1]


def test_retired_after_its_loop(server: ScriptedServer) -> None:
    """Connections whose loop has ended are closed; a later loop keeps none either."""
    pool = pool_of(server)

    async def send(times: int) -> None:
        for _ in range(times):
            await pool.send(MESSAGE)

    asyncio.run(send(2))
    pool.retire()
    server.wait_for(lambda: server.connections[0].ended)
    asyncio.run(send(2))
    assert [connection.messages for connection in server.connections] == [2, 1, 1]


def test_it_is_never_pickled(server: ScriptedServer) -> None:
    """Its connections belong to this process."""
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(pool_of(server))
