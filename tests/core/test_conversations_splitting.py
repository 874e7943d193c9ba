"""Deliver to many: several transactions with one receipt, and all or nothing."""

import pytest

from mailbridge.conversations import Conversation, Delivery, send
from mailbridge.errors import SMTPException, SMTPInputError, SMTPNotSupportedError, SMTPServerDisconnected
from mailbridge.parameters import MailOptions
from mailbridge.protocol import RESETS
from tests.core.dialogue import (
    BYE,
    CONTENT,
    DATA,
    DOT,
    GO,
    MAIL,
    NO,
    OK,
    RSET,
    Turn,
    letter,
    rcpt,
    ready,
    sent,
)

TOO_MANY = b"452 4.5.3 too many recipients\r\n"


@pytest.mark.parametrize(
    ("extensions", "envelope"),
    [
        (("PIPELINING",), [(MAIL + rcpt("b@y", "c@z"), OK * 2 + NO)]),
        (("PIPELINING", "CHUNKING"), [(MAIL + rcpt("b@y", "c@z"), OK * 2 + NO)]),
        (("CHUNKING",), [(MAIL, OK), (rcpt("b@y"), OK), (rcpt("c@z"), NO)]),
        ((), [(MAIL, OK), (rcpt("b@y"), OK), (rcpt("c@z"), NO)]),
    ],
)
def test_abort_gives_the_message_up_before_its_content(extensions: tuple[str, ...], envelope: list[Turn]) -> None:
    """All or nothing: one refusal, and the accepted ones are not sent; a RSET is owed."""
    smtp = ready(*extensions)

    done = sent(smtp, letter("b@y", "c@z"), *envelope, abort=True)

    assert done.states == {"b@y": "not_sent", "c@z": "rejected"}
    assert done.receipt.results["b@y"].phase == "RCPT"
    assert done.receipt.results["b@y"].temporary, "without the other it may go at once"
    assert done.error is not None
    assert smtp.owes_reset


def test_abort_delivers_where_everybody_is_accepted() -> None:
    """All or nothing, and it is all: the content follows the replies to RCPT, never in their flight."""
    done = sent(
        ready("PIPELINING"), letter(), (MAIL + rcpt("b@y"), OK * 2), (DATA, GO), (CONTENT + DOT, OK), abort=True
    )

    assert done.states == {"b@y": "accepted"}


def test_abort_takes_as_many_as_one_transaction_holds() -> None:
    """All or nothing: exactly the limit fits."""
    envelope = (MAIL + rcpt("b@y", "c@y"), OK * 3)
    smtp = ready("PIPELINING", "LIMITS RCPTMAX=2")

    assert sent(smtp, letter("b@y", "c@y"), envelope, (DATA, GO), (CONTENT + DOT, OK), abort=True).error is None


def test_abort_never_splits() -> None:
    """More recipients than one transaction holds cannot be sent all-or-nothing: nothing is written."""
    done = sent(ready("LIMITS RCPTMAX=2"), letter("b@y", "c@y", "d@y"), abort=True)

    assert isinstance(done.error, SMTPInputError)
    assert "3 recipients do not fit into one transaction of 2" in str(done.error)
    assert set(done.states.values()) == {"not_sent"}


def test_abort_does_not_go_on_with_those_beyond_the_limit() -> None:
    """All or nothing: 452 4.5.3 is a refusal like any other."""
    done = sent(ready("PIPELINING"), letter("b@y", "c@z"), (MAIL + rcpt("b@y", "c@z"), OK * 2 + TOO_MANY), abort=True)

    assert done.states == {"b@y": "not_sent", "c@z": "deferred"}


def test_abort_with_an_unreachable_recipient_writes_nothing() -> None:
    """All or nothing: a recipient who needs SMTPUTF8 in vain stops the message before MAIL."""
    done = sent(ready("PIPELINING"), letter("b@y", "jürgen@z"), abort=True)

    assert "SMTPUTF8" in str(done.error)
    assert done.states == {"b@y": "not_sent", "jürgen@z": "not_sent"}


