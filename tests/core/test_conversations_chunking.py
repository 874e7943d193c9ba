"""Deliver by BDAT: when the content may ride with the envelope, and what a refused chunk stops."""

import io

import pytest

from mailbridge.conversations import Delivery, Need, send
from mailbridge.conversations.deliver import LONGEST_BDAT
from mailbridge.errors import SMTPDataError
from mailbridge.sync.connection import drive
from mailbridge.testing import Script
from mailbridge.wire import CHUNK
from tests.core.dialogue import (
    CONTENT,
    FIRST,
    HEADER,
    LARGE,
    LAST,
    LATER,
    MAIL,
    NO,
    OK,
    RSET,
    bdat,
    letter,
    rcpt,
    ready,
    sent,
    warm,
)
from tests.core.model import Model


def test_chunking_reads_the_envelope_first() -> None:
    """On a connection that is not hot BDAT follows the replies to RCPT (SERVERS.md B2)."""
    done = sent(warm("PIPELINING", "CHUNKING"), letter(), (MAIL + rcpt("b@y"), OK * 2), (bdat(), OK))

    assert done.states == {"b@y": "accepted"}


def test_a_hot_connection_that_knows_the_sender_takes_one_flight() -> None:
    """Hot, and the sender accepted before: MAIL, RCPT and BDAT LAST leave together."""
    smtp = warm("PIPELINING", "CHUNKING")

    done = sent(smtp, letter("b@y", "c@z"), (MAIL + rcpt("b@y", "c@z") + bdat(), OK + NO + OK * 2), hot=True)

    assert done.states == {"b@y": "rejected", "c@z": "accepted"}


@pytest.mark.parametrize("why", ["sender unknown", "all or nothing", "large"])
def test_one_flight_is_only_for_what_is_safe_in_it(why: str) -> None:
    """A hot connection still reads the envelope's replies first where content in doubt would cost more."""
    smtp = (ready if why == "sender unknown" else warm)("PIPELINING", "CHUNKING")
    mail = letter(content=LARGE if why == "large" else CONTENT)
    chunks = [bdat(FIRST, b""), bdat(LAST)] if why == "large" else [bdat()]

    done = sent(
        smtp,
        mail,
        (MAIL + rcpt("b@y"), OK * 2),
        (b"".join(chunks), OK * len(chunks)),
        hot=True,
        abort=why == "all or nothing",
    )

    assert done.states == {"b@y": "accepted"}


def test_chunking_without_pipelining_says_one_thing_at_a_time() -> None:
    """CHUNKING alone: each RCPT and each chunk waits for its reply."""
    done = sent(
        warm("CHUNKING"),
        letter(content=LARGE),
        (MAIL, OK),
        (rcpt("b@y"), OK),
        (bdat(FIRST, b""), OK),
        (bdat(LAST), OK),
        hot=True,
    )

    assert done.states == {"b@y": "accepted"}


def test_a_chunk_waits_for_the_reply_to_the_one_before() -> None:
    """Without PIPELINING, and though the kernel took the first one before its reply was there to be read."""
    model = Model(Script(extensions=["CHUNKING"]))
    ended = drive(send(None, Delivery(letter(content=LARGE)), max_recipients=50), model.serve)

    assert ended is None
    assert [message.content for message in model.record.messages] == [LARGE]


def test_chunking_with_nobody_accepted_sends_no_content() -> None:
    """All recipients refused: no BDAT, and a RSET is owed."""
    smtp = ready("PIPELINING", "CHUNKING")

    assert sent(smtp, letter(), (MAIL + rcpt("b@y"), OK + NO)).states == {"b@y": "rejected"}
    assert smtp.owes_reset


def test_one_flight_with_nobody_accepted_stays_in_step() -> None:
    """BDAT behind refused recipients is refused too (SERVERS.md B1): the next message pays a RSET and goes on."""
    smtp = warm("PIPELINING", "CHUNKING")

    first = sent(smtp, letter(), (MAIL + rcpt("b@y") + bdat(), OK + NO + b"554 nobody\r\n"), hot=True)
    second = sent(smtp, letter("c@z"), (RSET + MAIL + rcpt("c@z") + bdat(), OK * 4), hot=True)

    assert (first.states, second.states) == ({"b@y": "rejected"}, {"c@z": "accepted"})


