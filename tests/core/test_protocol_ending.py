"""The commit point, and how a connection ends around it: 421, end of stream, reset."""

import pytest

from mailbridge import commands
from mailbridge.addresses import parse
from mailbridge.errors import SMTPProtocolError, SMTPServerDisconnected
from mailbridge.exchanges import Exchange
from mailbridge.facts import Phase
from mailbridge.protocol import SMTPProtocol, State
from mailbridge.replies import Reply
from tests.core.dialogue import BYE, CONTENT, DATA, GO, MAIL, NO, OK, letter, rcpt, ready, sent
from tests.core.states import in_state

ANN = parse("ann@x")


def one_flight() -> tuple[SMTPProtocol, Exchange]:
    """MAIL, RCPT and BDAT LAST queued, nothing sent: the protocol and its commit point."""
    smtp = ready("PIPELINING", "CHUNKING")
    smtp.send(commands.Mail(ANN))
    smtp.send(commands.Rcpt(ANN))
    commit = smtp.send(commands.Bdat(len(CONTENT), last=True))
    smtp.send_content(CONTENT)
    return smtp, commit


def in_content() -> tuple[SMTPProtocol, Exchange]:
    """The content behind a 354 and its dot queued, nothing sent: the protocol and its commit point."""
    smtp = ready("PIPELINING")
    for command in (commands.Mail(ANN), commands.Rcpt(ANN), commands.Data()):
        smtp.send(command)
    smtp.sent(smtp.pending)
    smtp.receive_data(OK * 2 + GO)
    smtp.send_content(CONTENT)
    return smtp, smtp.send(commands.EndOfData())


@pytest.mark.parametrize("make", [one_flight, in_content])
def test_the_commit_point_is_the_last_octet(make: type[tuple[SMTPProtocol, Exchange]]) -> None:
    """Up to the last octet but one nothing can have been accepted; from the last on, it can."""
    smtp, commit = make()
    smtp.sent(smtp.pending - 1)
    assert not smtp.offered(commit)
    assert not smtp.awaits_content_reply or len(smtp._outstanding) > 1

    smtp.sent(1)
    assert smtp.offered(commit)


@pytest.mark.parametrize("make", [one_flight, in_content])
def test_with_tls_an_attempt_counts_as_sent(make: type[tuple[SMTPProtocol, Exchange]]) -> None:
    """A TLS write that fails does not say how much left, so all of it may have."""
    smtp, commit = make()
    smtp.attempting(smtp.pending - 1)
    assert not smtp.offered(commit)

    smtp.attempting(smtp.pending)
    assert smtp.offered(commit)
    assert smtp.pending > 0


def test_a_chunk_without_its_content_is_not_offered() -> None:
    """BDAT's line alone is no commit point, also where all of it left."""
    smtp = ready("CHUNKING", "PIPELINING")
    smtp.send(commands.Mail(ANN))
    chunk = smtp.send(commands.Bdat(3, last=True))
    smtp.sent(smtp.pending)

    assert not smtp.offered(chunk)


def test_the_reply_to_the_content_is_known_as_such() -> None:
    """The wait for the content's reply has a deadline of its own; the waits before it do not."""
    smtp, _ = one_flight()
    smtp.sent(smtp.pending)
    awaits = [smtp.awaits_content_reply]
    for _ in range(3):
        smtp.receive_data(OK)
        awaits.append(smtp.awaits_content_reply)

    assert awaits == [False, False, True, False]


# 421.


def test_after_a_421_nothing_more_is_written() -> None:
    """RFC 5321 section 3.8: what had not left stays, and no command or content follows."""
    smtp, _ = one_flight()
    smtp.sent(10)
    smtp.receive_data(BYE)

    assert (bytes(smtp.data_to_send()), smtp.state) == (b"", State.CLOSING)
    for act in (lambda: smtp.send(commands.Rset()), lambda: smtp.send_content(b"x")):
        with pytest.raises(SMTPServerDisconnected) as caught:
            act()
        assert caught.value.reply == Reply(421, ("bye",))


def test_a_421_with_nothing_at_stake_is_the_end() -> None:
    """Where no content left there is nothing to learn: nobody waits for the server to hang up."""
    smtp = ready("PIPELINING")
    smtp.send(commands.Mail(ANN))
    smtp.send(commands.Rcpt(ANN))
    smtp.sent(smtp.pending)
    assert not smtp.over
    smtp.receive_data(BYE)

    assert smtp.over


def test_a_421_with_content_at_stake_is_read_to_the_end() -> None:
    """Content that left may have been taken: the end of the stream tells."""
    smtp, commit = one_flight()
    smtp.sent(smtp.pending)
    smtp.receive_data(BYE)
    assert (smtp.over, smtp.unprocessed(commit)) == (False, False)

    smtp.receive_data(b"")
    assert (smtp.over, smtp.unprocessed(commit)) == (True, True)


@pytest.mark.parametrize("more", [OK, OK[:5]])
def test_any_octet_behind_the_421_is_doubt(more: bytes) -> None:
    """A reply behind the 421, or a part of one: what stood behind it may have been taken up."""
    smtp, commit = one_flight()
    smtp.sent(smtp.pending)
    smtp.receive_data(BYE + more)
    smtp.receive_data(b"")

    assert not smtp.unprocessed(commit)


def test_a_reset_behind_the_421_is_doubt() -> None:
    """A stream that broke says nothing about what stood behind the 421."""
    smtp, commit = one_flight()
    smtp.sent(smtp.pending)
    smtp.receive_data(BYE)
    smtp.connection_lost()

    assert (smtp.over, smtp.unprocessed(commit)) == (True, False)


