"""A connection that died while nobody looked is replaced in silence, and no message arrives twice."""

import itertools

import pytest

from mailbridge import (
    Receipt,
    SMTPException,
    SMTPOutcomeUnknown,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    State,
)
from mailbridge.testing import ScriptedServer, Then
from mailbridge.testing.settings import TLSMode
from tests.drivers.helpers import BOTH, HEADER, MESSAGE, client_of, client_to

pytestmark = pytest.mark.usefixtures("driver")

SECOND = HEADER + b"Subject: second\r\n\r\nagain\r\n"
GOODBYE = b"421 4.4.2 idle for too long\r\n"

OFFERS = pytest.mark.parametrize("extensions", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING")])
ENDS = pytest.mark.parametrize("how", [Then.CLOSE, Then.DROP, Then.RESET])
TLS = pytest.mark.parametrize("tls", [None, "implicit"])


@TLS
@ENDS
@pytest.mark.parametrize("words", [b"", GOODBYE])
@OFFERS
def test_closed_while_idle(tls: TLSMode | None, how: Then, words: bytes, extensions: tuple[str, ...]) -> None:
    """By FIN or RST, with a 421 or without: the next message goes over a fresh connection, once."""
    with ScriptedServer(tls=tls, extensions=extensions) as server, client_of(server) as client:
        client.send(MESSAGE)
        server.hang_up(how, words)
        receipt = client.send(SECOND)
        assert receipt.complete
        assert not receipt.reused
        assert [(m.connection, m.content) for m in server.messages] == [(1, MESSAGE), (2, SECOND)]


@ENDS
def test_closed_before_the_first_message(server: ScriptedServer, how: Then) -> None:
    """A connection that was opened early and idle since is a reused one too."""
    with client_of(server) as client:
        server.hang_up(how)
        assert client.send(MESSAGE).complete
        assert [m.connection for m in server.messages] == [2]


@ENDS
@OFFERS
def test_cut_in_the_first_flight(how: Then, extensions: tuple[str, ...]) -> None:
    """No reply to MAIL on a reused connection: sent again, unless the content may have left with it."""
    with ScriptedServer(extensions=extensions) as server, client_of(server) as client:
        client.send(MESSAGE)
        server.cut_before("MAIL", how)
        if "CHUNKING" in extensions:
            # One flight: the content stood in it.
            with pytest.raises(SMTPOutcomeUnknown):
                client.send(SECOND)
            assert len(server.connections) == 1
        else:
            assert client.send(SECOND).complete
            assert [m.content for m in server.messages] == [MESSAGE, SECOND]


@ENDS
@OFFERS
def test_cut_behind_the_reply_to_mail(how: Then, extensions: tuple[str, ...]) -> None:
    """A connection that answered was alive: nothing is sent again, and what happened is said."""
    with ScriptedServer(extensions=extensions) as server, client_of(server) as client:
        client.send(MESSAGE)
        server.cut_after("MAIL", how)
        with pytest.raises(SMTPException) as caught:
            client.send(SECOND)
        assert caught.value.receipt is not None
        state = State.UNKNOWN if "CHUNKING" in extensions else State.NOT_SENT
        assert {r.state for r in caught.value.receipt.results.values()} == {state}
        assert (len(server.connections), len(server.messages)) == (1, 1)


@TLS
@ENDS
@OFFERS
def test_cut_behind_the_content(tls: TLSMode | None, how: Then, extensions: tuple[str, ...]) -> None:
    """No reply to the content: the server has it, the client cannot know, and sends nothing again."""
    with ScriptedServer(tls=tls, extensions=extensions) as server, client_of(server) as client:
        client.send(MESSAGE)
        server.cut_before("CONTENT", how)
        with pytest.raises(SMTPOutcomeUnknown) as caught:
            client.send(SECOND)
        assert caught.value.receipt is not None
        assert list(caught.value.receipt.unknown) == BOTH
        assert isinstance(caught.value.__cause__, SMTPServerDisconnected)
        assert [m.content for m in server.messages] == [MESSAGE, SECOND]
        assert client.send(MESSAGE).complete


@TLS
@pytest.mark.parametrize("then", [Then.GO_ON, Then.CLOSE, Then.DROP, Then.RESET])
@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_421_at_mail(tls: TLSMode | None, then: Then, extensions: tuple[str, ...]) -> None:
    """So many messages on one connection: the next goes over a fresh one, whether the server closes (R3) or not."""
    with ScriptedServer(tls=tls, extensions=extensions) as server, client_of(server) as client:
        server.say_421(after_messages=1, then=then)
        for _ in range(3):
            assert client.send(MESSAGE).complete
        assert [m.connection for m in server.messages] == [1, 2, 3]
        server.wait_for(lambda: server.connections[0].ended and server.connections[1].ended)


@ENDS
def test_421_to_one_flight(server: ScriptedServer, how: Then) -> None:
    """A refused MAIL opens nothing that content could belong to: sent again, however the connection ends."""
    with client_of(server) as client:
        client.send(MESSAGE)
        server.answer("MAIL", GOODBYE, then=how, times=1)
        assert client.send(SECOND).complete
        assert [m.content for m in server.messages] == [MESSAGE, SECOND]


@pytest.mark.parametrize("then", [Then.CLOSE, Then.DROP])
def test_421_behind_the_last_reply(server: ScriptedServer, then: Then) -> None:
    """A server may say 421 unasked when it has had enough: that message was accepted, the next goes elsewhere."""
    with client_of(server) as client:
        server.say_421(after_messages=1, unasked=True, then=then)
        assert [client.send(MESSAGE).complete for _ in range(3)] == [True] * 3
        assert [m.connection for m in server.messages] == [1, 2, 3]


def test_once_only() -> None:
    """A fresh connection that dies too is a failure, not a third attempt."""
    with ScriptedServer(extensions=("PIPELINING",)) as server, client_of(server) as client:
        client.send(MESSAGE)
        server.cut_before("MAIL", times=2)
        with pytest.raises(SMTPServerDisconnected) as caught:
            client.send(SECOND)
        assert (len(server.connections), len(server.messages)) == (2, 1)
        assert caught.value.receipt is not None
        assert list(caught.value.receipt.not_sent) == BOTH
        assert caught.value.temporary


def test_421_once_only(server: ScriptedServer) -> None:
    """The same with a server that says 421 to everything."""
    with client_of(server) as client:
        server.answer("MAIL", GOODBYE, then=Then.CLOSE)
        with pytest.raises(SMTPSenderRefused) as caught:
            client.send(MESSAGE)
        assert caught.value.smtp_code == 421
        assert len(server.connections) == 2


def test_a_fresh_connection_is_not_retried() -> None:
    """What a message meets on a connection made for it is told as it is."""
    with ScriptedServer(extensions=()) as server:
        server.cut_before("MAIL")
        with pytest.raises(SMTPServerDisconnected):
            client_of(server).send(MESSAGE)
        assert len(server.connections) == 1


def test_a_server_that_is_gone(server: ScriptedServer) -> None:
    """Where the fresh connection cannot be made, that is the error."""
    with client_of(server) as client:
        client.send(MESSAGE)
        server.answer("GREETING", b"421 4.3.2 shutting down\r\n", then=Then.CLOSE)
        server.hang_up()
        with pytest.raises(SMTPException, match=r"4\.3\.2 shutting down") as caught:
            client.send(SECOND)
        assert caught.value.temporary
        assert len(server.messages) == 1


def test_a_verb_on_a_dead_connection(server: ScriptedServer) -> None:
    """NOOP asks whether the server is there, so it is told: the 421 it left behind; then the next one reconnects."""
    with client_of(server) as client:
        server.hang_up(Then.DROP, GOODBYE)
        with pytest.raises(SMTPResponseException, match="idle for too long"):
            client.noop()
        assert not client.connected
        assert client.noop().code == 250


def test_every_octet_of_the_second_message() -> None:
    """Cut anywhere in it: it arrives once and is known, or not at all, or nobody can know. Never twice."""
    with ScriptedServer(extensions=("PIPELINING",)) as probe, client_of(probe) as client:
        client.send(MESSAGE)
        begin = probe.connections[0].read
        client.send(SECOND)
        end = probe.connections[0].read
    cuts = [*range(begin, end, 23), end - 5, end - 4, end - 3, end - 2, end - 1, end]
    for octets, how in itertools.product(cuts, (Then.CLOSE, Then.RESET)):
        _cut_at(octets, how)


def _cut_at(octets: int, how: Then) -> None:
    with ScriptedServer(extensions=("PIPELINING",)) as server:
        client = client_to(client_of(server).server)
        client.send(MESSAGE)
        server.cut_at_read(octets, how)
        try:
            receipt: Receipt | None = client.send(SECOND)
        except SMTPException as error:
            receipt = error.receipt
        client.close()
        arrived = [m for m in server.messages if m.content == SECOND]
        assert receipt is not None
        states = {r.state for r in receipt.results.values()}
        assert len(arrived) <= 1
        assert states == {State.ACCEPTED} if arrived else states <= {State.NOT_SENT, State.UNKNOWN}
