"""Outcome: the error that sums a send up, by the table of what the caller sees."""

import pytest

from mailbridge.conversations import refusal
from mailbridge.errors import (
    SMTPConnectionReset,
    SMTPDataError,
    SMTPException,
    SMTPNotSupportedError,
    SMTPOutcomeUnknown,
    SMTPProtocolError,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from mailbridge.facts import Phase
from tests.core.dialogue import (
    BYE,
    CLOSED,
    CONTENT,
    DATA,
    DOT,
    GO,
    LATER,
    MAIL,
    NO,
    OK,
    RESET,
    SILENT,
    Sent,
    Turn,
    letter,
    rcpt,
    ready,
    sent,
)

WINDOW = MAIL + rcpt("b@y", "c@y") + DATA


def two(*turns: Turn, lmtp: bool = False, abort: bool = False) -> Sent:
    """Send to b@y and c@y with PIPELINING."""
    return sent(ready("PIPELINING", lmtp=lmtp), letter("b@y", "c@y"), *turns, abort=abort)


def test_all_accepted_is_no_error() -> None:
    """Everybody has it."""
    assert two((WINDOW, OK * 3 + GO), (CONTENT + DOT, OK)).error is None


@pytest.mark.parametrize("refused", [LATER, NO])
def test_some_accepted_and_some_refused_is_no_error(refused: bytes) -> None:
    """Somebody has it and nobody's fate is open: the receipt says who was refused."""
    done = two((WINDOW, OK * 2 + refused + GO), (CONTENT + DOT, OK))

    assert (done.error, len(done.receipt.refused)) == (None, 1)


def test_a_refusal_can_be_raised_after_delivery() -> None:
    """`on_partial="raise"` gets the classic error of those who were refused."""
    done = two((WINDOW, OK * 2 + NO + GO), (CONTENT + DOT, OK))

    error = refusal(done.delivery, done.receipt)
    assert isinstance(error, SMTPRecipientsRefused)
    assert error.recipients == {"c@y": (550, b"no")}


def test_content_refused_for_one_of_several_is_about_the_recipient() -> None:
    """LMTP: the content was accepted for somebody, so no data error sums the other's refusal up."""
    done = two((WINDOW, OK * 3 + GO), (CONTENT + DOT, OK + NO), lmtp=True)

    assert isinstance(refusal(done.delivery, done.receipt), SMTPRecipientsRefused)


def test_some_accepted_and_some_unknown_is_an_error() -> None:
    """LMTP with the second reply missing: the outcome is unknown, and the receipt says for whom."""
    done = two((WINDOW, OK * 3 + GO), (CONTENT + DOT, OK, CLOSED), lmtp=True)

    assert isinstance(done.error, SMTPOutcomeUnknown)
    assert len(done.receipt.accepted) == 1


def test_some_accepted_and_some_not_sent_is_an_error() -> None:
    """A connection that broke between two transactions: its error."""
    done = sent(
        ready("PIPELINING"),
        letter("b@y", "c@y"),
        (MAIL + rcpt("b@y") + DATA, OK * 2 + GO),
        (CONTENT + DOT, OK),
        (MAIL + rcpt("c@y") + DATA, RESET),
        max_recipients=1,
    )

    assert isinstance(done.error, SMTPConnectionReset)
    assert done.states == {"b@y": "accepted", "c@y": "not_sent"}


@pytest.mark.parametrize("reply", [NO, LATER, BYE])
def test_a_refused_sender_is_an_error_of_its_own(reply: bytes) -> None:
    """MAIL was refused, and with it everybody: the classic error with the sender."""
    done = sent(ready(), letter("b@y", "c@y"), (MAIL, reply), again=(ready(), [(MAIL, reply)]))

    assert isinstance(done.error, SMTPSenderRefused)
    assert (done.error.sender, done.error.smtp_code) == ("a@x", int(reply[:3]))
    assert done.error.reply is not None
    assert done.error.phase is Phase.MAIL


def test_refused_recipients_are_named_with_their_replies() -> None:
    """Nobody accepted: each with its code and text."""
    done = two((WINDOW, OK + NO + LATER + b"503 nobody\r\n"))

    assert isinstance(done.error, SMTPRecipientsRefused)
    assert done.error.recipients == {"b@y": (550, b"no"), "c@y": (450, b"later")}
    assert done.error.phase is Phase.RCPT


@pytest.mark.parametrize(
    ("turns", "phase"),
    [([(WINDOW, OK * 3 + NO)], Phase.DATA), ([(WINDOW, OK * 3 + GO), (CONTENT + DOT, NO)], Phase.CONTENT)],
)
def test_refused_content_is_a_data_error(turns: list[Turn], phase: Phase) -> None:
    """Refused at DATA or after the dot, by one reply for all."""
    done = two(*turns)

    assert isinstance(done.error, SMTPDataError)
    assert (done.error.smtp_code, done.error.phase) == (550, phase)


def test_content_refused_for_each_is_about_the_recipients() -> None:
    """LMTP with a refusal of its own for each: no single reply sums it up."""
    done = two((WINDOW, OK * 3 + GO), (CONTENT + DOT, NO + LATER), lmtp=True)

    assert isinstance(done.error, SMTPRecipientsRefused)


def test_none_accepted_and_some_unknown_is_unknown() -> None:
    """One was refused, the other may have it."""
    done = two((WINDOW, OK * 2 + NO + GO), (CONTENT + DOT, SILENT))

    assert isinstance(done.error, SMTPOutcomeUnknown)
    assert isinstance(done.error.__cause__, SMTPTimeoutError)


@pytest.mark.parametrize(("end", "error"), [(CLOSED, SMTPServerDisconnected), (SILENT, SMTPTimeoutError)])
def test_nobody_refused_and_nothing_sent_is_what_broke(end: bytes, error: type[SMTPException]) -> None:
    """A connection that ended before the content."""
    done = two((WINDOW, OK, end))

    assert type(done.error) is error
    assert done.error.phase is Phase.RCPT


def test_a_break_behind_refusals_that_say_it_all_is_not_told() -> None:
    """Everybody was refused before the connection ended: the refusals are the story."""
    assert isinstance(two((WINDOW, OK + NO * 2, CLOSED)).error, SMTPRecipientsRefused)


def test_a_break_behind_acceptance_that_says_it_all_is_not_told() -> None:
    """Everybody has the message; what came after it concerns the connection only."""
    done = two((WINDOW, OK * 3 + GO), (CONTENT + DOT, OK + BYE))

    assert done.error is None


def test_a_violation_is_told() -> None:
    """Nonsense in the middle of the envelope, nobody refused."""
    assert isinstance(two((WINDOW, OK + b"nonsense\r\n")).error, SMTPProtocolError)


def test_given_up_by_all_or_nothing_is_about_the_recipients() -> None:
    """The error names who was refused, not who was given up."""
    done = two((MAIL + rcpt("b@y", "c@y"), OK * 2 + NO), abort=True)

    assert isinstance(done.error, SMTPRecipientsRefused)
    assert list(done.error.recipients) == ["c@y"]


@pytest.mark.parametrize("names", [["jürgen@z"], ["jürgen@z", "jürgen@Z"]])
def test_nobody_can_be_reached_is_not_supported(names: list[str]) -> None:
    """Every recipient needs what the server does not offer, however often one was named."""
    done = sent(ready(), letter(*names))

    assert isinstance(done.error, SMTPNotSupportedError)
    assert set(done.states.values()) == {"not_sent"}


def test_unreachable_beside_refused_is_an_error() -> None:
    """One cannot be reached, the other is refused: nobody has it."""
    done = sent(ready(), letter("jürgen@z", "b@y"), (MAIL, OK), (rcpt("b@y"), NO))

    assert isinstance(done.error, SMTPNotSupportedError)
    assert done.states == {"jürgen@z": "not_sent", "b@y": "rejected"}
