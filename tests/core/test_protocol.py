"""The state machine: what may be said when, and whose reply is whose."""

import pytest

from mailbridge import commands
from mailbridge.addresses import parse
from mailbridge.commands import Command
from mailbridge.errors import SMTPInputError, SMTPProtocolError, SMTPSecurityError, SMTPServerDisconnected
from mailbridge.facts import Phase
from mailbridge.protocol import ALLOWED, OUTSTANDING, SMTPProtocol, State
from tests.core.dialogue import GO, MAIL, NO, OK, rcpt, ready
from tests.core.states import ANN, in_state, receive, say

COMMANDS: list[Command] = [
    commands.Ehlo("me"),
    commands.Helo("me"),
    commands.Lhlo("me"),
    commands.StartTLS(),
    commands.Auth("PLAIN"),
    commands.AuthResponse(b""),
    commands.Mail(ANN),
    commands.Rcpt(ANN),
    commands.Data(),
    commands.EndOfData(),
    commands.Bdat(1),
    commands.Rset(),
    commands.Noop(),
    commands.Quit(),
    commands.Generic("XYZZY"),
    commands.Vrfy(ANN),
    commands.Expn("list"),
    commands.Help(),
]


@pytest.mark.parametrize("state", [state for state in State if state is not State.CLOSED])
def test_only_what_the_table_allows_is_said(state: State) -> None:
    """In each state each command either is in its row or is refused before an octet is queued."""
    assert in_state(state).state is state
    for command in COMMANDS:
        smtp = in_state(state)
        if type(command) in ALLOWED.get(state, ()):
            assert smtp.send(command).command is command
            continue
        with pytest.raises(RuntimeError, match="may not be sent"):
            smtp.send(command)
        assert smtp.pending == 0


def test_nothing_is_said_on_a_closed_connection() -> None:
    """After the end of the stream every command and every content meets the error that says so."""
    smtp = in_state(State.CLOSED)

    for act in (lambda: smtp.send(commands.Noop()), lambda: smtp.send_content(b"x")):
        with pytest.raises(SMTPServerDisconnected, match="closed the connection"):
            act()


def test_a_command_that_cannot_be_written_is_not_queued() -> None:
    """The choke point refuses before anything is queued; the dialogue goes on."""
    smtp = ready()

    with pytest.raises(SMTPInputError):
        smtp.send(commands.Generic("X", "a\r\nb"))
    assert (smtp.pending, len(smtp._outstanding), smtp.reusable) == (0, 0, True)


# Pipelining.


def test_a_command_that_ends_a_group_is_the_last_one() -> None:
    """RFC 2920 section 3.1: nothing follows DATA, EHLO or NOOP before its reply."""
    for command in (commands.Data(), commands.Noop(), commands.Ehlo("me")):
        smtp = in_state(State.TRANSACTION)
        smtp.send(command)

        assert not smtp.free


def test_without_pipelining_one_command_at_a_time() -> None:
    """Where PIPELINING is not offered, or not wanted, nothing follows an unanswered command."""
    for smtp in (ready(), ready("PIPELINING", pipelining=False)):
        smtp.send(commands.Mail(ANN))

        with pytest.raises(RuntimeError):
            smtp.send(commands.Rcpt(ANN))


def test_what_is_unanswered_is_bounded() -> None:
    """RFC 2920 section 3.1: two full TCP windows must not wait for each other."""
    smtp = ready("PIPELINING")
    smtp.send(commands.Mail(ANN))
    for _ in range(OUTSTANDING - 1):
        smtp.send(commands.Rcpt(ANN))

    assert not smtp.free
    assert len(smtp._outstanding) == OUTSTANDING
    smtp.sent(smtp.pending)
    smtp.receive_data(OK)
    assert smtp.free


# Replies.


def test_replies_go_to_commands_in_order() -> None:
    """Each reply belongs to the oldest command without one, however they arrive."""
    smtp = ready("PIPELINING")
    mail, first, second = (smtp.send(c) for c in (commands.Mail(ANN), commands.Rcpt(ANN), commands.Rcpt(parse("b@y"))))
    smtp.sent(smtp.pending)

    for octets in (OK + NO[:2], NO[2:] + b"451", b" later\r\n"):
        smtp.receive_data(octets)

    assert [exchange.reply.code for exchange in (mail, first, second) if exchange.reply] == [250, 550, 451]
    assert smtp.phase is None


