"""Preparing: what of a mail object goes onto the wire."""

import io
import time
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import compat32, default
from typing import Any

import pytest

from mailbridge.addresses import Address
from mailbridge.errors import SMTPInputError
from mailbridge.message import MailObject
from mailbridge.parameters import MailOptions, RcptOptions
from mailbridge.preparing import Prepared, downgraded, prepare, prepare_given
from tests.core.given import mail, octets, raised, wire

TWICE = {"b@x": RcptOptions(), "<b@X>": RcptOptions(["NEVER"])}
OCTETS = b"From: a@x\nTo: b@x, c@x\nBcc: d@x\n\nhello\n"


def names(prepared: Prepared) -> list[tuple[str, ...]]:
    return [recipient.names for recipient in prepared.recipients]


@pytest.mark.parametrize("content", [OCTETS, bytearray(OCTETS), memoryview(OCTETS), io.BytesIO(OCTETS)])
def test_octets_name_their_envelope(content: bytes) -> None:
    """Sender and recipients come from the header, and Bcc does not leave with it."""
    prepared = prepare(MailObject(content))

    assert (prepared.sender, prepared.sender_name) == (Address("a", "x"), "a@x")
    assert names(prepared) == [("b@x",), ("c@x",), ("d@x",)]
    assert wire(prepared).endswith(b"\r\nFrom: a@x\r\nTo: b@x, c@x\r\n\r\nhello\r\n")


def test_a_message_names_its_envelope() -> None:
    """The same for an `EmailMessage`; its Message-ID is the receipt's."""
    prepared = prepare(MailObject(mail(sender="s@x.org", cc="Cé <c@x.org>", bcc="d@x.org", message_id="<1@x.org>")))

    assert prepared.sender == Address("s", "x.org")
    assert names(prepared) == [("b@example.org",), ("c@x.org",), ("d@x.org",)]
    assert prepared.message_id == "<1@x.org>"


def test_the_callers_envelope_goes_first() -> None:
    """What is given is not looked for in the header, which need not name anybody then."""
    given = MailObject(b"Subject: x\n\nhello", "a@x", ["Bee <b@x>"], options=MailOptions(ret="HDRS"))
    prepared = prepare(given)

    assert prepared.sender_name == "a@x"
    assert names(prepared) == [("Bee <b@x>",)]
    assert prepared.recipients[0].address == Address("b", "x")
    assert prepared.options == given.options


@pytest.mark.parametrize("null", ["", "<>"])
def test_the_null_sender(null: str) -> None:
    """RFC 5321 section 4.5.5: a report has no reverse-path."""
    prepared = prepare(MailObject(OCTETS, null))

    assert prepared.sender is None
    assert not prepared.needs_utf8


def test_doubles_are_sent_once() -> None:
    """The local part to the letter, the domain in any case; every spelling is remembered."""
    prepared = prepare(MailObject(OCTETS, "a@x", ["b@faß.de", "B@x", "Bee <b@XN--FA-HIA.de>", "b@faß.de", "b@x"]))

    assert names(prepared) == [("b@faß.de", "Bee <b@XN--FA-HIA.de>"), ("B@x",), ("b@x",)]
    assert prepared.recipients[0].address == Address("b", "xn--fa-hia.de")


def test_many_spellings_cost_little() -> None:
    """S11: ten thousand names of one mailbox are gathered once."""
    given = [f"{n} <b@x>" for n in range(10_000)]
    began = time.process_time()
    assert len(names(prepare(MailObject(OCTETS, "a@x", given)))[0]) == 10_000

    assert time.process_time() - began < 0.5


def test_a_header_names_recipients_as_it_spells_them() -> None:
    """The receipt's keys are the words of the header, though the wire has A-labels."""
    prepared = prepare(MailObject("From: a@x\nTo: Ann <Ann@BÜCHER.example>\n\nhello".encode()))

    assert names(prepared) == [("Ann@BÜCHER.example",)]
    assert prepared.recipients[0].address == Address("Ann", "xn--bcher-kva.example")


