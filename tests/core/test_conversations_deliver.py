"""Deliver by DATA: which words, in which flights."""

from typing import Any

import pytest

from mailbridge.errors import SMTPDataError, SMTPInputError, SMTPProtocolError
from mailbridge.protocol import RESETS
from mailbridge.wire import CHUNK
from tests.core.dialogue import (
    CONTENT,
    DATA,
    DOT,
    GO,
    HEADER,
    LATER,
    MAIL,
    NO,
    OK,
    RSET,
    Turn,
    bdat,
    letter,
    rcpt,
    ready,
    sent,
    warm,
)

# What is written of large content before anybody listens.
PIECE = (HEADER + b"\r\n").ljust(CHUNK, b"x")


def test_pipelining_puts_the_envelope_and_data_into_one_flight() -> None:
    """With PIPELINING the server waits for [MAIL RCPT RCPT DATA] once, and once for the content."""
    done = sent(
        ready("PIPELINING"),
        letter("b@y", "c@z"),
        (MAIL + rcpt("b@y", "c@z") + DATA, OK * 3 + GO),
        (CONTENT + DOT, OK),
    )

    assert done.error is None
    assert done.states == {"b@y": "accepted", "c@z": "accepted"}


def test_without_extensions_one_command_at_a_time() -> None:
    """Neither PIPELINING nor CHUNKING: each command waits for its reply (SERVERS.md P4)."""
    done = sent(
        ready(),
        letter("b@y", "c@z"),
        (MAIL, OK),
        (rcpt("b@y"), NO),
        (rcpt("c@z"), OK),
        (DATA, GO),
        (CONTENT + DOT, OK),
    )

    assert done.states == {"b@y": "rejected", "c@z": "accepted"}


@pytest.mark.parametrize("setting", ["pipelining", "chunking"])
def test_what_is_offered_may_be_turned_off(setting: str) -> None:
    """`pipelining=False` and `chunking=False` are obeyed though the server offers both."""
    smtp = ready("PIPELINING", "CHUNKING", **{setting: False})

    if setting == "pipelining":
        turns: list[Turn] = [(MAIL, OK), (rcpt("b@y"), OK), (bdat(), OK)]
    else:
        turns = [(MAIL + rcpt("b@y") + DATA, OK * 2 + GO), (CONTENT + DOT, OK)]

    assert sent(smtp, letter(), *turns).error is None


def test_a_refused_mail_without_pipelining_ends_the_transaction() -> None:
    """One at a time, no RCPT follows a refused MAIL."""
    done = sent(ready(), letter("b@y", "c@z"), (MAIL, LATER))

    assert done.states == {"b@y": "deferred", "c@z": "deferred"}
    assert done.receipt.results["c@z"].phase == "MAIL"


def test_all_recipients_refused_without_pipelining_sends_no_data() -> None:
    """One at a time, DATA goes only where somebody was accepted."""
    assert sent(ready(), letter(), (MAIL, OK), (rcpt("b@y"), NO)).states == {"b@y": "rejected"}


def test_a_354_for_nobody_gets_a_lone_dot_and_a_reset_before_the_next_mail() -> None:
    """DATA that was pipelined behind refused recipients ends by a dot alone; RSET rides with the next MAIL."""
    smtp = ready("PIPELINING")

    first = sent(smtp, letter(), (MAIL + rcpt("b@y") + DATA, OK + NO + GO), (DOT, b"554 no valid recipients\r\n"))
    assert first.states == {"b@y": "rejected"}
    assert smtp.owes_reset
    assert smtp.reusable
    second = sent(smtp, letter(), (RSET + MAIL + rcpt("b@y") + DATA, OK * 3 + GO), (CONTENT + DOT, OK))

    assert second.states == {"b@y": "accepted"}
    assert not smtp.owes_reset


def test_data_refused_for_nobody_leaves_a_reset_owed() -> None:
    """The usual 554 to DATA after refused recipients: no content, RSET in front of the next MAIL."""
    smtp = ready("PIPELINING")

    sent(smtp, letter(), (MAIL + rcpt("b@y") + DATA, OK + NO + b"554 no valid recipients\r\n"))

    assert smtp.owes_reset


