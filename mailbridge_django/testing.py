"""Tests of a site's mail with a real server, whose refusals the test dictates.

`mail.outbox` stays what it is: Django's test runner keeps mail in memory, and only a test that asks for a server
here has one. Each has its own, at a port of its own, so that tests may run side by side (pytest-xdist).

- pytest: `pytest_plugins = ["mailbridge_django.testing"]` in the `conftest.py` at the top gives the fixture
  `mail_server`.
- unittest: `class InvitationTests(MailServerMixin, TestCase)` has it as `self.mail_server`.

Needs the extra `testing` where the server speaks TLS.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core.mail import EmailMessage
from django.test import override_settings

from mailbridge import Receipt, RecipientResult
from mailbridge.testing import ScriptedServer

from . import conf

if TYPE_CHECKING:
    from unittest import TestCase as _Base
else:
    _Base = object

try:
    import pytest
except ImportError:  # pragma: no cover - a site that tests with unittest alone
    pytest = None  # type: ignore[assignment]  # the fixture is then not made


@contextmanager
def mail_server_for_site(**arguments: Any) -> Iterator[ScriptedServer]:
    """A server that all mailers of the site send to, as long as the block lasts.

    What the site says about servers does not count meanwhile; what it says about messages (`on_commit`,
    `on_partial`, `log_addresses`, `redirect_to`, `allow_domains`) does.

    Args:
        **arguments: Those of `mailbridge.testing.ScriptedServer`.

    Yields:
        The server: `server.refuse("bob@example.com", 550, "5.1.1", "no such user")`, `server.messages`.
    """
    with ScriptedServer(**arguments) as server, override_settings(**conf.redirected(server.url)):
        yield server


def receipt_of(message: EmailMessage) -> Receipt:
    """The receipt of a message.

    Raises:
        AssertionError: It has none: it was not sent by mailbridge, or waits for a commit.
    """
    receipt = getattr(message, "mailbridge_receipt", None)
    if not isinstance(receipt, Receipt):
        raise AssertionError(f"{message.subject!r} has no receipt: it was not sent by mailbridge, or not yet")
    return receipt


def assert_accepted(message: EmailMessage, *recipients: str) -> None:
    """Fail unless the server took the message for these recipients; for all that it has, where none are given."""
    receipt = receipt_of(message)
    for recipient in recipients or receipt.results:
        _in(receipt, recipient, "accepted")
    if not receipt.accepted:
        raise AssertionError(f"nobody accepted {message.subject!r}")


def assert_refused(message: EmailMessage, recipient: str, code: int | None = None, enhanced: str | None = None) -> None:
    """Fail unless a reply refused this recipient, for now or for good; with this code, where one is given."""
    found = _in(receipt_of(message), recipient, "deferred", "rejected")
    for name, wanted, got in (("code", code, found.code), ("enhanced code", enhanced, str(found.enhanced or ""))):
        if wanted is not None and wanted != got:
            raise AssertionError(f"{recipient} was refused with {name} {got}, not {wanted}: {found.text}")


def _in(receipt: Receipt, recipient: str, *states: str) -> RecipientResult:
    if recipient not in receipt.results:
        raise AssertionError(f"{recipient} is no recipient; there are {', '.join(receipt.results) or 'none'}")
    found = receipt.results[recipient]
    if found.state not in states:
        raise AssertionError(f"{recipient} is {found.state}, not {' or '.join(states)}: {found.text}")
    return found


class MailServerMixin(_Base):
    """For Django's `TestCase` and its kin: a server for each test, as `self.mail_server`."""

    mail_server: ScriptedServer

    def setUp(self) -> None:
        """Start the server and send the site's mail there."""
        super().setUp()
        self.mail_server = self.enterContext(mail_server_for_site())

    def assertAccepted(self, message: EmailMessage, *recipients: str) -> None:  # noqa: N802 - unittest's way to write it
        """As `assert_accepted`."""
        assert_accepted(message, *recipients)

    def assertRefused(  # noqa: N802 - unittest's way to write it
        self, message: EmailMessage, recipient: str, code: int | None = None, enhanced: str | None = None
    ) -> None:
        """As `assert_refused`."""
        assert_refused(message, recipient, code, enhanced)


if pytest is not None:

    @pytest.fixture
    def mail_server() -> Iterator[ScriptedServer]:
        """A server that all mailers of the site send to, for this test."""
        with mail_server_for_site() as server:
            yield server
