"""`manage.py mailbridge_check`: what works between here and the mail server, and what to change."""

from __future__ import annotations

import json
from typing import Any

from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mailbridge import printable
from mailbridge.check import Diagnosis, diagnose

from ... import conf
from ...backends import Backend

FAILED, MISUSED = 1, 2


class Command(BaseCommand):
    """Check the server that mail is sent to."""

    help = (
        "Says what works between here and the mail server, step by step, and what to change. Sends nothing without "
        "--to. Exit status: 0 all well (perhaps with warnings), 1 a step failed, 2 wrong usage or settings."
    )
    # A probe is about the server; what the checks have to say, every other command says.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """As `sendtestemail`, where it has the same."""
        parser.add_argument("--using", metavar="ALIAS", help="A mailer of MAILERS, by default 'default'.")
        parser.add_argument("--to", metavar="ADDRESS", help="Send a small test message to this address.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, print, and end with the status that a health probe reads.

        Raises:
            CommandError: A step failed, or the check could not begin.
        """
        try:
            diagnosis = self._diagnose(options["using"], options["to"])
        except (ImproperlyConfigured, ValueError) as error:
            # ValueError: both kinds of TLS at once, as in Django; an address that is none.
            raise CommandError(str(error), returncode=MISUSED) from error
        # The error that ends the command says the summary, so it does not stand in the output as well.
        lines = diagnosis.lines() if diagnosis.ok else diagnosis.lines()[:-1]
        self.stdout.write(json.dumps(diagnosis.as_dict(), indent=2) if options["json"] else "\n".join(lines))
        if not diagnosis.ok:
            raise CommandError(diagnosis.summary, returncode=FAILED)

    def _diagnose(self, using: str | None, to: str | None) -> Diagnosis:
        backend = _backend(using)
        # The test message goes past `send_messages`, and what keeps mail back there keeps it back here.
        if to is not None and backend.rules.staging.apply([to]).original is not None:
            raise ImproperlyConfigured(f"redirect_to or allow_domains keeps mail for {printable(to)} here")
        # The address that mail comes from where the program names none: DEFAULT_FROM_EMAIL.
        return diagnose(backend.server, to=to, sender=mail.EmailMessage().from_email)


def _backend(using: str | None) -> Backend:
    """What sends the mail of a mailer; before Django 6.1 there is only one."""
    if hasattr(mail, "mailers"):
        if using is not None and using not in (known := [alias or "default" for alias in conf.aliases()]):
            raise ImproperlyConfigured(f"no mailer {using!r} in MAILERS; there are {', '.join(known)}")
        backend = mail.mailers[using or "default"]
    elif using is None:
        backend = mail.get_connection()
    else:
        raise ImproperlyConfigured("--using names a mailer of MAILERS, which Django has from 6.1 on")
    if not isinstance(backend, Backend):
        kind = f"{type(backend).__module__}.{type(backend).__qualname__}"
        raise ImproperlyConfigured(f"mail is sent by {kind}, not by mailbridge_django.Backend")
    return backend
