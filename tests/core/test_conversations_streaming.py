"""Many messages on one connection: a window of them, each with a fate of its own."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest

from mailbridge.conversations import Delivery, Flow, Need, outcome, stream
from mailbridge.conversations.streaming import WINDOW, WINDOW_OCTETS
from mailbridge.errors import SMTPException, SMTPUnreachableError
from mailbridge.preparing import Prepared
from mailbridge.protocol import SMTPProtocol
from mailbridge.sync.connection import drive
from mailbridge.wire import CHUNK
from tests.core.dialogue import (
    BYE,
    CLOSED,
    CONTENT,
    DATA,
    DOT,
    FIRST,
    GO,
    HEADER,
    LARGE,
    LAST,
    LATER,
    MAIL,
    NO,
    OK,
    RESET,
    RSET,
    Cut,
    Server,
    Turn,
    bdat,
    letter,
    rcpt,
    ready,
    warm,
)

FLIGHT = MAIL + rcpt("b@y") + bdat()
NEXT = RSET + FLIGHT
GROUP = MAIL + rcpt("b@y") + DATA


class Streamed:
    """A batch that was given to `stream`, and what became of it."""

    def __init__(
        self,
        mails: Sequence[Prepared],
        first: tuple[SMTPProtocol | None, Sequence[Turn]],
        *others: tuple[SMTPProtocol, Sequence[Turn]],
        max_recipients: int = 50,
        abort: bool = False,
    ) -> None:
        self.deliveries = [Delivery(mail, abort=abort) for mail in mails]
        self.asked = 0
        self.again: deque[Delivery] = deque()
        self._waiting, self._fresh = deque(self.deliveries), deque(others)
        self._servers = [Server(first[0], first[1])] if first[0] else []
        self.error: SMTPException | None = None
        try:
            drive(stream(Flow(first[0], self.again, max_recipients=max_recipients)), self._serve)
        except SMTPException as error:
            self.error = error
        for each in self._servers:
            assert each.done(), f"left over: {list(each.turns)}; said besides: {each.said!r}"
        assert not self._fresh

    def _serve(self, need: Need) -> Any:
        if need is Need.MESSAGE:
            self.asked += 1
            if not self._waiting:
                return None
            self._waiting[0].hot = True
            return self._waiting.popleft()
        if need is Need.CONNECTION:
            if not self._fresh:
                raise SMTPUnreachableError("nobody is there")
            self._servers.append(Server(*self._fresh.popleft()))
            return self._servers[-1].smtp
        return self._servers[-1].serve(need)

    @property
    def states(self) -> list[str]:
        """The states of each message's recipients."""
        receipts = [outcome(one, one.ended)[0] for one in self.deliveries]
        return [" ".join(str(result.state) for result in receipt.results.values()) for receipt in receipts]


def letters(count: int) -> list[Prepared]:
    return [letter() for _ in range(count)]


def test_a_window_leaves_in_one_flight() -> None:
    """Content behind content, RSET between them: one round trip for all."""
    done = Streamed(letters(3), (warm("PIPELINING", "CHUNKING"), [(FLIGHT + NEXT * 2, OK * 11)]))

    assert done.states == ["accepted"] * 3


def test_the_window_has_an_end() -> None:
    """The seventeenth message waits until the first one is answered."""
    turns = [(FLIGHT + NEXT * (WINDOW - 1), OK * 3), (NEXT, OK * 4 * WINDOW)]
    done = Streamed(letters(WINDOW + 1), (warm("PIPELINING", "CHUNKING"), turns))

    assert set(done.states) == {"accepted"}


