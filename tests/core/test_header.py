"""The header: read, completed, and guarded against injection."""

import re
import time

import pytest
from hypothesis import given

from mailbridge.addresses import parse
from mailbridge.errors import SMTPInputError
from mailbridge.header import check_field, completed, fields_of, recipients_of, sender_of
from tests.core.given import ODD_TEXT, complaint, raised

FROM = ("From", "Ann <a@x>")


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        (b"", []),
        (b"A: 1\r\nB : 2\r\n", [("A", " 1"), ("B", " 2")]),
        (b"A: one\r\n two\r\n\tthree\r\nB:\r\n", [("A", " one two\tthree"), ("B", "")]),
        ("S: jörg".encode(), [("S", " jörg")]),
        (b"S: j\xf6rg\r\n", [("S", " j\udcf6rg")]),
        (b"A: 1\r\nno field at all Bcc: b@x\r\nB: 2\r\n", [("A", " 1"), ("B", " 2")]),
    ],
)
def test_fields_are_read_and_unfolded(header: bytes, fields: list[tuple[str, str]]) -> None:
    """RFC 5322 section 2.2; a field begins a line, or it is none."""
    assert fields_of(header) == fields


@pytest.mark.parametrize("value", ["", "plain", "jörg", "a\r\n b", "a\n\tb\r\n  c", " a:b", "\u2028\x85"])
def test_a_proper_field_passes(value: str) -> None:
    """Folding is proper: a line end, white space and more words."""
    assert complaint(lambda: check_field("Subject", value)) == ""


@pytest.mark.parametrize(
    "value",
    [
        "x\r\nBcc: e@y",
        "x\n\nbody",
        "x\r\n\r\nbody",
        "x\nBcc: e@y",
        "x\rBcc: e@y",
        "x\r y",
        "x\n",
        "x\r\n",
        "x\n \n",
        "x\n ",
        "x\r\n \r\nbody",
        "x\n\t\r\n\r\nbody",
        "\nBcc: e@y",
    ],
)
def test_s9_a_value_cannot_begin_another_field(value: str) -> None:
    """No line end but a folding, which an empty line does not continue; the error names the field."""
    assert "the header field Subject holds a line end" in str(
        raised(SMTPInputError, lambda: check_field("Subject", value))
    )


def test_s9_a_nul_is_called_by_its_name() -> None:
    """It is no line end; some servers end a line there."""
    assert "Subject holds a NUL" in str(raised(SMTPInputError, lambda: check_field("Subject", "x\0")))


@pytest.mark.parametrize("name", ["", "A B", "A:B", "A\r\nB", "Ä", "A\0"])
def test_s9_a_name_cannot_begin_another_field(name: str) -> None:
    """RFC 5322 section 2.2: printable ASCII without the colon."""
    assert "field's name" in str(raised(SMTPInputError, lambda: check_field(name, "x")))


@given(ODD_TEXT)
def test_s9_what_passes_is_one_field(value: str) -> None:
    """Any value that passes, written as a field, is read as that one field."""
    if complaint(lambda: check_field("X", value)):
        return
    written = re.sub(r"\r?\n", "\r\n", f"X:{value}").encode("utf-8", "replace") + b"\r\n"

    assert [name for name, _ in fields_of(written)] == ["X"]
    assert b"\r\n\r\n" not in written


def test_message_id_and_date_are_added() -> None:
    """In front, and the identifier is of the sender's domain: no resolver is asked."""
    header, message_id = completed(b"From: a@x\r\n", parse("a@example.com"))

    assert re.fullmatch(r"<[^<>@\s]+@example\.com>", message_id)
    assert re.fullmatch(
        rf"Message-ID: {re.escape(message_id)}\r\nDate: \w+, \d+ \w+ \d+ [\d:]+ [+-]\d+\r\nFrom: a@x\r\n",
        header.decode(),
    )


@pytest.mark.parametrize(
    ("sender", "domain"),
    [(None, "mailbridge.invalid"), ("postmaster", "mailbridge.invalid"), ("a@[192.0.2.1]", "[192.0.2.1]")],
)
def test_the_domain_of_a_message_id(sender: str | None, domain: str) -> None:
    """RFC 5322 section 3.6.4: a domain, or a literal in its brackets; without one, a name that nobody has."""
    assert completed(b"", parse(sender) if sender else None)[1].endswith(f"@{domain}>")


@pytest.mark.parametrize(
    ("author", "domain"),
    [("Ann <a@faß.de>, b@x", "xn--fa-hia.de"), ("not one", "mailbridge.invalid"), (" ,", "mailbridge.invalid")],
)
def test_a_report_takes_the_domain_of_its_author(author: str, domain: str) -> None:
    """The null sender has none; a From that does not parse helps nobody."""
    assert completed(f"From: {author}\r\n".encode(), None)[1].endswith(f"@{domain}>")


