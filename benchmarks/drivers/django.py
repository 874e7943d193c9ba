"""Django: its own backend, and ours in its place."""

from __future__ import annotations

import os
from typing import Any

import django
from django.conf import settings
from django.core import mail as django_mail

from ..workloads import SENDER, Mail
from .base import Driver, Target


class SendMail(Driver):
    """Plain `send_mail()`."""

    octets = False
    backend = "django.core.mail.backends.smtp.EmailBackend"

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        login = {"username": target.user, "password": target.password, "use_tls": True} if target.tls else {}
        options: dict[str, Any] = {"host": target.host, "port": target.port, "timeout": 60, **login}
        if target.tls:
            os.environ["SSL_CERT_FILE"] = target.ca_file
        if django.VERSION >= (6, 1):
            settings.configure(MAILERS={"default": {"BACKEND": self.backend, "OPTIONS": options}})
        else:
            names = {"host": "HOST", "port": "PORT", "timeout": "TIMEOUT", "username": "HOST_USER"}
            names |= {"password": "HOST_PASSWORD", "use_tls": "USE_TLS"}
            found = {f"EMAIL_{names[name]}": value for name, value in options.items()}
            settings.configure(EMAIL_BACKEND=self.backend, **found)
        django.setup()

    def send(self, mail: Mail) -> None:
        django_mail.send_mail(mail.subject, mail.text, SENDER, mail.recipients)


class Warm(SendMail):
    """The backend opened once by hand, as a long-lived worker can do."""

    def open(self) -> None:
        self.connection = (
            django_mail.mailers.default if hasattr(django_mail, "mailers") else django_mail.get_connection()
        )
        self.connection.open()

    def close(self) -> None:
        self.connection.close()

    def send(self, mail: Mail) -> None:
        self.connection.send_messages([django_mail.EmailMessage(mail.subject, mail.text, SENDER, mail.recipients)])


class OursSendMail(SendMail):
    """Plain `send_mail()` with our backend."""

    backend = "mailbridge_django.Backend"


class OursWarm(Warm):
    """Our backend, opened by hand."""

    backend = "mailbridge_django.Backend"
