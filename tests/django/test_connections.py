"""Connecting: by hand, by `with`, over TLS, with a login; and failures to."""

import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import cached_property

from mailbridge import SMTPCertificateError, SMTPConnectionRefused, SMTPSecurityError
from mailbridge.testing import Inbox, ScriptedServer, Then
from mailbridge_django import Backend

from .conftest import HAS_MAILERS, Site, mails


def test_open_and_close(site: Site, server: ScriptedServer) -> None:
    """True for a new connection, False for one that is there; `close` may be called at any time."""
    backend = site.backend()
    backend.close()
    assert (backend.open(), backend.open()) == (True, False)
    assert backend.connection is not None
    backend.close()
    backend.close()
    assert backend.connection is None
    assert len(server.connections) == 1


def test_an_open_connection_is_kept(site: Site, server: ScriptedServer) -> None:
    """Batches within `with` share it, and the object lets go of it with the block."""
    with site.backend() as backend:
        backend.send_messages(mails("a@example.org"))
        backend.send_messages(mails("b@example.org"))
        assert backend.connection is not None
    assert [connection.messages for connection in server.connections] == [2]
    assert backend.connection is None


def test_an_open_connection_that_died(site: Site, server: ScriptedServer) -> None:
    """It is replaced in silence when the next message comes."""
    # With CHUNKING, content follows at once on a connection that was just alive, and nobody could know its fate.
    server.withdraw("CHUNKING")
    with site.backend() as backend:
        backend.send_messages(mails("a@example.org"))
        server.hang_up(Then.DROP)
        assert backend.send_messages(mails("b@example.org")) == 1
    assert len(server.connections) == 2


def test_threads_that_share_an_open_connection(site: Site, server: ScriptedServer) -> None:
    """Every message arrives once, over as many connections as the pool may have."""
    with site.backend() as backend:
        batches = [mails(*[f"{name}@example.org"] * 5) for name in "abcd"]
        threads = [threading.Thread(target=backend.send_messages, args=[batch]) for batch in batches]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({m.recipients for m in server.messages}) == 4
    assert len(server.messages) == 20
    assert len(server.connections) <= 2


def test_open_fails(site: Site) -> None:
    """The error comes out, also of `with`."""
    with Inbox() as gone:
        site.use(gone)
    with pytest.raises(SMTPConnectionRefused), site.backend():
        pass


def test_open_fails_silently(site: Site, records: Callable[[], list[tuple[str, Any]]]) -> None:
    """None says so to the caller, an ERROR record to everybody else; a send may still be tried."""
    with Inbox() as gone:
        site.use(gone)
    with site.backend(fail_silently=True) as backend:
        assert backend.connection is None
        assert backend.open() is None
        assert backend.send_messages(mails("a@example.org")) == 0
    assert [level for level, _ in records()] == ["ERROR"] * 3


@pytest.mark.parametrize(("style", "named"), [("full", True), ("masked", False), ("none", False)])
def test_a_record_of_open_names_nobody_that_it_should_not(
    style: str, named: bool, site: Site, server: ScriptedServer, records: Callable[[], list[tuple[str, Any]]]
) -> None:
    """Who logs in is often an address: `log_addresses` holds for it as well."""
    server.offer("AUTH PLAIN")
    server.answer("AUTH", b"535 5.7.8 no\r\n")
    site.use(server, username="ann@example.com", password="secret", log_addresses=style)
    assert site.backend(fail_silently=True).open() is None
    [(_, record)] = records()
    assert ("ann@example.com" in record.getMessage()) == named
    assert "AUTH" in record.getMessage()


@pytest.mark.parametrize(("tls", "option"), [("starttls", "use_tls"), ("implicit", "use_ssl")])
def test_tls_and_login(site: Site, tls: Any, option: str) -> None:
    """Settings are all it takes; with a CA of one's own, one more."""
    with Inbox(tls=tls, accounts={"ann": "s3cret-horse"}, require_auth=True) as inbox:
        site.use(inbox, username="ann", password="s3cret-horse", ca_file=inbox.ca_file, **{option: True})
        assert site.backend().send_messages(mails("bob@example.org")) == 1
        assert [(m.tls, m.authenticated_as) for m in inbox.messages] == [(True, "ann")]


def test_a_certificate_that_nobody_vouches_for(site: Site) -> None:
    """TLS is verified: nothing is sent to a stranger."""
    with Inbox(tls="starttls") as inbox:
        site.use(inbox, use_tls=True)
        with pytest.raises(SMTPCertificateError, match="ca_file"):
            site.backend().send_messages(mails("bob@example.org"))
        assert inbox.messages == []


class OwnContext(Backend):
    """The usual way to a private CA, on Django's own backend."""

    authority = ""

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        context = super().ssl_context
        context.load_verify_locations(self.authority)
        return context


