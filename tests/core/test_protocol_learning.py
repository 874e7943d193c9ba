"""What a protocol learns from replies, and what STARTTLS makes it forget."""

import pytest

from mailbridge import commands
from mailbridge.addresses import parse
from mailbridge.errors import SMTPSecurityError
from mailbridge.protocol import SMTPProtocol, State
from mailbridge.standing import SENDERS
from tests.core.dialogue import NO, OK, ehlo, ready
from tests.core.states import ANN, in_state, receive, say

# What is learned.


def test_ehlo_says_what_the_server_can() -> None:
    """The capabilities are those of the last EHLO."""
    smtp = ready("PIPELINING", "SIZE 1000")
    assert (smtp.pipelining, smtp.chunking, smtp.capabilities.size) == (True, False, 1000)

    say(smtp, commands.Ehlo("me"), answer=ehlo("CHUNKING"))
    assert (smtp.pipelining, smtp.chunking, smtp.capabilities.size) == (False, True, None)


@pytest.mark.parametrize("reply", [b"250\r\n", b"250 \r\n", b"250 x hello\r\n", b"250-x\r\n250 PIPELINING\r\n"])
def test_helo_announces_nothing(reply: bytes) -> None:
    """After HELO mail can be sent, without any extension, whatever the reply says."""
    smtp = in_state(State.NEW)
    say(smtp, commands.Helo("me"), answer=reply)

    assert (smtp.state, smtp.capabilities.esmtp, smtp.pipelining) == (State.READY, False, False)


def test_a_refused_ehlo_leaves_a_new_connection_new() -> None:
    """Without a hello that was accepted no MAIL is said."""
    smtp = in_state(State.NEW)
    say(smtp, commands.Ehlo("me"), answer=b"502 what\r\n")

    assert smtp.state is State.NEW


def test_ehlo_clears_the_transaction() -> None:
    """RFC 5321 section 4.1.4: EHLO does what RSET does."""
    smtp = in_state(State.TRANSACTION)
    assert smtp.owes_reset
    say(smtp, commands.Ehlo("me"), answer=ehlo())

    assert (smtp.state, smtp.owes_reset) == (State.READY, False)


def test_a_235_makes_the_session_authenticated() -> None:
    """Only the positive end of an exchange does."""
    smtp = in_state(State.CHALLENGED)
    assert not smtp.authenticated
    say(smtp, commands.AuthResponse(b"c2VjcmV0"), answer=b"235 ok\r\n")

    assert smtp.authenticated
    assert smtp.state is State.READY


def test_senders_that_were_accepted_are_known() -> None:
    """The one-flight rule asks who was accepted here before; the memory is bounded."""
    smtp = ready("PIPELINING")
    for number in range(SENDERS + 1):
        say(smtp, commands.Mail(parse(f"s{number}@x")), commands.Rset(), answer=OK * 2)

    assert smtp.has_accepted(parse(f"s{SENDERS}@x"))
    assert not smtp.has_accepted(parse("s0@x"))
    say(smtp, commands.Mail(ANN), answer=NO)
    assert not smtp.has_accepted(ANN)


def test_a_refused_mail_makes_all_senders_unknown() -> None:
    """Behind a refused MAIL with its RCPT, Dovecot's submission service dies: content shall not be in its flight."""
    smtp = ready("PIPELINING")
    say(smtp, commands.Mail(ANN), commands.Rset(), answer=OK * 2)
    assert smtp.has_accepted(ANN)

    say(smtp, commands.Mail(parse("other@x")), answer=NO)

    assert not smtp.has_accepted(ANN)


# STARTTLS.


@pytest.mark.parametrize("segments", [[b"220 go\r\n250 AUTH PLAIN\r\n"], [b"220 go\r\nXYZ"], [b"220 go\r\n", b"X"]])
def test_octets_behind_the_220_to_starttls_are_an_attack(segments: list[bytes]) -> None:
    """In one segment or two, a whole reply or a part of one: no handshake (WIRE.md S1)."""
    smtp = ready("STARTTLS")
    say(smtp, commands.StartTLS())

    with pytest.raises(SMTPSecurityError, match="inject"):
        receive(smtp, segments)
    assert smtp.state is State.CLOSED


def test_a_whole_reply_in_the_segment_behind_the_220_is_an_attack() -> None:
    """The same where the second segment is a complete reply."""
    smtp = in_state(State.TLS)

    with pytest.raises(SMTPSecurityError, match="inject"):
        smtp.receive_data(b"250 AUTH PLAIN\r\n")


def test_all_that_was_learned_before_tls_is_forgotten() -> None:
    """RFC 3207 section 4.2: after the handshake the connection is new, and secure."""
    smtp = in_state(State.TLS)
    smtp.tls_established()

    assert (smtp.secure, smtp.state, smtp.pipelining) == (True, State.NEW, False)
    say(smtp, commands.Noop(), answer=OK)
    assert smtp.state is State.NEW


def test_implicit_tls_changes_nothing_but_security() -> None:
    """TLS before the greeting: the greeting is still waited for."""
    smtp = SMTPProtocol()
    smtp.tls_established()

    assert (smtp.secure, smtp.state) == (True, State.GREETING)


def test_a_connection_that_waits_for_a_reply_is_busy() -> None:
    """What can be read on it then is no news of its end."""
    smtp = ready()
    assert not smtp.busy
    smtp.send(commands.Noop())
    assert smtp.busy


def test_a_connection_is_full_when_the_caller_says_so() -> None:
    """So many transactions and no more, whatever the server would take."""
    smtp = ready(max_mails=1)
    assert not smtp.full
    say(smtp, commands.Mail(ANN), answer=OK)
    assert smtp.full
