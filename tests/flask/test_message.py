"""What a `Message` looks like when it arrives."""

from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from mailbridge.testing import Inbox, ScriptedServer
from mailbridge_flask import Attachment, Mail, Message
from tests.flask.apps import MailFor

ANN = "ann@example.org"


@pytest.fixture
def arrived(mail: Mail, inbox: Inbox) -> Any:
    """Send a message of these arguments, and give it as it arrived."""

    def arrived(subject: str = "Hello", recipients: Any = (ANN,), *values: Any, **named: Any) -> EmailMessage:
        mail.send_message(subject, list(recipients), *values, **named)
        return inbox.messages[-1].message

    return arrived


def test_a_plain_text(arrived: Any) -> None:
    """A text without attachments is one part, readable as it stands."""
    message = arrived(body="Grüße\n.\nFrom me")

    assert (message.get_content_type(), message["Content-Transfer-Encoding"]) == ("text/plain", "8bit")
    assert message.get_content().splitlines() == ["Grüße", ".", "From me"]


def test_html_alone(arrived: Any) -> None:
    """HTML without a plain text is not given an empty one."""
    assert arrived(html="<b>Hello</b>").get_content_type() == "text/html"


def test_versions_and_files(arrived: Any) -> None:
    """The versions of the text stand together, the plain one first, the files behind them."""
    calendar = {"calendar": "BEGIN:VCALENDAR"}
    message = arrived(body="Hello", html="<b>Hello</b>", alts=calendar, attachments=[Attachment("a", data=b"x")])

    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/calendar",
        "text/html",
        "application/octet-stream",
    ]


def test_alts_alone_keep_their_html() -> None:
    """HTML given in `alts` is the message's `html`; None takes it away."""
    message = Message("Hello", alts=[("html", "<b>Hello</b>")], sender=ANN)
    assert message.html == "<b>Hello</b>"
    message.html = None
    assert message.alts == {}


def test_long_lines_are_encoded(arrived: Any) -> None:
    """No line on the wire is longer than a server must take; the text arrives whole."""
    message = arrived(body="x" * 5_000)

    assert message["Content-Transfer-Encoding"] == "base64"
    assert message.get_content().strip() == "x" * 5_000


def test_another_charset(arrived: Any) -> None:
    """`charset` is the text's own."""
    message = arrived(body="Grüße", charset="iso-8859-1")

    assert message.get_content_charset() == "iso-8859-1"
    assert message.get_content().strip() == "Grüße"


@pytest.mark.parametrize(
    ("charset", "arrives", "words"),
    [
        ("latin-1", "iso-8859-1", "Grüße"),
        ("latin1", "iso-8859-1", "Grüße"),
        ("ascii", "us-ascii", "Hello"),
        ("utf8", "utf-8", "Grüße"),
        ("shift_jis", "iso-2022-jp", "東京"),
    ],
)
def test_pythons_name_of_a_charset(
    server: ScriptedServer, mail_for: MailFor, charset: str, arrives: str, words: str
) -> None:
    """Header and body go out under the name that mail has for a charset, and in that charset."""
    mail_for(server).send(Message(words, [ANN], words, sender="shop@example.com", charset=charset))

    content = server.messages[0].content
    assert f'charset="{arrives}"'.encode() in content
    assert words.isascii() or f"Subject: =?{arrives}?".encode() in content
    assert words.encode(arrives) in content


def test_names_beyond_ascii_and_with_commas(arrived: Any) -> None:
    """A name never becomes an address, whatever it holds."""
    message = arrived(
        recipients=[("Łucja, Q.", ANN), ("Bob, B", "bob@example.org"), "Cy <cy@example.org>"],
        sender=("Größe: XL", "shop@example.com"),
    )

    assert [(a.display_name, a.addr_spec) for a in message["To"].addresses] == [
        ("Łucja, Q.", ANN),
        ("Bob, B", "bob@example.org"),
        ("Cy", "cy@example.org"),
    ]
    assert [(a.display_name, a.addr_spec) for a in message["From"].addresses] == [("Größe: XL", "shop@example.com")]


def test_a_name_apart_is_not_in_the_receipt(mail: Mail) -> None:
    """The receipt names a recipient as it was written; a pair by its address."""
    receipt = mail.send_message("Hello", [("Ann", ANN), "Bob <bob@example.org>"], "Hello!")

    assert receipt is not None
    assert list(receipt.results) == [ANN, "Bob <bob@example.org>"]


def test_a_domain_beyond_ascii(server: ScriptedServer, mail_for: MailFor) -> None:
    """Header and envelope name the same domain, in A-labels by IDNA 2008."""
    mail_for(server).send(Message("Hello", [("Ann", "ann@faß.de")], "Hello!", sender="shop@example.com"))

    assert server.messages[0].recipients == ("ann@xn--fa-hia.de",)
    assert b"To: Ann <ann@xn--fa-hia.de>\r\n" in server.messages[0].content


def test_a_local_part_beyond_ascii(server: ScriptedServer, mail_for: MailFor) -> None:
    """It goes out in UTF-8, not as an encoded word that nobody reads as an address."""
    mail_for(server).send(Message("Grüße", ["jörg@example.org"], "Hello!", sender="shop@example.com"))

    assert server.messages[0].recipients == ("jörg@example.org",)
    assert "To: jörg@example.org\r\n".encode() in server.messages[0].content