@pytest.mark.parametrize("extensions", [("PIPELINING",), ("PIPELINING", "CHUNKING")])
def test_refused_content_leaves_a_reset_owed(extensions: tuple[str, ...]) -> None:
    """Postfix keeps the sender of content that a policy refused, and takes the next message for that sender's."""
    smtp = ready(*extensions)
    end = (bdat(), NO) if smtp.chunking else (CONTENT + DOT, NO)
    begin = (MAIL + rcpt("b@y"), OK * 2) if smtp.chunking else (MAIL + rcpt("b@y") + DATA, OK * 2 + GO)

    sent(smtp, letter(), begin, end)

    assert (smtp.owes_reset, smtp.reusable) == (True, True)


def test_data_refused_refuses_everybody() -> None:
    """A 554 to DATA is the fate of every accepted recipient, in the phase DATA."""
    done = sent(ready("PIPELINING"), letter(), (MAIL + rcpt("b@y") + DATA, OK * 2 + b"451 later\r\n"))

    assert done.states == {"b@y": "deferred"}
    assert done.receipt.results["b@y"].phase == "DATA"


def test_a_refused_mail_never_sends_the_content_whatever_follows() -> None:
    """A server that refuses MAIL and then says yes to everything gets a lone dot: nobody was accepted."""
    done = sent(ready("PIPELINING"), letter(), (MAIL + rcpt("b@y") + DATA, NO + OK + GO), (DOT, OK))

    assert done.states == {"b@y": "rejected"}


def test_a_refused_mail_never_sends_chunks_whatever_follows() -> None:
    """The same with CHUNKING: no BDAT goes where MAIL was refused, though RCPT was accepted."""
    assert sent(ready("PIPELINING", "CHUNKING"), letter(), (MAIL + rcpt("b@y"), NO + OK)).states == {"b@y": "rejected"}


@pytest.mark.parametrize("extensions", [("PIPELINING",), ("PIPELINING", "CHUNKING")])
def test_a_refused_mail_stops_a_window_that_is_not_full_yet(extensions: tuple[str, ...]) -> None:
    """With more recipients than one window holds, those behind a refused MAIL are not said at all."""
    names = [f"r{number}@y" for number in range(300)]

    done = sent(
        warm(*extensions),
        letter(*names),
        (MAIL + rcpt(*names[:127]), NO + b"503 no sender\r\n" * 127),
        max_recipients=300,
        hot=True,
    )

    assert set(done.states.values()) == {"rejected"}


def test_a_refused_mail_read_in_the_middle_of_a_window_ends_it() -> None:
    """The replies of a window that are still under way are read before the send ends."""
    names = [f"r{number}@y" for number in range(128)]
    replies = b"503 no sender\r\n"

    done = sent(
        ready("PIPELINING"),
        letter(*names),
        (MAIL + rcpt(*names[:127]), NO, replies * 100, replies * 27),
        max_recipients=300,
    )

    assert len(done.receipt.rejected) == 128


def test_large_content_is_written_piece_by_piece() -> None:
    """Content beyond one piece makes room between pieces, and its dots are stuffed across their borders."""
    from mailbridge.conversations import Need

    body = (b"\r\n" + b"." * CHUNK * 2) + b"\r\n.\r\n"
    done = sent(
        ready("PIPELINING"),
        letter(content=HEADER + body),
        (MAIL + rcpt("b@y") + DATA, OK * 2 + GO),
        (HEADER + body.replace(b"\r\n.", b"\r\n..") + DOT, OK),
    )

    assert done.states == {"b@y": "accepted"}
    assert done.needs.count(Need.ROOM) >= 2


def test_content_without_a_last_line_end_gets_one() -> None:
    """The dot stands on a line of its own."""
    done = sent(
        ready(),
        letter(content=HEADER + b"\r\nhi"),
        (MAIL, OK),
        (rcpt("b@y"), OK),
        (DATA, GO),
        (HEADER + b"\r\nhi\r\n.\r\n", OK),
    )

    assert done.error is None


def test_a_refusal_in_the_middle_of_the_content_is_its_answer() -> None:
    """A server that has seen enough and says so is believed; nothing more is written to it."""
    smtp = ready("PIPELINING")

    done = sent(
        smtp,
        letter("b@y", content=PIECE + b"x\r\n"),
        (MAIL + rcpt("b@y") + DATA, OK * 2 + GO),
        (PIECE, b"552 5.3.4 too large\r\n"),
    )

    assert isinstance(done.error, SMTPDataError)
    assert done.states == {"b@y": "rejected"}
    assert not smtp.reusable