def test_the_window_is_bounded_by_octets_too() -> None:
    """What is at stake when the connection dies, and what a server must hold."""
    content = HEADER + b"\r\n" + b"x" * (CHUNK - len(HEADER) - 4) + b"\r\n"
    mails = [letter(content=content) for _ in range(WINDOW_OCTETS // CHUNK + 1)]
    flight = MAIL + rcpt("b@y") + bdat(content)
    smtp = warm("PIPELINING", "CHUNKING")
    done = Streamed(mails, (smtp, [(flight + (RSET + flight) * (len(mails) - 2), OK * 3), (RSET + flight, OK * 16)]))

    assert set(done.states) == {"accepted"}


def test_each_has_a_fate_of_its_own() -> None:
    """A refused recipient, refused content, a refused sender: the replies of one are never another's."""
    replies = OK + NO + NO, OK * 3 + LATER, OK + NO * 3, OK * 4
    done = Streamed(letters(4), (warm("PIPELINING", "CHUNKING"), [(FLIGHT + NEXT * 3, b"".join(replies))]))

    assert done.states == ["rejected", "deferred", "rejected", "accepted"]


def test_what_the_first_message_owes_is_paid() -> None:
    """The window begins behind a transaction that failed."""
    smtp = warm("PIPELINING", "CHUNKING")
    Streamed(letters(1), (smtp, [(FLIGHT, OK + NO + NO)]))

    assert Streamed(letters(2), (smtp, [(NEXT * 2, OK * 8)])).states == ["accepted"] * 2


def test_a_new_sender_is_introduced_first() -> None:
    """On a connection that does not know the sender the content waits for the envelope's replies (B2)."""
    turns = [(MAIL + rcpt("b@y"), OK * 2), (bdat() + NEXT, OK * 5)]
    assert Streamed(letters(2), (ready("PIPELINING", "CHUNKING"), turns)).states == ["accepted"] * 2


def test_without_chunking_nothing_follows_the_dot() -> None:
    """Four of ten servers break on it (P1): two round trips for each message."""
    turns: list[Turn] = [(GROUP, OK * 2 + GO), (CONTENT + DOT, OK)] * 2
    assert Streamed(letters(2), (ready("PIPELINING"), turns)).states == ["accepted"] * 2


def test_overlap_puts_the_next_group_behind_the_dot() -> None:
    """A setting for relays that are known to take it: one round trip for each message."""
    turns: list[Turn] = [
        (GROUP, OK * 2 + GO),
        (CONTENT + DOT + RSET + GROUP, OK + OK * 3 + GO),
        (CONTENT + DOT, OK),
    ]
    smtp = ready("PIPELINING", overlap=True)
    assert Streamed(letters(2), (smtp, turns)).states == ["accepted"] * 2


def test_a_421_inside_a_window() -> None:
    """What was answered keeps its reply; what stood behind goes on over a fresh connection, once."""
    first = (warm("PIPELINING", "CHUNKING"), [(FLIGHT + NEXT * 2, OK * 3 + OK + BYE, CLOSED)])
    second = (ready("PIPELINING", "CHUNKING"), [(MAIL + rcpt("b@y"), OK * 2), (bdat() + NEXT, OK * 5)])

    assert Streamed(letters(3), first, second).states == ["accepted"] * 3


@pytest.mark.parametrize(("end", "states"), [(CLOSED, {"accepted"}), (RESET, {"accepted", "unknown"})])
def test_a_421_met_by_a_message_that_begins(end: Cut, states: set[str]) -> None:
    """The window is heard out first: a clean end says that nothing behind the 421 was taken up."""
    count = WINDOW + 1
    first = warm("PIPELINING", "CHUNKING"), [(FLIGHT + NEXT * (WINDOW - 1), OK * 3 + OK + BYE, end)]
    left = count - 1 if end is CLOSED else 2
    envelope: Turn = (MAIL + rcpt("b@y"), OK * 2)
    second = ready("PIPELINING", "CHUNKING"), [envelope, (bdat() + NEXT * (left - 1), OK * 4 * left)]
    assert set(Streamed(letters(count), first, second).states) == states


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_a_421_that_ends_a_message_alone(extensions: tuple[str, ...]) -> None:
    """So many messages on one connection: the next goes over a fresh one."""
    if extensions:
        good: list[Turn] = [(GROUP, OK * 2 + GO), (CONTENT + DOT, OK)]
    else:
        good = [(MAIL, OK), (rcpt("b@y"), OK), (DATA, GO), (CONTENT + DOT, OK)]
    first = ready(*extensions), [*good, ((GROUP if extensions else MAIL), BYE)]
    assert Streamed(letters(2), first, (ready(*extensions), good)).states == ["accepted"] * 2


@pytest.mark.parametrize("end", [CLOSED, RESET])
def test_a_cut_inside_a_window(end: Cut) -> None:
    """Content that left without a reply is unknown, and is not sent again."""
    first = (warm("PIPELINING", "CHUNKING"), [(FLIGHT + NEXT * 2, OK * 3 + OK * 2, end)])
    assert Streamed(letters(3), first).states == ["accepted", "unknown", "unknown"]


def test_a_window_that_meets_a_dead_connection() -> None:
    """All of its content left: nobody can know. Messages that were not begun go over a fresh connection."""
    first = (warm("PIPELINING", "CHUNKING"), [(FLIGHT + NEXT * (WINDOW - 1), CLOSED)])
    fresh = (ready("PIPELINING", "CHUNKING"), [(MAIL + rcpt("b@y"), OK * 2), (bdat(), OK)])
    done = Streamed(letters(WINDOW + 1), first, fresh)

    assert done.states == ["unknown"] * WINDOW + ["accepted"]


def test_a_stale_connection_before_any_content() -> None:
    """The first envelope met the end of the stream: it goes over a fresh connection, the second with it."""
    fresh = (ready("PIPELINING"), [(GROUP, OK * 2 + GO), (CONTENT + DOT, OK)] * 2)
    assert Streamed(letters(2), (ready("PIPELINING"), [(GROUP, CLOSED)]), fresh).states == ["accepted"] * 2


def test_nobody_within_reach_of_a_fresh_connection() -> None:
    """Its server has no SMTPUTF8 for the only recipient: that message ends without a word, the next one goes."""
    fresh = (ready("PIPELINING"), [(GROUP, OK * 2 + GO), (CONTENT + DOT, OK)])
    assert Streamed([letter("bücher@y"), letter()], (None, []), fresh).states == ["not_sent", "accepted"]


def test_a_fresh_connection_that_dies_is_no_stale_one() -> None:
    """Its first message is not tried again; the next one has a connection of its own."""
    dead = (ready("PIPELINING"), [(GROUP, CLOSED)])
    alive = (ready("PIPELINING"), [(GROUP, OK * 2 + GO), (CONTENT + DOT, OK)])
    assert Streamed(letters(2), (None, []), dead, alive).states == ["not_sent", "accepted"]


def test_a_second_death_is_told() -> None:
    """One silent retry for each message, as alone."""
    turns: list[Turn] = [(GROUP, BYE)]
    done = Streamed(letters(1), (ready("PIPELINING"), turns), (ready("PIPELINING"), turns))
    assert done.states == ["deferred"]


def test_no_fresh_connection_to_be_had() -> None:
    """What needed it waits for somebody else, and the error says why."""
    done = Streamed(letters(2), (ready("PIPELINING"), [(GROUP, CLOSED)]))

    assert isinstance(done.error, SMTPUnreachableError)
    assert list(done.again) == [done.deliveries[0]]


def test_the_end_of_a_connection_before_a_word_is_said() -> None:
    """An unasked 421 found when the message begins: that connection never carried it."""
    smtp = ready("PIPELINING")
    smtp.receive_data(BYE)
    alive = (ready("PIPELINING"), [(GROUP, OK * 2 + GO), (CONTENT + DOT, OK)])
    assert Streamed(letters(1), (smtp, []), alive).states == ["accepted"]


def test_a_message_that_cannot_be_sent_disturbs_no_other() -> None:
    """Too large for the server: said before a byte of it, between two that went."""
    mails = [letter(), letter(content=HEADER + b"\r\n" + b"x" * 2000), letter()]
    sized = b"MAIL FROM:<a@x> SIZE=%d\r\n" % len(CONTENT) + rcpt("b@y") + bdat()
    smtp = warm("PIPELINING", "CHUNKING", "SIZE 1000")
    done = Streamed(mails, (smtp, [(sized + RSET + sized, OK * 7)]))

    assert done.states == ["accepted", "not_sent", "accepted"]
    assert "1000" in str(done.deliveries[1].ended)


def test_nobody_to_send_to_opens_no_connection() -> None:
    """An empty batch, and one whose message cannot be given all-or-nothing."""
    assert Streamed([], (None, [])).states == []
    done = Streamed([letter("b@y", "c@y")], (None, []), max_recipients=1, abort=True)
    assert done.states == ["not_sent not_sent"]


def test_a_full_connection_is_replaced_when_all_is_answered() -> None:
    """LIMITS MAILMAX: the window before it comes to its end first."""
    first = (warm("PIPELINING", "CHUNKING", "LIMITS MAILMAX=3"), [(FLIGHT + NEXT, OK * 7)])
    fresh = (ready("PIPELINING", "CHUNKING"), [(MAIL + rcpt("b@y"), OK * 2), (bdat(), OK)])
    assert Streamed(letters(3), first, fresh).states == ["accepted"] * 3


def test_a_message_of_several_transactions_in_a_window() -> None:
    """Its last transaction may be followed by another message, and a full connection is left in between."""
    mails = [letter(), letter("b@y", "c@y", "d@y")]
    one = warm("PIPELINING", "CHUNKING", "LIMITS MAILMAX=3")
    first = (one, [(FLIGHT + NEXT, OK * 7)])
    rest = MAIL + rcpt("c@y"), MAIL + rcpt("d@y")
    fresh = (ready("PIPELINING", "CHUNKING"), [(rest[0], OK * 2), (bdat(), OK), (rest[1] + bdat(), OK * 3)])
    assert Streamed(mails, first, fresh, max_recipients=1).states == ["accepted", "accepted accepted accepted"]


def test_those_beyond_the_limit_go_behind_what_is_in_flight() -> None:
    """452 4.5.3 in a window: a second transaction, behind the messages that left meanwhile."""
    two = MAIL + rcpt("b@y", "c@y") + bdat()
    too_many = b"452 4.5.3 too many\r\n"
    turns = [
        (two + NEXT, OK * 2 + too_many + OK + OK * 4),
        (MAIL + rcpt("c@y") + bdat(), OK * 3),
    ]
    smtp = warm("PIPELINING", "CHUNKING")
    done = Streamed([letter("b@y", "c@y"), letter()], (smtp, turns))
    assert done.states == ["accepted accepted", "accepted"]


BEYOND = [(MAIL + rcpt("c@y"), OK * 2), (bdat(), OK)]


@pytest.mark.parametrize(
    "fresh",
    [
        [((), [*BEYOND, (FLIGHT, OK * 3)])],
        [(("LIMITS MAILMAX=1",), BEYOND), ((), [(MAIL + rcpt("b@y"), OK * 2), (bdat(), OK)])],
    ],
)
def test_two_that_want_a_fresh_connection(fresh: list[tuple[tuple[str, ...], list[Turn]]]) -> None:
    """Those beyond the limit go first, and the message that found it full follows, there or over one more."""
    too_many = OK * 2 + b"452 4.5.3 too many\r\n" + OK
    turns = [(MAIL + rcpt("b@y", "c@y") + bdat() + NEXT, too_many + OK * 4)]
    others = [(ready("PIPELINING", "CHUNKING", *limit), answers) for limit, answers in fresh]
    full = warm("PIPELINING", "CHUNKING", "LIMITS MAILMAX=3")
    done = Streamed([letter("b@y", "c@y"), letter(), letter()], (full, turns), *others)

    assert done.states == ["accepted accepted", "accepted", "accepted"]


def test_a_connection_that_dies_while_another_message_wants_a_fresh_one() -> None:
    """What was in flight is in doubt, and who waited has nothing to do with it."""
    first = (warm("PIPELINING", "CHUNKING", "LIMITS MAILMAX=2"), [(FLIGHT, CLOSED)])
    fresh = (ready("PIPELINING", "CHUNKING"), [(MAIL + rcpt("b@y"), OK * 2), (bdat(), OK)])
    assert Streamed(letters(2), first, fresh).states == ["unknown", "accepted"]


def test_a_refused_chunk_ends_the_connection_not_the_batch() -> None:
    """RSET in the middle of a message crashes Exim (B3): the next message has a connection of its own."""
    smtp = ready("PIPELINING", "CHUNKING")
    turns = [(MAIL + rcpt("b@y"), OK * 2), (bdat(FIRST, b"") + bdat(LAST), NO)]
    alive = (ready("PIPELINING", "CHUNKING"), [(MAIL + rcpt("b@y"), OK * 2), (bdat(), OK)])
    done = Streamed([letter(content=LARGE), letter()], (smtp, turns), alive)
    assert done.states == ["rejected", "accepted"]
    assert smtp.state.name == "CLOSED"
