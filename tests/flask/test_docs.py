"""What docs/flask.md says is true: its tables name what there is, its code runs."""

import asyncio
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flask
import pytest

import mailbridge_flask
from mailbridge.testing import Inbox
from mailbridge_flask import Mail, Message, sources
from mailbridge_flask.signals import signals

from .apps import app_for

FOLDER = Path(mailbridge_flask.__file__).parent
PAGE = (FOLDER.parent / "docs" / "flask.md").read_text(encoding="utf-8")
CODE = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def shown(word: str) -> str:
    """The one block of code that holds a word."""
    [code] = [code for code in CODE if word in code]
    return code


def chapter(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@pytest.fixture
def app(inbox: Inbox) -> Iterator[flask.Flask]:
    app = app_for(inbox)
    with app.app_context():
        yield app


def keys() -> list[str]:
    """Those of the table."""
    rows = [row.partition("|")[0] for row in re.findall(r"^\| (`.*)", chapter("Settings"), re.MULTILINE)]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def test_every_key_stands_in_the_table() -> None:
    """And no other does."""
    assert set(keys()) == sources.KEYS


@pytest.mark.parametrize("key", keys())
def test_a_value_that_makes_no_sense(key: str, inbox: Inbox) -> None:
    """Each key of the table is read at once, and the error names it."""
    app = app_for(inbox, **{key: object()})
    with pytest.raises(ValueError, match=key):
        Mail(app)


def test_every_signal_stands_in_the_table() -> None:
    """And no other does."""
    named = re.findall(r"^\| `(\w+)` \|", chapter("Signals"), re.MULTILINE)
    assert sorted(named) == sorted(name.replace("-", "_") for name in signals)


def test_the_three_lines(app: flask.Flask, inbox: Inbox) -> None:
    """They send."""
    names: dict[str, Any] = {"app": app}
    exec(shown("mail = Mail(app)"), names)
    assert list(names["receipt"].accepted) == ["ann@example.org"]


def test_named_mailers(app: flask.Flask, inbox: Inbox) -> None:
    """The mailer of the example is there; here it has no server of its own, so that something arrives."""
    settings, use = re.split(r"(?=^mail\[)", shown("MAIL_MAILERS"), flags=re.MULTILINE)
    exec(settings, {"app": app})
    assert app.config["MAIL_MAILERS"]["bulk"].pop("URL").startswith("smtps://")
    exec(use, {"mail": Mail(app), "message": Message("News", ["ann@example.org"], "Text")})
    assert [message.sender for message in inbox.messages] == ["news@example.com"]


def test_errors(mail: Mail, inbox: Inbox) -> None:
    """Nobody accepted the message: the second branch takes it."""
    inbox.refuse("ann@example.org")
    names: dict[str, Any] = {"mail": mail, "message": Message("Hello", ["ann@example.org"], "Text")}
    exec(shown("SMTPOutcomeUnknown").replace("...  # error.receipt says", "caught = error.receipt  #"), names)
    assert list(names["caught"].rejected) == ["ann@example.org"]


def test_several_messages(mail: Mail, inbox: Inbox) -> None:
    """The loop sends one to each."""
    users = [SimpleNamespace(email=f"{name}@example.org") for name in ("ann", "bob")]
    exec(shown("in users"), {"mail": mail, "users": users, "news": "Text", "Message": Message})
    assert [message.recipients for message in inbox.messages] == [("ann@example.org",), ("bob@example.org",)]


def test_async_code(mail: Mail, inbox: Inbox) -> None:
    """It sends."""
    names: dict[str, Any] = {"mail": mail, "message": Message("Hello", ["ann@example.org"], "Text")}
    exec("async def example():\n" + textwrap.indent(shown("await mail.asend"), "    "), names)
    asyncio.run(names["example"]())
    assert len(inbox.messages) == 1


def test_the_receiver(app: flask.Flask, mail: Mail, inbox: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    """It writes down who was refused."""
    inbox.refuse("bob@example.org")
    names: dict[str, Any] = {"app": app}
    exec(shown("connect_via"), names)
    mail.send(Message("Hello", ["ann@example.org", "bob@example.org"], "Text"))
    assert "bob@example.org: 550 no such user" in [r.getMessage() for r in caplog.records if r.name == app.name]


def test_the_tests(inbox: Inbox) -> None:
    """Both of them pass, in an app that greets who signs up."""
    app = app_for(inbox, TESTING=True)
    mail = Mail(app)

    @app.post("/sign-up")
    def sign_up() -> str:
        try:
            mail.send(Message("Welcome", [flask.request.form["email"]], "Hello!"))
        except mailbridge_flask.state.SMTPException:
            return "refused"
        return "sent"

    names: dict[str, Any] = {}
    exec(shown("def test_sign_up"), names)
    exec(shown("def test_a_refusal"), names)
    names["test_sign_up"](app.test_client(), mail)
    with mailbridge_flask.testing.serving(app) as mail_server:
        names["test_a_refusal"](app.test_client(), mail_server)
    assert inbox.messages == []


def test_moving_from_flask_mail() -> None:
    """Every name of the import is there."""
    exec(shown("import Attachment"), {})


def test_moving_from_flask_mailman(mail: Mail, inbox: Inbox) -> None:
    """The message of the example arrives with both texts and its file."""
    names: dict[str, Any] = {"mail": mail, "Message": Message}
    exec(shown("prices.csv"), names)
    parts = [part.get_content_type() for part in inbox.messages[0].message.walk() if not part.is_multipart()]
    assert parts == ["text/plain", "text/html", "text/csv"]