def test_a_positive_reply_to_bdat_for_nobody_is_out_of_step() -> None:
    """A server that takes content though it refused every recipient cannot be understood."""
    smtp = warm("PIPELINING", "CHUNKING")

    done = sent(smtp, letter(), (MAIL + rcpt("b@y") + bdat(), OK + NO + OK), hot=True)

    assert done.states == {"b@y": "rejected"}
    assert not smtp.reusable


def test_a_refused_chunk_stops_the_rest() -> None:
    """After a refused chunk no other leaves; the connection is given up without RSET (SERVERS.md B3)."""
    smtp = ready("CHUNKING")
    too_large = b"552 5.3.4 too large\r\n"

    done = sent(smtp, letter(content=LARGE), (MAIL, OK), (rcpt("b@y"), OK), (bdat(FIRST, b""), too_large))

    assert isinstance(done.error, SMTPDataError)
    assert done.states == {"b@y": "rejected"}
    assert not smtp.reusable


def test_a_refused_chunk_ends_a_message_that_was_split() -> None:
    """Recipients whose turn had not come when a chunk was refused are not sent: nothing follows on that connection."""
    done = sent(
        ready("CHUNKING"),
        letter("b@y", "c@z", content=LARGE),
        (MAIL, OK),
        (rcpt("b@y"), OK),
        (bdat(FIRST, b""), LATER),
        max_recipients=1,
    )

    assert done.states == {"b@y": "deferred", "c@z": "not_sent"}
    assert isinstance(done.error, SMTPDataError)


def test_room_is_made_between_pieces() -> None:
    """Each piece is written before the next is read from its source: memory holds one, however long the chunk."""
    done = sent(
        ready("PIPELINING", "CHUNKING"),
        letter(content=io.BytesIO(LARGE)),  # type: ignore[arg-type]  # the helper's default is octets
        (MAIL + rcpt("b@y"), OK * 2),
        (bdat(FIRST, b"") + bdat(LAST), OK * 2),
    )

    assert done.needs.count(Need.ROOM) == (LONGEST_BDAT - 1) // CHUNK


@pytest.mark.parametrize("lmtp", [False, True])
@pytest.mark.parametrize("last", [b"", b"503 an earlier chunk failed\r\n"])
def test_a_refused_chunk_is_the_answer_though_the_last_one_left(last: bytes, lmtp: bool) -> None:
    """Chunks that left together: the first refusal decides, and nobody waits for what is said to the others."""
    smtp = ready("PIPELINING", "CHUNKING", lmtp=lmtp)

    done = sent(
        smtp,
        letter("b@y", "c@y", content=LARGE),
        (MAIL + rcpt("b@y", "c@y"), OK * 3),
        (bdat(FIRST, b"") + bdat(LAST), b"552 too large\r\n" + last),
    )

    assert done.replies == {"b@y": 552, "c@y": 552}
    assert isinstance(done.error, SMTPDataError)


@pytest.mark.parametrize(("size", "chunks"), [(CHUNK * 2, 1), (LONGEST_BDAT, 1), (LONGEST_BDAT * 2, 2)])
def test_the_last_chunk_is_never_empty(size: int, chunks: int) -> None:
    """Content that fills its chunks to the last octet ends with the last one of these."""
    content = (HEADER + b"\r\n").ljust(size - 2, b"x") + b"\r\n"
    parts = [content[start : start + LONGEST_BDAT] for start in range(0, size, LONGEST_BDAT)]
    said = [bdat(part, b" LAST" if part is parts[-1] else b"") for part in parts]

    done = sent(
        ready("PIPELINING", "CHUNKING"),
        letter(content=content),
        (MAIL + rcpt("b@y"), OK * 2),
        (b"".join(said), OK * chunks),
    )

    assert done.states == {"b@y": "accepted"}
