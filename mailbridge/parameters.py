"""The typed options of MAIL and RCPT: what a caller may ask of a server, and which extension it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from .addresses import Address
from .addresses import parse as parse_address
from .errors import SMTPInputError
from .facts import printable

# RFC 3461: what a server must take of ENVID and ORCPT, counted here as they stand on the line, in xtext.
ENVID = 100
ORCPT = 500
# RFC 2852 section 4, RFC 4865 section 5: numbers of seconds have nine digits at most.
SECONDS = 999_999_999

Notify = Literal["NEVER", "SUCCESS", "FAILURE", "DELAY"]


def xtext(text: str) -> str:
    """Encode a value as xtext (RFC 3461 section 4): printable ASCII but "+" and "=" as it is, the rest as +HH."""
    octets = text.encode("utf-8", "surrogateescape")
    return "".join(chr(o) if 33 <= o <= 126 and o not in b"+=" else f"+{o:02X}" for o in octets)


def _fits(envid: str) -> bool:
    return 0 < len(xtext(envid)) <= ENVID


def is_whole(value: object, low: int, high: int = 10**20) -> bool:
    """Whether a value is a whole number from `low` to `high`; a string is none, whatever its digits (WIRE.md S7)."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


# Some providers take a key for the user name, and what is no `Secret` may have been meant as one.
_NEVER_SHOWN = {"username", "authzid", "password", "client_key_password", "token_provider"}


def shown(value: object) -> str:
    """A wrong value as an error repeats it."""
    return printable(repr(value), 100)


def require(name: str, what: str, value: object, kind: Any) -> None:
    """Refuse a setting of another type; its value is repeated where it cannot be a secret."""
    if not isinstance(value, kind):
        seen = type(value).__name__ if name in _NEVER_SHOWN else shown(value)
        raise SMTPInputError(f"{name} is {what}, not {seen}")


def _check(condition: bool, complaint: str) -> None:
    if not condition:
        raise SMTPInputError(complaint)


@dataclass(frozen=True, slots=True)
class MailOptions:
    """What a message may ask for at MAIL.

    Attributes:
        ret: RFC 3461: how much of the message a failure report returns, "FULL" or "HDRS".
        envid: RFC 3461: the sender's own name for this envelope, at most 100 characters when encoded.
        submitter: RFC 4954: the AUTH= parameter, an address; empty for "<>".
        require_tls: RFC 8689: every relay on the way must use verified TLS.
        priority: RFC 6710: MT-PRIORITY, -9 to 9.
        deliver_by: RFC 2852: seconds within which it must be delivered.
        deliver_by_mode: RFC 2852: "R" returns it when it is late, "N" only notifies.
        hold_for: RFC 4865: seconds to wait before delivery.
        hold_until: RFC 4865: the moment of delivery, with a time zone.
    """

    ret: Literal["FULL", "HDRS"] | None = None
    envid: str | None = None
    submitter: str | None = None
    require_tls: bool = False
    priority: int | None = None
    deliver_by: int | None = None
    deliver_by_mode: Literal["R", "N"] = "R"
    hold_for: int | None = None
    hold_until: datetime | None = None

    def __post_init__(self) -> None:
        _check(self.ret in (None, "FULL", "HDRS"), f"ret is FULL or HDRS, not {shown(self.ret)}")
        require("envid", "a string", self.envid, str | None)
        require("submitter", "an address, a string", self.submitter, str | None)
        require("require_tls", "True or False", self.require_tls, bool)
        require("hold_until", "a datetime", self.hold_until, datetime | None)
        _check(
            self.envid is None or (self.envid.isascii() and self.envid.isprintable() and _fits(self.envid)),
            f"envid is 1 to {ENVID} printable ASCII characters, of which a space, + and = count three, "
            f"not {shown(self.envid)}",
        )
        if self.submitter:
            parse_address(self.submitter)
        _check(
            self.priority is None or is_whole(self.priority, -9, 9), f"priority is -9 to 9, not {shown(self.priority)}"
        )
        _check(self.deliver_by_mode in ("R", "N"), f"deliver_by_mode is R or N, not {shown(self.deliver_by_mode)}")
        # RFC 2852 section 4: nine digits; what may only be notified may be late already.
        earliest = 1 if self.deliver_by_mode == "R" else -SECONDS
        _check(
            self.deliver_by is None or is_whole(self.deliver_by, earliest, SECONDS),
            f"deliver_by is a whole number of seconds from {earliest}, not {shown(self.deliver_by)}",
        )
        _check(
            self.hold_for is None or is_whole(self.hold_for, 1, SECONDS),
            f"hold_for is a whole number of seconds from 1, not {shown(self.hold_for)}",
        )
        _check(self.hold_for is None or self.hold_until is None, "hold_for and hold_until exclude each other")
        _check(self.hold_until is None or self.hold_until.tzinfo is not None, "hold_until needs a time zone")

    def extensions(self) -> Iterator[str]:
        """The extensions that a server must offer for these options to be sent."""
        if self.ret or self.envid:
            yield "DSN"
        if self.submitter is not None:
            yield "AUTH"
        if self.require_tls:
            yield "REQUIRETLS"
        if self.priority is not None:
            yield "MT-PRIORITY"
        if self.deliver_by is not None:
            yield "DELIVERBY"
        if self.hold_for is not None or self.hold_until is not None:
            yield "FUTURERELEASE"

    def words(self) -> Iterator[str]:
        """The parameters as they stand in the command."""
        if self.ret:
            yield f"RET={self.ret}"
        if self.envid:
            yield f"ENVID={xtext(self.envid)}"
        if self.submitter is not None:
            yield f"AUTH={xtext(str(parse_address(self.submitter))) if self.submitter else '<>'}"
        if self.require_tls:
            yield "REQUIRETLS"
        if self.priority is not None:
            yield f"MT-PRIORITY={self.priority}"
        if self.deliver_by is not None:
            yield f"BY={self.deliver_by};{self.deliver_by_mode}"
        if self.hold_for is not None:
            yield f"HOLDFOR={self.hold_for}"
        if self.hold_until is not None:
            yield f"HOLDUNTIL={self.hold_until.isoformat(timespec='seconds').replace('+00:00', 'Z')}"


