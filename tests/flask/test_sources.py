"""MAIL_URL beside the keys, the options of the engine, and staging."""

import pytest
from flask import Flask

from mailbridge import Secret, Security, SMTPInputError, SMTPRecipientsRefused
from mailbridge.testing import Inbox, ScriptedServer
from mailbridge_flask import Message
from mailbridge_flask.config import Settings
from tests.flask.apps import MailFor

URL = "smtp+starttls://shop:hunter2@mail.example.com:2525"


def settings(**keys: object) -> Settings:
    return Settings.of({f"MAIL_{key}": value for key, value in keys.items()})


def test_a_url_says_everything() -> None:
    """A URL stands for the keys, and Flask-Mail's names show what it says."""
    found = settings(URL=URL + "?timeout_reply=7&max_recipients=9")
    server = found.describe()

    assert (found.server, found.port, found.use_tls, found.username) == ("mail.example.com", 2525, True, "shop")
    assert (server.password, server.timeouts.reply, server.max_recipients) == (Secret("hunter2"), 7, 9)
    assert server.security is Security.STARTTLS


@pytest.mark.parametrize(
    ("url", "security", "port"),
    [
        ("smtp://localhost", "none", 25),
        ("smtp://h.example.com", "starttls", 25),
        ("smtps://h.example.com", "implicit", 465),
    ],
)
def test_the_scheme_decides(url: str, security: str, port: int) -> None:
    """As in `Server.from_url`: in clear to this machine only."""
    server = settings(URL=url).describe()

    assert (server.security, server.port) == (security, port)


def test_keys_complete_a_url() -> None:
    """A port, a password and a deadline that the URL leaves open come from their keys."""
    server = settings(
        URL="submission://shop@h.example.com", PORT="2587", PASSWORD="hunter2", DEADLINE="60", CHUNKING="False"
    ).describe()

    assert (server.port, server.password, server.timeouts.send) == (2587, Secret("hunter2"), 60)
    assert server.chunking is False


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"SERVER": "other.example.com"}, "MAIL_SERVER and MAIL_URL contradict each other"),
        ({"PORT": 25}, "MAIL_PORT and MAIL_URL contradict"),
        ({"PASSWORD": "other"}, "MAIL_PASSWORD and MAIL_URL contradict each other; leave"),
        ({"USE_SSL": True}, "security and MAIL_URL contradict each other: 'implicit' and 'starttls'"),
        ({"USE_TLS": "False"}, "MAIL_USE_TLS and MAIL_URL or MAIL_SECURITY contradict"),
        ({"SECURITY": "none"}, "security and MAIL_URL contradict"),
        ({"SECURITY": "maybe"}, "MAIL_SECURITY='maybe': implicit, starttls, opportunistic, none are allowed"),
        ({"AUTH": 5}, "MAIL_AUTH=5: a list of strings"),
        ({"TOKEN_PROVIDER": "no.such.function"}, "MAIL_TOKEN_PROVIDER is not shown"),
        ({"TIMEOUTS": {"soon": 1}}, "MAIL_TIMEOUTS=.*connect, reply, content, send"),
        ({"ON_PARTIAL": "ignore"}, "MAIL_ON_PARTIAL='ignore': signal, raise, abort are allowed"),
    ],
)
def test_what_disagrees_is_refused(keys: dict[str, object], words: str) -> None:
    """Two sources that disagree are an error, which repeats no secret."""
    with pytest.raises(SMTPInputError, match=words) as caught:
        settings(URL=URL, **keys)
    assert "hunter2" not in str(caught.value)


def test_a_url_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """FLASK_MAIL_URL is MAIL_URL."""
    monkeypatch.setenv("FLASK_MAIL_URL", URL)
    app = Flask("shop")
    app.config.from_prefixed_env()

    assert Settings.of(app.config).server == "mail.example.com"


def test_redirect_to_takes_all_mail(mail_for: MailFor, inbox: Inbox) -> None:
    """A staging site writes to nobody else at RCPT; a header says for whom it was."""
    receipt = mail_for(inbox, MAIL_REDIRECT_TO="dev@example.net").send(
        Message("Hello", ["ann@example.org"], "Hello!", bcc=["bob@example.org"])
    )

    assert inbox.messages[0].recipients == ("dev@example.net",)
    assert inbox.messages[0].message["X-Original-Recipients"] == "ann@example.org, bob@example.org"
    assert receipt is not None
    assert list(receipt.accepted) == ["dev@example.net"]


def test_allow_domains_withholds_the_others(mail_for: MailFor, inbox: Inbox) -> None:
    """Who is allowed gets the message; that the others do not is in the receipt, and raised."""
    message = Message("Hello", ["ann@example.com", "bob@example.org"], "Hello!")
    with pytest.raises(SMTPInputError, match=r"not in allow_domains \(example.com\)"):
        mail_for(inbox, MAIL_ALLOW_DOMAINS=["example.com"]).send(message)

    assert inbox.messages[0].recipients == ("ann@example.com",)
    assert message.mailbridge_receipt is not None
    assert list(message.mailbridge_receipt.not_sent) == ["bob@example.org"]


def test_nobody_is_allowed(mail_for: MailFor, server: ScriptedServer) -> None:
    """Where nobody is left no connection is made."""
    with pytest.raises(SMTPInputError, match="not in allow_domains"):
        mail_for(server, MAIL_ALLOW_DOMAINS="example.com").send_message("Hello", ["bob@example.org"], "Hello!")

    assert server.connections == []


def test_on_partial_raise(mail_for: MailFor, inbox: Inbox) -> None:
    """MAIL_ON_PARTIAL="raise": the others have it, and send() raises."""
    inbox.refuse("bob@example.org", 550, "5.1.1", "no such user")
    with pytest.raises(SMTPRecipientsRefused) as caught:
        mail_for(inbox, MAIL_ON_PARTIAL="raise").send_message("Hello", ["ann@example.org", "bob@example.org"], "Hi")

    assert caught.value.receipt is not None
    assert list(caught.value.receipt.accepted) == ["ann@example.org"]


def test_addresses_are_masked_in_the_log(mail_for: MailFor, inbox: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    """MAIL_LOG_ADDRESSES="masked" leaves out the local parts."""
    inbox.refuse("bob@example.org", 550, "5.1.1", "no such user")
    mail_for(inbox, MAIL_LOG_ADDRESSES="masked").send_message("Hi", ["ann@example.org", "bob@example.org"], "Hi")

    [record] = [record for record in caplog.records if record.name == "mailbridge.flask"]
    assert "b***@example.org" in record.getMessage()
    assert "bob@" not in repr(vars(record))


def test_a_bracket_in_a_password() -> None:
    """Whether the URL names a port is seen behind the user and the password alone."""
    found = settings(URL="smtps://shop:a[1:25@h.example.com", PORT=2465)

    assert (found.port, found.password) == (2465, Secret("a[1:25"))
