"""What docs/django.md says is true: its tables name what there is, its code runs."""

import asyncio
import os
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.dispatch import receiver
from django.test import SimpleTestCase

from mailbridge.testing import ScriptedServer
from mailbridge_django import options, signals

from .conftest import Site

PAGE = (Path(__file__).parents[2] / "docs" / "django.md").read_text(encoding="utf-8")
CODE = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def shown(word: str) -> str:
    """The one block of code that holds a word."""
    [code] = [code for code in CODE if word in code]
    return code


def test_every_option_stands_in_a_table() -> None:
    """And no other does."""
    chapter = PAGE.partition("## Options")[2].partition("Values may be strings")[0]
    rows = [row.partition("|")[0] for row in re.findall(r"^\| (`.*)", chapter, re.MULTILINE)]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == {*options.READERS, "fail_silently"}


def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block of settings can be read."""
    monkeypatch.setenv("MAIL_URL", "smtp://localhost")
    for word in ("EMAIL_BACKEND =", "MAILERS =", "MAILBRIDGE ="):
        names: dict[str, Any] = {"os": os}
        exec(shown(word), names)
        assert names[word.partition(" ")[0]]


def test_the_first_example(site: Site, server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints what became of every recipient."""
    server.refuse("bob@example.org")
    exec(shown("mailbridge_receipt.results"), {"EmailMessage": mail.EmailMessage})
    assert capsys.readouterr().out.splitlines() == [
        "ann@example.org accepted Ok: queued as 000001",
        "bob@example.org rejected no such user",
    ]


def test_the_receivers(site: Site, server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    """One spares an address, the other hears of a refusal."""
    server.refuse("bob@example.org")
    names: dict[str, Any] = {"receiver": receiver, "bounced": lambda a: a.startswith("old@"), **vars(signals)}
    exec(shown("CancelSend("), names)
    exec(shown("def remember"), names)
    try:
        message = mail.EmailMessage("Hello", "Text", None, ["old@example.org", "bob@example.org", "eve@example.org"])
        assert message.send() == 1
    finally:
        signals.message_sending.disconnect(names["spare_the_bounced"])
        signals.recipients_refused.disconnect(names["remember"])
    assert list(message.mailbridge_receipt.results) == ["bob@example.org", "eve@example.org"]
    assert capsys.readouterr().out == "bob@example.org 550 no such user\n"


def test_async_code(site: Site, server: ScriptedServer) -> None:
    """It sends."""
    names: dict[str, Any] = {}
    exec("async def example():\n" + textwrap.indent(shown("await asend_mail"), "    "), names)
    asyncio.run(names["example"]())
    assert [m.recipients for m in server.messages] == [("ann@example.org",)]


def test_the_test_case(site: Site) -> None:
    """It passes with an `invite` that sends one message to all."""

    def invite(*recipients: str) -> mail.EmailMessage:
        message = mail.EmailMessage("Hello", "Text", None, list(recipients))
        message.send()
        return message

    code = shown("InvitationTests").replace("from django.test import TestCase\n", "")
    names: dict[str, Any] = {"TestCase": SimpleTestCase, "invite": invite}
    exec(code, names)
    result = names["InvitationTests"]("test_a_refusal").run()
    assert result is not None
    assert (result.failures, result.errors, result.testsRun) == ([], [], 1)
