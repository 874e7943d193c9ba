"""Session: greeting, EHLO, STARTTLS and goodbye."""

from collections.abc import Callable

import pytest

from mailbridge.addresses import parse
from mailbridge.conversations import Conversation, Need, expand, farewell, open_session, verify
from mailbridge.errors import (
    SMTPConnectError,
    SMTPException,
    SMTPHeloError,
    SMTPNotSupportedError,
    SMTPResponseException,
    SMTPSecurityError,
    SMTPServerDisconnected,
)
from mailbridge.facts import Phase
from mailbridge.protocol import SMTPProtocol, State
from mailbridge.replies import Reply
from mailbridge.server import Security, Server
from mailbridge.sync.connection import drive
from tests.core import dialogue
from tests.core.dialogue import CLOSED, QUIT, Cut, Turn, ehlo, ready, talk

GREETING: Turn = (b"", b"220 x\r\n")
EHLO, HELO, LHLO, STARTTLS = b"EHLO me\r\n", b"HELO me\r\n", b"LHLO me\r\n", b"STARTTLS\r\n"


def opened(security: Security, *turns: Turn, **options: object) -> SMTPProtocol:
    """Open a session with a server that greets, and then follows a transcript."""
    smtp = SMTPProtocol(lmtp=bool(options.get("lmtp")))
    server = Server("mail.example.com", security=security, **options)  # type: ignore[arg-type]  # as the tests name them
    talk(open_session(smtp, server, "me"), smtp, GREETING, *turns)
    return smtp


def test_a_plain_session_says_ehlo() -> None:
    """Greeting, EHLO, and mail can be sent."""
    smtp = opened(Security.NONE, (EHLO, ehlo("SIZE 1000")))

    assert (smtp.state, smtp.capabilities.size) == (State.READY, 1000)


def test_nothing_is_said_before_the_greeting() -> None:
    """RFC 5321 section 4.3.1: a client waits, also where the greeting has many lines (SERVERS.md P5, R6)."""
    smtp = SMTPProtocol()
    server = Server("mail.example.com", security=Security.NONE)

    talk(open_session(smtp, server, "me"), smtp, (b"", b"220-wait\r\n", b"220 x", b"\r\n"), (EHLO, ehlo()))
    assert smtp.reusable


@pytest.mark.parametrize("code", [421, 521, 554])
def test_a_refused_greeting_is_an_error_of_its_own(code: int) -> None:
    """A server that will not serve says so at once, and the error has its words."""
    smtp = SMTPProtocol()

    with pytest.raises(SMTPConnectError) as caught:
        talk(open_session(smtp, Server("mail.example.com"), "me"), smtp, (b"", b"%d no\r\n" % code))
    assert (caught.value.smtp_code, caught.value.phase) == (code, Phase.GREETING)


@pytest.mark.parametrize("end", [CLOSED, Cut.RESET, Cut.SILENT])
def test_an_end_before_the_greeting_is_an_error_of_its_phase(end: Cut) -> None:
    """A connection that ends before a word is lost at the greeting."""
    smtp = SMTPProtocol()

    with pytest.raises(SMTPServerDisconnected) as caught:
        talk(open_session(smtp, Server("mail.example.com"), "me"), smtp, (b"", end))
    assert caught.value.phase is Phase.GREETING


def test_lmtp_says_lhlo() -> None:
    """RFC 2033 section 4.1."""
    assert opened(Security.NONE, (LHLO, ehlo()), lmtp=True).reusable


# HELO.


@pytest.mark.parametrize("code", [500, 502])
@pytest.mark.parametrize("security", [Security.NONE, Security.OPPORTUNISTIC])
def test_helo_where_ehlo_is_not_known(code: int, security: Security) -> None:
    """RFC 5321 section 4.1.1.1: a server that knows no EHLO gets HELO, where nothing of ESMTP is required."""
    smtp = opened(security, (EHLO, b"%d what\r\n" % code), (HELO, b"250 x\r\n"))

    assert (smtp.reusable, smtp.capabilities.esmtp) == (True, False)


