"""A batch on its way: asked about, rendered, counted, reported. How it is sent stands in `sending`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from django.core.mail import EmailMessage

from mailbridge import (
    AddressStyle,
    MailObject,
    Receipt,
    SMTPException,
    SMTPServerDisconnected,
    Staged,
    Staging,
    log_receipt,
)

from .messages import frozen, mail_object, staged, unsent
from .signals import announce, cancelled

logger = logging.getLogger("mailbridge.django")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a backend says about each of its messages.

    Attributes:
        sender: The backend's class, for the signals.
        alias: The mailer's name in MAILERS, if it has one.
        on_partial: What to do where some recipients are refused, in the core's words.
        addresses: How addresses are written to the log.
        staging: Who may get mail from here.
        fail_silently: Raise nothing.
    """

    sender: type
    alias: str | None = None
    on_partial: Literal["deliver", "raise", "abort"] = "deliver"
    addresses: AddressStyle = "full"
    staging: Staging = field(default_factory=Staging)
    fail_silently: bool = False


@dataclass(slots=True, eq=False)
class Item:
    """One message of a batch, with its receipt as soon as there is one."""

    message: EmailMessage
    receipt: Receipt | None = None
    cancelled: bool = False
    mail: MailObject | None = None
    staged: Staged | None = None

    def render(self, staging: Staging, *, freeze: bool = False) -> None:
        """Make of the message what goes onto the wire, or the receipt of one that cannot be sent.

        Args:
            staging: Who may get it.
            freeze: It is sent later, so no later change of the message may reach it.
        """
        if self.receipt is not None or self.mail is not None:
            return
        try:
            self.mail = mail_object(self.message)
            if self.mail is None:
                self.receipt = unsent(self.message, None)
            else:
                self.mail, self.staged = staged(frozen(self.mail) if freeze else self.mail, staging)
        except Exception as error:  # noqa: BLE001 - a template, a file, a subclass: anybody's code may run here
            self.receipt = unsent(self.message, error)
        if self.staged and not self.staged.recipients:
            self.settle(Receipt(str(self.mail and self.mail.sender), {}))

    def settle(self, receipt: Receipt) -> None:
        """Keep the receipt, with those whom staging withheld; let go of the content."""
        whole = receipt
        if self.staged and self.staged.withheld:
            withheld = self.staged.withheld
            error = receipt.error or next(iter(withheld.values())).error
            whole = replace(receipt, results={**receipt.results, **withheld}, error=error)
        # What ended the batch is the error of several messages; it keeps the receipt of the first one.
        if isinstance(whole.error, SMTPException):
            known = whole.error.receipt
            whole.error.receipt = whole if known is None or known is receipt else known
        self.receipt, self.mail = whole, None

    @property
    def error(self) -> Exception | None:
        """What there is to raise about this message."""
        return None if self.cancelled or self.receipt is None else self.receipt.error


def asked(messages: Iterable[EmailMessage], rules: Rules) -> list[Item]:
    """The messages of a batch, after the receivers of `message_sending` had their say about each."""
    items = [Item(message) for message in messages]
    for item in items:
        if wish := cancelled(rules.sender, item.message, rules.alias):
            item.receipt, item.cancelled = unsent(item.message, wish), True
    return items


def abandon(items: list[Item], interruption: BaseException, rules: Rules) -> None:
    """Tell everybody what had become of a batch when Ctrl-C or a time limit ended it.

    A refusal that came before is as true as ever, and what did not leave can be sent again by whoever hears of it.
    """
    why = SMTPServerDisconnected(f"interrupted by {type(interruption).__name__}")
    for item in items:
        if item.receipt is None:
            item.settle(unsent(item.message, why))
    report(items, rules)


def report(items: Iterable[Item], rules: Rules) -> None:
    """Tell everybody, message by message: receipt, record, signals. No connection is held any more."""
    for item, receipt in _finished(items):
        _record(item, receipt, rules)
        if not item.cancelled and (receipt.results or receipt.error):
            announce(rules.sender, item.message, receipt, rules.alias)


def outcome(items: Iterable[Item], rules: Rules) -> int:
    """Count the messages that somebody accepted.

    Raises:
        Exception: The first failure, with the receipts of the whole batch in `receipts`.
    """
    finished = list(_finished(items))
    errors = [item.error for item, _ in finished if item.error]
    if errors and not rules.fail_silently:
        errors[0].receipts = tuple(receipt for _, receipt in finished)  # type: ignore[attr-defined]  # Django's get it
        raise errors[0]
    return sum(bool(receipt.accepted) for _, receipt in finished)


def _finished(items: Iterable[Item]) -> Iterator[tuple[Item, Receipt]]:
    return ((item, item.receipt) for item in items if item.receipt is not None)


def _record(item: Item, receipt: Receipt, rules: Rules) -> None:
    item.message.mailbridge_receipt = receipt  # type: ignore[attr-defined]  # ours to add
    item.message.mailbridge_log_addresses = rules.addresses  # type: ignore[attr-defined]  # for receivers that write
    extra: dict[str, Any] = {"alias": rules.alias, "cancelled": item.cancelled}
    if receipt.results or receipt.error:
        level = logging.INFO if item.cancelled else None
        log_receipt(receipt, to=logger, addresses=rules.addresses, extra=extra, level=level)
