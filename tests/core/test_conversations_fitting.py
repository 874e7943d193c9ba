"""Fitting: what a message needs, and what a server must offer for it."""

from email.message import EmailMessage
from typing import Any

import pytest

from mailbridge.errors import SMTPInputError, SMTPNotSupportedError
from mailbridge.message import MailObject
from mailbridge.parameters import MailOptions, RcptOptions
from mailbridge.preparing import Prepared, prepare
from tests.core.dialogue import CONTENT, DATA, DOT, GO, HEADER, OK, letter, rcpt, ready, sent

EIGHT_BIT = HEADER + "\r\nGrüße\r\n".encode()
UTF8 = HEADER + "Subject: Grüße\r\n\r\nhello\r\n".encode()


def flight(parameters: bytes, *names: str) -> bytes:
    """MAIL with parameters, RCPT for some, DATA."""
    return b"MAIL FROM:<a@x>" + parameters + b"\r\n" + rcpt(*(names or ("b@y",))) + DATA


def said(mail: Prepared, *extensions: str, recipients: int = 1) -> tuple[bytes, bytes]:
    """What a message's MAIL line and content look like at a server with PIPELINING and some extensions."""
    from mailbridge.conversations import Delivery, send
    from mailbridge.sync.connection import drive

    smtp = ready("PIPELINING", *extensions)
    flights: list[bytes] = []

    def serve(_: object) -> None:
        flights.append(bytes(smtp.data_to_send()))
        smtp.sent(smtp.pending)
        smtp.receive_data(OK * (1 + recipients) + GO if len(flights) == 1 else OK)

    assert drive(send(smtp, Delivery(mail), max_recipients=50), serve) is None
    return flights[0].partition(b"\r\n")[0], flights[1]


# SIZE.


@pytest.mark.parametrize("extension", ["SIZE", "SIZE 0", "SIZE 10000"])
def test_size_is_said_wherever_it_is_offered(extension: str) -> None:
    """RFC 1870 section 5: with a limit or without one."""
    assert said(letter(), extension)[0] == b"MAIL FROM:<a@x> SIZE=%d" % len(CONTENT)


def test_size_is_the_content_before_dot_stuffing() -> None:
    """RFC 1870 section 6.1: the dots that hide dots do not count."""
    content = HEADER + b"\r\n.\r\n..\r\n"

    assert said(letter(content=content), "SIZE") == (
        b"MAIL FROM:<a@x> SIZE=%d" % len(content),
        HEADER + b"\r\n..\r\n...\r\n.\r\n",
    )


def test_a_message_that_is_too_large_is_not_even_asked_for() -> None:
    """Over the server's limit: an error with both sizes, and no MAIL."""
    done = sent(ready(f"SIZE {len(CONTENT) - 1}"), letter())

    assert isinstance(done.error, SMTPInputError)
    assert f"{len(CONTENT)} octets, the server takes {len(CONTENT) - 1}" in str(done.error)
    assert done.states == {"b@y": "not_sent"}


def test_a_message_as_large_as_the_limit_goes() -> None:
    """The limit itself is allowed."""
    assert said(letter(), f"SIZE {len(CONTENT)}")


def test_the_size_counts_after_encoding() -> None:
    """What had to be put into base64 is measured as it leaves."""
    mail = letter(content=EIGHT_BIT + b"\xff" * 300 + b"\r\n")

    done = sent(ready(f"SIZE {mail.content.size + 10}"), mail)
    assert isinstance(done.error, SMTPInputError)


# 8BITMIME and SMTPUTF8.


def test_nothing_special_asks_for_nothing() -> None:
    """Plain ASCII says neither BODY nor SMTPUTF8, though both are offered (SERVERS.md R8)."""
    assert said(letter(), "8BITMIME", "SMTPUTF8", "DSN") == (b"MAIL FROM:<a@x>", CONTENT + DOT)


def test_an_eight_bit_body_says_so() -> None:
    """RFC 6152: BODY=8BITMIME, and the octets as they are."""
    assert said(letter(content=EIGHT_BIT), "8BITMIME") == (b"MAIL FROM:<a@x> BODY=8BITMIME", EIGHT_BIT + DOT)


