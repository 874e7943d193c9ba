"""What MAIL_URL says, as the MAIL_* keys that it stands for, and what it must not contradict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mailbridge import Security, SMTPInputError, printable
from mailbridge.server import is_loopback
from mailbridge.urls import parse

from .reading import choice, flag, secret, whole
from .shelter import sheltered

# A port behind the host, and behind an address in brackets.
_PORT = re.compile(r"[^:/]:[0-9]+(?:[/?]|$)")

_KEYS = {"host": "MAIL_SERVER", "timeouts": "MAIL_TIMEOUTS"}
# Two sources that disagree on these are a mistake, and mail or a password would go to the wrong place.
_AGREED = ("MAIL_SERVER", "MAIL_PORT", "MAIL_USERNAME", "MAIL_PASSWORD")


# What holds for every mailer of an app.
_COMMON = {
    "MAIL_ALLOW_DOMAINS",
    "MAIL_ASCII_ATTACHMENTS",
    "MAIL_DEBUG",
    "MAIL_DEFAULT_SENDER",
    "MAIL_LOG_ADDRESSES",
    "MAIL_ON_PARTIAL",
    "MAIL_REDIRECT_TO",
    "MAIL_SUPPRESS_SEND",
}


# The keys of a mailer: those, and what says where mail goes, and how.
KEYS = _COMMON | {
    "MAIL_ALLOW_PLAINTEXT_AUTH",
    "MAIL_AUTH",
    "MAIL_CA_FILE",
    "MAIL_CHUNKING",
    "MAIL_CLAIM_TIMEOUT",
    "MAIL_CLIENT_CERT",
    "MAIL_CLIENT_KEY",
    "MAIL_DEADLINE",
    "MAIL_LOCAL_HOSTNAME",
    "MAIL_MAX_AGE",
    "MAIL_MAX_CONNECTIONS",
    "MAIL_MAX_EMAILS",
    "MAIL_MAX_IDLE",
    "MAIL_MAX_MESSAGES",
    "MAIL_MAX_RECIPIENTS",
    "MAIL_PASSWORD",
    "MAIL_PIPELINING",
    "MAIL_PORT",
    "MAIL_SECURITY",
    "MAIL_SERVER",
    "MAIL_TIMEOUT",
    "MAIL_TIMEOUTS",
    "MAIL_TOKEN_PROVIDER",
    "MAIL_URL",
    "MAIL_USERNAME",
    "MAIL_USE_SSL",
    "MAIL_USE_TLS",
}


def mailers(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Read MAIL_MAILERS: the keys of each named mailer, completed from those of the app.

    A mailer that names a server of its own, by URL or SERVER, takes only what holds for every mailer from the app;
    another one takes everything.

    Raises:
        SMTPInputError: It is no dictionary of dictionaries, or has a name that is taken; a mailer has an unknown key.
    """
    config = sheltered(config)
    named = config.get("MAIL_MAILERS") or {}
    if not isinstance(named, Mapping) or not all(isinstance(one, Mapping) for one in named.values()):
        raise SMTPInputError("MAIL_MAILERS: a dictionary is allowed with a dictionary of keys for each name")
    if "default" in named:
        raise SMTPInputError("MAIL_MAILERS: 'default' is the mailer of the MAIL_* keys themselves")
    return {str(name): _completed(config, str(name), one) for name, one in named.items()}


def _completed(config: Mapping[str, Any], name: str, mailer: Mapping[str, Any]) -> dict[str, Any]:
    own = {f"MAIL_{str(key).upper().removeprefix('MAIL_')}": value for key, value in mailer.items()}
    if unknown := [key.removeprefix("MAIL_") for key in own if key not in KEYS]:
        # The app's config belongs to many; here a slip would send mail to another server.
        raise SMTPInputError(f"MAIL_MAILERS: {printable(repr(name))} has an unknown key, {printable(unknown[0])}")
    alone = bool(own.get("MAIL_URL") or own.get("MAIL_SERVER"))
    return {key: value for key, value in config.items() if not alone or key in _COMMON} | own


def expanded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write MAIL_URL out as keys; a key that was set comes before what the URL says.

    Returns:
        The values with MAIL_SECURITY in one spelling.

    Raises:
        SMTPInputError: A URL that cannot be read, or that a key contradicts. No secret is repeated.
    """
    security = _by_keys(values)
    said: dict[str, Any] = {}
    if url := secret(values, "MAIL_URL"):
        try:
            said = parse(url.reveal().decode(), security)
        except SMTPInputError as error:
            raise SMTPInputError(f"MAIL_URL: {error}") from None
        if not _PORT.search(url.reveal().decode().rpartition("@")[2]) and "MAIL_PORT" in values:
            del said["port"]
        if security is None and "security" not in said:
            said["security"] = Security.NONE if is_loopback(said["host"]) else Security.STARTTLS
    keys = {_KEYS.get(name, f"MAIL_{name.upper()}"): value for name, value in said.items()}
    for key in _AGREED:
        if key in values and key in keys and not _same(values, keys, key):
            raise _contradiction(key, values[key], keys[key])
    if security and keys.get("MAIL_SECURITY", security) != security:
        raise _contradiction("security", security, keys["MAIL_SECURITY"])
    found = {**keys, **values, "MAIL_SECURITY": str(security or keys.get("MAIL_SECURITY") or Security.NONE)}
    _check_flags(values, found["MAIL_SECURITY"])
    return found


def _by_keys(values: Mapping[str, Any]) -> str | None:
    """What MAIL_USE_TLS, MAIL_USE_SSL and MAIL_SECURITY say, None where they say nothing."""
    named = choice(values, "MAIL_SECURITY", list(Security), "") if "MAIL_SECURITY" in values else None
    by_flag = "implicit" if flag(values, "MAIL_USE_SSL") else "starttls" if flag(values, "MAIL_USE_TLS") else None
    if named and by_flag and named != by_flag:
        raise _contradiction("security", by_flag, named, "MAIL_SECURITY")
    return named or by_flag


def _check_flags(values: Mapping[str, Any], security: str) -> None:
    for key, meaning in (("MAIL_USE_TLS", "starttls"), ("MAIL_USE_SSL", "implicit")):
        if key in values and not flag(values, key) and security == meaning:
            raise _contradiction(key, values[key], security, "MAIL_URL or MAIL_SECURITY")


def _same(values: Mapping[str, Any], keys: Mapping[str, Any], key: str) -> bool:
    if key == "MAIL_PASSWORD":
        return bool(secret(values, key) == keys[key])
    if key == "MAIL_PORT":
        return bool(whole(values, key, 1, 65_535) == keys[key])
    return str(values[key]).lower() == str(keys[key]).lower()


def _contradiction(what: str, value: object, other: object, source: str = "MAIL_URL") -> SMTPInputError:
    shown = "" if what == "MAIL_PASSWORD" else f": {printable(repr(value), 60)} and {printable(repr(other), 60)}"
    return SMTPInputError(f"{what} and {source} contradict each other{shown}; leave one out")