def test_the_phase_is_that_of_the_oldest_command() -> None:
    """An error during a wait is about the step that is waited for."""
    smtp = ready("PIPELINING")
    say(smtp, commands.Mail(ANN), commands.Rcpt(ANN), answer=OK)

    assert smtp.phase is Phase.RCPT
    assert SMTPProtocol().phase is Phase.GREETING


def test_a_reply_to_nothing_is_an_error() -> None:
    """It is never kept for the next command (WIRE.md S14)."""
    smtp = ready()

    with pytest.raises(SMTPProtocolError, match="nothing that was said"):
        smtp.receive_data(OK)
    assert (smtp.state, smtp.over, smtp.reusable) == (State.CLOSED, True, False)


def test_a_reply_that_comes_too_early_is_an_error() -> None:
    """A yes to what has not left yet was meant for somebody else."""
    smtp = ready("PIPELINING")
    mail = smtp.send(commands.Mail(ANN))
    smtp.sent(smtp.pending - 1)

    with pytest.raises(SMTPProtocolError, match="not said yet"):
        smtp.receive_data(OK)
    assert mail.reply is None


def test_a_refusal_that_comes_too_early_is_an_answer_and_the_end() -> None:
    """The server has seen enough: its reply counts, and nothing more is written."""
    smtp = ready("PIPELINING")
    mail = smtp.send(commands.Mail(ANN))
    smtp.sent(smtp.pending - 1)
    smtp.receive_data(b"554 go away\r\n")

    assert mail.refused
    assert (smtp.pending, smtp.over, smtp.reusable) == (0, True, False)
    with pytest.raises(SMTPServerDisconnected) as caught:
        smtp.send(commands.Rset())
    assert caught.value.reply == mail.reply


@pytest.mark.parametrize(
    ("state", "command", "reply"),
    [
        (State.READY, commands.Mail(ANN), b"354 go\r\n"),
        (State.TRANSACTION, commands.Rcpt(ANN), b"354 go\r\n"),
        (State.TRANSACTION, commands.Data(), b"250 ok\r\n"),
        (State.CONTENT, commands.EndOfData(), b"354 go\r\n"),
        (State.READY, commands.StartTLS(), b"334 \r\n"),
        (State.NEW, commands.Ehlo("me"), b"334 \r\n"),
    ],
)
def test_a_reply_of_the_wrong_class_is_an_error(state: State, command: Command, reply: bytes) -> None:
    """Neither yes nor no: the connection is closed and nobody counts as accepted (WIRE.md S14)."""
    smtp = in_state(state)

    with pytest.raises(SMTPProtocolError, match="is no answer to"):
        say(smtp, command, answer=reply)
    assert smtp.state is State.CLOSED


@pytest.mark.parametrize(
    "octets", [b"250-a\r\n550 b\r\n", b"\r\n", b"2500\r\n", b"hello\r\n", b"150 x\r\n", b"x" * 9000]
)
def test_what_is_no_reply_is_an_error(octets: bytes) -> None:
    """Mixed codes, blank lines, four digits, an endless line: closed, and the command has no reply."""
    smtp = ready()

    with pytest.raises(SMTPProtocolError):
        say(smtp, commands.Mail(ANN), answer=octets)
    assert smtp.state is State.CLOSED


@pytest.mark.parametrize("segments", [[b"\x16\x03\x01\x00\xa5"], [b"\x15", b"\x03", b"\x03\n"]])
def test_tls_in_place_of_a_greeting_is_said_plainly(segments: list[bytes]) -> None:
    """A port that speaks implicit TLS gets one clear sentence."""
    smtp = SMTPProtocol()

    with pytest.raises(SMTPSecurityError, match="TLS at once") as caught:
        receive(smtp, segments)
    assert "smtps" in str(caught.value.advice)


# Content.


