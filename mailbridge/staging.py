"""Staging: a copy of a site that sends real mail must not reach real people.

Decided where it cannot be got round: over the recipients of RCPT. Who stands in To and Cc says nothing about
who gets the mail, and stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .addresses import parse
from .errors import SMTPInputError
from .facts import printable
from .receipts import RecipientResult, State

# Where the recipients stand whom the message was meant for, Bcc included: who reads it in staging is no stranger.
ORIGINAL_RECIPIENTS = "X-Original-Recipients"


@dataclass(frozen=True, slots=True)
class Staged:
    """The recipients of one message after staging.

    Attributes:
        recipients: Who is named at RCPT, perhaps nobody.
        withheld: Who is not, and why: states of `not_sent`.
        original: The value of `ORIGINAL_RECIPIENTS`; None where nobody was changed.
    """

    recipients: tuple[str, ...]
    withheld: dict[str, RecipientResult]
    original: str | None


@dataclass(frozen=True, slots=True)
class Staging:
    """Who may get mail from here, and who gets it instead.

    Attributes:
        redirect_to: Who gets what others would have got.
        allow_domains: Domains whose recipients get their mail themselves, each named in full. Empty: nobody
            where there is a `redirect_to`, everybody where there is none.
    """

    redirect_to: Sequence[str] = ()
    allow_domains: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("redirect_to", "allow_domains"):
            if isinstance(getattr(self, name), str | bytes):
                raise SMTPInputError(f"{name} is a list, not one string")
        for address in self.redirect_to:
            parse(address)
        domains = [_domain(domain) for domain in self.allow_domains]
        object.__setattr__(self, "redirect_to", tuple(self.redirect_to))
        object.__setattr__(self, "allow_domains", tuple(domains))

    def __bool__(self) -> bool:
        return bool(self.redirect_to or self.allow_domains)

    def apply(self, recipients: Iterable[str]) -> Staged:
        """Decide who is named at RCPT.

        Raises:
            SMTPInputError: A recipient is not an address.
        """
        names = tuple(recipients)
        kept = [name for name in names if not self or parse(name).key[1] in self.allow_domains]
        others = [name for name in names if name not in kept]
        if not others:
            return Staged(names, {}, None)
        original = ", ".join(names)
        if self.redirect_to:
            return Staged(tuple(dict.fromkeys((*kept, *self.redirect_to))), {}, original)
        return Staged(tuple(kept), {name: self._withheld(name) for name in others}, original)

    def _withheld(self, name: str) -> RecipientResult:
        error = SMTPInputError(f"{printable(repr(name))} is not in allow_domains ({', '.join(self.allow_domains)})")
        return RecipientResult(name, State.NOT_SENT, error=error)


def _domain(domain: str) -> str:
    """A domain as `Address.key` has it."""
    try:
        return parse(f"postmaster@{domain}").key[1]
    except SMTPInputError:
        shown = printable(repr(domain), 100)
        raise SMTPInputError(f"{shown} is not a domain, such as 'example.com'") from None