def test_options_belong_to_a_mailbox() -> None:
    """However the caller spells it, there or here."""
    never, delay = RcptOptions(["NEVER"]), RcptOptions(["DELAY"])
    options = {"b@X": never, "B <b@x>": RcptOptions(["NEVER"]), "C <c@x>": delay}
    prepared = prepare(MailObject(OCTETS, "a@x", ["Bee <b@x>", "b@x", "c@x", "d@x"], recipient_options=options))

    assert [recipient.options for recipient in prepared.recipients] == [never, delay, None]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (MailObject("From: a@x\n\ntext", "a@x", ["b@x"]), "not str"),
        (MailObject(None, "a@x", ["b@x"]), "not NoneType"),
        (MailObject(io.StringIO("a"), "a@x", ["b@x"]), "binary mode"),
        (MailObject(OCTETS, "a@x", "b@x"), "not one string"),
        (MailObject(OCTETS, "a@x", b"b@x"), "not one string"),
        (MailObject(OCTETS, "a@x", []), "no recipients"),
        (MailObject(b"From: a@x\n\nhello"), "no recipients"),
        (MailObject(b"To: b@x\n\nhello"), "no sender"),
        (MailObject(OCTETS, "not one", ["b@x"]), "'not one'"),
        (MailObject(OCTETS, "a@x", ["b@x", "not one"]), "'not one'"),
        (MailObject(OCTETS, "a@x", [None]), "not NoneType"),
        (MailObject(OCTETS, "a@x", ["b@x"], recipient_options={"c@x": RcptOptions()}), "'c@x', who is no recipient"),
        (MailObject(OCTETS, "a@x", ["b@x"], recipient_options={"b@x": {}}), "takes RcptOptions, not {}"),
        (MailObject(OCTETS, "a@x", ["b@x"], recipient_options={None: RcptOptions()}), "not NoneType"),
        (MailObject(OCTETS, "a@x", ["b@x"], recipient_options=[]), "takes Mapping, not []"),
        (MailObject(OCTETS, "a@x", ["b@x"], recipient_options=TWICE), "'b@x' and '<b@X>', one mailbox"),
        (MailObject(OCTETS, "a@x", ["b@x"], options={"ret": "FULL"}), "MailOptions | None, not {'ret': 'FULL'}"),
        (MailObject(OCTETS, "a@x", 5), "not 5"),
        (MailObject(OCTETS, ["a@x"], ["b@x"]), "not list"),
    ],
)
def test_a_wrong_mail_object_is_named(given: MailObject, why: str) -> None:
    """Nothing of it is guessed."""
    assert why in str(raised(SMTPInputError, lambda: prepare(given)))


@pytest.mark.parametrize(
    ("given", "needs"),
    [
        (MailObject(OCTETS), False),
        (MailObject(OCTETS, "jörg@x"), True),
        (MailObject(OCTETS, "a@faß.de"), False),
        (MailObject(OCTETS, "a@x", ["jörg@x"]), False),
        (MailObject("From: a@x\nSubject: ö\n\nx".encode(), None, ["b@x"]), True),
        (MailObject(mail(subject="ö")), False),
        (MailObject(mail(cc="jörg@x.org"), "a@x", ["b@x"]), True),
        (MailObject(mail(cc="Jörg <j@faß.de>")), False),
    ],
)
def test_who_needs_smtputf8(given: MailObject, needs: bool) -> None:
    """The sender's local part or a header in UTF-8; one recipient alone does not burden the others."""
    assert prepare(given).needs_utf8 is needs


def test_known_canonical_octets_are_sent_as_they_are() -> None:
    """The caller's word saves the check."""
    assert b"a\nb" in wire(prepare(MailObject(b"From: a@x\r\n\r\na\nb", "a@x", ["b@x"], canonical=True)))


@pytest.mark.parametrize("kind", ["multipart/mixed", "multipart/mixed; boundary=b", "message/rfc822"])
@pytest.mark.parametrize("policy", [default, compat32])
def test_s8_a_container_without_parts_is_made_canonical(policy: Any, kind: str) -> None:
    """The standard parser keeps its text in one piece, and the standard generator writes it as it is."""
    message = Message(policy)
    message["Content-Type"] = kind
    message.set_payload("a\n.\nMAIL FROM:<e@evil>\r.\r\nb")

    sent = wire(prepare(MailObject(message, "a@x", ["b@x"], canonical=True)))

    assert sent.endswith(b"\r\n\r\na\r\n.\r\nMAIL FROM:<e@evil>\r\n.\r\nb")