def test_an_end_of_stream_without_421_is_doubt() -> None:
    """A server that hangs up without a word may have taken everything."""
    smtp, commit = one_flight()
    smtp.sent(smtp.pending)
    smtp.receive_data(b"")

    assert not smtp.unprocessed(commit)


def test_a_421_to_the_content_is_its_answer() -> None:
    """The reply that the content waits for may be a 421: a refusal like any other."""
    smtp, commit = in_content()
    smtp.sent(smtp.pending)
    smtp.receive_data(BYE)

    assert (commit.refused, commit.done, smtp.over) == (True, True, True)


def test_content_that_was_answered_in_part_was_taken_up() -> None:
    """LMTP: a 421 as the first of two replies; the second recipient may have it, cleanly closed or not."""
    smtp = ready("PIPELINING", lmtp=True)
    for command in (commands.Mail(ANN), commands.Rcpt(ANN), commands.Rcpt(parse("b@y")), commands.Data()):
        smtp.send(command)
    smtp.sent(smtp.pending)
    smtp.receive_data(OK * 3 + GO)
    smtp.send_content(CONTENT)
    commit = smtp.send(commands.EndOfData())
    smtp.sent(smtp.pending)
    smtp.receive_data(BYE)
    smtp.receive_data(b"")

    assert (commit.done, smtp.unprocessed(commit)) == (False, False)


def test_a_421_may_come_unasked() -> None:
    """RFC 5321 section 3.8: the one reply that belongs to nothing ends the session in good order."""
    smtp = ready()
    smtp.receive_data(BYE)

    assert smtp.dismissal == Reply(421, ("bye",))
    assert (smtp.over, smtp.reusable) == (True, False)


def test_the_first_dismissal_is_the_one_that_is_told() -> None:
    """A server that says 421 twice means the first."""
    smtp, _ = one_flight()
    smtp.sent(smtp.pending)
    smtp.receive_data(BYE + b"421 again\r\n")

    assert smtp.dismissal == Reply(421, ("bye",))


def test_a_421_to_reset_is_a_dismissal() -> None:
    """An idle server's 421 may be read as the answer to the RSET that was owed: no protocol error."""
    smtp = ready()
    smtp.send(commands.Mail(ANN))
    smtp.sent(smtp.pending)
    smtp.receive_data(OK)
    smtp.send(commands.Rset())
    smtp.sent(smtp.pending)
    smtp.receive_data(BYE)

    assert smtp.dismissal is not None


# Other ends.


def test_the_end_says_what_was_waited_for() -> None:
    """The error of a lost connection names the step, and the 421 where one came."""
    smtp, _ = one_flight()
    smtp.sent(smtp.pending)
    smtp.receive_data(OK)
    smtp.receive_data(b"")

    error = smtp.ending()
    assert (error.phase, error.reply) == (Phase.RCPT, None)


@pytest.mark.parametrize("unasked", [BYE, b""])
def test_an_end_between_two_messages_keeps_the_next_step(unasked: bytes) -> None:
    """Nothing was waited for: what could not be said any more is where it went wrong."""
    smtp = ready()
    smtp.receive_data(unasked)

    with pytest.raises(SMTPServerDisconnected) as caught:
        smtp.send(commands.Mail(ANN))
    assert caught.value.phase is Phase.MAIL


@pytest.mark.parametrize("state", [State.CONTENT, State.CHUNKS])
def test_the_end_in_the_middle_of_the_content_says_so(state: State) -> None:
    """Between two chunks and before the dot nothing is waited for, and still it is the content that broke off."""
    smtp = in_state(state)
    assert smtp.phase is Phase.CONTENT

    smtp.connection_lost()
    assert smtp.ending().phase is Phase.CONTENT


def test_a_violation_closes_and_keeps_what_was_answered_before() -> None:
    """Replies in front of the nonsense count; nothing behind it does."""
    smtp, commit = one_flight()
    smtp.sent(smtp.pending)

    with pytest.raises(SMTPProtocolError):
        smtp.receive_data(OK + NO + b"nonsense\r\n")
    assert (len(smtp._outstanding), commit.reply, smtp.state) == (1, None, State.CLOSED)


@pytest.mark.parametrize("reply", [NO, BYE])
def test_a_refusal_in_the_middle_of_the_content_drops_the_rest(reply: bytes) -> None:
    """The server has seen enough of the content: that is its answer, and no octet more is written."""
    smtp = ready("PIPELINING")
    data = [smtp.send(c) for c in (commands.Mail(ANN), commands.Rcpt(ANN), commands.Data())][-1]
    smtp.sent(smtp.pending)
    smtp.receive_data(OK * 2 + GO)
    smtp.send_content(CONTENT)
    smtp.receive_data(reply)

    assert (data.refused, smtp.pending, smtp.over, smtp.reusable) == (True, 0, True, False)


@pytest.mark.parametrize("extensions", [("PIPELINING",), ("PIPELINING", "CHUNKING")])
def test_an_ending_names_the_phase_of_its_421(extensions: tuple[str, ...]) -> None:
    """Not that of the next command, which was never answered."""
    window = MAIL + rcpt("b@y", "c@y") + (DATA if len(extensions) == 1 else b"")

    done = sent(ready(*extensions), letter("b@y", "c@y"), (window, OK * 2 + BYE))

    assert done.error is not None
    assert done.error.phase == "RCPT"
