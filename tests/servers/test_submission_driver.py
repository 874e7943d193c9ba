"""Dovecot's submission service, which relays to Postfix, and dies of what others take (SERVERS.md B2, P1, P3)."""

from collections.abc import Callable

import pytest

from mailbridge import MailObject, Security, Server, SMTPAuthenticationError, SMTPException, SMTPSenderRefused
from tests.servers.lab import Lab
from tests.servers.lab.faces import Face
from tests.servers.lab.machine import PASSWORD, USER, added

Letter = Callable[..., MailObject]
chunking = pytest.mark.parametrize("chunking", [True, False], ids=["bdat", "data"])


def submission(dovecot: Lab, mechanism: str = "PLAIN", password: str = PASSWORD, *, chunking: bool = True) -> Server:
    """Log in to it behind STARTTLS."""
    login = {"username": USER, "password": password, "auth": (mechanism,)}
    protected = {"security": Security.STARTTLS, "ca_file": str(dovecot.ca), "lmtp": False, "chunking": chunking}
    return dovecot.server("submission", **login, **protected)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_every_mechanism_submits(
    postfix: Lab, dovecot: Lab, face: type[Face], letter: Letter, token: str, mechanism: str
) -> None:
    """The message arrives at Postfix as it was sent."""
    with face(submission(dovecot, mechanism)) as client:
        receipt = client.send(letter("bob@lab.test", "nobody@lab.test"))

    assert (list(receipt.accepted), list(receipt.rejected)) == (["bob@lab.test"], ["nobody@lab.test"])
    added(*postfix.arrived(token), letter().content)


def test_a_wrong_password_is_refused(postfix: Lab, dovecot: Lab, face: type[Face]) -> None:
    """A 535 ends it."""
    with pytest.raises(SMTPAuthenticationError), face(submission(dovecot, password="another")):
        pass


@chunking
def test_what_is_refused_ends_nothing(
    postfix: Lab, dovecot: Lab, face: type[Face], letter: Letter, token: str, chunking: bool
) -> None:
    """On one connection: a good message, a refused sender, refused recipients, refused content, a good message."""
    with face(submission(dovecot, chunking=chunking)) as client:
        client.send(letter())
        with pytest.raises(SMTPSenderRefused):
            client.send(letter(sender="blocked@lab.test"))
        for message in (letter("nobody@lab.test"), letter(sender="rejecteod@lab.test")):
            with pytest.raises(SMTPException) as caught:
                client.send(message)
            assert caught.value.receipt.rejected
        client.send(letter(sender="last@lab.test"))

    first, last = sorted(postfix.arrived(token, 2))
    assert (first.splitlines()[0], last.splitlines()[0]) == (
        b"Return-Path: <ann@lab.test>",
        b"Return-Path: <last@lab.test>",
    )