def test_half_of_a_surrogate_pair_is_refused() -> None:
    """Such as an emoji that was cut in two: no encoding has it, and the error names the field."""
    message = Message()
    message["Subject"] = "Hello \ud83d"

    assert "Subject cannot be encoded" in str(
        raised(SMTPInputError, lambda: prepare(MailObject(message, "a@x", ["b@x"])))
    )


def test_a_content_type_that_cannot_be_completed_is_refused() -> None:
    """A body that must be encoded needs its charset said, and this field takes no parameter."""
    octets = b"Content-Type: x\xe2\x80\xa8y\n\n" + b"z" * 1000
    message = message_from_bytes(octets, policy=default)

    assert "Content-Type cannot be encoded" in str(
        raised(SMTPInputError, lambda: prepare(MailObject(message, "a@x", ["b@x"])))
    )


@pytest.mark.parametrize("kind", [EmailMessage, Message])
def test_a_message_without_a_header_is_sent(kind: type[Message]) -> None:
    """Message-ID and Date make its header; the envelope is the caller's."""
    message = kind()
    message.set_payload("hello\n")

    assert octets(message).startswith(b"Message-ID: <")
    assert octets(message).endswith(b"\r\n\r\nhello\r\n")


@pytest.mark.parametrize("large", ["", "x" * 200_000])
def test_s22_bcc_never_leaves(large: str) -> None:
    """Hidden recipients are in the envelope and nowhere in the content, behind a header of any size."""
    message = mail(bcc="hidden@x.org", resent_bcc="hidden@x.org")
    message._headers[0:0] = [("X-One", large), ("X-Two", large)]
    prepared = prepare(MailObject(message, "a@x", ["b@x", "hidden@x.org"]))

    assert ("hidden@x.org",) in names(prepared)
    assert b"hidden" not in wire(prepared)
    assert "hidden@x.org" in str(message["Bcc"])


def test_s23_no_field_opens_a_file() -> None:
    """A path or a URL is text like any other."""
    message = mail("file:///etc/passwd\n", subject="/etc/passwd")
    message.add_attachment("/etc/passwd", filename="/etc/passwd")
    sent = octets(message)

    assert sent.count(b"/etc/passwd") == 4
    assert b"root:" not in sent


@pytest.mark.parametrize("value", ["x\r\nBcc: e@y", "x\n\nbody", "x\r\n"])
def test_s9_a_header_field_cannot_begin_another(value: str) -> None:
    """Even in a message of the old kind, which lets it be set."""
    message = Message()
    message["Subject"] = value

    assert "Subject holds a line end" in str(raised(SMTPInputError, lambda: octets(message)))


def test_downgraded_mail_is_the_same_mail() -> None:
    """Only its content changes: what was 8-bit is encoded, and the header is ASCII."""
    prepared = prepare(MailObject("From: a@x\nSubject: ö\n\nhellö\n".encode(), None, ["b@x"]))
    plain = downgraded(prepared, body=True)

    assert (plain.content.eight_bit, plain.content.utf8_header) == (False, False)
    assert (plain.sender, plain.recipients, plain.message_id) == (
        prepared.sender,
        prepared.recipients,
        prepared.message_id,
    )


def test_a_mail_object_brings_its_own_envelope() -> None:
    """What stands beside a MailObject would be lost without a word, so it is refused."""
    mine = MailObject(b"x", "a@x", ["b@y"])
    assert names(prepare_given(mine, None, None, False, None, None)) == [("b@y",)]
    with pytest.raises(SMTPInputError, match="its own sender"):
        prepare_given(mine, "c@x", None, False, None, None)


def test_what_is_said_beside_octets_is_their_envelope() -> None:
    """The same as of one mail object, to the letter of what the caller knows of the octets."""
    prepared = prepare_given(b"A: 1\r\n\r\nx\n", "a@x", ["b@y"], True, None, None)
    assert (prepared.sender_name, names(prepared)) == ("a@x", [("b@y",)])
    assert wire(prepared).endswith(b"\r\nA: 1\r\n\r\nx\n")
