"""What arrives at real servers is what was sent, octet for octet, behind the header fields that they add."""

import json
from collections.abc import Callable

import pytest

from mailbridge import MailObject, MailOptions, RcptOptions, SMTPNotSupportedError
from tests.servers.lab import Dovecot, Lab, Submission
from tests.servers.lab.faces import Face
from tests.servers.lab.machine import IDN, LIMIT, added

BODIES = {
    "plain": b"Hello\r\n",
    "empty": b"",
    "8-bit": "Grüße, 你好\r\n".encode() + bytes(range(0x80, 0x100)) + b"\r\n",
    "dots": b".\r\n..\r\n...\r\n.x\r\n\r\n.\r\n",
    "998": (b"x" * 998 + b"\r\n") * 3,
    "from-line": b"\r\nFrom here\r\n>From there\r\n",
    "10-mb": (b"y" * 70 + b"\r\n.\r\n") * (10 * LIMIT // 75),
}


@pytest.mark.parametrize("chunking", [True, False], ids=["bdat", "data"])
@pytest.mark.parametrize("kind", BODIES)
def test_content_arrives_as_it_was_sent(
    lab: Lab, face: type[Face], token: str, letter: Callable[..., MailObject], kind: str, chunking: bool
) -> None:
    """Every kind of body, by BDAT where it is offered and by DATA."""
    message = letter(body=BODIES[kind])

    with face(lab.server(chunking=chunking)) as client:
        receipt = client.send(message)

    assert list(receipt.accepted) == ["bob@lab.test"]
    added(*lab.arrived(token), message.content)


def test_lines_beyond_the_limit_are_the_servers_to_judge(
    lab: Lab, face: type[Face], token: str, letter: Callable[..., MailObject]
) -> None:
    """RFC 5321 section 4.5.3.1.6 allows 998 octets; most servers take more, and none gets them changed."""
    message = letter(body=b"x" * lab.longest + b"\r\n")

    with face(lab.server()) as client:
        client.send(message)

    added(*lab.arrived(token), message.content)


def test_a_line_that_is_too_long_is_a_refusal(
    aiosmtpd: Lab, face: type[Face], letter: Callable[..., MailObject]
) -> None:
    """aiosmtpd answers 500 after the dot (SERVERS.md L3); the connection goes on."""
    with face(aiosmtpd.server()) as client:
        with pytest.raises(Exception, match="500") as caught:
            client.send(letter(body=b"x" * 5000 + b"\r\n"))
        receipt = client.send(letter())

    assert caught.value.receipt.rejected.keys() == receipt.accepted.keys()


def test_an_idn_domain_goes_as_a_labels(
    lab: Lab, face: type[Face], letter: Callable[..., MailObject], token: str
) -> None:
    """A domain beyond ASCII needs no SMTPUTF8."""
    with face(lab.server()) as client:
        receipt = client.send(letter(f"bob@{IDN}", sender="ann@lab.test"))

    assert list(receipt.accepted) == [f"bob@{IDN}"]
    assert lab.arrived(token)


def test_a_local_part_beyond_ascii_goes_by_smtputf8(
    smtp: Lab, face: type[Face], letter: Callable[..., MailObject], token: str
) -> None:
    """Where SMTPUTF8 is offered, the address travels as it is."""
    if smtp.name == "submission":
        pytest.skip("Dovecot offers no SMTPUTF8: see the next test")
    with face(smtp.server()) as client:
        receipt = client.send(letter("grüße@lab.test"))

    assert list(receipt.accepted) == ["grüße@lab.test"]
    assert smtp.arrived(token)


@pytest.mark.parametrize("kind", [Dovecot, Submission], ids=lambda kind: kind.name)
def test_without_smtputf8_only_that_recipient_fails(
    street: Callable[[type[Lab]], Lab],
    kind: type[Lab],
    face: type[Face],
    letter: Callable[..., MailObject],
    token: str,
) -> None:
    """Dovecot offers no SMTPUTF8: a local error for one, the mail for the other."""
    lab = street(kind)
    with face(lab.server()) as client, pytest.raises(SMTPNotSupportedError) as caught:
        client.send(letter("grüße@lab.test", "bob@lab.test"))

    assert list(caught.value.receipt.accepted) == ["bob@lab.test"]
    assert lab.arrived(token)


OPTIONS = MailOptions(ret="HDRS", envid="lab+1=2")
EACH = {"bob@lab.test": RcptOptions(notify=["SUCCESS"], original="robert@lab.test")}


def test_delivery_reports_can_be_asked_for(
    postfix: Lab, face: type[Face], letter: Callable[..., MailObject], token: str
) -> None:
    """RFC 3461: RET, ENVID, NOTIFY and ORCPT come back in the report that Postfix writes to the sender."""
    with face(postfix.server()) as client:
        client.send(letter(options=OPTIONS, recipient_options=EACH))

    report = next(text for text in postfix.arrived(token, 2) if b"message/delivery-status" in text)
    assert b"Original-Envelope-Id: lab+1=2\r\n" in report
    assert b"Original-Recipient: rfc822;robert@lab.test\r\n" in report
    assert b"Hello" not in report


def test_delivery_reports_as_smtp_server_reads_them(
    nodemailer: Lab, face: type[Face], letter: Callable[..., MailObject], token: str
) -> None:
    """It keeps what it was asked for beside the message."""
    with face(nodemailer.server()) as client:
        client.send(letter(options=OPTIONS, recipient_options=EACH))

    [path] = [each for each in nodemailer.stored() if token.encode() in each.read_bytes()]
    envelope = json.loads((nodemailer.folder / f"{path.name}.json").read_text())
    assert envelope["dsn"] == {"ret": "HDRS", "envid": "lab+1=2"}
    assert envelope["rcptTo"][0]["dsn"] == {"notify": ["SUCCESS"], "orcpt": "rfc822;robert@lab.test"}


def test_delivery_reports_where_they_are_not_offered_are_an_error(
    lab: Lab, face: type[Face], letter: Callable[..., MailObject]
) -> None:
    """Nothing is sent to a server that could not do what was asked for."""
    with face(lab.server()) as client:
        if "DSN" in client.client.capabilities:
            assert client.send(letter(options=MailOptions(ret="FULL"))).accepted
        else:
            with pytest.raises(SMTPNotSupportedError):
                client.send(letter(options=MailOptions(ret="FULL")))
