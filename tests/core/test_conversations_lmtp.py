"""Deliver over LMTP: the content is answered once for each accepted recipient (RFC 2033 section 4.2)."""

import pytest

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
    Turn,
    bdat,
    letter,
    rcpt,
    ready,
    sent,
    warm,
)


def test_lmtp_answers_once_for_each_accepted_recipient() -> None:
    """RFC 2033: two accepted of three, two replies to the dot, in one segment (WIRE.md S15)."""
    smtp = ready("PIPELINING", lmtp=True)

    done = sent(
        smtp,
        letter("b@y", "c@y", "d@y"),
        (MAIL + rcpt("b@y", "c@y", "d@y") + DATA, OK * 2 + NO + OK + GO),
        (CONTENT + DOT, b"250 saved\r\n552 full\r\n"),
    )

    assert done.replies == {"b@y": 250, "c@y": 550, "d@y": 552}
    assert smtp.reusable


def test_lmtp_waits_for_the_reply_in_the_next_segment() -> None:
    """The second reply belongs to the second recipient, not to the next command."""
    smtp = ready("PIPELINING", lmtp=True)
    envelope = MAIL + rcpt("b@y", "c@y") + DATA

    first = sent(smtp, letter("b@y", "c@y"), (envelope, OK * 3 + GO), (CONTENT + DOT, OK, b"452 full\r\n"))
    second = sent(smtp, letter("b@y", "c@y"), (envelope, OK * 3 + GO), (CONTENT + DOT, b"452 full\r\n", OK))

    assert (first.replies, second.replies) == ({"b@y": 250, "c@y": 452}, {"b@y": 452, "c@y": 250})


def test_lmtp_answers_bdat_last_for_each_and_other_chunks_once() -> None:
    """The same with BDAT: one reply to the first chunk, one for each recipient to the last (SERVERS.md B6)."""
    done = sent(
        ready("PIPELINING", "CHUNKING", lmtp=True),
        letter("b@y", "c@y", content=LARGE),
        (MAIL + rcpt("b@y", "c@y"), OK * 3),
        (bdat(FIRST, b"") + bdat(LAST), OK + b"250 saved\r\n", b"550 full\r\n"),
    )

    assert done.replies == {"b@y": 250, "c@y": 550}


@pytest.mark.parametrize(
    ("reply", "state"), [(OK, "accepted"), (LATER, "deferred"), (NO, "rejected"), (BYE, "deferred")]
)
@pytest.mark.parametrize("extensions", [("PIPELINING",), ("PIPELINING", "CHUNKING")])
def test_lmtp_with_a_reply_missing_is_unknown_for_its_recipient(
    extensions: tuple[str, ...], reply: bytes, state: str
) -> None:
    """A server that leaves after the first of two replies: the second recipient may have it."""
    smtp = warm(*extensions, lmtp=True)
    envelope = MAIL + rcpt("b@y", "c@y")
    turns: list[Turn] = [(envelope + DATA, OK * 3 + GO), (CONTENT + DOT, reply, CLOSED)]
    if "CHUNKING" in extensions:
        turns = [(envelope + bdat(), OK * 3 + reply, CLOSED)]

    done = sent(smtp, letter("b@y", "c@y"), *turns, hot=True)

    assert done.states == {"b@y": state, "c@y": "unknown"}
    assert not smtp.reusable


def test_lmtp_wants_no_dot_for_nobody() -> None:
    """A 354 for no recipient would get no reply to its dot: the connection is given up instead."""
    smtp = ready("PIPELINING", lmtp=True)

    done = sent(smtp, letter(), (MAIL + rcpt("b@y") + DATA, OK + NO + GO))

    assert done.states == {"b@y": "rejected"}
    assert not smtp.reusable


def test_lmtp_counts_the_recipients_of_this_transaction_only() -> None:
    """A refused MAIL behind a message with two recipients: BDAT in its flight gets one reply, not two."""
    smtp = warm("PIPELINING", "CHUNKING", lmtp=True)

    sent(smtp, letter("b@y", "c@y"), (MAIL + rcpt("b@y", "c@y") + bdat(), OK * 5), hot=True)
    done = sent(smtp, letter("b@y"), (MAIL + rcpt("b@y") + bdat(), LATER + b"503 no\r\n" * 2), hot=True)

    assert done.states == {"b@y": "deferred"}
    assert smtp.reusable
