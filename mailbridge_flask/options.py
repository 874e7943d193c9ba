"""ESMTP parameters as Flask-Mail takes them, a list of words, as the typed options of the engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from mailbridge import MailOptions, RcptOptions, SMTPInputError, printable

_Reader = Callable[[str], dict[str, Any]]


def _plain(value: str) -> str:
    """Read xtext (RFC 3461 section 4)."""
    return re.sub(r"\+([0-9A-F]{2})", lambda octet: chr(int(octet[1], 16)), value)


def _deliver_by(value: str) -> dict[str, Any]:
    # RFC 2852 section 4: seconds, ";", and what to do when they are over.
    seconds, _, mode = value.partition(";")
    return {"deliver_by": int(seconds), "deliver_by_mode": mode.upper()}


def _left_to_the_engine(_: str) -> dict[str, Any]:
    """It sees by itself what the content needs and what the server offers."""
    return {}


_AT_MAIL: Mapping[str, _Reader] = {
    "AUTH": lambda value: {"submitter": "" if value == "<>" else _plain(value)},
    "BODY": _left_to_the_engine,
    "BY": _deliver_by,
    "ENVID": lambda value: {"envid": _plain(value)},
    "HOLDFOR": lambda value: {"hold_for": int(value)},
    "HOLDUNTIL": lambda value: {"hold_until": datetime.fromisoformat(value)},
    "MT-PRIORITY": lambda value: {"priority": int(value)},
    "REQUIRETLS": lambda value: {"require_tls": True},
    "RET": lambda value: {"ret": value.upper()},
    "SIZE": _left_to_the_engine,
    "SMTPUTF8": _left_to_the_engine,
}
_AT_RCPT: Mapping[str, _Reader] = {
    "NOTIFY": lambda value: {"notify": value.upper().split(",")},
    "ORCPT": lambda value: {"original": _plain(value.partition(";")[2])},
}


def mail_options(words: Iterable[str]) -> MailOptions | None:
    """Read what stands behind MAIL, such as "RET=HDRS"; None where nothing does.

    Raises:
        SMTPInputError: A word that is not known, or a value that it does not take.
    """
    found = _read("mail_options", words, _AT_MAIL)
    return MailOptions(**found) if found else None


def rcpt_options(words: Iterable[str]) -> RcptOptions | None:
    """Read what stands behind RCPT, such as "NOTIFY=SUCCESS,DELAY"; None where nothing does.

    Raises:
        SMTPInputError: A word that is not known, or a value that it does not take.
    """
    found = _read("rcpt_options", words, _AT_RCPT)
    return RcptOptions(**found) if found else None


def _read(where: str, words: Iterable[str], known: Mapping[str, _Reader]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in words:
        name, _, value = str(word).partition("=")
        read = known.get(name.upper())
        if read is None:
            raise SMTPInputError(f"{where}: {printable(repr(word))} is not known; {', '.join(known)} are")
        try:
            found |= read(value)
        except ValueError:
            raise SMTPInputError(f"{where}: {printable(repr(word))} is not what {name.upper()} takes") from None
    return found
