"""MAIL_MAILERS: several named mailers of one app."""

import logging

import pytest

from mailbridge import SMTPInputError
from mailbridge.testing import Inbox, ScriptedServer
from mailbridge_flask import Mail, Message
from tests.flask.apps import MailFor, app_for


def test_a_mailer_has_a_server_and_a_sender_of_its_own(
    inbox: Inbox, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """mail["bulk"] sends by its own keys, mail["default"] by those of the app; the log says which."""
    bulk = {"url": f"smtp://127.0.0.1:{server.port}", "DEFAULT_SENDER": "news@example.com"}
    app = app_for(inbox, MAIL_MAILERS={"bulk": bulk})
    mail = Mail(app)
    caplog.set_level(logging.INFO, "mailbridge.flask")
    with app.app_context():
        mail["bulk"].send(Message("News", ["ann@example.org"], "News!"))
        mail["default"].send(Message("Hello", ["ann@example.org"], "Hello!"))

    assert server.messages[0].sender == "news@example.com"
    assert inbox.messages[0].sender == "shop@example.com"
    assert [vars(record)["mailer"] for record in caplog.records if record.name == "mailbridge.flask"] == [
        "bulk",
        "default",
    ]


def test_staging_holds_for_every_mailer(mail_for: MailFor, inbox: Inbox) -> None:
    """A mailer with a server of its own cannot write to real people either."""
    bulk = {"SERVER": "127.0.0.1", "PORT": inbox.port}
    mail_for(inbox, MAIL_REDIRECT_TO="dev@example.net", MAIL_MAILERS={"bulk": bulk})["bulk"].send_message(
        "News", ["ann@example.org"], "News!"
    )

    assert inbox.messages[0].recipients == ("dev@example.net",)


def test_a_mailer_without_a_server_takes_the_apps(mail_for: MailFor, inbox: Inbox) -> None:
    """The same server, in another way."""
    mail = mail_for(inbox, MAIL_MAILERS={"bulk": {"MAX_EMAILS": 7}})

    assert (mail["bulk"].port, mail["bulk"].max_emails, mail.max_emails) == (inbox.port, 7, None)


def test_a_mailer_has_limits_of_its_own(mail_for: MailFor, inbox: Inbox) -> None:
    """With its server it takes the app's limits, and may set others."""
    mail = mail_for(inbox, MAIL_MAX_CONNECTIONS=3, MAIL_MAILERS={"bulk": {"MAX_MESSAGES": "7"}})

    assert mail["bulk"].settings.limits() == {"max_connections": 3, "max_messages": 7}
    assert mail["default"].settings.limits() == {"max_connections": 3}


def test_an_unknown_mailer(mail_for: MailFor, inbox: Inbox) -> None:
    """The error names those that there are."""
    mail = mail_for(inbox, MAIL_MAILERS={"bulk": {}})
    with pytest.raises(KeyError, match="no mailer 'news' in MAIL_MAILERS; there are default, bulk"):
        mail["news"]


@pytest.mark.parametrize("wrong", [["bulk"], {"bulk": "smtp://localhost"}, {"default": {}}])
def test_wrong_mailers_are_refused(mail_for: MailFor, inbox: Inbox, wrong: object) -> None:
    """A wrong app does not start."""
    with pytest.raises(SMTPInputError, match="MAIL_MAILERS: "):
        mail_for(inbox, MAIL_MAILERS=wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"SEVER": "mail.example.com"}, "'bulk' has an unknown key, SEVER"), ({"PORT": "smtp"}, r"\['bulk'\]: MAIL_PORT")],
)
def test_a_wrong_key_of_a_mailer(mail_for: MailFor, inbox: Inbox, wrong: dict[str, str], said: str) -> None:
    """The error says whose it is; a slip does not send mail by another server."""
    with pytest.raises(SMTPInputError, match=f"MAIL_MAILERS.*{said}"):
        mail_for(inbox, MAIL_MAILERS={"bulk": wrong})
