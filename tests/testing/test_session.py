"""The session is a legal server: who may say what when, and what is answered."""

import pytest

from mailbridge.testing import End, Script, Settings, StartTLS, Then
from tests.testing.transcripts import GREETING, Talk

BAD_SEQUENCE = b"503 5.5.1 bad sequence of commands\r\n"
TOO_SOON = b"554 5.5.0 you talk too soon\r\n"


def test_a_whole_session() -> None:
    """From the greeting to QUIT, one message."""
    talk = Talk(script=Script(extensions=["8BITMIME", "ENHANCEDSTATUSCODES"]))
    assert talk.open() == GREETING
    talk.follow(
        (b"EHLO me\r\n", b"250-scripted.test\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"),
        (b"mail from:<a@x> BODY=8BITMIME\r\n", b"250 2.1.0 sender ok\r\n"),
        (b"RCPT TO:<b@y>\r\n", b"250 2.1.5 recipient ok\r\n"),
        (b"DATA\r\n", b"354 end with a line of one dot\r\n"),
        (b"Subject: x\r\n\r\n..\r\n.\r\n", b"250 2.0.0 Ok: queued as 000001\r\n"),
        (b"QUIT\r\n", b"221 2.0.0 bye\r\n"),
    )
    assert talk.actions[-1] == End(Then.CLOSE)
    [message] = talk.record.messages
    assert (message.sender, message.recipients) == ("a@x", ("b@y",))
    assert message.content == b"Subject: x\r\n\r\n.\r\n"
    assert message.mail_parameters == {"BODY": "8BITMIME"}


def test_codes_are_not_sent_unannounced() -> None:
    """A positive reply has an enhanced code only where ENHANCEDSTATUSCODES was offered."""
    assert Talk(script=Script(extensions=[])).hello().say(b"NOOP\r\n") == b"250 ok\r\n"


@pytest.mark.parametrize(
    "line", [b"MAIL FROM:<a@x>\r\n", b"RCPT TO:<b@y>\r\n", b"DATA\r\n", b"AUTH PLAIN AGEAYg==\r\n"]
)
def test_nothing_goes_before_ehlo(line: bytes) -> None:
    """A client that does not introduce itself is out of order."""
    talk = Talk()
    talk.open()
    assert talk.say(line) == BAD_SEQUENCE


def test_no_second_mail() -> None:
    """MAIL inside a transaction is out of order, after RSET it is not."""
    Talk().envelope().follow(
        (b"MAIL FROM:<c@x>\r\n", BAD_SEQUENCE),
        (b"RSET\r\n", b"250 2.0.0 ok\r\n"),
        (b"RCPT TO:<b@y>\r\n", BAD_SEQUENCE),
        (b"MAIL FROM:<c@x>\r\n", b"250 2.1.0 sender ok\r\n"),
    )


def test_ehlo_ends_a_transaction() -> None:
    """RFC 5321 section 4.1.4: EHLO does what RSET does."""
    talk = Talk().envelope()
    talk.say(b"EHLO me\r\n")
    assert talk.say(b"RCPT TO:<b@y>\r\n") == BAD_SEQUENCE


def test_helo_offers_nothing() -> None:
    """After HELO no parameter is allowed."""
    talk = Talk()
    talk.open()
    talk.follow(
        (b"HELO me\r\n", b"250 scripted.test\r\n"),
        (b"MAIL FROM:<a@x> SIZE=1\r\n", b"555 5.5.4 SIZE was not offered\r\n"),
    )


