"""What the server decides: how many connections, how many messages over each, and what was learned of it."""

import contextlib
import logging
import math
import time

import pytest

from mailbridge import Pool, SMTPConnectError, SMTPException, SMTPPoolTimeout
from mailbridge.sockets.desk import channel_of
from mailbridge.testing import ScriptedServer, Then
from tests.drivers.helpers import BOTH, MESSAGE, PATIENCE, server_of
from tests.drivers.pools import at_once, letter, pool_of, until

TOO_MANY = b"421 4.7.0 too many connections from you\r\n"


def test_too_many_connections(server: ScriptedServer) -> None:
    """A 421 in the greeting is no error: the pool shrinks, and the message goes over what it has."""
    server.answer("GREETING", TOO_MANY, nth=2, then=Then.CLOSE)
    with pool_of(server, max_connections=3) as pool:
        stack = contextlib.ExitStack()
        stack.enter_context(pool.lease())
        with at_once(lambda: pool.send(MESSAGE)):
            until(lambda: pool.waiting)
            assert pool._desk.ledger.ceiling(time.monotonic()) == 1
            stack.close()
        assert [m.connection for m in server.messages] == [1]


def test_too_many_for_a_while(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing open it tries again after a pause; some servers say it in words alone."""
    monkeypatch.setattr("mailbridge.pooling.PAUSE", 0.001)
    server.answer("GREETING", b"421 Too many concurrent SMTP connections\r\n", times=3, then=Then.CLOSE)
    with pool_of(server) as pool:
        assert pool.send(MESSAGE).complete
        with pool.lease() as client:
            client.noop()
    assert len(server.connections) == 4


def test_too_many_until_the_deadline(server: ScriptedServer) -> None:
    """Then the error says what the server said."""
    server.answer("GREETING", TOO_MANY, then=Then.CLOSE)
    with pool_of(server, claim_timeout=0.05) as pool:
        with pytest.raises(SMTPPoolTimeout, match="too many connections from you") as caught:
            pool.send(MESSAGE)
        assert isinstance(caught.value.__cause__, SMTPConnectError)
        assert caught.value.receipt is not None
        assert list(caught.value.receipt.not_sent) == BOTH
        assert pool.stats().open == 0


def test_too_many_in_the_middle(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has the message does not get it again for it, and the others were not sent to."""
    monkeypatch.setattr("mailbridge.pooling.PAUSE", 0.001)
    server.offer("LIMITS MAILMAX=1")
    with Pool(server_of(server, max_recipients=1)) as pool:
        server.answer("GREETING", TOO_MANY, nth=2, times=1, then=Then.CLOSE)
        with pytest.raises(SMTPException) as caught:
            pool.send(MESSAGE)
    receipt = caught.value.receipt
    assert receipt is not None
    assert (list(receipt.accepted), list(receipt.not_sent)) == (BOTH[:1], BOTH[1:])
    assert [m.recipients for m in server.messages] == [("bob@example.org",)]


def test_whose_turn_it_was(server: ScriptedServer) -> None:
    """Who was turned away goes before those who have waited for a turn."""
    seen = list[int]()
    with pool_of(server, max_connections=2) as pool:
        kept, refused = pool.claim(math.inf), pool.claim(math.inf)
        channel_of(kept).connect(time.monotonic() + PATIENCE)

        def try_again() -> None:
            lease = pool.try_again(refused, time.monotonic() + PATIENCE, SMTPException())
            seen.append(len(server.messages))
            pool.give_back(lease)

        with at_once(lambda: pool.send(letter(1))):
            until(lambda: pool.waiting == 1)
            with at_once(try_again):
                until(lambda: pool.waiting == 2)
                pool.give_back(kept)
    assert (seen, len(server.messages)) == ([0], 1)


def test_what_a_channel_had_to_say(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said in the end, though another channel took over."""
    monkeypatch.setattr("mailbridge.pooling.PAUSE", 0.001)
    caplog.set_level(logging.INFO)
    with pool_of(server) as pool:
        pool.send(letter(1))
        server.hang_up()
        server.answer("GREETING", TOO_MANY, times=1, then=Then.CLOSE)
        pool.send(letter(2))
    assert [r.message for r in caplog.records if "had died while idle" in r.message]
    assert [m.connection for m in server.messages] == [1, 3]


@pytest.mark.parametrize("greeting", [b"554 5.7.1 go away\r\n", b"421 4.3.2 shutting down\r\n"])
def test_another_refusal_in_the_greeting(server: ScriptedServer, greeting: bytes) -> None:
    """It says nothing of a number of connections, so it is the error at once."""
    server.answer("GREETING", greeting, then=Then.CLOSE)
    with pool_of(server) as pool, pytest.raises(SMTPConnectError) as caught:
        pool.send(MESSAGE)
    assert caught.value.receipt is not None
    assert len(server.connections) == 1


@pytest.mark.parametrize("extensions", [("LIMITS MAILMAX=2",), ("PIPELINING", "CHUNKING", "LIMITS MAILMAX=2")])
def test_so_many_messages_as_the_server_takes(extensions: tuple[str, ...]) -> None:
    """RFC 9422: the next one goes over a fresh connection, without an error."""
    with ScriptedServer(extensions=extensions) as server, pool_of(server) as pool:
        for n in range(5):
            assert pool.send(letter(n)).complete
        assert [m.connection for m in server.messages] == [1, 1, 2, 2, 3]


def test_maximum_message_count(server: ScriptedServer) -> None:
    """The same where a server says it only when it has had enough."""
    server.answer("MAIL", b"421 4.7.0 maximum message count per session reached\r\n", nth=2, times=1, then=Then.CLOSE)
    with pool_of(server) as pool:
        assert [pool.send(letter(n)).complete for n in range(3)] == [True] * 3
        assert [m.connection for m in server.messages] == [1, 2, 2]


def test_probed_after_a_while(server: ScriptedServer) -> None:
    """NOOP only where it was asked for, and only on what was idle for so long."""
    with pool_of(server, probe_after=0.000001) as pool:
        pool.send(MESSAGE)
        pool.send(MESSAGE)
        assert server.lines.count(b"NOOP") == 1
        server.answer("NOOP", b"", then=Then.RESET)
        assert pool.send(MESSAGE).complete
        assert [m.connection for m in server.messages] == [1, 1, 2]


def test_not_probed(server: ScriptedServer) -> None:
    """By default no round trip is spent on asking."""
    with pool_of(server) as pool:
        pool.send(MESSAGE)
        pool.send(MESSAGE)
    assert b"NOOP" not in server.lines


def test_tls_sessions_are_taken_up_again() -> None:
    """All connections of a pool share what was learned of the server."""
    with ScriptedServer(tls="implicit") as server, pool_of(server, max_messages=1) as pool:
        for n in range(3):
            pool.send(letter(n))
        assert [c.tls_resumed for c in server.connections] == [False, True, True]


def test_one_flight_only_where_it_ends_well(server: ScriptedServer) -> None:
    """A server that died of an envelope with its content gets the envelope first, on whichever connection."""
    with pool_of(server, max_connections=2) as pool:
        pool.send(MESSAGE)
        server.cut_before("MAIL", Then.DROP)
        with pytest.raises(SMTPException):
            pool.send(MESSAGE)
        pool.send(MESSAGE)
        server.cut_before("MAIL", Then.DROP)
        assert pool.send(MESSAGE).complete


def test_the_refused_one_does_not_cost_the_good_one(server: ScriptedServer) -> None:
    """What came back idle meanwhile is what the one that was turned away gets next."""
    with Pool(server_of(server), max_connections=2) as pool:
        deadline = time.monotonic() + PATIENCE
        good, refused = pool.claim(deadline), pool.claim(deadline)
        assert good.thing is not None
        channel = good.thing
        channel.connect(deadline)
        pool.give_back(good)
        lease = pool.try_again(refused, deadline, SMTPConnectError(421, "4.7.0 too many connections"))
        assert lease.thing is channel
        assert channel.alive
        pool.give_back(lease)
