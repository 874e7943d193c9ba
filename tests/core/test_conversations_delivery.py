"""Delivery: what is known of each recipient, wherever the connection ends."""

import pytest

from mailbridge.conversations import Delivery, Need, send
from mailbridge.errors import (
    SMTPConnectionReset,
    SMTPException,
    SMTPNotSupportedError,
    SMTPOutcomeUnknown,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from mailbridge.facts import Endpoint, Phase
from mailbridge.sync.connection import drive
from tests.core.dialogue import (
    BYE,
    CLOSED,
    CONTENT,
    DATA,
    DOT,
    FIRST,
    GO,
    LARGE,
    LAST,
    LATER,
    MAIL,
    NO,
    OK,
    RESET,
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

ENVELOPE = MAIL + rcpt("b@y", "c@y")
FLIGHT = ENVELOPE + bdat()
WINDOW = ENVELOPE + DATA


def two(smtp_turns: list[Turn], *extensions: str) -> dict[str, str]:
    """Send to b@y and c@y in one flight, where the server offers CHUNKING; their states."""
    return sent(warm("PIPELINING", *extensions), letter("b@y", "c@y"), *smtp_turns, hot=True).states


@pytest.mark.parametrize("end", [CLOSED, RESET, SILENT])
@pytest.mark.parametrize("said", [b"", OK, OK * 2, OK * 3, OK * 3 + b"250 o"])
def test_silence_after_the_commit_point_is_unknown(said: bytes, end: Cut) -> None:
    """The content left and no reply to it came: whoever was not refused may have it."""
    events = [said, end] if said else [end]

    assert two([(FLIGHT, *events)], "CHUNKING") == {"b@y": "unknown", "c@y": "unknown"}


@pytest.mark.parametrize("end", [CLOSED, RESET, SILENT])
def test_silence_after_the_dot_is_unknown(end: Cut) -> None:
    """The same behind DATA; a recipient who was refused stays refused."""
    done = sent(ready("PIPELINING"), letter("b@y", "c@y"), (WINDOW, OK * 2 + NO + GO), (CONTENT + DOT, end))

    assert done.states == {"b@y": "unknown", "c@y": "rejected"}
    assert isinstance(done.error, SMTPOutcomeUnknown)
    assert isinstance(done.error.__cause__, SMTPServerDisconnected)
    assert not done.error.temporary


@pytest.mark.parametrize("end", [CLOSED, RESET, SILENT])
@pytest.mark.parametrize("said", [b"", OK, OK * 2, OK * 3])
def test_an_end_before_the_content_is_not_sent(said: bytes, end: Cut) -> None:
    """Before the commit point was offered nothing can have been accepted."""
    done = sent(
        ready("PIPELINING"), letter("b@y", "c@y"), (WINDOW, *([said] if said else []), end), again=_again(said, end)
    )

    assert set(done.states.values()) <= {"not_sent", "accepted"}
    assert (set(done.states.values()) == {"accepted"}) == (not said and end is not SILENT)


def _again(said: bytes, end: Cut) -> object:
    """A fresh connection where the silent retry is allowed."""
    return None if said or end is SILENT else (ready("PIPELINING"), [(WINDOW, OK * 3 + GO), (CONTENT + DOT, OK)])


def test_an_end_between_chunks_is_not_sent() -> None:
    """Without the LAST chunk there is no message, however much of it left."""
    done = sent(
        ready("CHUNKING"),
        letter(content=LARGE),
        (MAIL, OK),
        (rcpt("b@y"), OK),
        (bdat(FIRST, b""), OK),
        (bdat(LAST), CLOSED),
    )
    assert done.states == {"b@y": "unknown"}

    first = sent(ready("CHUNKING"), letter(content=LARGE), (MAIL, OK), (rcpt("b@y"), OK), (bdat(FIRST, b""), RESET))
    assert first.states == {"b@y": "not_sent"}


# 421 at every point of a window.


@pytest.mark.parametrize(
    ("before", "states"),
    [
        (b"", ("deferred", "deferred")),
        (OK, ("deferred", "not_sent")),
        (OK * 2, ("not_sent", "deferred")),
        (OK + NO, ("rejected", "deferred")),
    ],
)
def test_a_421_and_a_clean_end_leaves_nothing_in_doubt(before: bytes, states: tuple[str, str]) -> None:
    """What stood behind the 421 was never processed, though all of it had left."""
    done = sent(
        warm("PIPELINING", "CHUNKING"),
        letter("b@y", "c@y"),
        (FLIGHT, before + BYE, CLOSED),
        hot=True,
        reused=True,
        again=None if before else (ready("PIPELINING"), [(WINDOW, LATER * 3 + b"503 no\r\n")]),
    )

    assert tuple(done.states.values()) == states


@pytest.mark.parametrize("doubt", [[b"250", CLOSED], [RESET], [SILENT], [OK, CLOSED]])
def test_a_421_and_any_doubt_is_unknown(doubt: list[bytes | Cut]) -> None:
    """A reset, a deadline, an octet more: what had left behind the 421 may have been taken up."""
    assert two([(FLIGHT, OK + BYE, *doubt)], "CHUNKING") == {"b@y": "deferred", "c@y": "unknown"}


def test_a_421_to_the_content_refuses_it() -> None:
    """The reply that the content waits for may be a 421: nobody has the message, and nobody waits for more."""
    assert two([(FLIGHT, OK * 3 + BYE)], "CHUNKING") == {"b@y": "deferred", "c@y": "deferred"}


def test_a_421_that_is_one_of_several_refusals_keeps_them_all() -> None:
    """A server that answers everything by 421 has refused everything (SERVERS.md R3)."""
    assert two([(FLIGHT, OK + BYE * 3)], "CHUNKING") == {"b@y": "deferred", "c@y": "deferred"}


@pytest.mark.parametrize("before", [OK, OK * 2, OK * 3])
def test_a_421_before_the_content_ends_at_once(before: bytes) -> None:
    """Where no content left, nobody waits for the end of the stream."""
    done = sent(ready("PIPELINING"), letter("b@y", "c@y"), (WINDOW, before + BYE))

    assert "unknown" not in done.states.values()
    assert done.error is not None
    assert done.error.temporary


# The receipt.


def test_a_receipt_can_be_written_at_any_moment() -> None:
    """Before a word was said everybody is not sent, and the error says why."""
    error = SMTPTimeoutError("late")
    receipt = Delivery(letter("b@y")).receipt(error, server=Endpoint("mail.example.com", 25), duration=1.5, reused=True)

    assert receipt.results["b@y"].error is error
    assert (receipt.sender, receipt.message_id, receipt.reply) == ("a@x", "<1@x>", None)
    assert (str(receipt.server), receipt.duration, receipt.reused) == ("mail.example.com:25 (no TLS)", 1.5, True)


def test_every_spelling_of_a_recipient_gets_the_result() -> None:
    """A mailbox that was named twice is asked for once, and answered under both names."""
    done = sent(ready(), letter("B <b@y>", "b@Y"), (MAIL, OK), (rcpt("b@y"), NO))

    assert done.states == {"B <b@y>": "rejected", "b@Y": "rejected"}


def test_the_receipt_has_the_last_reply_to_the_content() -> None:
    """Its queue id is the server's name for the message."""
    done = sent(
        ready(), letter(), (MAIL, OK), (rcpt("b@y"), OK), (DATA, GO), (CONTENT + DOT, b"250 queued as 4F2A\r\n")
    )

    assert done.receipt.queue_id == "4F2A"
    assert done.receipt.results["b@y"].phase is Phase.CONTENT


def test_a_refusal_has_no_error_and_the_rest_have() -> None:
    """A reply says why; where none came, the error does."""
    done = sent(warm("PIPELINING", "CHUNKING"), letter("b@y", "c@y"), (FLIGHT, OK + NO, CLOSED), hot=True)

    refused, unknown = done.receipt.results.values()
    assert refused.error is None
    assert isinstance(unknown.error, SMTPException)


def test_content_refused_refuses_whoever_was_accepted() -> None:
    """A 554 after the dot is the fate of the accepted recipients only."""
    done = sent(ready("PIPELINING"), letter("b@y", "c@y"), (WINDOW, OK * 2 + LATER + GO), (CONTENT + DOT, NO))

    assert done.replies == {"b@y": 550, "c@y": 450}


def test_whoever_cannot_be_reached_has_an_error_of_their_own() -> None:
    """A connection that broke is not why a recipient without SMTPUTF8 got nothing."""
    done = sent(ready("PIPELINING"), letter("b@y", "jürgen@z"), (MAIL + rcpt("b@y") + DATA, OK, CLOSED))

    errors = {name: type(result.error) for name, result in done.receipt.results.items()}
    assert errors == {"b@y": SMTPServerDisconnected, "jürgen@z": SMTPNotSupportedError}


@pytest.mark.parametrize(("kept", "state"), [(1, "not_sent"), (0, "unknown")])
@pytest.mark.parametrize("extension", ["CHUNKING", "SIZE"])
def test_the_last_octet_makes_the_difference(extension: str, kept: int, state: str) -> None:
    """A write that broke in front of the commit point's last octet: nobody has it. Behind it: nobody knows."""
    smtp = ready(extension)
    replies = [OK, OK, *([GO] if extension == "SIZE" else [])]

    def serve(_: Need) -> None:
        if replies:
            smtp.sent(smtp.pending)
            smtp.receive_data(replies.pop(0))
            return
        smtp.sent(smtp.pending - kept)
        smtp.connection_lost()
        raise SMTPConnectionReset("reset")

    delivery = Delivery(letter())
    error = drive(send(smtp, delivery, max_recipients=50), serve)
    assert delivery.receipt(error).results["b@y"].state == state
    assert delivery.at_stake == (state == "unknown")