def test_an_eight_bit_body_is_encoded_where_it_must_be() -> None:
    """Without 8BITMIME the body goes in base64, and reads the same."""
    mail, content = said(letter(content=EIGHT_BIT))

    assert mail == b"MAIL FROM:<a@x>"
    assert content.isascii()
    assert b"R3LDvMOfZQo=" in content or b"R3LDvMOfZQ0K" in content


def test_a_utf8_header_asks_for_smtputf8() -> None:
    """RFC 6531: raw UTF-8 in the header goes as it is where SMTPUTF8 is offered."""
    mail, content = said(letter(content=UTF8), "SMTPUTF8", "8BITMIME")

    assert mail == b"MAIL FROM:<a@x> BODY=8BITMIME SMTPUTF8"
    assert content == UTF8 + DOT


@pytest.mark.parametrize("extensions", [(), ("8BITMIME",)])
def test_a_utf8_header_is_encoded_where_it_must_be(extensions: tuple[str, ...]) -> None:
    """Without SMTPUTF8 the header goes in encoded words."""
    mail, content = said(letter(content=UTF8), *extensions)

    assert mail == b"MAIL FROM:<a@x>"
    assert b"Subject: =?utf-8?" in content


def test_a_utf8_header_alone_leaves_the_body_as_it_is() -> None:
    """With 8BITMIME only the header is encoded: the body goes as the caller wrote it."""
    mail, content = said(letter(content=UTF8 + "Grüße\r\n".encode()), "8BITMIME")

    assert mail == b"MAIL FROM:<a@x> BODY=8BITMIME"
    assert b"Subject: =?utf-8?" in content
    assert content.endswith("\r\n\r\nhello\r\nGrüße\r\n.\r\n".encode())


def test_a_header_that_is_no_utf8_is_encoded_everywhere() -> None:
    """RFC 6532 section 3.1: SMTPUTF8 carries UTF-8 and nothing else; the size is that of what leaves."""
    given = HEADER + b"Subject: Gr\xfc\xdfe\r\n\r\nhello\r\n"
    mail, content = said(letter(content=given), "8BITMIME", "SMTPUTF8", "SIZE")

    assert mail == b"MAIL FROM:<a@x> SIZE=%d" % (len(content) - len(DOT))
    assert b"Subject: =?unknown-8bit?" in content
    assert content.endswith(b"\r\n\r\nhello\r\n.\r\n")


def test_the_callers_message_stays_as_it_is() -> None:
    """What is encoded for one server goes in full to the next one."""
    mail = letter(content=EIGHT_BIT)

    assert said(mail)[1].isascii()
    assert said(mail, "8BITMIME")[1] == EIGHT_BIT + DOT


# Addresses beyond ASCII.


def test_a_recipient_beyond_ascii_asks_for_smtputf8() -> None:
    """RFC 6531: one local part is enough; the domain goes in A-labels anyway."""
    assert said(letter("jürgen@faß.de"), "SMTPUTF8")[0] == b"MAIL FROM:<a@x> SMTPUTF8"


def test_a_recipient_who_cannot_be_reached_does_not_harm_the_others() -> None:
    """Without SMTPUTF8 that recipient is not sent, with an error of its own; the rest go."""
    done = sent(
        ready("PIPELINING"),
        letter("b@y", "jürgen@z"),
        (flight(b"", "b@y"), OK * 2 + GO),
        (CONTENT + DOT, OK),
    )

    assert done.states == {"b@y": "accepted", "jürgen@z": "not_sent"}
    assert isinstance(done.receipt.results["jürgen@z"].error, SMTPNotSupportedError)
    assert done.error is done.receipt.results["jürgen@z"].error