@dataclass(frozen=True, slots=True)
class RcptOptions:
    """What a message may ask for at RCPT, for one recipient.

    Attributes:
        notify: RFC 3461: when to send a delivery report; "NEVER" stands alone.
        original: RFC 3461: ORCPT, the recipient that the sender first named.
    """

    notify: Sequence[Notify] = ()
    original: str | None = None

    def __post_init__(self) -> None:
        # One string would be taken apart into its letters.
        require("notify", "a list", self.notify, list | tuple | set | frozenset)
        object.__setattr__(self, "notify", tuple(self.notify))
        known = ("NEVER", "SUCCESS", "FAILURE", "DELAY")
        _check(all(one in known for one in self.notify), f"notify takes {', '.join(known)}, not {shown(self.notify)}")
        _check("NEVER" not in self.notify or len(self.notify) == 1, "NEVER excludes the other values of notify")
        require("original", "an address, a string", self.original, str | None)
        if self.original is not None:
            _check(len(self._orcpt(parse_address(self.original))) <= ORCPT, f"original has more than {ORCPT} octets")

    @staticmethod
    def _orcpt(address: Address) -> str:
        # RFC 6533 section 3: a local part beyond ASCII takes the address type utf-8. Its
        # utf-8-addr-xtext form is plain ASCII, so that the line needs no SMTPUTF8.
        if not address.needs_utf8:
            return f"rfc822;{xtext(str(address))}"
        return "utf-8;" + re.sub(r"[^!-*,-<>-\[\]-~]", lambda c: f"\\x{{{ord(c[0]):X}}}", str(address))

    def extensions(self) -> Iterator[str]:
        """The extensions that a server must offer for these options to be sent."""
        if self.notify or self.original:
            yield "DSN"

    def words(self) -> Iterator[str]:
        """The parameters as they stand in the command."""
        if self.notify:
            yield f"NOTIFY={','.join(self.notify)}"
        if self.original is not None:
            yield f"ORCPT={self._orcpt(parse_address(self.original))}"
