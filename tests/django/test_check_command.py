"""`manage.py mailbridge_check`, on whichever Django this is."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands
from django.test import override_settings

from mailbridge.testing import ScriptedServer
from mailbridge_django.management.commands.mailbridge_check import Command

from .conftest import HAS_MAILERS, Site


def run(*arguments: str) -> str:
    """What the command prints."""
    out = io.StringIO()
    call_command(Command(stdout=out), *arguments)
    return out.getvalue()


def failure(*arguments: str) -> tuple[int, str]:
    """The exit status, and what is said about it."""
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    return caught.value.returncode, str(caught.value)


def test_all_well(site: Site, server: ScriptedServer) -> None:
    """The steps; DEFAULT_FROM_EMAIL is asked about, and nothing is sent."""
    with override_settings(DEFAULT_FROM_EMAIL="Shop <shop@example.com>"):
        lines = run().splitlines()

    assert lines[-1] == f"127.0.0.1:{server.port}: all well"
    assert b"MAIL FROM:<shop@example.com>" in server.lines
    assert server.messages == []


def test_json(site: Site, server: ScriptedServer) -> None:
    """One object, with the receipt of what was sent."""
    found = json.loads(run("--to", "bob@example.org", "--json"))

    assert [one["state"] for one in found["receipt"]["recipients"]] == ["accepted"]
    assert [message.recipients for message in server.messages] == [("bob@example.org",)]


def test_a_step_that_fails(site: Site, server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1; the sentence stands in the output, the summary in the error alone, a secret nowhere."""
    server.answer("EHLO", b"250-mx.test\r\n250 AUTH PLAIN\r\n")
    server.answer("AUTH", b"535 5.7.8 no\r\n")
    site.use(server, username="ann", password="a secret")
    out = io.StringIO()
    with pytest.raises(CommandError, match="failed at AUTH") as caught:
        call_command(Command(stdout=out))

    assert caught.value.returncode == 1
    assert "The server answered 535 5.7.8 no. Check user name (ann) and password" in out.getvalue()
    assert "failed at AUTH" not in out.getvalue()
    assert "a secret" not in out.getvalue() + str(caught.value)


def test_wrong_settings(site: Site, server: ScriptedServer) -> None:
    """Status 2, and Django's own words."""
    site.use(server, use_tls=True, use_ssl=True)

    status, said = failure()
    assert status == 2
    assert "use_ssl" in said.lower()


def test_no_address(site: Site, server: ScriptedServer) -> None:
    """Status 2, and nobody is called."""
    status, said = failure("--to", "no address")

    assert (status, server.connections) == (2, [])
    assert "'no address'" in said


@pytest.mark.parametrize("staging", [{"redirect_to": "qa@example.com"}, {"allow_domains": "example.com"}])
def test_staging_holds_for_the_test_message(site: Site, server: ScriptedServer, staging: dict[str, str]) -> None:
    """Status 2 with --to; without it the check says what it can."""
    site.use(server, **staging)

    assert failure("--to", "bob@example.org") == (2, "redirect_to or allow_domains keeps mail for bob@example.org here")
    assert server.connections == []
    assert run().endswith(": all well\n")


def test_another_backend(settings: Any) -> None:
    """Status 2: there is nothing of ours to check."""
    locmem = "django.core.mail.backends.locmem.EmailBackend"
    if HAS_MAILERS:
        settings.MAILERS = {"default": {"BACKEND": locmem}}
    else:
        settings.EMAIL_BACKEND = locmem

    assert failure() == (2, f"mail is sent by {locmem}, not by mailbridge_django.Backend")


@pytest.mark.skipif(HAS_MAILERS, reason="MAILERS came with Django 6.1")
def test_there_are_no_mailers_yet() -> None:
    """Status 2, and since when there are."""
    assert failure("--using", "bulk") == (2, "--using names a mailer of MAILERS, which Django has from 6.1 on")


@pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS came with Django 6.1")
def test_a_mailer_by_its_alias(settings: Any) -> None:
    """--using takes one of MAILERS; another name is wrong usage."""
    with ScriptedServer() as server:
        options = {"host": server.host, "port": server.port}
        settings.MAILERS = {"bulk": {"BACKEND": "mailbridge_django.Backend", "OPTIONS": options}}

        assert f"127.0.0.1:{server.port}: all well" in run("--using", "bulk")
        assert failure("--using", "bluk") == (2, "no mailer 'bluk' in MAILERS; there are bulk")


def test_it_is_found_where_the_app_is_installed(site: Site, server: ScriptedServer, settings: Any) -> None:
    """By its name, as any command."""
    settings.INSTALLED_APPS = ["mailbridge_django"]
    get_commands.cache_clear()
    out = io.StringIO()
    call_command("mailbridge_check", stdout=out)
    get_commands.cache_clear()

    assert out.getvalue().endswith(": all well\n")