@pytest.mark.parametrize("code", [421, 450, 501, 504, 550, 554])
def test_no_helo_where_ehlo_was_refused(code: int) -> None:
    """Another refusal is one of the name or the client: HELO would not change it."""
    with pytest.raises(SMTPHeloError) as caught:
        opened(Security.NONE, (EHLO, b"%d no\r\n" % code))
    assert caught.value.smtp_code == code


@pytest.mark.parametrize("code", [500, 502])
@pytest.mark.parametrize("security", [Security.STARTTLS, Security.IMPLICIT])
def test_no_helo_where_tls_is_required(code: int, security: Security) -> None:
    """EHLO failing to HELO would strip STARTTLS (WIRE.md S2)."""
    with pytest.raises(SMTPHeloError, match="If the server speaks LMTP, use that"):
        opened(security, (EHLO, b"%d what\r\n" % code))


def test_no_helo_where_a_login_is_required() -> None:
    """AUTH is of ESMTP: with credentials HELO is no way out."""
    with pytest.raises(SMTPHeloError):
        opened(Security.NONE, (EHLO, b"502 what\r\n"), username="u", password="s3cret-horse", allow_plaintext_auth=True)


def test_no_helo_over_lmtp() -> None:
    """RFC 2033 section 4.1: LMTP has no HELO, and no server of it speaks SMTP."""
    with pytest.raises(SMTPHeloError, match="The server does not speak LMTP: use SMTP"):
        opened(Security.NONE, (LHLO, b"500 what\r\n"), lmtp=True)


def test_helo_may_be_refused_too() -> None:
    """The error names the reply to what was said last."""
    with pytest.raises(SMTPHeloError) as caught:
        opened(Security.NONE, (EHLO, b"500 what\r\n"), (HELO, b"550 no\r\n"))
    assert caught.value.smtp_code == 550


# STARTTLS.


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.OPPORTUNISTIC])
def test_starttls_begins_anew(security: Security) -> None:
    """After the handshake comes another EHLO, and only what it says counts."""
    smtp = opened(security, (EHLO, ehlo("STARTTLS", "PIPELINING")), (STARTTLS, b"220 go\r\n"), (EHLO, ehlo("SIZE 9")))

    assert (smtp.secure, smtp.pipelining, smtp.capabilities.size) == (True, False, 9)


@pytest.mark.parametrize(
    "turns",
    [
        [(EHLO, ehlo("SIZE 9"))],
        [(EHLO, ehlo("STARTTLS")), (STARTTLS, b"454 not now\r\n")],
        [(EHLO, ehlo("STARTTLS")), (STARTTLS, b"502 what\r\n")],
        [(EHLO, ehlo("STARTTLS")), (STARTTLS, b"421 bye\r\n")],
        [(EHLO, b"500 what\r\n")],
    ],
)
def test_required_tls_never_falls_back(turns: list[Turn]) -> None:
    """Not offered, refused, EHLO unknown: an error, and neither AUTH nor MAIL was said (WIRE.md S2)."""
    with pytest.raises((SMTPSecurityError, SMTPHeloError)) as caught:
        opened(Security.STARTTLS, *turns, username="u", password="s3cret-horse")
    assert caught.value.phase in {Phase.STARTTLS, Phase.HELLO}


def test_a_refused_starttls_shows_its_reply() -> None:
    """The error of a refused STARTTLS is temporary where the reply is."""
    with pytest.raises(SMTPSecurityError) as caught:
        opened(Security.STARTTLS, (EHLO, ehlo("STARTTLS")), (STARTTLS, b"454 not now\r\n"))
    assert caught.value.temporary