def test_anything_else_in_the_middle_of_the_content_is_out_of_step() -> None:
    """A 250 before the dot belongs to nothing that was said (WIRE.md S14)."""
    done = sent(
        ready("PIPELINING"),
        letter(content=PIECE + b"x\r\n"),
        (MAIL + rcpt("b@y") + DATA, OK * 2 + GO),
        (PIECE, OK),
    )

    assert isinstance(done.error, SMTPProtocolError)
    assert done.states == {"b@y": "not_sent"}


@pytest.mark.parametrize("extensions", [(), ("CHUNKING",)])
@pytest.mark.parametrize("length", [CHUNK * 2, CHUNK * 4, 10])
def test_a_file_that_changes_while_it_is_sent_is_not_delivered(
    extensions: tuple[str, ...], length: int, tmp_path: Any
) -> None:
    """What was announced is not what is there: no commit point follows, and the error says why."""
    path = tmp_path / "message"
    path.write_bytes(HEADER + b"\r\n" + b"x" * CHUNK * 3)
    with path.open("rb") as file:
        mail = letter(content=file)  # type: ignore[arg-type]  # the helper's default is octets
        path.write_bytes(path.read_bytes()[:length].ljust(length, b"x"))
        smtp = ready(*extensions)
        done = _discard(smtp, mail)

    assert isinstance(done.error, SMTPInputError)
    assert done.states == {"b@y": "not_sent"}
    assert not smtp.reusable


def _discard(smtp: Any, mail: Any) -> Any:
    """Send to a server that says yes to every line and never looks at content."""
    from mailbridge.conversations import Delivery, Need, send
    from mailbridge.sync.connection import drive
    from tests.core.dialogue import Sent

    def serve(need: Need) -> None:
        said = b""
        while data := smtp.data_to_send():
            said += data
            smtp.sent(len(data))
        if need is Need.DATA:
            smtp.receive_data(GO if said == DATA else OK)

    delivery = Delivery(mail)
    return Sent(delivery, drive(send(smtp, delivery, max_recipients=50), serve), [])


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_behind_a_refused_reset_nothing_is_said(extensions: tuple[str, ...]) -> None:
    """The next recipients might join the old transaction: the message goes over a fresh connection."""
    smtp, fresh = ready(*extensions), ready("PIPELINING")
    sent(smtp, letter(), *_refused_envelope(extensions))
    flight = RSET + (MAIL + rcpt("b@y") + DATA if extensions else b"")
    good: list[Turn] = [(MAIL + rcpt("b@y") + DATA, OK * 2 + GO), (CONTENT + DOT, OK)]

    done = sent(smtp, letter(), (flight, b"502 no\r\n"), again=(fresh, good))

    assert done.states == {"b@y": "accepted"}
    assert not smtp.reusable


CHUNKED: list[Turn] = [(MAIL + rcpt("b@y"), OK * 2), (bdat(), NO)]
DOTTED: list[Turn] = [(MAIL + rcpt("b@y") + DATA, OK * 2 + GO), (CONTENT + DOT, NO)]


@pytest.mark.parametrize(("extensions", "turns"), [(("CHUNKING",), CHUNKED), ((), DOTTED)])
def test_refused_content_owes_a_reset(extensions: tuple[str, ...], turns: list[Turn]) -> None:
    """Postfix keeps such a transaction open: the next MAIL would be nested, and its content sent as the first's."""
    smtp = ready("PIPELINING", *extensions)
    sent(smtp, letter(), *turns)
    assert (smtp.owes_reset, smtp.reusable) == (True, True)


def test_a_connection_that_owed_too_many_resets_is_full() -> None:
    """Exim counts them and closes at the eleventh, with whatever stands behind it."""
    smtp = ready("PIPELINING")
    sent(smtp, letter(), (MAIL + rcpt("b@y") + DATA, OK + NO + NO))
    for _ in range(RESETS):
        assert not smtp.full
        sent(smtp, letter(), (RSET + MAIL + rcpt("b@y") + DATA, OK * 2 + NO + NO))
    assert smtp.full


def _refused_envelope(extensions: tuple[str, ...]) -> list[Turn]:
    if extensions:
        return [(MAIL + rcpt("b@y") + DATA, OK + NO * 2)]
    return [(MAIL, OK), (rcpt("b@y"), NO)]


def test_a_551_with_a_forwarding_address_is_a_refusal() -> None:
    """No host that a reply names is ever asked for (WIRE.md S18)."""
    done = sent(ready(), letter(), (MAIL, OK), (rcpt("b@y"), b"551 user not local; please try <x@evil>\r\n"))

    assert done.states == {"b@y": "rejected"}
    assert done.error is not None
