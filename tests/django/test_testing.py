"""What a site tests its mail with: a server of its own, whose refusals the test dictates."""

from typing import Any

import pytest
from django.core import mail
from django.test import SimpleTestCase, override_settings

from mailbridge.testing import ScriptedServer
from mailbridge_django.testing import (
    MailServerMixin,
    assert_accepted,
    assert_refused,
    mail_server,  # noqa: F401  # a fixture
    mail_server_for_site,
    receipt_of,
)

from .conftest import Site


def hello(*recipients: str) -> mail.EmailMessage:
    """A message as a site would send it, by its settings alone."""
    message = mail.EmailMessage("Hello", "Text", "ann@example.com", list(recipients))
    message.send()
    return message


def test_the_fixture(site: Site, mail_server: ScriptedServer) -> None:  # noqa: F811  # the fixture
    """Whatever the settings say, mail goes there; the test says who is refused."""
    mail_server.refuse("bob@example.org", 550, "5.1.1", "no such user")
    message = hello("bob@example.org", "eve@example.org")
    assert_refused(message, "bob@example.org", 550, "5.1.1")
    assert_accepted(message, "eve@example.org")
    assert [m.recipients for m in mail_server.messages] == [("eve@example.org",)]


def test_the_sites_own_server_does_not_count(site: Site) -> None:
    """Neither its name, nor its login, nor its TLS; how it treats messages does."""
    site.set(host="mail.example.com", use_tls=True, username="ann", password="secret", log_addresses="none")
    with mail_server_for_site() as server:
        hello("bob@example.org")
        assert site.backend().log_addresses == "none"
    assert [m.authenticated_as for m in server.messages] == [None]
    assert site.backend().host == "mail.example.com"


def test_an_override_of_our_options_leads_nowhere_else(site: Site) -> None:
    """It takes the URL away; the server of the test still gets the mail."""
    with mail_server_for_site() as server, override_settings(MAILBRIDGE={"on_partial": "raise"}):
        hello("bob@example.org")
    assert [m.recipients for m in server.messages] == [("bob@example.org",)]


def test_a_server_with_tls(site: Site) -> None:
    """The arguments of the scripted server are at hand."""
    with mail_server_for_site(tls="starttls") as server:
        hello("bob@example.org")
    assert [m.tls for m in server.messages] == [True]


def test_two_servers_at_once(site: Site) -> None:
    """Each has a port of its own: tests may run side by side."""
    with mail_server_for_site() as first, mail_server_for_site() as second:
        hello("bob@example.org")
        assert first.port != second.port
    assert (len(first.messages), len(second.messages)) == (0, 1)


def test_the_outbox_is_unchanged() -> None:
    """Under Django's test runner mail stays in memory until a test asks for a server."""
    mail.outbox.clear()
    hello("bob@example.org")
    assert [m.to for m in mail.outbox] == [["bob@example.org"]]
    with mail_server_for_site() as server:
        hello("eve@example.org")
    assert len(server.messages) == 1
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(
    ("judge", "words"),
    [
        (lambda m: assert_accepted(m, "bob@example.org"), "bob@example.org is rejected, not accepted: no such user"),
        (assert_accepted, "bob@example.org is rejected, not accepted"),
        (lambda m: assert_refused(m, "eve@example.org"), "eve@example.org is accepted, not deferred or rejected"),
        (lambda m: assert_refused(m, "bob@example.org", 551), "was refused with code 550, not 551"),
        (lambda m: assert_refused(m, "bob@example.org", 550, "5.7.1"), "with enhanced code 5.1.1, not 5.7.1"),
        (lambda m: assert_refused(m, "tom@example.org"), "tom@example.org is no recipient; there are bob@"),
    ],
)
def test_an_assertion_that_fails(site: Site, judge: Any, words: str) -> None:
    """It says what was found instead."""
    with mail_server_for_site() as server:
        server.refuse("bob@example.org")
        message = hello("bob@example.org", "eve@example.org")
    with pytest.raises(AssertionError, match=words):
        judge(message)


def test_a_message_without_a_receipt() -> None:
    """It was not sent by us, and nothing can be asserted about it."""
    with pytest.raises(AssertionError, match="'Hello' has no receipt"):
        receipt_of(mail.EmailMessage("Hello"))


class MixinTests(MailServerMixin, SimpleTestCase):
    """The same for those who write unittest."""

    def test_refusal(self) -> None:
        """Each test has its server, and the assertions are methods."""
        self.mail_server.refuse("bob@example.org")
        message = hello("bob@example.org", "eve@example.org")
        self.assertRefused(message, "bob@example.org", 550)
        self.assertAccepted(message, "eve@example.org")

    def test_the_next_one(self) -> None:
        """It begins with a server that has seen nothing."""
        assert self.mail_server.messages == []
