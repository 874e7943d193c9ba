"""The reading of the RFCs that random sessions are held to: it knows what is illegal, and lets the rest pass."""

import pytest

from tests.fuzz.grammar import Ear
from tests.fuzz.sayings import Illegal

HELLO = b"<220 x|EHLO me"
ALL = b"250-x|<250-PIPELINING|<250-CHUNKING|<250-SIZE 900|<250-8BITMIME|<250-AUTH PLAIN|<250-LIMITS RCPTMAX=1 MAILMAX=2"
READY = HELLO + b"|<" + ALL + b"|<250 STARTTLS"
BARE = HELLO + b"|<250 x"
MAIL, RCPT, CHUNK = b"MAIL FROM:<a@x>", b"RCPT TO:<b@y>", b"BDAT 3 LAST|=abc"
OPEN = READY + b"|" + MAIL + b"|<250 ok|" + RCPT + b"|<250 ok"
CONTENT = OPEN + b"|DATA|<354 go"


def listen(dialogue: bytes, *, lmtp: bool = False, overlap: bool = False) -> Ear:
    """Lines of the client; those behind "<" are the server's, those behind "=" have no line end."""
    ear = Ear(lmtp=lmtp, overlap=overlap)
    for part in dialogue.split(b"|"):
        if part.startswith(b"<"):
            ear.heard(part[1:] + b"\r\n")
        elif part == b"TLS":
            ear.secured()
        else:
            ear.said(part[1:] if part.startswith(b"=") else part + b"\r\n")
    return ear


@pytest.mark.parametrize(
    "dialogue",
    [
        READY + b"|QUIT|<221 bye",
        HELLO + b"|<502 what|HELO me|<250 x|" + MAIL,
        READY + b"|" + MAIL + b" SIZE=3 BODY=8BITMIME|" + RCPT + b"|" + CHUNK + b"|<250 ok|<250 ok|<250 ok|" + MAIL,
        OPEN + b"|BDAT 2|=ab|BDAT 1 LAST|=c|<250 ok|<250 ok",
        OPEN + b"|" + CHUNK + b"|RSET|" + MAIL,
        CONTENT + b"|=Subject: x\r\n..\r\n.\r\n|<250 ok|" + MAIL + b"|<250 ok",
        CONTENT + b"|=.\r\n",
        OPEN + b"|RSET|" + MAIL + b"|" + RCPT,
        READY + b"|STARTTLS|<220 go|TLS|EHLO me|<250-x|<250 AUTH PLAIN|AUTH PLAIN AHUAcA==|<235 ok|" + MAIL,
        READY + b"|" + MAIL + b"|<550 no|" + MAIL + b"|<250 ok",
    ],
)
def test_what_is_legal_passes(dialogue: bytes) -> None:
    """Groups, chunks, content, TLS and login, each in its place."""
    listen(dialogue)


