"""What the settings say, read strictly. The only module that says `settings`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from mailbridge import Secret, Server, SMTPInputError

# The options of Django's own backend, and the setting behind each where MAILERS is not used.
DJANGO = {
    "host": "EMAIL_HOST",
    "port": "EMAIL_PORT",
    "username": "EMAIL_HOST_USER",
    "password": "EMAIL_HOST_PASSWORD",
    "use_tls": "EMAIL_USE_TLS",
    "use_ssl": "EMAIL_USE_SSL",
    "timeout": "EMAIL_TIMEOUT",
    "ssl_keyfile": "EMAIL_SSL_KEYFILE",
    "ssl_certfile": "EMAIL_SSL_CERTFILE",
}
# Our own: constructor arguments, OPTIONS, and for all mailers the keys of the setting MAILBRIDGE.
OURS = ("ca_file", "allow_plaintext_auth")
_FILES = ("ssl_certfile", "ssl_keyfile", "ca_file")

# What comes from the environment is a string, and "False" is not true.
_FLAGS = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0", ""), False)


def gather(alias: str | None, given: Mapping[str, object]) -> dict[str, Any]:
    """Complete a constructor's arguments from the settings.

    An argument or one of OPTIONS comes first, then MAILBRIDGE, then EMAIL_*, which count only where
    MAILERS is not used.

    Args:
        alias: The mailer's name in MAILERS, None where that is not used.
        given: The arguments; None stands for one that was not given.

    Returns:
        A value for each option, the password as a `Secret`.

    Raises:
        ImproperlyConfigured: A value that is wrong; InvalidMailer where there is an alias.
    """
    ours = _ours(alias)
    if alias is not None and not given["host"]:
        raise wrong("OPTIONS must define 'host'.", alias)
    found = {name: _value(alias, name, given[name], ours) for name in (*DJANGO, *OURS)}
    options = {name: value for name, (_, value) in found.items()}
    if options["ssl_keyfile"] and not options["ssl_certfile"]:
        raise wrong(f"{found['ssl_keyfile'][0]} without {found['ssl_certfile'][0]}", alias)
    if options["use_tls"] or options["use_ssl"]:
        for name in _FILES:
            _check_file(alias, *found[name])
    return options


def wrong(text: str, alias: str | None) -> ImproperlyConfigured:
    """The error for a wrong setting; it names the mailer where there is one."""
    if alias is None:
        return ImproperlyConfigured(text)
    from django.core.mail import InvalidMailer  # noqa: PLC0415  # Django 6.1, where aliases come from

    return InvalidMailer(text, alias=alias)


def exclusive(alias: str | None) -> Exception:
    """The error for TLS and SSL at once, in Django's words."""
    if alias is None:
        return ValueError(
            "EMAIL_USE_TLS/EMAIL_USE_SSL are mutually exclusive, so only set one of those settings to True."
        )
    return wrong("The 'use_ssl' and 'use_tls' OPTIONS are incompatible. Set at most one of them to True.", alias)


def _ours(alias: str | None) -> Mapping[str, object]:
    ours = getattr(settings, "MAILBRIDGE", {})
    if not isinstance(ours, Mapping):
        raise wrong(f"MAILBRIDGE is a dictionary, not {ours!r}", alias)
    if unknown := [repr(key) for key in ours if key not in OURS]:
        raise wrong(f"MAILBRIDGE has no key {', '.join(unknown)}; there are {', '.join(OURS)}", alias)
    return ours


def _value(alias: str | None, name: str, given: object, ours: Mapping[str, object]) -> tuple[str, Any]:
    """Where an option's value stands, and the value as it is read there."""
    place, value = f"OPTIONS[{name!r}]" if alias is not None else name, given
    if given is None and name in ours:
        place, value = f"MAILBRIDGE[{name!r}]", ours[name]
    # Django takes an empty host or port for one that was not given.
    if alias is None and name in DJANGO and (given is None or (name in {"host", "port"} and not given)):
        place = DJANGO[name]
        value = getattr(settings, place)
    try:
        return place, _READERS[name](value)
    except SMTPInputError as error:
        raise wrong(f"{place}: {error}", alias) from None
    except ValueError as error:
        shown = "" if name == "password" else f", not {value!r}"
        raise wrong(f"{place} is {error}{shown}", alias) from None


def _check_file(alias: str | None, place: str, name: str | None) -> None:
    try:
        if name:
            Path(name).open("rb").close()
    except (OSError, ValueError) as error:
        raise wrong(f"{place} cannot be read: {error}", alias) from error


def _host(value: object) -> str:
    host = _text(value)
    if not host:
        raise ValueError("a host name or an address")
    return Server(host).host


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("a string")
    return value


def _secret(value: object) -> Secret:
    return value if isinstance(value, Secret) else Secret(_text(value))


def _flag(value: object) -> bool:
    found = _FLAGS.get(str(value or "").strip().lower())
    if found is None:
        raise ValueError("True or False")
    return found


def _port(value: object) -> int:
    text = str(value or 0)
    if not (text.isascii() and text.isdigit()) or int(text) > 65_535:
        raise ValueError("a port, a number from 1 to 65535")
    return int(text)


def _seconds(value: object) -> float | None:
    if value is None or value == "":
        return None
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError("a positive number of seconds")
    return seconds


def _file(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str | os.PathLike):
        raise ValueError("the path of a file")
    return os.fspath(value)


_READERS: dict[str, Callable[[object], object]] = {
    "host": _host,
    "port": _port,
    "username": _text,
    "password": _secret,
    "use_tls": _flag,
    "use_ssl": _flag,
    "timeout": _seconds,
    "ssl_keyfile": _file,
    "ssl_certfile": _file,
    "ca_file": _file,
    "allow_plaintext_auth": _flag,
}
