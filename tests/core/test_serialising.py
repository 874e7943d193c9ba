"""Messages as octets: what a recipient's program reads is what the caller wrote."""

import time
import tracemalloc
from email import message_from_bytes
from email.header import Header
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP, SMTPUTF8, compat32, default

import pytest

from mailbridge.content import Content, of_octets
from mailbridge.errors import SMTPInputError
from mailbridge.message import MailObject
from mailbridge.preparing import prepare
from mailbridge.serialising import check, downgraded
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
    message["Content-Transfer-Encoding"] = "binary"
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


@pytest.mark.parametrize(
    ("to", "line"),
    [
        ("Jörg <a@faß.de>, b@x", b"To: =?utf-8?q?J=C3=B6rg?= <a@xn--fa-hia.de>, b@x"),
        (Header("Jörg <a@x>", "utf-8"), b"To: =?utf-8?q?J=C3=B6rg?= <a@x>"),
        ("Jörg <jörg@faß.de>", "To: Jörg <jörg@xn--fa-hia.de>".encode()),
        ("J\udcf6rg <a@x>", b"To: =?unknown-8bit?q?J=F6rg?= <a@x>"),
    ],
)
def test_an_old_message_has_encoded_words_in_names_alone(to: str, line: bytes) -> None:
    """RFC 2047 section 5: never around an address, which `compat32` would do; the caller's message stays."""
    message = MIMEText("hello\n")
    message["From"], message["To"], message["Subject"] = "Ann <a@x>", to, "ö"
    lines = octets(message).split(b"\r\n")

    assert line in lines
    assert b"From: Ann <a@x>" in lines
    assert b"Subject: =?utf-8?b?w7Y=?=" in lines
    assert dict(message.raw_items())["To"] is to


def test_an_old_message_with_many_names_is_folded() -> None:
    """No line of an encoded list is longer than RFC 2047 section 2 allows."""
    message = MIMEText("hello\n")
    message["To"] = ", ".join(f"Jörg Müller <joerg{n}@example.com>" for n in range(50))
    header = octets(message).partition(b"\r\n\r\n")[0]

    assert max(map(len, header.split(b"\r\n"))) <= 78
    assert arrived(message)["To"] == message["To"]


def long_lined(text: str, subtype: str = "plain", **fields: str) -> Message:
    """A part as programs make it that look at no line's length."""
    part = Message()
    part["Content-Type"] = f"text/{subtype}" if "/" not in subtype else subtype
    for name, value in fields.items():
        part[name.replace("_", "-")] = value
    part.set_payload(text)
    return part


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("length", "encoded"), [(998, False), (999, True)])
def test_a_line_that_smtp_cannot_carry_is_encoded(length: int, encoded: bool, end: str) -> None:
    """RFC 5321 section 4.5.3.1.6: 998 octets and the line end; the words are the same, the caller's message too."""
    text = f"one{end}{'x' * length}{end}two{end}" * 3
    message = long_lined(text)
    sent = octets(message)

    assert (b"Content-Transfer-Encoding: base64" in sent) is encoded
    assert max(map(len, sent.split(b"\r\n"))) <= 998
    assert message_from_bytes(sent).get_payload(decode=True) == text.replace(end, "\r\n").encode()
    assert (message.keys(), message.get_payload()) == (["Content-Type"], text)


def test_only_the_part_with_the_long_line_is_encoded() -> None:
    """Wherever it stands; 8-bit octets stay what they were."""
    inner = message_from_bytes(b"Content-Type: text/html; charset=latin-1\n\n" + b"\xf6" * 2_000)
    message = MIMEMultipart(_subparts=[MIMEText("short\n"), MIMEMultipart(_subparts=[inner])])
    short, nest = arrived(message).iter_parts()

    assert short["Content-Transfer-Encoding"] == "7bit"
    assert next(nest.iter_parts()).get_content() == "ö" * 2_000
    assert inner.keys() == ["Content-Type"]


@pytest.mark.parametrize(
    "part",
    [
        long_lined("x" * 2_000, Content_Transfer_Encoding="base64"),
        long_lined("x" * 2_000, "message/partial"),
        long_lined("x" * 2_000, "multipart/mixed; boundary=b"),
    ],
    ids=["base64", "message", "multipart"],
)
def test_long_lines_that_nobody_may_encode_stay(part: Message) -> None:
    """RFC 2046: of a container, of what says that it is encoded already, and of what is signed."""
    signed = MIMEMultipart("signed", boundary="s", _subparts=[long_lined("x" * 2_000)])

    assert octets(part).endswith(b"\r\n\r\n" + b"x" * 2_000)
    assert b"x" * 2_000 in octets(signed)


def test_s11_long_lines_are_found_at_once() -> None:
    """Ten megabytes of text, or of empty lines, are looked at once."""
    began = time.process_time()
    for text in ("\n" * 5_000_000, ("x" * 76 + "\n") * 65_000):
        octets(long_lined(text))

    assert time.process_time() - began < 2


def nested(depth: int) -> Message:
    message: Message = MIMEText("x")
    for _ in range(depth):
        message = MIMEMultipart(_subparts=[message])
    return message


@pytest.mark.parametrize(
    "payload",
    [5, "\ud800", "ö" * 2_000, [object()], [nested(1_000)]],
    ids=["5", "surrogate", "text", "object", "deep"],
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


def test_a_large_body_is_encoded_in_few_copies() -> None:
    """The standard parser's own, and no others at the same time."""
    content = Content.of(*of_octets(b"Subject: x\r\n\r\n" + "Grüße und so weiter\r\n".encode() * 200_000))

    tracemalloc.start()
    downgraded(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 10 * content.size


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
        ("X-Other: x\r\nö is no field", "a line beyond ASCII that is no field"),
    ],
)
def test_what_no_encoding_helps(header: str, why: str) -> None:
    """The error names the field, before anything is sent."""
    assert why in str(raised(SMTPInputError, lambda: lowered(f"{header}\r\n\r\nhello\r\n".encode())))


@pytest.mark.parametrize(
    ("value", "fine"),
    [
        ("an n@x.org", False),
        ("Ann <an n@x.org>, bob@x.org", False),
        ('"an n"@x.org', True),
        ("webmaster", True),
        ("Ann O. <ann@x.org>", True),
    ],
)
def test_s10_an_address_that_was_guessed_is_refused(value: str, fine: bool) -> None:
    """The standard parser reads a space into a local part: header and envelope would disagree."""
    message = EmailMessage()
    message["To"] = value
    if fine:
        check(message)
    else:
        raised(SMTPInputError, lambda: check(message))
