"""Sending: one silent retry, exactly where nothing can have been accepted."""

import pytest

from mailbridge.conversations import Delivery, Need, send
from mailbridge.errors import SMTPException, SMTPServerDisconnected, SMTPUnreachableError
from mailbridge.sync.connection import drive
from tests.core.dialogue import (
    BYE,
    CLOSED,
    CONTENT,
    DATA,
    DOT,
    GO,
    MAIL,
    NO,
    OK,
    RESET,
    RSET,
    SILENT,
    Cut,
    Turn,
    bdat,
    letter,
    rcpt,
    ready,
    sent,
    warm,
)

WINDOW = MAIL + rcpt("b@y") + DATA
FLIGHT = MAIL + rcpt("b@y") + bdat()
GOOD: list[Turn] = [(WINDOW, OK * 2 + GO), (CONTENT + DOT, OK)]


@pytest.mark.parametrize("turn", [(WINDOW, CLOSED), (WINDOW, RESET), (WINDOW, BYE)])
def test_a_reused_connection_that_was_dead_is_replaced_in_silence(turn: Turn) -> None:
    """An end without any reply, or a 421 to MAIL: the message goes over a fresh connection."""
    done = sent(ready("PIPELINING"), letter(), turn, again=(ready("PIPELINING"), GOOD))

    assert (done.error, done.states) == (None, {"b@y": "accepted"})
    assert len(done.delivery.transactions) == 1


@pytest.mark.parametrize("end", [CLOSED, RESET, BYE])
def test_a_connection_that_dies_at_the_owed_reset_is_replaced(end: bytes | Cut) -> None:
    """RSET was the first word: its 421, or no word at all, is the same as MAIL's."""
    smtp = ready("PIPELINING")
    sent(smtp, letter(), (WINDOW, OK + NO + NO))

    assert sent(smtp, letter(), (RSET + WINDOW, end), again=(ready("PIPELINING"), GOOD)).error is None


def test_a_421_to_the_reset_and_a_clean_end_is_replaced_though_content_left() -> None:
    """What stood behind the 421 was never processed, so the content that left with it is not at stake."""
    smtp = warm("PIPELINING", "CHUNKING")
    sent(smtp, letter(), (FLIGHT, OK + NO + NO), hot=True)

    done = sent(smtp, letter(), (RSET + FLIGHT, BYE, CLOSED), hot=True, again=(ready("PIPELINING"), GOOD))
    assert done.states == {"b@y": "accepted"}


def test_a_421_to_the_reset_and_any_doubt_is_not_replaced() -> None:
    """A reset behind the 421: the content that left may have been taken up."""
    smtp = warm("PIPELINING", "CHUNKING")
    sent(smtp, letter(), (FLIGHT, OK + NO + NO), hot=True)

    assert sent(smtp, letter(), (RSET + FLIGHT, BYE, RESET), hot=True).states == {"b@y": "unknown"}


@pytest.mark.parametrize("behind", [[CLOSED], [b"503 no\r\n503 no\r\n"], [b"421 bye\r\n421 bye\r\n"]])
def test_a_421_to_mail_is_replaced_whatever_stood_in_its_flight(behind: list[bytes | Cut]) -> None:
    """Content left with MAIL and MAIL was refused: nobody has it, whether the server hangs up or goes on (R3)."""
    done = sent(
        warm("PIPELINING", "CHUNKING"), letter(), (FLIGHT, BYE, *behind), hot=True, again=(ready("PIPELINING"), GOOD)
    )

    assert done.states == {"b@y": "accepted"}


def test_the_retry_forgets_what_the_dead_connection_offered() -> None:
    """The fresh server may offer less: what fits is found out anew."""
    utf8 = b"MAIL FROM:<a@x> SMTPUTF8\r\n" + rcpt("jürgen@z") + DATA

    done = sent(ready("PIPELINING", "SMTPUTF8"), letter("jürgen@z"), (utf8, CLOSED), again=(ready("PIPELINING"), []))
    assert done.states == {"jürgen@z": "not_sent"}


@pytest.mark.parametrize(
    "turn",
    [
        (WINDOW, SILENT),
        (WINDOW, OK, CLOSED),
        (WINDOW, OK, BYE),
        (WINDOW, OK, RESET),
        (WINDOW, NO, CLOSED),
        (WINDOW, b"nonsense\r\n"),
    ],
)
def test_nothing_else_is_tried_again(turn: Turn) -> None:
    """A deadline, a reply that came, a violation: no fresh connection is asked for."""
    done = sent(ready("PIPELINING"), letter(), turn)

    assert done.error is not None
    assert Need.CONNECTION not in done.needs


@pytest.mark.parametrize("end", [CLOSED, RESET])
def test_content_that_left_is_never_sent_again(end: Cut) -> None:
    """One flight and no reply: unknown, and nothing is resent."""
    done = sent(warm("PIPELINING", "CHUNKING"), letter(), (FLIGHT, end), hot=True)

    assert done.states == {"b@y": "unknown"}


def test_a_fresh_connection_is_not_tried_twice() -> None:
    """The connection was made for this message: its end is the end."""
    smtp = ready("PIPELINING")
    done = sent(smtp, letter(), (WINDOW, CLOSED), reused=False)

    assert type(done.error) is SMTPServerDisconnected
    assert done.needs.count(Need.CONNECTION) == 1


@pytest.mark.parametrize("turn", [(WINDOW, CLOSED), (WINDOW, BYE)])
def test_there_is_one_retry(turn: Turn) -> None:
    """The fresh connection dies too: its error is told."""
    done = sent(ready("PIPELINING"), letter(), (WINDOW, CLOSED), again=(ready("PIPELINING"), [turn]))

    assert done.error is not None
    assert done.states["b@y"] in {"not_sent", "deferred"}


def test_a_fresh_connection_that_cannot_be_made_is_the_error() -> None:
    """The driver's failure to connect ends the send; nobody was sent anything."""
    delivery = Delivery(letter())
    unreachable = SMTPUnreachableError("nobody there")

    def serve(need: Need) -> object:
        assert need is Need.CONNECTION
        raise unreachable

    error: SMTPException | None = drive(send(None, delivery, max_recipients=50), serve)
    assert error is unreachable
    assert delivery.receipt(error).results["b@y"].error is unreachable


def test_a_message_that_does_not_fit_is_not_tried_again() -> None:
    """A local error is no dead connection."""
    done = sent(ready("SIZE 1"), letter())

    assert Need.CONNECTION not in done.needs


@pytest.mark.parametrize(("turn", "died"), [((FLIGHT, CLOSED), True), ((FLIGHT, OK, CLOSED), False)])
def test_a_server_that_dies_of_one_flight_is_recognised(turn: Turn, died: bool) -> None:
    """Content that left with its envelope, and no reply at all before the end: SERVERS.md B2."""
    done = sent(warm("PIPELINING", "CHUNKING"), letter(), turn, hot=True)

    assert done.delivery.died_in_one_flight is died
    assert done.states == {"b@y": "unknown"}
