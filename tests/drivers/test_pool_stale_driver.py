"""A connection of the pool that dies at the worst moment: no message is lost in silence, and none arrives twice."""

import logging

import pytest

from mailbridge import Pool, Receipt, SMTPException, State
from mailbridge.testing import ScriptedServer, Then
from mailbridge.testing.settings import TLSMode
from tests.drivers.pools import at_once, letter, pool_of

GOODBYE = b"421 4.4.2 idle for too long\r\n"

OFFERS = pytest.mark.parametrize("extensions", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING")])
ENDS = pytest.mark.parametrize("how", [Then.CLOSE, Then.DROP, Then.RESET])
TLS = pytest.mark.parametrize("tls", [None, "implicit"])


def sent(pool: Pool, content: bytes) -> Receipt:
    """Send, whatever comes of it."""
    try:
        return pool.send(content)
    except SMTPException as error:
        receipt = error.receipt
    assert receipt is not None
    return receipt


@TLS
@ENDS
@pytest.mark.parametrize("words", [b"", GOODBYE])
@OFFERS
def test_before_the_first_flight(
    tls: TLSMode | None, how: Then, words: bytes, extensions: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """It died while idle: replaced, with one line in the log at most, and nobody else notices."""
    caplog.set_level(logging.INFO)
    with ScriptedServer(tls=tls, extensions=extensions) as server, pool_of(server) as pool:
        pool.send(letter(1))
        server.hang_up(how, words)
        caplog.clear()
        assert pool.send(letter(2)).complete
        assert [(m.connection, m.content) for m in server.messages] == [(1, letter(1)), (2, letter(2))]
        assert (pool.stats().stale, pool.stats().open) == (1, 1)
        assert len(caplog.records) <= 2
        assert {r.levelno for r in caplog.records} == {logging.INFO}


@TLS
@ENDS
@pytest.mark.parametrize("event", ["MAIL", "RCPT", "CONTENT"])
@pytest.mark.parametrize("answered", [False, True])
@OFFERS
def test_during_and_after_the_first_flight(
    tls: TLSMode | None, how: Then, event: str, answered: bool, extensions: tuple[str, ...]
) -> None:
    """The receipt and the server's own record agree, whatever was under way; then the pool goes on."""
    with ScriptedServer(tls=tls, extensions=extensions) as server, pool_of(server) as pool:
        pool.send(letter(1))
        (server.cut_after if answered else server.cut_before)(event, how)
        # The third may meet the end of the connection that answered the second.
        for content in (letter(2), letter(3)):
            states = {result.state for result in sent(pool, content).results.values()}
            copies = [m.content for m in server.messages].count(content)
            assert states <= {0: {State.NOT_SENT, State.UNKNOWN}, 1: {State.ACCEPTED, State.UNKNOWN}}[copies]
        assert pool.send(letter(4)).complete
        assert pool.stats().open == 1


@TLS
@ENDS
@OFFERS
def test_421_at_mail(tls: TLSMode | None, how: Then, extensions: tuple[str, ...]) -> None:
    """It was about to close: the message goes over a fresh one, once."""
    with ScriptedServer(tls=tls, extensions=extensions) as server, pool_of(server) as pool:
        pool.send(letter(1))
        server.answer("MAIL", GOODBYE, then=how, times=1)
        assert pool.send(letter(2)).complete
        assert [(m.connection, m.content) for m in server.messages] == [(1, letter(1)), (2, letter(2))]


@ENDS
def test_all_of_them(server: ScriptedServer, how: Then) -> None:
    """A server that was restarted: each idle connection is found dead, each message arrives once."""
    with pool_of(server, max_connections=3) as pool:
        leases = [pool.lease() for _ in range(3)]
        for lease in leases:
            lease.__enter__()
        for lease in leases:
            lease.__exit__(None, None, None)
        server.hang_up(how)
        with at_once(*[lambda n=n: pool.send(letter(n)) for n in range(9)]):
            pass
        assert sorted(m.content for m in server.messages) == [letter(n) for n in range(9)]
