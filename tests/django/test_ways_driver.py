"""The ways in which a site sends mail, and the processes and threads that it does so from."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import PasswordResetForm
from django.core import mail

from mailbridge.testing import ScriptedServer

from .conftest import HAS_MAILERS, Site, mails


@pytest.mark.django_db
def test_password_reset(site: Site, server: ScriptedServer, heard: list[tuple[str, dict[str, Any]]]) -> None:
    """Django's own form, by the settings alone."""
    get_user_model().objects.create_user("bob", "bob@example.org", "s3cret-horse")
    form = PasswordResetForm({"email": "bob@example.org"})
    assert form.is_valid()
    form.save("site.example", subject_template_name="reset.txt", email_template_name="reset.txt")
    assert [m.recipients for m in server.messages] == [("bob@example.org",)]
    assert b"site.example" in server.messages[0].content
    assert [name for name, _ in heard] == ["message_sent"]


@pytest.mark.django_db
def test_password_reset_for_somebody_who_is_refused(
    site: Site, server: ScriptedServer, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    """The form keeps the error to itself, and nobody would know but for the signals."""
    server.refuse("bob@example.org")
    get_user_model().objects.create_user("bob", "bob@example.org", "s3cret-horse")
    form = PasswordResetForm({"email": "bob@example.org"})
    assert form.is_valid()
    form.save("site.example", subject_template_name="reset.txt", email_template_name="reset.txt")
    # Django logs it, and mails that record to the admins.
    assert [name for name, _ in heard][:2] == ["recipients_refused", "message_failed"]


@pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS came with Django 6.1")
def test_a_mailer_by_its_alias(settings: Any, smtp_server: ScriptedServer) -> None:
    """`mailers[alias]` and `using` are the same; each access gives a new backend."""
    options = {"host": smtp_server.host, "port": smtp_server.port}
    settings.MAILERS = {"bulk": {"BACKEND": "mailbridge_django.Backend", "OPTIONS": options}}
    assert mail.mailers["bulk"] is not mail.mailers["bulk"]
    assert mail.mailers["bulk"].send_messages(mails("a@example.org")) == 1
    [message] = mails("b@example.org")
    assert message.send(using="bulk") == 1
    assert message.mailbridge_receipt.delivered


def test_threads(site: Site, server: ScriptedServer) -> None:
    """The threads of a WSGI server send at the same time; every message arrives once."""
    gate = threading.Barrier(8, timeout=10)

    def request(number: int) -> int:
        gate.wait()
        return site.backend().send_messages(mails(*[f"{number}-{each}@example.org" for each in range(5)]))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(request, range(8))) == [5] * 8
    assert len({m.recipients for m in server.messages}) == len(server.messages) == 40


def test_a_fork_after_the_first_use(site: Site, server: ScriptedServer) -> None:
    """Celery's way: the child has connections of its own, and leaves the parent's alone."""
    with site.backend() as backend:
        assert backend.send_messages(mails("before@example.org")) == 1
        if (child := os.fork()) == 0:
            os._exit(0 if site.backend().send_messages(mails("child@example.org")) == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert backend.send_messages(mails("after@example.org")) == 1
    found = {m.recipients[0]: m.connection for m in server.messages}
    assert set(found) == {"before@example.org", "child@example.org", "after@example.org"}
    assert found["child@example.org"] not in {found["before@example.org"], found["after@example.org"]}
