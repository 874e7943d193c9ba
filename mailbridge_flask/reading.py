"""How one MAIL_* key is read: strictly, each error with the key, the value and what is allowed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from werkzeug.utils import import_string

from mailbridge import Secret, SMTPInputError, Timeouts, printable

from .sanitize import Mailbox, divided
from .shelter import Withheld

# Seconds: what the engine takes for a deadline.
MOST_SECONDS = 1_000_000

TokenProvider = Callable[..., str]

_YES = {"1", "true", "yes", "on", "t", "y"}
_NO = {"0", "false", "no", "off", "f", "n"}


def wrong(key: str, value: object, allowed: str) -> SMTPInputError:
    """The error for a value: the key, the value and what is allowed."""
    return SMTPInputError(f"{key}={printable(repr(value), 100)}: {allowed}")


def flag(values: Mapping[str, Any], key: str) -> bool:
    """Read a flag. A string such as "False" is no truth: it comes from the environment, and means what it says."""
    value = values.get(key, False)
    word = str(value).strip().lower()
    if not isinstance(value, bool | int | str) or word not in _YES | _NO:
        raise wrong(key, value, "True or False is allowed, also 1, 0, yes, no, on and off")
    return word in _YES


def level(values: Mapping[str, Any], key: str) -> bool:
    """Read a flag or a level: Flask-Mail hands a number to smtplib; here each above 0 says everything."""
    value = values[key]
    if isinstance(value, int | str) and (word := str(value).strip()).isdecimal():
        return int(word) > 0
    return flag(values, key)


def whole(values: Mapping[str, Any], key: str, least: int, most: int | None) -> int | None:
    """Read a whole number between two bounds, the second perhaps open."""
    value = values.get(key)
    if value is None:
        return None
    allowed = f"a number from {least} to {most} is allowed" if most else f"a number from {least} is allowed"
    number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
    if isinstance(number, bool) or not isinstance(number, int) or number < least or (most and number > most):
        raise wrong(key, value, allowed)
    return number


def seconds(values: Mapping[str, Any], key: str) -> float | None:
    """Read a number of seconds."""
    value = values.get(key)
    if value is None:
        return None
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not 0 < found <= MOST_SECONDS:
        raise wrong(key, value, f"a positive and finite number of seconds up to {MOST_SECONDS} is allowed")
    return found


def text(values: Mapping[str, Any], key: str) -> str | None:
    """Read a string."""
    value = values.get(key)
    # from_prefixed_env reads variables as JSON, so a name of digits arrives as a number.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is not None and not isinstance(value, str):
        raise wrong(key, value, "a string is allowed")
    return value


def host(values: Mapping[str, Any], key: str) -> str | None:
    """Read a name or an address, without its port."""
    value = text(values, key)
    if value and (port := re.fullmatch(r"[^:]+:([0-9]{1,5})", value)):
        raise wrong(key, value, f"a name or an address alone is allowed; say MAIL_PORT={port[1]}")
    return value


def secret(values: Mapping[str, Any], key: str) -> Secret | None:
    """Read a password, which no error shows."""
    value = values.get(key)
    if isinstance(value, Withheld):
        raise SMTPInputError(
            f"{key} is a {value.kind} (not shown); a string is allowed, in an environment that is read "
            "as JSON in quotes"
        )
    return cast("Secret | None", value)


def sender(values: Mapping[str, Any], key: str) -> Mailbox | None:
    """Read a mailbox: an address, or a name and an address."""
    value = values.get(key)
    if value is None:
        return None
    mailbox: Mailbox = tuple(value) if isinstance(value, list) else value
    try:
        divided(mailbox)
    except SMTPInputError as error:
        raise SMTPInputError(f"{key}: {error}; an address is allowed, 'Name <address>', or (name, address)") from None
    return mailbox


def file(values: Mapping[str, Any], key: str) -> str | None:
    """Read the path of a file that is there."""
    value = values.get(key)
    if value is None:
        return None
    if not isinstance(value, str | Path) or not Path(value).is_file():
        raise wrong(key, value, "the path of a file with certificates (PEM) is allowed, and this is none")
    return str(value)


def names(values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Read several words: a list, or one string with commas between them."""
    value = values.get(key)
    found = value.split(",") if isinstance(value, str) else [] if value is None else value
    if not isinstance(found, list | tuple | set | frozenset) or not all(isinstance(one, str) for one in found):
        raise wrong(key, value, "a list of strings is allowed, or one string with commas")
    return tuple(word for one in found if (word := one.strip()))


def choice(values: Mapping[str, Any], key: str, allowed: Sequence[str], default: str) -> str:
    """Read one word of several."""
    value = values.get(key, default)
    if not isinstance(value, str) or (word := value.strip().lower()) not in allowed:
        raise wrong(key, value, f"{', '.join(allowed)} are allowed")
    return word


def provider(values: Mapping[str, Any], key: str) -> TokenProvider | None:
    """Read a function that gives tokens, or the dotted path of one. A token in its place is not shown."""
    value = values.get(key)
    found = _imported(value) if isinstance(value, Secret) else value
    if found is not None and not callable(found):
        raise SMTPInputError(f"{key} is not shown: a function that gives a token is allowed, or its dotted path")
    return cast("TokenProvider | None", found)


def _imported(path: Secret) -> Any:
    try:
        return import_string(path.reveal().decode()) if b"." in path.reveal() else ""
    except (ImportError, UnicodeDecodeError):
        return ""


def deadlines(values: Mapping[str, Any], key: str) -> dict[str, float]:
    """Read the deadlines of `mailbridge.Timeouts` that a mapping names."""
    value = values.get(key)
    known = [one.name for one in fields(Timeouts)]
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not set(value) <= set(known):
        raise wrong(key, value, f"a dictionary is allowed with seconds for {', '.join(known)}")
    given = {f"{key}[{name!r}]": one for name, one in value.items()}
    return {name: found for name in value if (found := seconds(given, f"{key}[{name!r}]")) is not None}
