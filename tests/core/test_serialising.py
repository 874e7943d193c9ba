"""Messages as octets: what a recipient's program reads is what the caller wrote."""

import time
import tracemalloc
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP, SMTPUTF8, compat32, default

import pytest

from mailbridge.content import Content, of_octets
from mailbridge.errors import SMTPInputError
from mailbridge.message import MailObject, prepare
from mailbridge.serialising import downgraded
from tests.core.given import complaint, mail, octets, raised


def arrived(message: Message) -> EmailMessage:
    """What a recipient's program reads of a message."""
    return message_from_bytes(octets(message), policy=default)


def words(part: Message) -> str:
    """The text of a part, line ends as Python has them."""
    return part.get_content().replace("\r\n", "\n")


def lowered(data: bytes) -> bytes:
    """Octets for a server that offers neither 8BITMIME nor SMTPUTF8."""
    return b"".join(downgraded(Content.of(*of_octets(data))))


@pytest.mark.parametrize("policy", [default, SMTP, SMTPUTF8, compat32], ids=["default", "SMTP", "SMTPUTF8", "compat32"])
def test_every_policy_is_written_canonically(policy) -> None:
    """CR and LF only as CRLF, the header in ASCII, and the words as they were."""
    message = message_from_bytes(b"From: a@x\nSubject: =?utf-8?q?=C3=B6?=\n\none\n.\nFrom two\n", policy=policy)
    sent = octets(message)

    assert sent.replace(b"\r\n", b"").isascii()
    assert not set(sent.replace(b"\r\n", b"")) & set(b"\r\n")
    assert sent.endswith(b"\r\n\r\none\r\n.\r\nFrom two\r\n")
    assert message_from_bytes(sent, policy=default)["Subject"] == "ö"


def test_a_large_message_is_what_it_was() -> None:
    """Lines longer and shorter than the slices in which it is written."""
    body = "".join(f"{n} {'x' * (n % 900)}\n" for n in range(3_000)) + "y" * 600_000 + "\nend\n"
    message = Message()
    message.set_payload(body)

    assert octets(message).endswith(b"\r\n\r\n" + body.replace("\n", "\r\n").encode())


