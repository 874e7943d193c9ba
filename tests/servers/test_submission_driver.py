"""Dovecot's submission service, which relays to Postfix, and dies of what others take (SERVERS.md B2, P1, P3)."""

from collections.abc import Callable

import pytest

from mailbridge import MailObject, SMTPException, SMTPSenderRefused
from tests.servers.lab import Lab
from tests.servers.lab.faces import Face

Letter = Callable[..., MailObject]
chunking = pytest.mark.parametrize("chunking", [True, False], ids=["bdat", "data"])


@chunking
def test_what_is_refused_ends_nothing(
    submission: Lab, face: type[Face], letter: Letter, token: str, chunking: bool
) -> None:
    """On one connection: a good message, a refused sender, refused recipients, refused content, a good message."""
    with face(submission.server(chunking=chunking)) as client:
        client.send(letter())
        with pytest.raises(SMTPSenderRefused):
            client.send(letter(sender="blocked@lab.test"))
        for message in (letter("nobody@lab.test"), letter(sender="rejecteod@lab.test")):
            with pytest.raises(SMTPException) as caught:
                client.send(message)
            assert caught.value.receipt.rejected
        client.send(letter(sender="last@lab.test"))

    first, last = sorted(submission.arrived(token, 2))
    assert (first.splitlines()[0], last.splitlines()[0]) == (
        b"Return-Path: <ann@lab.test>",
        b"Return-Path: <last@lab.test>",
    )
