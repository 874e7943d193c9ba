"""A pool that threads share: few connections, each with one user, and nobody waits for ever."""

import contextlib
import io
import logging
import pickle
import threading
import time
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from mailbridge import (
    Phase,
    Pool,
    Server,
    SMTPException,
    SMTPInputError,
    SMTPPoolClosed,
    SMTPPoolTimeout,
    SMTPSenderRefused,
    State,
)
from mailbridge.sockets.desk import channel_of
from mailbridge.sync import lending
from mailbridge.testing import ScriptedServer
from tests.drivers.helpers import BOTH, MESSAGE, PATIENCE, Line, peer, plain, server_of
from tests.drivers.pools import at_once, letter, pool_of, until


class SoftLimit(BaseException):
    """What Celery or gevent would raise."""


# What it is for.


def test_a_connection_is_kept(server: ScriptedServer) -> None:
    """One message after the other over the same connection; at the end it says goodbye."""
    with pool_of(server) as pool:
        receipts = [pool.send(letter(n)) for n in range(3)]
        assert [r.reused for r in receipts] == [False, True, True]
        assert len(server.connections) == 1
    assert server.lines[-1] == b"QUIT"


def test_twenty_threads() -> None:
    """Everything arrives once, over no more connections than allowed, each with one user at a time."""
    with ScriptedServer() as server, pool_of(server, max_connections=5) as pool:
        with at_once(*[lambda n=n: [pool.send(letter(n * 10 + i)) for i in range(10)] for n in range(20)]):
            pass
        assert sorted(m.content for m in server.messages) == sorted(map(letter, range(200)))
        assert len(server.connections) <= 5 + 4  # 200 messages, at most 50 over each
        stats = pool.stats()
        assert (stats.open, stats.waiting) == (stats.idle, 0)
        assert stats.opened + stats.handshakes_saved == 200


def test_so_many_messages_over_one_connection(server: ScriptedServer) -> None:
    """Then it says goodbye, without waiting for the answer, and another one takes its place."""
    with pool_of(server, max_messages=2) as pool:
        for n in range(5):
            assert pool.send(letter(n)).complete
        assert [m.connection for m in server.messages] == [1, 1, 2, 2, 3]
        assert server.lines.count(b"QUIT") == 2


def test_what_the_stats_say(server: ScriptedServer) -> None:
    """Counts and seconds of all that happened."""
    with pool_of(server, max_messages=2) as pool:
        for n in range(3):
            pool.send(letter(n))
        server.hang_up()
        pool.send(letter(3))
        stats = pool.stats()
    assert (stats.open, stats.idle, stats.waiting) == (1, 1, 0)
    assert (stats.opened, stats.reused, stats.stale, stats.handshakes_saved) == (3, 1, 1, 1)
    assert min(stats.connecting, stats.sending) > 0
    assert stats.claiming == 0, "nobody had to wait"


def test_a_pool_ends_with_its_last_user(server: ScriptedServer) -> None:
    """Nothing that it made holds it: what hangs on its end does not wait for a garbage collector."""
    pool = pool_of(server)
    pool.send(MESSAGE)
    pool.close()
    ended = weakref.ref(pool)
    del pool
    assert ended() is None


def test_who_waited_is_counted(server: ScriptedServer) -> None:
    """The seconds until somebody gave a connection back."""
    pool = pool_of(server, max_connections=1)
    with pool.lease():
        thread = threading.Thread(target=pool.send, args=(MESSAGE,))
        thread.start()
        until(lambda: pool.waiting)
    thread.join()
    pool.close()
    assert pool.stats().claiming > 0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_connections": 0}, "max_connections is a number from 1, not 0"),
        ({"max_messages": "50"}, "max_messages is a number from 1, not '50'"),
        ({"max_idle": 0}, "max_idle is above 0 and up to 1000000 seconds, not 0"),
        ({"max_age": True}, "max_age is above 0"),
        ({"claim_timeout": None}, "claim_timeout is above 0 and up to 1000000 seconds, not None"),
        ({"probe_after": "1"}, "probe_after is above 0"),
        ({"log_receipts": "no"}, "log_receipts is True or False, not 'no'"),
    ],
)
def test_a_wrong_option(options: dict[str, Any], complaint: str) -> None:
    """It is named, with its value and what is allowed."""
    with pytest.raises(SMTPInputError, match=complaint):
        Pool(Server("mail.example.com"), **options)


def test_it_is_not_pickled(server: ScriptedServer) -> None:
    """Its connections cannot travel to another process, and it says what to do."""
    with pytest.raises(TypeError, match="Make one where it is needed"):
        pickle.dumps(pool_of(server))


# Waiting for a connection.