@pytest.mark.parametrize(
    ("extension", "limit"), [("SIZE", 2), ("LIMITS RCPTMAX=2", 50), ("LIMITS MAILMAX=9 RCPTMAX=02", 3)]
)
def test_many_recipients_are_split_into_one_receipt(extension: str, limit: int) -> None:
    """`max_recipients` and LIMITS RCPTMAX: the smaller one splits, and one receipt covers all."""
    turns: list[Turn] = []
    mail = MAIL if extension != "SIZE" else MAIL.replace(b"\r\n", b" SIZE=%d\r\n" % len(CONTENT))
    for names in (("a@y", "b@y"), ("c@y", "d@y"), ("e@y",)):
        turns += [(mail + rcpt(*names) + DATA, OK * (1 + len(names)) + GO), (CONTENT + DOT, OK)]

    recipients = ("a@y", "b@y", "c@y", "d@y", "e@y")
    done = sent(ready("PIPELINING", extension), letter(*recipients), *turns, max_recipients=limit)

    assert done.states == dict.fromkeys(recipients, "accepted")
    assert len(done.delivery.transactions) == 3


@pytest.mark.parametrize("reply", [TOO_MANY, b"452 too many\r\n", b"451 4.5.3 too many\r\n", b"431 too many\r\n"])
def test_those_beyond_the_limit_go_in_the_next_transaction(reply: bytes) -> None:
    """After others were accepted, 452 or 451 4.5.3 means: later, on this connection (SERVERS.md R1); nobody twice."""
    done = sent(
        ready("PIPELINING"),
        letter("b@y", "c@y", "d@y"),
        (MAIL + rcpt("b@y", "c@y", "d@y") + DATA, OK * 2 + reply * 2 + GO),
        (CONTENT + DOT, OK),
        (MAIL + rcpt("c@y", "d@y") + DATA, OK * 2 + NO + GO),
        (CONTENT + DOT, OK),
    )

    assert done.states == {"b@y": "accepted", "c@y": "accepted", "d@y": "rejected"}


@pytest.mark.parametrize("reply", [b"452 4.2.2 mailbox full\r\n", b"451 later\r\n", b"450 4.5.3 odd\r\n", NO])
def test_other_refusals_are_final(reply: bytes) -> None:
    """A full mailbox and its like do not go again."""
    done = sent(
        ready("PIPELINING"),
        letter("b@y", "c@y"),
        (MAIL + rcpt("b@y", "c@y") + DATA, OK * 2 + reply + GO),
        (CONTENT + DOT, OK),
    )

    assert done.replies == {"b@y": 250, "c@y": int(reply[:3])}


def test_too_many_with_nobody_accepted_ends_at_once() -> None:
    """452 4.5.3 to everybody is no limit but a refusal: no endless loop."""
    done = sent(ready(), letter("b@y", "c@y"), (MAIL, OK), (rcpt("b@y"), TOO_MANY), (rcpt("c@y"), TOO_MANY))

    assert done.states == {"b@y": "deferred", "c@y": "deferred"}


def test_a_connection_that_ends_between_transactions_keeps_what_was_said() -> None:
    """421 to the second MAIL of a split message: the first group has it, the second was refused for now."""
    done = sent(
        ready("PIPELINING"),
        letter("b@y", "c@y", "d@y"),
        (MAIL + rcpt("b@y") + DATA, OK * 2 + GO),
        (CONTENT + DOT, OK),
        (MAIL + rcpt("c@y") + DATA, BYE),
        max_recipients=1,
    )

    assert done.states == {"b@y": "accepted", "c@y": "deferred", "d@y": "not_sent"}
    assert isinstance(done.error, SMTPServerDisconnected)
    assert done.error.reply is not None
    assert done.error.reply.code == 421


def test_those_who_were_to_go_again_keep_their_refusal() -> None:
    """The connection ends before their next transaction: they were deferred, and the rest is delivered."""
    done = sent(
        ready("PIPELINING"),
        letter("b@y", "c@y"),
        (MAIL + rcpt("b@y", "c@y") + DATA, OK * 2 + TOO_MANY + GO),
        (CONTENT + DOT, OK + BYE),
    )

    assert done.replies == {"b@y": 250, "c@y": 452}
    assert done.error is None


def test_abort_is_refused_before_anybody_is_called() -> None:
    """What cannot fit into one transaction of ours needs no connection to be an error."""
    delivery = Delivery(letter("b@y", "c@y"), abort=True)

    error = next_error(send(None, delivery, max_recipients=1))

    assert isinstance(error, SMTPInputError)
    assert not delivery.transactions


