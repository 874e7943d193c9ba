"""Flask-Mail: one connection kept by `mail.connect()`."""

from __future__ import annotations

import flask_mail
from flask import Flask

from ..workloads import SENDER, Mail
from .base import Driver, Target


class FlaskMail(Driver):
    """`Connection.send` with a `Message`."""

    octets = False

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        app = Flask("benchmarks")
        app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=target.port, MAIL_DEFAULT_SENDER=SENDER)
        self.context = app.app_context()
        self.context.push()
        self.mail = flask_mail.Mail(app)

    def open(self) -> None:
        self.connection = self.mail.connect()
        self.connection.__enter__()

    def close(self) -> None:
        self.connection.__exit__(None, None, None)

    def send(self, mail: Mail) -> None:
        self.connection.send(flask_mail.Message(mail.subject, recipients=mail.recipients, body=mail.text))