@pytest.mark.parametrize(
    ("dialogue", "why"),
    [
        (b"EHLO me", "while GREETING waits"),
        (b"<220 x|" + MAIL, "before EHLO"),
        (HELLO + b"|<250 x|HELO me", "HELO though EHLO"),
        (BARE + b"|" + MAIL + b"|" + RCPT, "RCPT while MAIL waits"),
        (BARE + b"|" + MAIL + b" SIZE=3", "SIZE was not offered"),
        (BARE + b"|STARTTLS", "STARTTLS here"),
        (BARE + b"|" + MAIL + b"|<250 ok|" + RCPT + b"|<250 ok|" + CHUNK, "BDAT without CHUNKING"),
        (READY + b"|" + RCPT, "RCPT without MAIL"),
        (READY + b"|" + MAIL + b" SIZE=1 SIZE=1", "a parameter twice"),
        (READY + b"|MAIL FROM:<a@x> x", "legal form"),
        (READY + b"|MAIL FROM:a@x", "legal form"),
        (READY + b"|=MAIL FROM:<a@x>\n", "a line with"),
        (READY + b"|RCPT TO:<b\x00@y>", "a line with"),
        (READY + b"|" + b"EHLO " + b"x" * 600, "a line of 607 octets"),
        (READY + b"|MAIL FROM:<\xc3\xa9@x>", "without SMTPUTF8"),
        (READY + b"|EHLO me|" + MAIL, "MAIL behind EHLO"),
        (READY + b"|AUTH PLAIN AHUAcA==", "AUTH here"),
        (READY + b"|AUTH LOGIN", "offered are"),
        (READY + b"|STARTTLS|<220 go|EHLO me", "in place of the handshake"),
        (READY + b"|STARTTLS|<220 go|<250 x|EHLO me", "behind octets behind the 220"),
        (READY + b"|STARTTLS|<220 go|TLS|" + MAIL, "before EHLO"),
        (READY + b"|STARTTLS|<220 go|<250 x|TLS", "behind octets behind the 220"),
        (READY + b"|TLS", "a handshake out of turn"),
        (OPEN + b"|" + MAIL, "MAIL in a transaction"),
        (OPEN + b"|RCPT TO:<b@y>", "twice"),
        (OPEN + b"|RCPT TO:<c@y>", "more than RCPTMAX"),
        (OPEN + b"|RSET|" + MAIL + b"|RSET|" + MAIL, "more than MAILMAX"),
        (READY + b"|" + MAIL + b"|DATA", "DATA for nobody"),
        (READY + b"|" + MAIL + b"|<250 ok|" + RCPT + b"|<550 no|DATA", "DATA for nobody"),
        (READY + b"|" + MAIL + b"|<250 ok|" + RCPT + b"|<550 no|BDAT 3 LAST", "BDAT for nobody"),
        (OPEN + b"|DATA|" + MAIL, "behind DATA"),
        (OPEN + b"|BDAT 2|=ab|<250 ok|DATA", "DATA between chunks"),
        (OPEN + b"|BDAT 2|=ab|<250 ok|RSET", "RSET between chunks"),
        (OPEN + b"|BDAT 2|=ab|<552 no|BDAT 1 LAST", "behind a refused chunk"),
        (OPEN + b"|DATA|<450 no|BDAT 1 LAST", "BDAT behind DATA"),
        (OPEN + b"|BDAT 5 LAST|=abc|RSET|RSET", "legal form"),
        (CONTENT + b"|=a\rb\r\n.\r\n", "a bare CR or LF"),
        (CONTENT + b"|=a\nb\r\n.\r\n", "a bare CR or LF"),
        (CONTENT + b"|=a\r\n.b\r\n.\r\n", "a bare dot"),
        (CONTENT + b"|=\xe9\r\n.\r\n", "8-bit content"),
        (CONTENT + b"|=a\r\n.\r\n|" + MAIL, "MAIL behind CONTENT"),
        (READY + b"|" + MAIL + b" SIZE=9|" + RCPT + b"|" + CHUNK, "where SIZE said 9"),
        (OPEN + b"|" + CHUNK + b"|<421 bye|" + MAIL, "behind a 421"),
        (OPEN + b"|RSET|<450 no|" + MAIL, "behind a refused RSET"),
        (OPEN + b"|<250 unasked|DATA", "a reply to nothing"),
        (READY + b"|" + MAIL + b"|<250-a|<550 b|" + RCPT, "what is no reply"),
        (READY + b"|" + MAIL + b"|<354 go|" + RCPT, "354 to MAIL"),
        (READY + b"|QUIT|QUIT", "behind QUIT"),
    ],
)
def test_what_is_illegal_is_heard(dialogue: bytes, why: str) -> None:
    """Each rule, broken once."""
    with pytest.raises(Illegal, match=why):
        listen(dialogue)


def test_a_group_may_follow_the_dot_where_that_was_asked_for() -> None:
    """RFC 2920 section 3.1, and `Server.overlap`."""
    listen(CONTENT + b"|=a\r\n.\r\n|RSET|" + MAIL, overlap=True)


def test_lmtp_has_its_own_hello_and_a_reply_for_each_recipient() -> None:
    """RFC 2033: what waits behind the content of two recipients are two replies."""
    ear = listen(
        b"<220 x|LHLO me|<250-x|<250-PIPELINING|<250 CHUNKING|MAIL FROM:<a@x>|RCPT TO:<b@y>|RCPT TO:<c@y>"
        b"|<250 ok|<250 ok|<250 ok|BDAT 0 LAST|<250 saved",
        lmtp=True,
    )
    assert [said.verb for said in ear.waiting] == ["BDAT"]
    ear.heard(b"250 saved\r\n")
    assert not ear.waiting


def test_unanswered_commands_are_bounded() -> None:
    """RFC 2920 section 3.1: two full windows would wait for each other."""
    with pytest.raises(Illegal, match="too much that is not answered"):
        listen(READY.replace(b" RCPTMAX=1 MAILMAX=2", b" X=1") + b"|RSET" * 129)