def next_error(conversation: Conversation[SMTPException | None]) -> SMTPException | None:
    """The error of a conversation that asks for nothing."""
    with pytest.raises(StopIteration) as ended:
        next(conversation)
    return ended.value.value  # type: ignore[no-any-return]  # what the conversation returned


def test_a_refused_sender_is_refused_for_everybody() -> None:
    """MAIL is not said again for each further group of recipients; its reply is theirs too."""
    flight = (MAIL + rcpt("b@y") + DATA, NO * 3)

    done = sent(ready("PIPELINING"), letter("b@y", "c@y", "d@y"), flight, max_recipients=1)

    assert done.replies == {"b@y": 550, "c@y": 550, "d@y": 550}
    assert {result.phase for result in done.receipt.results.values()} == {"MAIL"}


def test_mailmax_goes_on_over_a_fresh_connection() -> None:
    """RFC 9422 section 3.1: as many transactions as the server takes on one connection, nobody twice."""
    turns = [[(MAIL + rcpt(name) + DATA, OK * 2 + GO), (CONTENT + DOT, OK)] for name in ("b@y", "c@y")]
    limited, fresh = (ready("PIPELINING", "LIMITS MAILMAX=1") for _ in range(2))

    done = sent(limited, letter("b@y", "c@y"), *turns[0], max_recipients=1, again=(fresh, turns[1]))

    assert done.states == {"b@y": "accepted", "c@y": "accepted"}
    assert (limited.full, fresh.full) == (True, True)


def test_the_next_connection_may_offer_less() -> None:
    """What is asked of it fits its own reply to EHLO, and whom it cannot reach is left out."""
    limited, fresh = ready("SMTPUTF8", "8BITMIME", "LIMITS MAILMAX=1"), ready()
    first: list[Turn] = [(MAIL, OK), (rcpt("b@y"), OK), (DATA, GO), (CONTENT + DOT, OK)]
    second: list[Turn] = [(MAIL, OK), (rcpt("c@y"), OK), (DATA, GO), (CONTENT + DOT, OK)]
    done = sent(limited, letter("b@y", "é@y", "c@y"), *first, max_recipients=1, again=(fresh, second))

    assert done.states == {"b@y": "accepted", "é@y": "not_sent", "c@y": "accepted"}
    assert isinstance(done.receipt.results["é@y"].error, SMTPNotSupportedError)


def test_the_next_connection_may_not_take_it_at_all() -> None:
    """Those who have it keep it; the others were not sent to, and the error says why."""
    limited, fresh = ready("DSN", "LIMITS MAILMAX=1"), ready()
    mail = MAIL.replace(b"\r\n", b" RET=HDRS\r\n")
    first: list[Turn] = [(mail, OK), (rcpt("b@y"), OK), (DATA, GO), (CONTENT + DOT, OK)]
    asking = letter("b@y", "c@y", options=MailOptions(ret="HDRS"))
    done = sent(limited, asking, *first, max_recipients=1, again=(fresh, []))

    assert done.states == {"b@y": "accepted", "c@y": "not_sent"}
    assert isinstance(done.receipt.results["c@y"].error, SMTPNotSupportedError)


def test_a_full_connection_is_left_before_the_first_word() -> None:
    """A connection that carried as much as the server takes is not asked for more."""
    full = ready("PIPELINING", "LIMITS MAILMAX=1")
    good = [(MAIL + rcpt("b@y") + DATA, OK * 2 + GO), (CONTENT + DOT, OK)]
    sent(full, letter(), *good)

    assert sent(full, letter(), again=(ready("PIPELINING"), good)).states == {"b@y": "accepted"}


def test_a_connection_with_many_failures_is_left_before_exim_hangs_up() -> None:
    """Exim counts the RSETs that follow no accepted message, and a good one in between clears nothing."""
    smtp, refused = ready("PIPELINING"), MAIL + rcpt("b@y") + DATA
    good = [(refused, OK * 2 + GO), (CONTENT + DOT, OK)]
    sent(smtp, letter(), (refused, OK + NO * 2))

    for _ in range(RESETS):
        assert not smtp.full
        sent(smtp, letter(), (RSET + refused, OK * 2 + NO * 2))

    assert sent(smtp, letter(), again=(ready("PIPELINING"), good)).states == {"b@y": "accepted"}