@pytest.mark.parametrize(("lmtp", "verb"), [(True, b"EHLO"), (True, b"HELO"), (False, b"LHLO")])
def test_the_other_protocol_is_not_spoken(lmtp: bool, verb: bytes) -> None:
    """LHLO belongs to LMTP alone, EHLO and HELO to SMTP."""
    talk = Talk(settings=Settings(lmtp=lmtp))
    assert (b"LMTP" in talk.open()) is lmtp
    assert talk.say(verb + b" me\r\n") == b"500 5.5.1 " + verb + b" is not spoken here\r\n"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"MAIL FROM:a@x", b"501"),
        (b"MAIL FROM: <a@x>", b"501"),
        (b"MAIL FROM:<a@x>SIZE=1", b"501"),
        (b"MAIL FROM:<a@x> NOTIFY=NEVER", b"555"),
        (b"MAIL FROM:<a@x> SIZE=ten", b"501"),
        (b"MAIL FROM:<a@x> SIZE=1 SIZE=1", b"501"),
        (b"MAIL FROM:<a@x> MT-PRIORITY=3", b"555"),
        (b"MAIL FROM:<a@x> RET=HALF", b"501"),
        (b"MAIL FROM:<a@x> ENVID=a+b", b"501"),
        (b"MAIL FROM:<a@x> SIZE=99999999", b"552"),
        ("MAIL FROM:<ä@x>".encode(), b"553"),
        ("MAIL FROM:<ä@x> SMTPUTF8".encode(), b"250"),
        (b"MAIL FROM:<>", b"250"),
        (b'MAIL FROM:<"a> b"@x> RET=HDRS ENVID=a+2Bb', b"250"),
    ],
)
def test_mail_is_read_strictly(line: bytes, code: bytes) -> None:
    """Form, parameters, their values and the size are all looked at."""
    assert Talk().hello().say(line + b"\r\n")[:3] == code


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"RCPT TO:<>", b"501"),
        (b"RCPT TO:<b@y>,<c@z>", b"501"),
        (b"RCPT TO:<b@y> SIZE=1", b"555"),
        (b"RCPT TO:<b@y> NOTIFY=NEVER,SUCCESS", b"501"),
        ("RCPT TO:<ä@y>".encode(), b"553"),
        (b"RCPT TO:<b@y> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@y", b"250"),
        (b"RCPT TO:<Postmaster>", b"250"),
        (b'RCPT TO:<b@[x:"y]>', b"250"),
        (b'RCPT TO:<b@[x:"y>]>', b"501"),
    ],
)
def test_rcpt_is_read_strictly(line: bytes, code: bytes) -> None:
    """As MAIL is."""
    talk = Talk().hello()
    talk.say(b"MAIL FROM:<a@x>\r\n")
    assert talk.say(line + b"\r\n")[:3] == code


@pytest.mark.parametrize(
    ("extension", "parameter"),
    [
        ("REQUIRETLS", "REQUIRETLS"),
        ("MT-PRIORITY", "MT-PRIORITY=-3"),
        ("DELIVERBY 60", "BY=120;R"),
        ("FUTURERELEASE 999 2030-01-01T00:00:00Z", "HOLDFOR=60"),
        ("FUTURERELEASE 999 2030-01-01T00:00:00Z", "HOLDUNTIL=2027-01-01T00:00:00Z"),
        ("AUTH PLAIN", "AUTH=<>"),
    ],
)
def test_an_offered_parameter_is_taken(extension: str, parameter: str) -> None:
    """What an extension defines is understood and kept, once it is offered."""
    talk = Talk(tls=True)
    talk.script.offer(extension)
    talk.envelope()
    talk.say(b"RSET\r\n")
    assert talk.say(f"MAIL FROM:<a@x> {parameter}\r\n".encode()) == b"250 2.1.0 sender ok\r\n"


def test_announced_limits_hold() -> None:
    """RFC 9422: so many recipients in a transaction, so many transactions on a connection."""
    talk = Talk(script=Script(extensions=["LIMITS RCPTMAX=1 MAILMAX=2"])).envelope()
    talk.follow(
        (b"RCPT TO:<c@y>\r\n", b"452 4.5.3 too many recipients\r\n"),
        (b"RSET\r\n", b"250 ok\r\n"),
        (b"MAIL FROM:<a@x>\r\n", b"250 sender ok\r\n"),
        (b"RSET\r\n", b"250 ok\r\n"),
        (b"MAIL FROM:<a@x>\r\n", b"452 4.5.3 too many transactions on this connection\r\n"),
    )


def test_requiretls_needs_tls() -> None:
    """RFC 8689: in clear the promise cannot be kept."""
    script = Script(extensions=["REQUIRETLS"])
    assert Talk(script=script).hello().say(b"MAIL FROM:<a@x> REQUIRETLS\r\n")[:9] == b"530 5.7.4"


def test_too_many_recipients() -> None:
    """RFC 5321 section 4.5.3.1.10: 452, and those before stay good."""
    talk = Talk(settings=Settings(max_recipients=1)).envelope("b@y")
    assert talk.say(b"RCPT TO:<c@y>\r\n") == b"452 4.5.3 too many recipients\r\n"


