"""System checks: what each one says, and that none of them asks the network."""

import re
import socket
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.utils.functional import cached_property

import mailbridge_django
from mailbridge_django import Backend
from mailbridge_django.checks import HINTS, check_mailers

from .conftest import HAS_MAILERS, Site

PAGE = Path(__file__).parents[2] / "docs" / "system-checks.md"
FAR = {"host": "mail.example.com", "deadline": 20}


def token(**_: Any) -> str:
    """A provider for the tests."""
    return "token"


class Trusting(Backend):
    """A subclass that believes everybody."""

    @cached_property
    def ssl_context(self) -> Any:
        context = super().ssl_context
        context.check_hostname = False
        return context


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "all is well": ({**FAR, "use_tls": True, "port": 587}, []),
    "this machine": ({"host": "localhost", "port": 25, "timeout": 5}, []),
    "a wrong value": ({**FAR, "port": "smtp"}, ["E001"]),
    "credentials in clear": ({**FAR, "username": "ann", "password": "s3cret-horse"}, ["E001"]),
    "tls and ssl": ({**FAR, "use_tls": True, "use_ssl": True}, ["E002"]),
    "two hosts": ({**FAR, "url": "smtps://other.example.com"}, ["E003"]),
    "allowed credentials": (
        {**FAR, "username": "ann", "password": "s3cret-horse", "allow_plaintext_auth": True, "port": 25},
        ["W001"],
    ),
    "plain text": ({**FAR, "use_tls": False, "port": 25}, ["W002"]),
    "opportunistic": ({"url": "smtp://mail.example.com?security=opportunistic&timeout_send=20"}, ["W002"]),
    "no verification": (
        {"url": "smtps://mail.example.com?danger_accept_any_certificate=yes", "deadline": 20},
        ["W003"],
    ),
    "no timeout": ({"host": "mail.example.com", "use_ssl": True, "port": 465}, ["W004"]),
    "port and mode": ({**FAR, "use_tls": True, "port": 465}, ["W005"]),
    "a provider that is no path": (
        {**FAR, "use_tls": True, "port": 587, "username": "ann", "token_provider": token},
        ["W006"],
    ),
    "a provider by its path": (
        {**FAR, "use_tls": True, "port": 587, "username": "ann", "token_provider": f"{__name__}.token"},
        [],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_site(site: Site, case: tuple[dict[str, Any], list[str]]) -> None:
    """What is said about its settings, each with a hint."""
    options, expected = case
    site.set(**options)
    found = check_mailers(None)
    assert [message.id for message in found] == [f"mailbridge.{number}" for number in expected]
    for message in found:
        assert message.hint
        assert message.level == (checks.ERROR if ".E" in str(message.id) else checks.WARNING)
        assert str(message.msg).startswith("MAILERS['default']: ") == site.mailers


def test_a_context_that_verifies_nothing(settings: Any, site: Site) -> None:
    """A subclass with a context of its own is looked at too."""
    site.set(**FAR, use_tls=True, port=587)
    path = f"{__name__}.Trusting"
    if site.mailers:
        settings.MAILERS["default"]["BACKEND"] = path
    else:
        settings.EMAIL_BACKEND = path
    assert [message.id for message in check_mailers(None)] == ["mailbridge.W003"]


@pytest.mark.parametrize("path", ["django.core.mail.backends.locmem.EmailBackend", "no.such.Backend"])
def test_a_backend_that_is_not_ours(settings: Any, site: Site, path: str) -> None:
    """Others look after themselves."""
    site.set(host="mail.example.com", port="smtp")
    if site.mailers:
        settings.MAILERS["default"]["BACKEND"] = path
    else:
        settings.EMAIL_BACKEND = path
    assert check_mailers(None) == []


@pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS came with Django 6.1")
def test_an_unknown_option(settings: Any) -> None:
    """Django's own complaint about OPTIONS comes at start, not with the first mail."""
    settings.MAILERS = {
        alias: {"BACKEND": "mailbridge_django.Backend", "OPTIONS": {"host": "localhost", **more}}
        for alias, more in {"default": {"timeout": 5}, "bulk": {"colour": "red"}}.items()
    }
    [message] = check_mailers(None)
    assert (message.id, message.msg) == ("mailbridge.E001", "MAILERS['bulk']: Unknown options 'colour'.")


def test_no_network(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a name is looked up."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a check used the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    site.set(**FAR, use_tls=True, port=587)
    assert check_mailers(None) == []


def test_the_app_registers_them() -> None:
    """With `mailbridge_django` in INSTALLED_APPS they run with Django's own."""
    from mailbridge_django.apps import MailbridgeConfig

    registry = checks.registry.registry.registered_checks
    registry.discard(check_mailers)
    MailbridgeConfig("mailbridge_django", mailbridge_django).ready()
    assert check_mailers in registry


def test_the_page_has_them_all() -> None:
    """Its headings are the ids, in order, each with its hint; every id is reached by a case above."""
    text = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", text, re.MULTILINE) == list(HINTS)
    for hint in HINTS.values():
        assert hint in " ".join(text.split())
    reached = {f"mailbridge.{number}" for _, numbers in CASES.values() for number in numbers}
    assert reached == set(HINTS)