def test_a_transaction_without_them_does_not_ask_for_smtputf8() -> None:
    """Only the transaction with such a recipient says SMTPUTF8."""
    mail = b"MAIL FROM:<a@x>%s\r\n"

    done = sent(
        ready("SMTPUTF8"),
        letter("b@y", "jürgen@z"),
        (mail % b"", OK),
        (rcpt("b@y"), OK),
        (DATA, GO),
        (CONTENT + DOT, OK),
        (mail % b" SMTPUTF8", OK),
        (rcpt("jürgen@z"), OK),
        (DATA, GO),
        (CONTENT + DOT, OK),
        max_recipients=1,
    )
    assert set(done.states.values()) == {"accepted"}


def test_a_sender_beyond_ascii_stops_the_message() -> None:
    """Without SMTPUTF8 nothing can be said in the name of such a sender."""
    mail = prepare(MailObject(CONTENT, "jürgen@x", ["b@y"]))

    done = sent(ready(), mail)
    assert isinstance(done.error, SMTPNotSupportedError)
    assert said(mail, "SMTPUTF8")[0] == "MAIL FROM:<jürgen@x> SMTPUTF8".encode()


def test_the_null_sender_needs_nothing() -> None:
    """A delivery report goes out as MAIL FROM:<>."""
    assert said(prepare(MailObject(CONTENT, "", ["b@y"])))[0] == b"MAIL FROM:<>"


def test_an_email_message_goes_the_same_way() -> None:
    """A message of the standard library, its text beyond ASCII, at a server without extensions."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@x", "b@y", "Grüße"
    message.set_content("Grüße")

    assert said(prepare(MailObject(message)))[1].isascii()


# Options.

OPTIONS: list[tuple[str, dict[str, Any], bytes]] = [
    ("DSN", {"ret": "HDRS", "envid": "x1"}, b" RET=HDRS ENVID=x1"),
    ("AUTH", {"submitter": ""}, b" AUTH=<>"),
    ("MT-PRIORITY", {"priority": 3}, b" MT-PRIORITY=3"),
    ("DELIVERBY", {"deliver_by": 60}, b" BY=60;R"),
    ("FUTURERELEASE", {"hold_for": 60}, b" HOLDFOR=60"),
]


@pytest.mark.parametrize(("extension", "options", "words"), OPTIONS)
def test_an_option_is_said_where_it_is_offered(extension: str, options: dict[str, Any], words: bytes) -> None:
    """The parameter stands behind the path."""
    assert said(letter(options=MailOptions(**options)), extension)[0] == b"MAIL FROM:<a@x>" + words


@pytest.mark.parametrize(("extension", "options", "words"), OPTIONS)
def test_an_option_is_an_error_where_it_is_not_offered(extension: str, options: dict[str, Any], words: bytes) -> None:
    """What was asked for and cannot be had is said, before MAIL."""
    done = sent(ready("SIZE"), letter(options=MailOptions(**options)))

    assert isinstance(done.error, SMTPNotSupportedError)
    assert f"asks for {extension}" in str(done.error)
    assert words


def test_an_option_of_one_recipient_counts_for_the_message() -> None:
    """DSN at RCPT needs DSN; where it is offered, only that recipient's line has it."""
    mail = letter("b@y", "c@z", recipient_options={"c@z": RcptOptions(notify=["NEVER"])})
    assert "asks for DSN" in str(sent(ready(), mail).error)

    envelope = flight(b"", "b@y", "c@z").replace(b"<c@z>", b"<c@z> NOTIFY=NEVER")
    assert sent(ready("PIPELINING", "DSN"), mail, (envelope, OK * 3 + GO), (CONTENT + DOT, OK)).error is None


def test_requiretls_needs_tls_here_too() -> None:
    """RFC 8689 section 4.1: the first hop as well; over TLS it is said."""
    mail = letter(options=MailOptions(require_tls=True))
    smtp = ready("REQUIRETLS")
    assert "without TLS" in str(sent(smtp, mail).error)

    smtp.tls_established()
    done = sent(smtp, mail, (b"MAIL FROM:<a@x> REQUIRETLS\r\n", OK), (rcpt("b@y"), OK), (DATA, GO), (CONTENT + DOT, OK))
    assert done.error is None
