"""`flask mail check` and `flask mail send-test`."""

from __future__ import annotations

import json
from dataclasses import replace

import click
from flask import current_app
from flask.cli import AppGroup

from mailbridge import SMTPException, SMTPInputError, printable
from mailbridge.check import Diagnosis, Step, diagnose

from .message import Message
from .state import MailState

group = AppGroup("mail", help="Check the mail server, or send a test message.")

_using = click.option("--using", metavar="NAME", default="default", help="A mailer of MAIL_MAILERS.")


@group.command("check")
@_using
@click.option("--to", metavar="ADDRESS", help="Send a small test message to this address.")
@click.option("--json", "for_machines", is_flag=True, help="Print JSON.")
def check(using: str, to: str | None, for_machines: bool) -> None:
    """Say what works between here and the mail server, and what to change.

    Nothing is sent without --to. Exit status: 0 all well (perhaps with warnings), 1 a step failed, 2 wrong usage.
    """
    mailer = _mailer(using)
    if to is not None:
        _may_get_mail(mailer, to)
    try:
        diagnosis = diagnose(mailer.settings.describe(), to=to, sender=mailer.settings.spelled_sender)
    except SMTPInputError as error:
        raise click.UsageError(str(error)) from None
    diagnosis = _with_settings(diagnosis, mailer)
    click.echo(json.dumps(diagnosis.as_dict(), indent=2) if for_machines else "\n".join(diagnosis.lines()))
    if not diagnosis.ok:
        raise click.exceptions.Exit(1)


@group.command("send-test")
@_using
@click.argument("address")
def send_test(using: str, address: str) -> None:
    """Send a test message as the app sends every other one, and say what became of it."""
    mailer = _mailer(using)
    message = Message("mailbridge test", [address], f"The app {mailer.app.name!r} sent this test message.\n")
    failed = None
    try:
        receipt = mailer.send(message)
    except SMTPInputError as error:
        raise click.UsageError(str(error)) from None
    except SMTPException as error:
        receipt, failed = error.receipt, error
    if receipt is None and failed is None:
        raise click.ClickException("nothing was sent: MAIL_SUPPRESS_SEND or TESTING says so")
    for result in receipt.results.values() if receipt else ():
        click.echo(printable(f"{result.recipient} {result.state} {result.reply or ''}").rstrip())
    if failed is not None:
        raise click.ClickException(str(failed))


def _mailer(name: str) -> MailState:
    state: MailState = current_app.extensions["mailbridge"]
    try:
        return state[name]
    except KeyError as error:
        raise click.UsageError(error.args[0]) from None


def _with_settings(diagnosis: Diagnosis, mailer: MailState) -> Diagnosis:
    """What no server could say: a message that names no sender is sent nowhere."""
    if mailer.settings.default_sender:
        return diagnosis
    finding = "MAIL_DEFAULT_SENDER is not set: a message that names no sender of its own cannot be sent"
    return replace(diagnosis, steps=(Step("SETTINGS", 0.0, finding=finding), *diagnosis.steps))


def _may_get_mail(mailer: MailState, to: str) -> None:
    """The test message of a check goes past `send`, and what keeps mail back there keeps it back here."""
    if mailer.suppress:
        raise click.UsageError("--to sends mail, and MAIL_SUPPRESS_SEND or TESTING says that nothing is sent")
    try:
        staged = mailer.settings.staging.apply([to])
    except SMTPInputError as error:
        raise click.UsageError(str(error)) from None
    if staged.original is not None:
        raise click.UsageError(f"MAIL_REDIRECT_TO or MAIL_ALLOW_DOMAINS keeps mail for {printable(to)} here")