def test_content_is_due_only_behind_its_command() -> None:
    """No content without a 354 or a BDAT, and no more than BDAT announced."""
    for smtp in (ready(), in_state(State.TRANSACTION)):
        with pytest.raises(RuntimeError):
            smtp.send_content(b"x")
    smtp = in_state(State.TRANSACTION)
    smtp.send(commands.Bdat(2))
    with pytest.raises(RuntimeError):
        smtp.send_content(b"xyz")


def test_a_chunk_is_complete_before_anything_follows() -> None:
    """Between BDAT and its last octet no command fits."""
    smtp = in_state(State.TRANSACTION)
    chunk = smtp.send(commands.Bdat(4, last=True))
    smtp.send_content(b"abc")
    smtp.sent(smtp.pending)

    assert not smtp.offered(chunk)
    with pytest.raises(RuntimeError):
        smtp.send(commands.Rset())
    smtp.send_content(b"d")
    smtp.sent(smtp.pending)
    assert smtp.offered(chunk)


def test_the_transcript_counts_content_and_shows_no_secret() -> None:
    """Content is a number of octets, AUTH and what answers a 334 are hidden."""
    smtp = in_state(State.CHALLENGED)
    say(smtp, commands.AuthResponse(b"c2VjcmV0"), answer=b"334 Zm9v\r\n")
    say(smtp, commands.AuthResponse(b"c2VjcmV0"), answer=b"235 ok\r\n")
    say(smtp, commands.Mail(ANN), commands.Rcpt(ANN), commands.Data(), answer=OK * 2 + GO)
    smtp.send_content(b"private")
    smtp.receive_data(b"")

    lines = smtp.transcript.lines()
    assert "C: [7 octets of content]" in lines
    assert "C: AUTH LOGIN [hidden]" in lines
    assert "S: 334 [hidden]" in lines
    assert "-: the server closed the connection" in lines
    assert not [line for line in lines if "c2VjcmV0" in line or "private" in line or "Zm9v" in line]


# Between two transactions.


def test_a_fresh_session_is_reusable() -> None:
    """Nothing under way, nothing buffered, no transaction open."""
    assert ready().reusable
    assert not in_state(State.NEW).reusable


@pytest.mark.parametrize("state", [s for s in State if s not in {State.READY, State.TRANSACTION}])
def test_no_other_state_is_reusable(state: State) -> None:
    """In the middle of anything, a connection is not given to the next message."""
    assert not in_state(state).reusable


def test_what_is_under_way_or_buffered_is_not_reusable() -> None:
    """A command without its reply, octets that wait to leave, half a reply: none of them may stay."""
    asked, queued, half = ready(), ready(), ready()
    say(asked, commands.Rset())
    queued.send(commands.Rset())
    half.receive_data(b"42")

    assert [asked.reusable, queued.reusable, half.reusable] == [False, False, False]


def test_a_transaction_without_content_owes_a_reset() -> None:
    """MAIL was accepted and given up: reusable, and RSET comes first. A refused MAIL owes nothing."""
    smtp = ready("PIPELINING")
    say(smtp, commands.Mail(ANN), answer=NO)
    assert not smtp.owes_reset

    say(smtp, commands.Mail(ANN), answer=OK)
    assert (smtp.owes_reset, smtp.reusable) == (True, True)
    say(smtp, commands.Rset(), answer=OK)
    assert (smtp.owes_reset, smtp.reusable) == (False, True)


def test_reset_on_a_session_without_a_transaction_may_be_refused() -> None:
    """Where nothing is open, nothing is lost by a 502 to RSET."""
    smtp = ready()
    say(smtp, commands.Rset(), answer=b"502 no\r\n")

    assert smtp.reusable


def test_quit_is_the_last_word() -> None:
    """Behind QUIT nothing may be said, also when it is answered."""
    smtp = ready()
    say(smtp, commands.Quit(), answer=b"221 bye\r\n")

    assert (smtp.state, smtp.reusable) == (State.CLOSING, False)


def test_a_transaction_as_it_is_written() -> None:
    """What is queued leaves as one flight, in order."""
    smtp = ready("PIPELINING")
    smtp.send(commands.Mail(parse("a@x")))
    smtp.send(commands.Rcpt(parse("b@y")))

    assert bytes(smtp.data_to_send()) == MAIL + rcpt("b@y")