def test_a_context_of_a_subclass(site: Site) -> None:
    """It is used, and changes the context of no other backend."""
    with Inbox(tls="starttls") as inbox:
        site.use(inbox, use_tls=True)
        options = {"host": inbox.host, "port": inbox.port, "use_tls": True, "alias": site.alias}
        backend = OwnContext(**options)
        backend.authority = inbox.ca_file
        assert backend.send_messages(mails("bob@example.org")) == 1
        with pytest.raises(SMTPCertificateError):
            site.backend().send_messages(mails("bob@example.org"))
        assert [m.tls for m in inbox.messages] == [True]


def test_the_context_of_our_own(site: Site) -> None:
    """It verifies, and trusts `ca_file` where there is one."""
    with Inbox(tls="starttls") as inbox:
        site.use(inbox, use_tls=True, ca_file=inbox.ca_file)
        backend = site.backend()
        assert (backend.ssl_context.verify_mode, backend.ssl_context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert backend.send_messages(mails("bob@example.org")) == 1


def test_an_assigned_context(site: Site) -> None:
    """It is used in place of ours."""
    with Inbox(tls="implicit") as inbox:
        site.use(inbox, use_ssl=True)
        backend = site.backend()
        backend.ssl_context = ssl.create_default_context(cafile=inbox.ca_file)
        assert backend.send_messages(mails("bob@example.org")) == 1


def test_a_context_that_cannot_be_made(site: Site) -> None:
    """It is a wrong configuration, like any other."""
    site.set(host="localhost")
    backend = OwnContext(host="localhost", use_tls=True, alias=site.alias)
    backend.authority = "/missing.pem"
    with pytest.raises(ImproperlyConfigured, match=r"OwnContext\.ssl_context: .*No such file"):
        backend.send_messages(mails("bob@example.org"))


@pytest.mark.parametrize("hook", ["connection_class", "prep_address"])
def test_a_hook_that_nothing_would_call(site: Site, hook: str) -> None:
    """A subclass written for Django's own backend learns at once that it counts for nothing."""
    site.set(host="localhost")
    subclass = type("Mine", (Backend,), {hook: None})
    with pytest.raises(ImproperlyConfigured, match=f"Mine.{hook}"):
        subclass(host="localhost", alias=site.alias)


def test_starttls_is_not_negotiable(site: Site, server: ScriptedServer) -> None:
    """`use_tls` with a server that does not offer it is an error, never plain text."""
    site.use(server, use_tls=True)
    with pytest.raises(SMTPSecurityError, match="STARTTLS"):
        site.backend().open()
    assert not any(line.upper().startswith(b"MAIL") for line in server.lines)


def test_a_client_certificate(site: Site) -> None:
    """`ssl_certfile` is shown to the server, and does not end the verification of the server's own."""
    with ScriptedServer(tls="implicit") as server:
        certificate = server.client_certificate("ann@example.com")
        site.use(server, use_ssl=True, ssl_certfile=certificate, ca_file=server.ca_file)
        site.backend().send_messages(mails("bob@example.org"))
        site.use(server, use_ssl=True, ssl_certfile=certificate)
        with pytest.raises(SMTPCertificateError):
            site.backend().send_messages(mails("bob@example.org"))
        assert [c.client_certificate for c in server.connections] == [("ann@example.com",), ()]


@pytest.mark.parametrize(("username", "password"), [("", ""), ("ann", ""), ("", "s3cret-horse"), (None, None)])
def test_no_login_with_half_of_the_credentials(
    site: Site, username: str | None, password: str | None, smtp_server: ScriptedServer
) -> None:
    """As in Django, an empty user or password means that nobody logs in."""
    smtp_server.offer("AUTH PLAIN")
    site.use(smtp_server, username=username, password=password)
    site.backend().send_messages(mails("bob@example.org"))

    assert not any(line.upper().startswith(b"AUTH") for line in smtp_server.lines)


def test_half_of_the_credentials_and_a_mechanism(site: Site, server: ScriptedServer) -> None:
    """A mechanism that wants a password changes nothing about that; one that wants none logs in."""
    site.use(server, username="ann", auth="PLAIN")
    assert site.backend().server.username == ""
    site.use(server, username="ann", auth="EXTERNAL", use_tls=True)
    assert site.backend().server.username == "ann"


@pytest.mark.filterwarnings("ignore:get_connection" if HAS_MAILERS else "default")
def test_get_connection(site: Site, server: ScriptedServer) -> None:
    """Django's old way to a backend, with arguments of its own; on 6.1 also with MAILERS."""
    backend = mail.get_connection(fail_silently=True, timeout=3)
    assert (backend.fail_silently, backend.timeout, backend.alias) == (True, 3, site.alias)
    server.refuse("bob@example.org")
    assert backend.send_messages(mails("bob@example.org", "eve@example.org")) == 1
