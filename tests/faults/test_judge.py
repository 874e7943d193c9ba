"""The judge sees each thing that must not be, and the cuts are all there."""

import pytest

from mailbridge import Receipt, RecipientResult, State
from mailbridge.testing import Script, Session, Wire
from mailbridge.testing.records import Accepted
from tests.faults.cuts import above_tls, acts_behind, records, spans
from tests.faults.host import Host, mails
from tests.faults.judge import ANSWER, wrongs
from tests.faults.line import Line
from tests.faults.sessions import combinations

MAIL = mails(1)[0]
OFFERED = b"DATA\r\n" + MAIL.content.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def judged(state: State, *, times: int = 0, offered: bytes = b"", heard: bytes = b"") -> list[str]:
    """What is wrong with a message that the server has so often and of which the client says this."""
    host = Host(next(combinations("plain")))
    line = Line(Wire(Session(), lambda: pytest.fail("no TLS here")), None, implicit=False, lazy=False, ragged=False)
    line.offered += offered
    line.heard += heard
    host.lines.append(line)
    for _ in range(times):
        host.record.messages.append(
            Accepted("a@b", MAIL.recipients, MAIL.content, {}, {}, connection=1, authenticated_as=None, tls=False)
        )
    results = {name: RecipientResult(name, state) for name in MAIL.recipients}
    return list(wrongs(host, [MAIL], {0: Receipt("a@b", results)}))


@pytest.mark.parametrize(
    ("state", "times"),
    [
        (State.ACCEPTED, 0),
        (State.ACCEPTED, 2),
        (State.UNKNOWN, 2),
        (State.DEFERRED, 1),
        (State.REJECTED, 1),
        (State.NOT_SENT, 1),
    ],
)
def test_a_receipt_that_does_not_fit_the_record(state: State, times: int) -> None:
    """Accepted means once, not accepted means never, and twice is never right."""
    assert len(judged(state, times=times, offered=OFFERED)) == 1


@pytest.mark.parametrize("times", [0, 1])
def test_a_receipt_that_fits_the_record(times: int) -> None:
    """What is unknown may be there or not."""
    assert judged(State.UNKNOWN, times=times, offered=OFFERED) == []
    assert judged(State.ACCEPTED if times else State.NOT_SENT, times=times, offered=OFFERED) == []


def test_unknown_too_early_and_too_late() -> None:
    """Nothing is unknown before its last octet was offered, nor once its reply was read."""
    assert judged(State.UNKNOWN, offered=OFFERED[:-1]) != []
    assert judged(State.UNKNOWN, times=1, offered=OFFERED, heard=ANSWER) != []
    assert judged(State.UNKNOWN, times=1, offered=OFFERED, heard=ANSWER[:-1]) == []


def test_mail_that_nobody_sent() -> None:
    """Half a message in the record is one that nobody sent; and each message has its receipt."""
    host = Host(next(combinations("plain")))
    host.record.messages.append(
        Accepted("a@b", ("x@b",), MAIL.content[:-1], {}, {}, connection=1, authenticated_as=None, tls=False)
    )

    assert len(list(wrongs(host, [MAIL], {}))) == 2


def test_every_octet_is_in_one_span() -> None:
    """Octets behind which the server acts stand alone, those between are one run, and none is left out."""
    assert list(spans(9, [0, 4, 5, 12])) == [(0, 1), (1, 3), (4, 1), (5, 1), (6, 4)]


def test_every_cut_is_counted_once() -> None:
    """However few the runs are, each octet read and written is cut in each of four ways, in each kernel that tells."""
    cuts = list(above_tls(20, 30, [0, 7, 20], protected=True))
    counted = {reading: sum(cut.stands_for for cut in cuts if cut.reading is reading) for reading in (True, False)}

    assert counted == {True: 4 * 21, False: 4 * 31}


def test_a_server_acts_behind_lines_and_content() -> None:
    """Between two of its acts, the octets that it reads are all the same to it."""
    octets = b"EHLO m\r\nMAIL FROM:<a@b>\r\n"

    assert acts_behind(Script(), octets, implicit=False).keys() == {0, 8, 25}


def test_the_borders_of_records() -> None:
    """Each TLS record says how long it is, in its fourth and fifth octet."""
    assert list(records(b"xx" + b"\x16\x03\x03\x00\x01a" + b"\x17\x03\x03\x00\x03abc", 2, 16)) == [2, 8, 16]
