"""The faces of the frameworks: Django by EMAIL_* and by MAILERS, and Flask."""

from typing import Any, ClassVar, Self
from urllib.parse import quote, urlencode

from django.core import mail
from flask import Flask

from mailbridge import Receipt
from mailbridge_django import signals
from mailbridge_django.pools import pools as django_pools
from mailbridge_flask import Attachment, Mail, Message
from mailbridge_flask.pools import pools as flask_pools
from tests.django.conftest import HAS_MAILERS, Site
from tests.security.faces import Face, words
from tests.security.letters import Letter, Outcome

# Only a URL can say these.
OF_URLS = {"lmtp", "danger_accept_any_certificate"}


def url_of(way: dict[str, Any]) -> str:
    """The way as a URL."""
    scheme = (
        "lmtp" if way.get("lmtp") else {"implicit": "smtps", "starttls": "smtp+starttls"}.get(way["security"], "smtp")
    )
    login = f"{quote(way['username'])}:{quote(way['password'])}@" if "username" in way else ""
    options = {"danger_accept_any_certificate": "yes"} if way.get("danger_accept_any_certificate") else {}
    return f"{scheme}://{login}{way['host']}:{way['port']}?{urlencode(options)}"


class Django(Face):
    """Django's own functions, with our backend behind them."""

    mailers: ClassVar[bool] = False

    def __init__(self, settings: Any) -> None:
        super().__init__()
        self.site = Site(settings, mailers=self.mailers)

    def by(self, **way: Any) -> Self:
        super().by(**way)
        options = {key: value for key, value in self.way.items() if key not in {*OF_URLS, "security", "far"}}
        if OF_URLS & self.way.keys():
            kept = {key: options[key] for key in ("ca_file", "timeout", "local_hostname") if key in options}
            options = {"url": url_of(self.way), **kept}
        else:
            options |= {"use_tls": self.way["security"] == "starttls", "use_ssl": self.way["security"] == "implicit"}
        self.site.set(**options)
        return self

    def _sent(self, letter: Letter) -> Outcome:
        told: list[Receipt] = []

        def hear(receipt: Receipt, **_: Any) -> None:
            told.append(receipt)

        everything = (signals.message_sent, signals.recipients_refused, signals.message_failed, signals.outcome_unknown)
        for signal in everything:
            signal.connect(hear)
        try:
            self._post(letter)
        except Exception as error:  # noqa: BLE001 - as in Face.send
            return Outcome.of(told[0] if told else None, error)
        finally:
            for signal in everything:
                signal.disconnect(hear)
        return Outcome.of(told[0] if told else None)

    def _post(self, letter: Letter) -> None:
        made = mail.EmailMessage(
            letter.subject, letter.body, letter.sender, letter.to, bcc=letter.bcc, headers=dict(letter.headers)
        )
        for name, content in letter.files:
            made.attach(name, content, "text/plain")
        made.send()

    def close(self) -> None:
        django_pools.close()


class SendMail(Django):
    """`send_mail()`, which knows neither Bcc nor header fields nor attachments."""

    name = "send_mail"

    def _post(self, letter: Letter) -> None:
        mail.send_mail(letter.subject, letter.body, letter.sender, list(letter.to))


class Email(Django):
    """`EmailMessage.send()`."""

    name = "EmailMessage"


class Mailers(Django):
    """The same where the site has MAILERS, from Django 6.1 on."""

    name = "MAILERS"
    mailers = True


class InFlask(Face):
    """`mail.send()` of an app."""

    name = "Flask"

    def by(self, **way: Any) -> Self:
        super().by(**way)
        self.app = Flask("shop")
        names = {"host": "server", "security": "security"}
        if OF_URLS & self.way.keys():
            kept = {key: self.way[key] for key in ("ca_file", "timeout", "local_hostname") if key in self.way}
            options = {"MAIL_URL": url_of(self.way), **{f"MAIL_{key.upper()}": value for key, value in kept.items()}}
        else:
            options = {f"MAIL_{names.get(key, key).upper()}": value for key, value in self.way.items() if key != "far"}
        self.app.config.update(options)
        return self

    def _sent(self, letter: Letter) -> Outcome:
        if "mail" not in self.app.extensions:
            Mail(self.app)
        message = Message(
            letter.subject,
            list(letter.to),
            letter.body,
            sender=letter.sender,
            bcc=letter.bcc,
            attachments=[Attachment(name, "text/plain", content) for name, content in letter.files],
            extra_headers=dict(letter.headers),
            mail_options=words(letter),
        )
        try:
            return Outcome.of(self.app.extensions["mail"].send(message))
        except Exception as error:  # noqa: BLE001 - as in Face.send
            return Outcome.of(message.mailbridge_receipt, error)

    def close(self) -> None:
        flask_pools.close()


FRAMEWORKS: tuple[type[Face], ...] = (SendMail, Email, *((Mailers,) if HAS_MAILERS else ()), InFlask)
