"""What real servers refuse, when and how, and that the connection goes on behind it with the right sender."""

from collections.abc import Callable

import pytest

from mailbridge import MailObject, SMTPDataError, SMTPException, SMTPInputError, SMTPSenderRefused
from tests.servers.lab import Lab
from tests.servers.lab.faces import Face
from tests.servers.lab.machine import LIMIT, RECIPIENTS, added

Letter = Callable[..., MailObject]
LARGE = b"z" * 78 + b"\r\n"
chunking = pytest.mark.parametrize("chunking", [True, False], ids=["bdat", "data"])


def refused(client: Face, message: MailObject) -> SMTPException:
    """Send what nobody will accept."""
    with pytest.raises(SMTPException) as caught:
        client.send(message)
    return caught.value


@chunking
def test_one_of_three_is_refused(lab: Lab, face: type[Face], token: str, letter: Letter, chunking: bool) -> None:
    """The others get it, the refusal is on the receipt."""
    message = letter("ann@lab.test", "nobody@lab.test", "bob@lab.test")

    with face(lab.server(chunking=chunking)) as client:
        receipt = client.send(message)

    assert list(receipt.accepted) == ["ann@lab.test", "bob@lab.test"]
    assert receipt.rejected["nobody@lab.test"].reply.code == 550
    for stored in lab.arrived(token, 1 if lab.once else 2):
        added(stored, message.content)


@chunking
def test_one_of_two_is_deferred(lab: Lab, face: type[Face], letter: Letter, chunking: bool) -> None:
    """A 4yz to RCPT is no rejection."""
    with face(lab.server(chunking=chunking)) as client:
        receipt = client.send(letter("temp@lab.test", "bob@lab.test"))

    assert (list(receipt.deferred), list(receipt.accepted)) == (["temp@lab.test"], ["bob@lab.test"])


@chunking
def test_behind_refused_recipients_the_next_message_has_its_own_sender(
    lab: Lab, face: type[Face], letter: Letter, token: str, chunking: bool
) -> None:
    """All refused, then somebody else's message on the same connection: the reverse-path is not the first one's."""
    with face(lab.server(chunking=chunking)) as client:
        error = refused(client, letter("nobody@lab.test", sender="first@lab.test"))
        receipt = client.send(letter("bob@lab.test", sender="second@lab.test"))

    assert list(error.receipt.rejected) == ["nobody@lab.test"]
    assert receipt.accepted
    if lab.unix_lines:
        assert b"Return-Path: <second@lab.test>" in lab.arrived(token)[0]


@chunking
def test_behind_refused_content_the_next_message_has_its_own_sender(
    smtp: Lab, face: type[Face], letter: Letter, token: str, chunking: bool
) -> None:
    """Postfix keeps the sender of refused content until RSET, and its smtpd dies of MAIL behind refused BDAT."""
    with face(smtp.server(chunking=chunking)) as client:
        first = refused(client, letter(sender="rejecteod@lab.test"))
        second = refused(client, letter(sender="tempeod@lab.test"))
        client.send(letter(sender="third@lab.test"))

    assert (list(first.receipt.rejected), list(second.receipt.deferred)) == (["bob@lab.test"], ["bob@lab.test"])
    if smtp.unix_lines:
        assert b"Return-Path: <third@lab.test>" in smtp.arrived(token)[0]


@pytest.mark.parametrize(("sender", "state"), [("blocked@lab.test", "rejected"), ("tempsender@lab.test", "deferred")])
@chunking
def test_a_refused_sender(smtp: Lab, face: type[Face], letter: Letter, sender: str, state: str, chunking: bool) -> None:
    """It is everybody's refusal; the connection goes on."""
    with face(smtp.server(chunking=chunking)) as client:
        client.send(letter())
        error = refused(client, letter("bob@lab.test", "cid@lab.test", sender=sender))
        client.send(letter())

    assert isinstance(error, SMTPSenderRefused)
    assert {result.state.name.lower() for result in error.receipt.results.values()} == {state}


def test_too_large_is_known_before_sending(smtp: Lab, face: type[Face], letter: Letter) -> None:
    """RFC 1870: what SIZE announces is obeyed here, before MAIL."""
    door, limit = smtp.small
    with face(smtp.server(door)) as client:
        error = refused(client, letter(body=LARGE * (limit // 80 + 1)))
        client.send(letter())

    assert isinstance(error, SMTPInputError)
    assert error.reply is None


@chunking
def test_too_large_is_refused_by_the_server(smtp: Lab, face: type[Face], letter: Letter, chunking: bool) -> None:
    """Where SIZE is not announced the server says 552 after the content, and takes the next message."""
    if "unsized" not in smtp.doors:
        pytest.skip(f"{smtp.name} cannot leave SIZE out")
    with face(smtp.server("unsized", chunking=chunking)) as client:
        error = refused(client, letter(body=LARGE * (3 * LIMIT // 80)))
        receipt = client.send(letter())

    assert isinstance(error, SMTPDataError)
    assert error.reply.code == 552
    assert receipt.accepted


@chunking
def test_too_large_for_one_mailbox_over_lmtp(dovecot: Lab, face: type[Face], letter: Letter, chunking: bool) -> None:
    """Dovecot announces no SIZE for LMTP: it refuses the content, for whom it is too large."""
    with face(dovecot.server(chunking=chunking)) as client:
        receipt = client.send(letter("small@lab.test", "bob@lab.test", body=LARGE * (LIMIT // 80 + 1)))

    assert (list(receipt.refused), list(receipt.accepted)) == (["small@lab.test"], ["bob@lab.test"])
    assert receipt.refused["small@lab.test"].phase == "CONTENT"


def test_too_many_recipients_go_in_further_transactions(
    smtp: Lab, face: type[Face], letter: Letter, token: str
) -> None:
    """RFC 5321 section 4.5.3.1.10: those beyond the server's limit get it too, and nobody twice."""
    names = [f"u{number}@lab.test" for number in range(2 * RECIPIENTS + 5)]

    with face(smtp.server(max_recipients=100)) as client:
        receipt = client.send(letter(*names))

    assert list(receipt.accepted) == names
    each = len(names) if smtp.unix_lines else 3
    assert len(smtp.arrived(token, each)) == each


@chunking
def test_a_mailbox_over_quota_over_lmtp(
    dovecot: Lab, face: type[Face], letter: Letter, token: str, chunking: bool
) -> None:
    """RFC 2033: each recipient has a reply of its own to the content."""
    message = letter("bob@lab.test", "full@lab.test", "cid@lab.test", body=LARGE * 9)

    with face(dovecot.server(chunking=chunking)) as client:
        receipt = client.send(message)

    assert list(receipt.accepted) == ["bob@lab.test", "cid@lab.test"]
    assert (receipt.rejected["full@lab.test"].reply.code, receipt.rejected["full@lab.test"].phase) == (552, "CONTENT")
    for stored in dovecot.arrived(token, 2):
        added(stored, message.content)


def test_many_refusals_on_one_connection(lab: Lab, face: type[Face], letter: Letter) -> None:
    """Thirty messages that everybody refuses, and then a good one."""
    with face(lab.server()) as client:
        for _ in range(30):
            refused(client, letter("nobody@lab.test"))
        receipt = client.send(letter())

    assert receipt.accepted