def test_opportunistic_tls_goes_on_in_clear() -> None:
    """Where STARTTLS is not offered, or refused, mail without credentials goes as it can."""
    assert not opened(Security.OPPORTUNISTIC, (EHLO, ehlo())).secure
    refused = opened(Security.OPPORTUNISTIC, (EHLO, ehlo("STARTTLS")), (STARTTLS, b"454 not now\r\n"))

    assert (refused.secure, refused.reusable) == (False, True)


def test_no_tls_is_not_asked_for() -> None:
    """`Security.NONE` says no STARTTLS, offered or not."""
    assert not opened(Security.NONE, (EHLO, ehlo("STARTTLS"))).secure


@pytest.mark.parametrize("answer", [[b"220 go\r\n250-x\r\n250 AUTH PLAIN\r\n"], [b"220 go\r\nXYZ"]])
def test_octets_behind_the_220_never_reach_the_handshake(answer: list[bytes]) -> None:
    """Injected replies end the session before TLS, and no AUTH is said (WIRE.md S1)."""
    smtp = SMTPProtocol()
    server = dialogue.Server(smtp, [GREETING, (EHLO, ehlo("STARTTLS")), (STARTTLS, *answer)])
    account = Server("mail.example.com", username="u", password="s3cret-horse")

    with pytest.raises(SMTPSecurityError, match="inject"):
        drive(open_session(smtp, account, "me"), server.serve)
    assert Need.TLS not in server.needs
    assert server.done()


def test_ehlo_behind_tls_may_not_fail() -> None:
    """A refused EHLO after the handshake ends the session; HELO would lose AUTH."""
    with pytest.raises(SMTPHeloError):
        opened(Security.OPPORTUNISTIC, (EHLO, ehlo("STARTTLS")), (STARTTLS, b"220 go\r\n"), (EHLO, b"500 what\r\n"))


# Goodbye.


def test_goodbye_waits_for_the_answer() -> None:
    """QUIT, and the 221."""
    smtp = ready()

    talk(farewell(smtp), smtp, (QUIT, b"221 bye\r\n"))
    assert not smtp.reusable


@pytest.mark.parametrize(("end", "error"), [(b"500 what\r\n", SMTPResponseException), (CLOSED, SMTPException)])
def test_a_goodbye_without_answer_is_told(end: object, error: type[SMTPException]) -> None:
    """What becomes of it is the driver's affair."""
    smtp = ready()

    with pytest.raises(error):
        talk(farewell(smtp), smtp, (QUIT, end))  # type: ignore[arg-type]  # a segment or an end
    assert not smtp.reusable


@pytest.mark.parametrize(
    ("question", "line"),
    [
        (lambda smtp: verify(smtp, parse("bob@x.org")), "VRFY bob@x.org\r\n"),
        (lambda smtp: verify(smtp, parse("jörg@x.org")), "VRFY jörg@x.org SMTPUTF8\r\n"),
        (lambda smtp: expand(smtp, "team"), "EXPN team\r\n"),
        (lambda smtp: expand(smtp, "süd"), "EXPN süd SMTPUTF8\r\n"),
    ],
)
def test_questions_about_names(question: Callable[[SMTPProtocol], Conversation[Reply]], line: str) -> None:
    """RFC 6531 section 3.7.4.2: a name beyond ASCII goes with its parameter, and only where that is offered."""
    smtp = ready("SMTPUTF8")
    assert talk(question(smtp), smtp, (line.encode(), b"252 perhaps\r\n")).code == 252

    if not line.isascii():
        poor = ready()
        with pytest.raises(SMTPNotSupportedError, match="SMTPUTF8"):
            talk(question(poor), poor)


def test_a_hello_that_is_put_off_is_not_blamed_on_the_name() -> None:
    """A 421 says that the server has no time, not that it dislikes how the client calls itself."""
    with pytest.raises(SMTPHeloError) as caught:
        opened(Security.NONE, (EHLO, b"421 busy\r\n"))

    assert caught.value.advice is None