def test_login_first() -> None:
    """Where a login is required, MAIL waits for it."""
    talk = Talk(settings=Settings(accounts={"ann": "Gehe1m-pw"}, require_auth=True)).hello()
    assert talk.say(b"MAIL FROM:<a@x>\r\n") == b"530 5.7.0 authentication required\r\n"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"VRFY ann", b"252 2.5.0 send some mail, I will try my best\r\n"),
        (b"VRFY <nobody>", b"550 5.1.1 no such user\r\n"),
        (b"EXPN list", b"502 5.5.1 no lists here\r\n"),
        (b"HELP", b"214-2.0.0 this server does what a test says\r\n214 2.0.0 end of help\r\n"),
        (b"WIZ", b"500 5.5.2 command not recognised\r\n"),
        (b"NOOP\nRSET", b"500 5.5.2 command not recognised\r\n"),
        (b"NOOP \x00", b"500 5.5.2 command not recognised\r\n"),
    ],
)
def test_housekeeping(line: bytes, answer: bytes) -> None:
    """The small verbs, and lines that are none."""
    talk = Talk().hello()
    talk.script.refuse("nobody")
    assert talk.say(line + b"\r\n") == answer


def test_an_endless_line_ends_the_session() -> None:
    """Without an end of line there is nothing to answer but this."""
    talk = Talk().hello()
    assert talk.say(b"x" * 20_000) == b"500 5.5.2 line too long\r\n"
    assert talk.actions[-1] == End(Then.CLOSE)


def test_a_group_in_one_segment() -> None:
    """With PIPELINING, MAIL, RCPT and DATA in one segment get their answers in one segment."""
    talk = Talk().hello()
    answers = talk.say(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n")
    assert [line[:3] for line in answers.splitlines()] == [b"250", b"250", b"354"]
    assert len(talk.actions) == 1


def test_pipelining_unannounced() -> None:
    """Without PIPELINING whoever sends ahead is shown out (SERVERS.md P4)."""
    talk = Talk()
    talk.script.withdraw("PIPELINING")
    assert talk.hello().say(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n") == TOO_SOON
    assert talk.actions[-1] == End(Then.CLOSE)


@pytest.mark.parametrize("line", [b"EHLO me", b"NOOP", b"VRFY x", b"QUIT", b"DATA", b"STARTTLS", b"AUTH PLAIN"])
def test_the_last_of_a_group_is_last(line: bytes) -> None:
    """RFC 2920 section 3.1: nothing follows these before their reply, even with PIPELINING."""
    assert Talk().hello().say(line + b"\r\nRSET\r\n") == TOO_SOON


def test_a_patient_server_lets_it_pass() -> None:
    """With strict_pipelining off, what was sent ahead is answered in order."""
    talk = Talk(settings=Settings(strict_pipelining=False)).hello()
    assert talk.say(b"NOOP\r\nNOOP\r\n") == b"250 2.0.0 ok\r\n" * 2


def test_starttls_forgets_everything() -> None:
    """RFC 3207 section 4.2: after the handshake the client introduces itself again, AUTH is offered."""
    talk = Talk(settings=Settings(tls="starttls", accounts={"ann": "Gehe1m-pw"}))
    talk.open()
    assert b"STARTTLS" in (clear := talk.say(b"EHLO me\r\n"))
    assert b"AUTH" not in clear
    assert talk.say(b"STARTTLS\r\n") == b"220 2.0.0 go ahead\r\n"
    assert talk.actions[-1] == StartTLS()
    assert talk.say(b"MAIL FROM:<injected@x>\r\n") == b""
    assert talk.session.tls_established() == []
    assert talk.say(b"MAIL FROM:<a@x>\r\n") == BAD_SEQUENCE
    assert b"AUTH PLAIN LOGIN" in (secure := talk.say(b"EHLO me\r\n"))
    assert b"STARTTLS" not in secure


@pytest.mark.parametrize(("line", "code"), [(b"STARTTLS now", b"501"), (b"STARTTLS", b"503")])
def test_starttls_refused(line: bytes, code: bytes) -> None:
    """Not with a parameter, and not where it is not offered."""
    talk = Talk().hello()
    assert talk.say(line + b"\r\n")[:3] == code
    assert StartTLS() not in talk.actions