def test_header_fields(arrived: Any) -> None:
    """Cc, Reply-To, Date, Message-ID and the caller's own, which replace ours; a folded subject is one line."""
    message = arrived(
        subject="A long\r\n story",
        cc=["cy@example.org", "cy@example.org"],
        reply_to=("Help", "help@example.com"),
        date=0,
        extra_headers={"X-Shop": "Größe", "reply-to": "desk@example.com"},
    )

    assert message["Subject"] == "A long story"
    assert message["Cc"] == "cy@example.org"
    assert message["Reply-To"] == "desk@example.com"
    assert message["Date"].datetime.timestamp() == 0
    assert message["X-Shop"] == "Größe"
    assert message.get_all("Message-ID") == [message["Message-ID"]]


def test_the_date_is_that_of_sending(mail: Mail, inbox: Inbox) -> None:
    """A message without a date gets one when it is sent, and keeps it."""
    message = Message("Hello", [ANN], "Hello!")
    assert message.date is None
    mail.send(message)

    assert message.date is not None
    assert inbox.messages[0].message["Date"].datetime.timestamp() == int(message.date)


def test_without_to(arrived: Any) -> None:
    """A mail to Bcc alone has no empty To."""
    assert arrived(recipients=[], bcc=[ANN])["To"] is None


def test_the_message_id_is_known_before(mail: Mail, inbox: Inbox) -> None:
    """`msgId` is what arrives and what the receipt names; it is of the sender's domain."""
    message = Message("Hello", [ANN], "Hello!")
    receipt = mail.send(message)

    assert receipt is not None
    assert message.msgId.endswith("@example.com>")
    assert receipt.message_id == message.msgId == inbox.messages[0].message["Message-ID"]


def test_the_message_id_waits_for_the_sender(inbox: Inbox, mail_for: MailFor) -> None:
    """A message that was written outside an app gets the domain of that app's default sender."""
    message = Message("Hello", [ANN], "Hello!")
    mail_for(inbox).send(message)

    assert message.msgId.endswith("@example.com>")


@pytest.mark.parametrize(
    ("given", "content_type", "octets"),
    [
        ({"data": "Zürich"}, "text/plain", "Zürich".encode()),
        ({"data": b"\0\xff"}, "application/octet-stream", b"\0\xff"),
        ({"data": b"", "filename": "empty.pdf"}, "application/pdf", b""),
        ({"data": b"x", "filename": "a.tar.gz"}, "application/octet-stream", b"x"),
        ({"data": "a;b\r\nc\n", "content_type": "text/csv"}, "text/csv", b"a;b\r\nc\n"),
        ({"data": b"x" * 300_000, "content_type": "video/mp4"}, "video/mp4", b"x" * 300_000),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_attachment(arrived: Any, given: dict[str, Any], content_type: str, octets: bytes) -> None:
    """What is attached arrives octet for octet, under its type."""
    [part] = arrived(attachments=[Attachment(**given)]).iter_attachments()

    assert part.get_content_type() == content_type
    assert part.get_payload(decode=True) == octets


@pytest.mark.parametrize(
    ("name", "ascii_only", "arrives"),
    [
        ("Zürich 東京.pdf", False, "Zürich 東京.pdf"),
        ("Zürich 東京.pdf", True, "Zurich .pdf"),
        ('say "hi".pdf', False, 'say "hi".pdf'),
        ("ünï.pdf", True, "uni.pdf"),
    ],
)
def test_a_files_name(inbox: Inbox, mail_for: MailFor, name: str, ascii_only: bool, arrives: str) -> None:
    """A name beyond ASCII arrives, or is spelled in ASCII with MAIL_ASCII_ATTACHMENTS."""
    message = Message("Hello", [ANN], "Hello!", sender="shop@example.com")
    message.attach(name, data=b"x")
    mail_for(inbox, MAIL_ASCII_ATTACHMENTS=ascii_only).send(message)

    assert [part.get_filename() for part in inbox.messages[0].message.iter_attachments()] == [arrives]


def test_a_picture_in_the_html(arrived: Any) -> None:
    """Disposition and header fields of an attachment are the caller's."""
    logo = Attachment("logo.png", data=b"x", disposition="inline", headers={"Content-ID": "<logo>"})
    *_, part = arrived(html='<img src="cid:logo">', attachments=[logo]).walk()

    assert (part.get_content_disposition(), part["Content-ID"]) == ("inline", "<logo>")


def test_s23_nothing_is_read_from_a_path(arrived: Any) -> None:
    """S23: an attachment's data is what is attached, also where it looks like a path."""
    [part] = arrived(attachments=[Attachment("a.txt", data="/etc/passwd")]).iter_attachments()

    assert part.get_payload(decode=True) == b"/etc/passwd"
    with pytest.raises(ValueError, match="str or bytes, not PosixPath"):
        Attachment("a.txt", data=Path("/etc/passwd"))  # type: ignore[arg-type]  # the mistake that is tested


def test_as_bytes_and_as_string(app: Flask, mail: Mail) -> None:
    """Both are the message as it will be sent, with CRLF; text that begins with From stays."""
    message = Message("Hello", [ANN], "Grüße\nFrom me")

    assert bytes(message).endswith("\r\n\r\nGrüße\r\nFrom me".encode())
    assert str(message) == message.as_string() == message.as_bytes().decode()


def test_options(mail_for: MailFor, server: ScriptedServer) -> None:
    """`mail_options` and `rcpt_options` become typed parameters; what the engine says by itself is left to it."""
    options = ["body=8bitmime", "RET=HDRS", "ENVID=QQ+2B1", "SMTPUTF8"]
    mail_for(server).send(
        Message("Hello", [ANN], "Hello!", sender="a@example.com", mail_options=options, rcpt_options=["NOTIFY=FAILURE"])
    )

    [message] = server.messages
    assert (message.mail_parameters["RET"], message.mail_parameters["ENVID"]) == ("HDRS", "QQ+2B1")
    assert "SMTPUTF8" not in message.mail_parameters
    assert message.rcpt_parameters[ANN] == {"NOTIFY": "FAILURE"}