def test_nobody_waits_for_ever(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """Where none comes free in time, nothing was sent, and that is a receipt and a record like any other."""
    with pool_of(server, max_connections=1, claim_timeout=0.05) as pool, pool.lease():
        with pytest.raises(SMTPPoolTimeout, match=r"none of 1 connections came free within 0\.05 s") as caught:
            pool.send(MESSAGE)
        assert caught.value.temporary
        assert caught.value.receipt is not None
        assert list(caught.value.receipt.not_sent) == BOTH
        assert all(r.temporary for r in caught.value.receipt.results.values())
        assert [r.levelname for r in caplog.records if r.levelno > logging.DEBUG] == ["ERROR"]
        assert pool.waiting == 0


def test_who_waits_longest_is_first(server: ScriptedServer) -> None:
    """A connection goes from hand to hand in the order of the claims."""
    pool = pool_of(server, max_connections=1)
    with contextlib.ExitStack() as stack, pool:
        client = pool.lease()
        client.__enter__()
        for n in range(4):
            stack.enter_context(at_once(lambda n=n: pool.send(letter(n))))
            until(lambda n=n: pool.waiting == n + 1)
        client.__exit__(None, None, None)
        server.wait_for(lambda: len(server.messages) == 4)
    assert [m.content for m in server.messages] == [letter(n) for n in range(4)]


def test_only_if_nobody_has_to_wait(server: ScriptedServer) -> None:
    """A batch takes further connections where they are free, and passes nobody over."""
    with pool_of(server, max_connections=2) as pool:
        lease = pool.claim_if_free()
        assert lease is not None
        with pool.lease():
            assert pool.claim_if_free() is None
        pool.give_back(lease)
        assert pool.waiting == 0
    assert pool.claim_if_free() is None


def test_a_lease(server: ScriptedServer) -> None:
    """A client for a while, on a connection of the pool, which goes back afterwards."""
    with pool_of(server) as pool:
        with pool.lease() as client:
            assert client.noop().code == 250
            assert client.send(MESSAGE).complete
            assert pool.stats().idle == 0
        assert pool.send(MESSAGE).reused
        assert len(server.connections) == 1


def test_a_lease_of_what_died(server: ScriptedServer) -> None:
    """Its client is connected: what died while idle was replaced before, and its age counts anew."""
    with pool_of(server) as pool:
        pool.send(MESSAGE)
        server.hang_up()
        with pool.lease() as client:
            assert client.noop().code == 250
        lease = pool.claim(time.monotonic() + PATIENCE)
        connection = channel_of(lease).connection
        assert connection is not None
        assert lease.born == connection.born
        pool.give_back(lease)


def test_a_lease_that_is_broken_off(server: ScriptedServer) -> None:
    """Nobody takes up a dialogue that an exception left: the connection is closed, its place is free."""
    with pool_of(server, max_connections=1) as pool:
        with pytest.raises(ZeroDivisionError), pool.lease():
            raise ZeroDivisionError
        assert pool.stats().open == 0
        assert pool.send(MESSAGE).complete
        assert [m.connection for m in server.messages] == [2]


def test_a_lease_where_nobody_answers() -> None:
    """The error of the connection is the block's, and the place is free again."""
    with pytest.raises(SMTPException) as caught, Pool(plain(1)).lease():
        pass
    assert caught.value.phase is Phase.CONNECT


# How it ends.


def test_drained(server: ScriptedServer) -> None:
    """Who has a connection comes to an end; nobody begins; then all are closed."""
    pool, done = pool_of(server), list[bool]()
    stack = contextlib.ExitStack()
    client = stack.enter_context(pool.lease())
    with at_once(lambda: done.append(pool.drain(PATIENCE))):
        until(lambda: pool.closed)
        with pytest.raises(SMTPPoolClosed) as caught:
            pool.send(MESSAGE)
        assert client.send(MESSAGE).complete
        stack.close()
    assert caught.value.receipt is not None
    assert list(caught.value.receipt.not_sent) == BOTH
    assert (done, pool.stats().open, server.lines[-1]) == ([True], 0, b"QUIT")


def test_who_waits_is_served_by_a_drain(server: ScriptedServer) -> None:
    """A message that was there before is no new one."""
    pool, done = pool_of(server, max_connections=1), list[bool]()
    stack = contextlib.ExitStack()
    stack.enter_context(pool.lease())
    with at_once(lambda: pool.send(MESSAGE)):
        until(lambda: pool.waiting)
        with at_once(lambda: done.append(pool.drain(PATIENCE))):
            until(lambda: pool.closed)
            stack.close()
    assert (done, len(server.messages)) == ([True], 1)


def test_drained_in_vain(server: ScriptedServer) -> None:
    """It does not wait longer than it was told; what is out is closed when it comes back."""
    pool = pool_of(server)
    with pool.lease():
        assert not pool.drain(0.01)
    assert pool.stats().open == 0
    server.wait_for(lambda: server.connections[0].ended)


def test_closed(server: ScriptedServer) -> None:
    """Who waits is told, what is idle says goodbye, and nothing is sent any more."""
    pool, told = pool_of(server, max_connections=1), list[str]()

    def wait() -> None:
        with pytest.raises(SMTPPoolClosed) as caught:
            pool.send(MESSAGE)
        told.append(str(caught.value))

    with contextlib.ExitStack() as stack:
        stack.enter_context(pool.lease())
        with at_once(wait):
            until(lambda: pool.waiting)
            pool.close()
    wait()
    assert told == [f"127.0.0.1:{server.port} at CONNECT: the pool is closed"] * 2
    assert server.messages == []


def test_a_goodbye_that_nobody_answers() -> None:
    """All of them together are waited for no longer than asked."""
    quiet = threading.Event()

    def talk(connection: Any) -> None:
        with Line(connection) as line:
            line.greet()
            line.hear(b"NOOP")
            line.say(b"250 ok\r\n")
            line.hear(b"QUIT")
            quiet.wait(PATIENCE)

    with peer(talk) as port:
        pool = Pool(plain(port))
        with pool.lease() as client:
            client.noop()
        pool.close(timeout=0.05)
        quiet.set()


# What the caller's own code does meanwhile.


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, SoftLimit])
def test_interrupted(server: ScriptedServer, kind: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    """The connection is closed, its place is free, the receipt is in the log, and the interruption passes on."""

    class Interrupted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if any(line.startswith(b"RCPT") for line in server.lines):
                raise kind
            return super().read(size)

    with pool_of(server, max_connections=1) as pool:
        with pytest.raises(kind):
            pool.send(Interrupted(MESSAGE))
        assert pool.stats().open == 0
        [record] = [r for r in caplog.records if r.levelno > logging.DEBUG]
        assert vars(record)["not_sent"] == BOTH
        assert pool.send(MESSAGE).complete
    assert [m.connection for m in server.messages] == [2]


def test_interrupted_while_waiting(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim is taken back, and the receipt says that nothing was sent."""

    class Interrupting:
        def acquire(self, timeout: float | None = None) -> None:
            if timeout is not None:
                raise SoftLimit

    with pool_of(server, max_connections=1) as pool, pool.lease():
        monkeypatch.setattr(lending, "threading", SimpleNamespace(Lock=Interrupting))
        with pytest.raises(SoftLimit) as caught:
            pool.send(MESSAGE)
        assert pool.waiting == 0
    receipt = caught.value.receipt  # type: ignore[attr-defined]  # as our own errors have it
    assert {r.state for r in receipt.results.values()} == {State.NOT_SENT}


def test_a_log_handler_that_sends_mail(server: ScriptedServer) -> None:
    """AdminEmailHandler: no lease is held while it runs, in a send or in a lease of one's own."""
    with pool_of(server, max_connections=1, claim_timeout=PATIENCE) as pool:

        class Mailing(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if record.levelno > logging.DEBUG:
                    pool.send(letter(2))

        handler = Mailing()
        logging.getLogger("mailbridge").addHandler(handler)
        try:
            server.refuse("bob@example.org")
            pool.send(letter(1))
            with pool.lease() as client:
                client.send(letter(1))
        finally:
            logging.getLogger("mailbridge").removeHandler(handler)
        assert [m.content for m in server.messages] == [letter(n) for n in (1, 2, 1, 2)]
        assert pool.stats().open <= 1


def test_a_token_provider_that_sends_mail() -> None:
    """The place of the connection that is being logged in counts no more meanwhile."""
    nested: list[int] = []

    def provider(**options: bool) -> str:
        if not nested:
            nested.append(1)
            pool.send(letter(2))
        return "t"

    with ScriptedServer(accounts={"ann": "t"}, auth=("XOAUTH2",)) as server:
        there = server_of(server, username="ann", token_provider=provider)
        with Pool(there, max_connections=1, claim_timeout=PATIENCE) as pool:
            pool.send(letter(1))
            assert [m.content for m in server.messages] == [letter(2), letter(1)]
            assert pool.stats().open == 1


def test_a_place_counts_again() -> None:
    """Once the token is there, the connection is one of those that the limit counts."""
    with ScriptedServer(accounts={"ann": "t"}, auth=("XOAUTH2",)) as server:
        there = server_of(server, username="ann", token_provider=lambda **options: "t")
        with Pool(there, max_connections=1) as pool, pool.lease():
            assert pool.claim_if_free() is None


def test_a_certificate_that_is_not_there() -> None:
    """It is an error of the configuration, with a receipt, before anybody waits or is called."""
    pool = Pool(Server("mail.example.com", ca_file="/nonexistent.pem"))
    with pytest.raises(SMTPInputError, match="nonexistent") as caught:
        pool.send(MESSAGE)
    assert caught.value.receipt is not None
    assert pool.stats().claiming == 0


def test_a_refused_message_leaves_the_connection(server: ScriptedServer) -> None:
    """A refusal is no reason to close: RSET is owed, and paid by the next message."""
    with pool_of(server) as pool:
        server.refuse_sender("ann@example.com")
        with pytest.raises(SMTPSenderRefused):
            pool.send(MESSAGE)
        server.senders.clear()
        assert pool.send(MESSAGE).complete
        assert len(server.connections) == 1
