"""The embedded mail server, and the environment that tells the sites where it and their databases are."""

import logging
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from example_project import mailroom
from mailbridge.testing import Inbox

USER = "demo"


@contextmanager
def running() -> Iterator[Inbox]:
    """Run a mail server on loopback that asks for STARTTLS and a login, and turns two recipients away.

    Its certificate is made on the spot, and so is its password.
    """
    # aiosmtpd warns of itself, and nobody else listens.
    logging.getLogger("mail.log").addHandler(logging.NullHandler())
    password = secrets.token_urlsafe(12)
    inbox = Inbox(tls="starttls", accounts={USER: password}, require_auth=True)
    with inbox, tempfile.TemporaryDirectory(prefix="demo-", ignore_cleanup_errors=True) as folder:
        inbox.refuse(mailroom.GONE, 550, "5.1.1", "no such user")
        inbox.defer(mailroom.FULL, 451, "4.2.0", "mailbox full, try again later")
        os.environ |= _environment(inbox, password, Path(folder))
        mailroom.inbox = inbox
        yield inbox


def _environment(inbox: Inbox, password: str, folder: Path) -> dict[str, str]:
    """What an administrator would set: the first half for the Django site, the second for the Flask app."""
    return {
        "DJANGO_SETTINGS_MODULE": "example_project.site.settings",
        "DATABASE": str(folder / "site.sqlite3"),
        "EMAIL_HOST": "localhost",
        "EMAIL_PORT": str(inbox.port),
        "EMAIL_HOST_USER": USER,
        "EMAIL_HOST_PASSWORD": password,
        "EMAIL_CA_FILE": inbox.ca_file,
        "FLASK_DATABASE": str(folder / "shop.sqlite3"),
        "FLASK_MAIL_SERVER": "localhost",
        "FLASK_MAIL_PORT": str(inbox.port),
        "FLASK_MAIL_USERNAME": USER,
        "FLASK_MAIL_PASSWORD": password,
        "FLASK_MAIL_CA_FILE": inbox.ca_file,
    }