def test_what_is_there_stays() -> None:
    """A message that has both fields is not touched, and two messages never share an identifier."""
    header = b"message-id: <1@x>\r\nDATE: today\r\n"

    assert completed(header, None) == (header, "<1@x>")
    assert completed(b"", None)[1] != completed(b"", None)[1]


def test_content_without_a_header_gets_one() -> None:
    """And the empty line that divides it from the body."""
    assert completed(b"", None)[0].endswith(b"\r\n\r\n")
    assert not completed(b"Bcc: b@x\r\n", None)[0].endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "field", [b"Bcc: s@x", b"BCC:\r\n s@x,\r\n\ts@y", b"bcc : s@x", b"Resent-Bcc: s@x", b"Bcc: s@x\r\nBcc: s@y"]
)
@pytest.mark.parametrize("place", ["first", "last", "only"])
def test_s22_hidden_recipients_leave_the_header(field: bytes, place: str) -> None:
    """In any case, folded, more than once, wherever they stand; the others stay."""
    others = b"" if place == "only" else b"X-Bcc: kept\r\nTo: b@x\r\n"
    header = {"first": field + b"\r\n" + others, "last": others + field, "only": field + b"\r\n"}[place]
    left = completed(header, None)[0]

    assert b"s@" not in left
    assert left.endswith(others)


@pytest.mark.parametrize(
    ("fields", "sender", "recipients"),
    [
        ([FROM, ("To", "b@x, c@x")], "a@x", ["b@x", "c@x"]),
        ([FROM, ("Bcc", "d@x"), ("cc", "c@x"), ("TO", "Team: b@x;")], "a@x", ["b@x", "c@x", "d@x"]),
        ([FROM, ("Sender", "s@x"), ("To", "b@x")], "s@x", ["b@x"]),
        ([("From", "f@x, g@x"), ("To", "b@x")], "f@x", ["b@x"]),
        ([FROM, ("To", "b@x"), ("To", "c@x")], "a@x", ["b@x", "c@x"]),
        ([FROM, ("Reply-To", "r@x"), ("X-To", "x@x")], "a@x", []),
        ([("Resent-From", "r@x"), ("Resent-To", "q@x"), FROM, ("To", "b@x")], "r@x", ["q@x"]),
        ([("Resent-Sender", "s@x"), ("Resent-From", "r@x"), ("Resent-Bcc", "q@x"), FROM], "s@x", ["q@x"]),
        (
            [("Resent-From", "new@x"), ("Resent-To", "q@x"), ("Resent-From", "old@x"), ("Resent-Cc", "older@x"), FROM],
            "new@x",
            ["q@x"],
        ),
        (
            [("Resent-From", "n@x"), ("Resent-To", "q@x"), ("Received", "by x"), ("Resent-Cc", "older@x"), FROM],
            "n@x",
            ["q@x"],
        ),
        ([("Received", "by x"), ("Resent-From", "r@x"), ("Resent-To", "q@x"), FROM], "r@x", ["q@x"]),
    ],
)
def test_the_envelope_of_a_header(fields: list[tuple[str, str]], sender: str, recipients: list[str]) -> None:
    """RFC 5322 section 3.6.6: Sender before From, To and Cc and Bcc; of a resent message the latest block alone."""
    assert sender_of(fields) == sender
    assert recipients_of(fields) == recipients


@pytest.mark.parametrize(("fields", "named"), [([], "no From"), ([("Resent-To", "b@x"), FROM], "no Resent-From")])
def test_a_header_without_a_sender(fields: list[tuple[str, str]], named: str) -> None:
    """The error names the field that misses."""
    assert named in str(raised(SMTPInputError, lambda: sender_of(fields)))


def test_recipients_are_spelled_as_in_the_header() -> None:
    """A receipt's keys are the caller's words; the display name is none of the address."""
    assert recipients_of([("To", "Ann <Ann@BÜCHER.example>, (b) B@X.org")]) == ["Ann@BÜCHER.example", "B@X.org"]


def test_many_fields_cost_little() -> None:
    """S11: a hundred thousand of one name are joined once, and then too long."""
    fields = [FROM, *[("To", "b@x")] * 100_000]
    began = time.process_time()
    raised(SMTPInputError, lambda: recipients_of(fields))

    assert time.process_time() - began < 0.5


def test_s10_envelope_and_header_agree() -> None:
    """One structured parse: what is quoted is no address, and what does not parse is refused."""
    assert recipients_of([("To", '"e@evil x"@ok.example')]) == ['"e@evil x"@ok.example']
    raised(SMTPInputError, lambda: recipients_of([("To", "alice@ok)Roger(<bob@evil>")]))