@pytest.mark.parametrize("size", [10, 700_000])
def test_parts_are_what_they_were(size: int) -> None:
    """Text, attachments, a message within the message, small and large."""
    message = mail("text ö\n")
    message.add_attachment(bytes(range(256)) * (size // 256 + 1), "application", "x-data", filename="ä.bin")
    message.add_attachment(mail("inner\n", subject="ö"))
    text, data, inner = arrived(message).iter_parts()

    assert words(text) == "text ö\n"
    assert (data.get_filename(), data.get_content()) == ("ä.bin", bytes(range(256)) * (size // 256 + 1))
    assert inner.get_content()["Subject"] == "ö"
    assert words(inner.get_content()) == "inner\n"


def test_a_delivery_report_is_what_it_was() -> None:
    """Its blocks of fields go through the generator's own splitting."""
    report = b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
    report += b"Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; b@x\nAction: failed\n\n--b--\n"

    assert octets(message_from_bytes(report)).endswith(report.replace(b"\n", b"\r\n"))


def test_a_multipart_without_a_boundary_gets_one() -> None:
    """One that occurs in no part, without a search through all of them."""
    message = MIMEMultipart(_subparts=[MIMEText("one\n"), MIMEMultipart(_subparts=[MIMEText("two\n")])])

    one, inner = arrived(message).iter_parts()
    assert words(one) == "one\n"
    assert [words(part) for part in inner.iter_parts()] == ["two\n"]


def test_8_bit_text_stays_8_bit() -> None:
    """What the caller made 8-bit is not encoded again."""
    message = EmailMessage()
    message.set_content("ö\n", cte="8bit")

    assert octets(message).endswith("\r\n\r\nö\r\n".encode())


def test_a_large_attachment_is_copied_once() -> None:
    """Beside what the caller holds there is the wire form, and no second one."""
    large = 25 * 2**20
    message = mail()
    message.add_attachment(b"x" * large, "application", "octet-stream")

    tracemalloc.start()
    prepared = prepare(MailObject(message))
    assert sum(map(len, prepared.content.pieces())) == prepared.content.size > large * 4 // 3
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < prepared.content.size + 4 * 2**20


@pytest.mark.parametrize(
    ("to", "line"),
    [
        ("a@faß.de", b"To: a@xn--fa-hia.de"),
        ("Ann <a@bücher.example>, b@x", b"To: Ann <a@xn--bcher-kva.example>, b@x"),
        ("Jörg <a@faß.de>", b"To: =?utf-8?q?J=C3=B6rg?= <a@xn--fa-hia.de>"),
        ("jörg@faß.de", "To: jörg@xn--fa-hia.de".encode()),
    ],
)
def test_header_and_envelope_agree_on_a_domain(to: str, line: bytes) -> None:
    """A-labels by IDNA 2008 in both, never an encoded word in an address; the caller's message stays."""
    message = mail(to=to, cc="c@x")
    sent = octets(message)

    assert line in sent.split(b"\r\n")
    assert sent.index(b"\r\nTo: ") < sent.index(b"\r\nCc: ")
    assert message["To"] == to


def test_a_field_in_raw_utf8_is_understood() -> None:
    """A message that was parsed from octets keeps them in its own way; names and domains are read all the same."""
    raw = "From: Änn <a@faß.de>\r\nTo: Jörg\r\n\t<j@bücher.example>\r\nSubject: x\r\n y\r\n\r\nhello\r\n".encode()
    prepared = prepare(MailObject(message_from_bytes(raw, policy=default)))
    header = prepared.content.header

    assert str(prepared.sender) == "a@xn--fa-hia.de"
    assert [str(recipient.address) for recipient in prepared.recipients] == ["j@xn--bcher-kva.example"]
    assert b"<a@xn--fa-hia.de>" in header
    assert b"<j@xn--bcher-kva.example>" in header
    assert header.isascii()


def nested(depth: int) -> Message:
    message: Message = MIMEText("x")
    for _ in range(depth):
        message = MIMEMultipart(_subparts=[message])
    return message


@pytest.mark.parametrize(
    "payload", [5, "\ud800", [object()], [nested(1_000)]], ids=["5", "surrogate", "object", "deep"]
)
def test_what_cannot_be_written_is_an_input_error(payload: object) -> None:
    """Whatever the standard library thinks of it."""
    message = Message()
    message.set_payload(payload)

    assert "the message" in str(raised(SMTPInputError, lambda: octets(message)))


def test_s9_an_attachments_name_cannot_begin_a_field() -> None:
    """Every part's header is checked, not the message's alone."""
    part = MIMEText("x")
    part.add_header("Content-Disposition", "attachment", filename="x\r\nBcc: e@y")

    assert "Content-Disposition" in str(raised(SMTPInputError, lambda: octets(MIMEMultipart(_subparts=[part]))))


def test_a_folded_field_is_no_injection() -> None:
    """A message that came in with CRLF goes out again."""
    raw = b"Subject: a\r\n b\r\n\r\nhello\r\n"

    for policy in (default, compat32):
        assert octets(message_from_bytes(raw, policy=policy)).endswith(raw)


@pytest.mark.parametrize("junk", ["(", ",", "a:;,", "a: b:", '"', "<", "((a))", "[", "@"])
@pytest.mark.parametrize(("size", "allowed"), [(40_000, 1), (1_000_000, 0.05)])
def test_s11_a_long_list_of_nonsense_costs_little(junk: str, size: int, allowed: float) -> None:
    """The standard parser would take minutes over it, or recurse: it never gets to see it."""
    message = message_from_bytes(b"To: " + (junk * size)[:size].encode() + b"\r\n\r\nx", policy=default)
    began = time.process_time()
    complaint(lambda: octets(message))

    assert time.process_time() - began < allowed


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Subject: ö\r\n\r\nhellö\r\n", "hellö\r\n"),
        ("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhellö\r\n", "hellö\r\n"),
        ("Subject: x\r\n\r\nhello\r\n", "hello\r\n"),
    ],
)
def test_a_body_is_encoded_for_an_old_server(data: str, text: str) -> None:
    """RFC 6152 section 3: 8-bit text in base64, with a charset; 7-bit text as it is."""
    plain = lowered(data.encode())
    message = message_from_bytes(plain, policy=SMTP)

    assert plain.isascii()
    assert message.get_content() == text
    assert (message["Content-Transfer-Encoding"] == "base64") is (not data.isascii() and not text.isascii())
    assert ("MIME-Version" in message) is (not text.isascii())


def test_octets_of_no_charset_are_kept() -> None:
    """RFC 1428 section 3: their charset is unknown, the octets are the same."""
    message = message_from_bytes(lowered(b"Subject: x\r\n\r\nhell\xf6\r\n"))

    assert message.get_content_charset() == "unknown-8bit"
    assert message.get_payload(decode=True) == b"hell\xf6\r\n"


def test_only_what_is_8_bit_is_encoded() -> None:
    """A part that is encoded already, or is no text, keeps its type and its encoding."""
    message = mail()
    message.set_content("ö\n", cte="quoted-printable")
    message.add_attachment(b"\xff\0", "image", "png", cte="base64")
    message.add_attachment("ä\n", cte="8bit", subtype="html")
    before = [part["Content-Transfer-Encoding"] for part in message.iter_parts()]
    parts = list(message_from_bytes(lowered(octets(message)), policy=default).iter_parts())

    assert before[2] == "8bit"
    assert [part["Content-Transfer-Encoding"] for part in parts] == [*before[:2], "base64"]
    assert [words(parts[0]), parts[1].get_content(), words(parts[2])] == ["ö\n", b"\xff\0", "ä\n"]


def test_a_binary_part_is_encoded_too() -> None:
    """Its type is no text's: it gets no charset."""
    data = b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x89PNG\xff"
    message = message_from_bytes(lowered(data))

    assert message["Content-Type"] == "image/png"
    assert message.get_payload(decode=True) == b"\x89PNG\xff"


@pytest.mark.parametrize(
    ("header", "decoded"),
    [
        ("Subject: ö", "ö"),
        ("To: Jörg <j@x>", "Jörg <j@x>"),
        ("To: Jörg <j@faß.de>", "Jörg <j@xn--fa-hia.de>"),
        ("X-Other: ä,\r\n\tö", "ä,\tö"),
    ],
)
def test_a_header_is_encoded_for_an_old_server(header: str, decoded: str) -> None:
    """RFC 2047: encoded words, and A-labels in addresses."""
    plain = lowered(f"{header}\r\n\r\nhello\r\n".encode())

    assert plain.isascii()
    assert message_from_bytes(plain, policy=default)[header.partition(":")[0]] == decoded


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("Reply-To: jörg@x", "Reply-To names jörg@x, which only a server with SMTPUTF8 takes"),
        ("To: ö (", "without its ')'"),
        ("X-Other: ö\x0bx", "X-Other cannot be encoded"),
    ],
)
def test_what_no_encoding_helps(header: str, why: str) -> None:
    """The error names the field, before anything is sent."""
    assert why in str(raised(SMTPInputError, lambda: lowered(f"{header}\r\n\r\nhello\r\n".encode())))
