"""Which signals an outcome deserves, and receivers that misbehave."""

import logging
from typing import Any

import pytest
from django.core import mail

from mailbridge import Receipt, RecipientResult, State
from mailbridge.testing import ScriptedServer
from mailbridge_django.signals import announce, message_sent

from .conftest import Site, mails


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("accepted", ["message_sent"]),
        ("accepted rejected", ["message_sent", "recipients_refused"]),
        ("accepted unknown", ["message_sent", "outcome_unknown"]),
        ("accepted not_sent", ["message_sent", "message_failed"]),
        ("accepted deferred not_sent", ["message_sent", "recipients_refused", "message_failed"]),
        ("deferred rejected", ["recipients_refused", "message_failed"]),
        ("unknown rejected", ["recipients_refused", "outcome_unknown"]),
        ("unknown not_sent", ["outcome_unknown"]),
        ("not_sent", ["message_failed"]),
    ],
)
def test_the_table(states: str, expected: list[str], heard: list[tuple[str, dict[str, Any]]]) -> None:
    """Each mixture of states has its signals; a refusal is never left out."""
    results = {state: RecipientResult(state, State(state)) for state in states.split()}
    announce(object, mail.EmailMessage(), Receipt("ann@example.com", results), None)

    assert [name for name, _ in heard] == expected


def test_a_receiver_that_fails(site: Site, server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its traceback, and the send goes on as if nothing had been."""

    def clumsy(**_: Any) -> None:
        raise RuntimeError("oops")

    message_sent.connect(clumsy)
    try:
        assert site.backend().send_messages(mails("bob@example.org")) == 1
    finally:
        message_sent.disconnect(clumsy)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [str(record.exc_info and record.exc_info[1]) for record in errors] == ["oops"]
    # Django mails such records to the admins. That mail has not made the receiver fail once more.
    assert [m.recipients[0] for m in server.messages] == ["bob@example.org", "root@example.com"]


def test_a_receiver_that_sends(site: Site, server: ScriptedServer) -> None:
    """It may send mail itself, by the very backend that it hears from, and nobody waits for anybody."""
    backend = site.backend()

    def echo(message: mail.EmailMessage, **_: Any) -> None:
        if message.to == ["bob@example.org"]:
            assert backend.send_messages(mails("copy@example.org")) == 1

    message_sent.connect(echo)
    try:
        with backend:
            assert backend.send_messages(mails("bob@example.org", "eve@example.org")) == 2
    finally:
        message_sent.disconnect(echo)
    assert [m.recipients[0][:4] for m in server.messages] == ["bob@", "eve@", "copy"]
