"""The options of a mailer, and how the value of each is read: strictly, strings from the environment too."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any

from django.utils.module_loading import import_string

from mailbridge import Mechanism, Secret, Security, Server, SMTPInputError, Timeouts

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
# Two names for one thing: ours, which MAILBRIDGE and URLs know, and Django's.
SYNONYMS = {"client_cert": "ssl_certfile", "client_key": "ssl_keyfile"}
FILES = ("ssl_certfile", "ssl_keyfile", "ca_file")

# What comes from the environment is a string, and "False" is not true.
_FLAGS = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0", ""), False)
_ON_PARTIAL = ("signal", "raise", "abort")
_STYLES = ("full", "masked", "none")


def _host(value: object) -> str:
    host = _text(value)
    if not host:
        raise ValueError("a host name or an address")
    return _checked(host)


@lru_cache(maxsize=64)
def _checked(host: str) -> str:
    """A host as a Server takes it. Each backend object reads its options anew, and they are always the same."""
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


def _count(value: object) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or not 0 < int(text) < 10**9:
        raise ValueError("a whole number from 1")
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
    return Timeouts(send=seconds).send  # it says how many are too many


def _file(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str | os.PathLike):
        raise ValueError("the path of a file")
    return os.fspath(value)


def _names(value: object) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError("a list of strings, or one string with commas")
    return tuple(name.strip() for name in names if name.strip())


def _auth(value: object) -> tuple[str | Mechanism, ...]:
    if isinstance(value, list | tuple) and all(isinstance(one, str | Mechanism) for one in value):
        return tuple(value)
    return _names(value)


def _provider(value: object) -> Callable[..., Any]:
    if isinstance(value, str):
        try:
            value = import_string(value)
        except ImportError:
            value = None
    if not callable(value):
        raise ValueError("a callable that gives a token, or the dotted path of one")
    return value


def _timeouts(value: object) -> dict[str, float]:
    if isinstance(value, Timeouts):
        return asdict(value)
    names = [one.name for one in fields(Timeouts)]
    if not isinstance(value, Mapping) or not all(name in names for name in value):
        raise ValueError(f"a dictionary of seconds by name: {', '.join(names)}")
    return {str(name): seconds for name, each in value.items() if (seconds := _seconds(each)) is not None}


def _one_of(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return str(value)

    return read


def _on_commit(value: object) -> bool | str:
    """True, False, or the alias of a database."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise ValueError("True, False or the alias of a database")
    return _FLAGS.get(value.strip().lower(), value)


READERS: dict[str, Callable[[object], Any]] = {
    "host": _host,
    "port": _port,
    "username": _text,
    "password": _secret,
    "use_tls": _flag,
    "use_ssl": _flag,
    "timeout": _seconds,
    "ssl_keyfile": _file,
    "ssl_certfile": _file,
    "url": _secret,
    "security": _one_of(*Security),
    "ca_file": _file,
    "client_cert": _file,
    "client_key": _file,
    "auth": _auth,
    "token_provider": _provider,
    "timeouts": _timeouts,
    "deadline": _seconds,
    "local_hostname": _text,
    "max_connections": _count,
    "max_messages": _count,
    "max_recipients": _count,
    "max_idle": _seconds,
    "max_age": _seconds,
    "claim_timeout": _seconds,
    "pipelining": _flag,
    "chunking": _flag,
    "on_partial": _one_of(*_ON_PARTIAL),
    "on_commit": _on_commit,
    "log_addresses": _one_of(*_STYLES),
    "allow_plaintext_auth": _flag,
    "redirect_to": _names,
    "allow_domains": _names,
}
# Our own: constructor arguments, OPTIONS, and for all mailers the keys of the setting MAILBRIDGE.
OURS = tuple(name for name in READERS if name not in DJANGO)
# Those about messages; the others are about servers and connections.
MESSAGES = ("on_partial", "on_commit", "log_addresses", "redirect_to", "allow_domains")
# What holds where nobody says anything. An option that is not here is None, and left to the core.
USUAL: dict[str, Any] = {
    "host": "",
    "port": 0,
    "username": "",
    "password": Secret(""),
    "on_partial": "signal",
    "on_commit": False,
    "log_addresses": "full",
    "redirect_to": (),
    "allow_domains": (),
    "allow_plaintext_auth": False,
}
_SECRETS = ("password", "url")


def sheltered(values: Mapping[str, Any]) -> dict[str, Any]:
    """These values, secrets as a `Secret`: a traceback that shows local variables must not show them (WIRE.md S16)."""
    return {
        name: Secret(value) if name in _SECRETS and isinstance(value, str) else value for name, value in values.items()
    }


def read(name: str, value: object) -> Any:
    """Read one value.

    Raises:
        ValueError: It is none that the option takes. The text says what is; a secret is never repeated.
    """
    try:
        return READERS[name](value)
    except SMTPInputError:
        raise
    except ValueError as error:
        shown = "" if name in (*_SECRETS, "token_provider") else f", not {value!r}"
        raise ValueError(f"is {error}{shown}") from None
