"""The MAIL_* keys: read once, checked, each error with the key, the value and what is allowed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mailbridge import Secret, Security, Server, SMTPInputError, Timeouts, printable

from .sanitize import Mailbox, divided, spelled

_YES = {"1", "true", "yes", "on", "t", "y"}
_NO = {"0", "false", "no", "off", "f", "n"}

# RFC 8314 section 3.3. Flask-Mail says 25 here too, where no server speaks TLS from the first octet.
IMPLICIT_TLS_PORT = 465


@dataclass(frozen=True, slots=True)
class Settings:
    """What the MAIL_* keys of an app say, by Flask-Mail's names.

    Attributes:
        server: MAIL_SERVER, a name or an address.
        port: MAIL_PORT.
        use_tls: MAIL_USE_TLS: STARTTLS, required and verified.
        use_ssl: MAIL_USE_SSL: TLS from the first octet, verified.
        debug: MAIL_DEBUG: write what was said to the log, secrets hidden.
        username: MAIL_USERNAME.
        password: MAIL_PASSWORD.
        default_sender: MAIL_DEFAULT_SENDER, an address or a name and an address.
        max_emails: MAIL_MAX_EMAILS: messages on one connection before a new one is made; None for no limit.
        suppress: MAIL_SUPPRESS_SEND: send nothing; None to do as TESTING says.
        ascii_attachments: MAIL_ASCII_ATTACHMENTS: write file names in ASCII.
        timeout: MAIL_TIMEOUT: seconds for one wait, to connect or for a reply; None for the engine's own.
        ca_file: MAIL_CA_FILE: certificates (PEM) to trust instead of the system's.
    """

    server: str = "127.0.0.1"
    port: int = 25
    use_tls: bool = False
    use_ssl: bool = False
    debug: bool = False
    username: str | None = None
    password: Secret | None = field(default=None, repr=False)
    default_sender: Mailbox | None = None
    max_emails: int | None = None
    suppress: bool | None = None
    ascii_attachments: bool = False
    timeout: float | None = None
    ca_file: str | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any], *, debug: bool = False) -> Settings:
        """Read the settings of an app.

        A key that is missing, None or empty (a variable of the environment without a value) takes its default.

        Args:
            config: The app's configuration.
            debug: The default of MAIL_DEBUG.

        Raises:
            SMTPInputError: A value that a key does not take.
        """
        values = {key: value for key, value in config.items() if value is not None and value != ""}
        use_ssl = _flag(values, "MAIL_USE_SSL")
        return cls(
            server=_host(values, "MAIL_SERVER") or "127.0.0.1",
            port=_whole(values, "MAIL_PORT", 1, 65_535) or (IMPLICIT_TLS_PORT if use_ssl else 25),
            use_tls=_flag(values, "MAIL_USE_TLS"),
            use_ssl=use_ssl,
            debug=_level(values, "MAIL_DEBUG") if "MAIL_DEBUG" in values else debug,
            username=_text(values, "MAIL_USERNAME"),
            password=_secret(values, "MAIL_PASSWORD"),
            default_sender=_sender(values, "MAIL_DEFAULT_SENDER"),
            max_emails=_whole(values, "MAIL_MAX_EMAILS", 0, None) or None,
            suppress=_flag(values, "MAIL_SUPPRESS_SEND") if "MAIL_SUPPRESS_SEND" in values else None,
            ascii_attachments=_flag(values, "MAIL_ASCII_ATTACHMENTS"),
            timeout=_seconds(values, "MAIL_TIMEOUT"),
            ca_file=_file(values, "MAIL_CA_FILE"),
        )

    def changed(self, name: str, value: object) -> Settings:
        """These settings with another value, read as that of its key.

        Args:
            name: An attribute, such as "default_sender".
            value: What its key, MAIL_DEFAULT_SENDER, could say.

        Raises:
            AttributeError: There is no such setting.
            SMTPInputError: A value that the key does not take.
        """
        if name not in {one.name for one in fields(self)}:
            raise AttributeError(f"there is no mail setting {name!r}")
        key = "MAIL_SUPPRESS_SEND" if name == "suppress" else f"MAIL_{name.upper()}"
        read = Settings.of({key: value})
        return replace(self, **{name: getattr(read, name)})

    @property
    def spelled_sender(self) -> str | None:
        """The default sender as one string."""
        return spelled(self.default_sender) if self.default_sender else None

    def describe(self) -> Server:
        """The server as the engine knows it.

        Raises:
            SMTPInputError: Keys that contradict each other, or credentials that would travel in clear.
        """
        if self.use_tls and self.use_ssl:
            raise SMTPInputError("MAIL_USE_TLS=True and MAIL_USE_SSL=True exclude each other: set one of them")
        # As in Flask-Mail, nobody logs in with half of the credentials.
        logs_in = bool(self.username and self.password)
        server = _server(self.server, self.port)
        security = Security.IMPLICIT if self.use_ssl else Security.STARTTLS if self.use_tls else Security.NONE
        if logs_in and security is Security.NONE and not server.may_log_in_plainly:
            raise SMTPInputError(
                f"MAIL_USERNAME and MAIL_PASSWORD would travel in clear to MAIL_SERVER={self.server!r}: "
                "set MAIL_USE_TLS=True (port 587 or 25) or MAIL_USE_SSL=True (port 465)"
            )
        return Server(
            self.server,
            self.port,
            security=security,
            username=(self.username or "") if logs_in else "",
            password=self.password if logs_in else None,
            ca_file=self.ca_file,
            timeouts=self._timeouts(),
        )

    def _timeouts(self) -> Timeouts:
        if self.timeout is None:
            return Timeouts()
        whole = max(self.timeout, Timeouts().send)
        return Timeouts(connect=self.timeout, reply=self.timeout, content=self.timeout, send=whole)


def _server(host: str, port: int) -> Server:
    try:
        return Server(host, port, security=Security.NONE)
    except SMTPInputError as error:
        raise SMTPInputError(f"MAIL_SERVER: {error}") from None


def _wrong(key: str, value: object, allowed: str) -> SMTPInputError:
    return SMTPInputError(f"{key}={printable(repr(value), 100)}: {allowed}")


def _flag(values: Mapping[str, Any], key: str) -> bool:
    """A string such as "False" is no truth: it comes from the environment, and means what it says."""
    value = values.get(key, False)
    word = str(value).strip().lower()
    if not isinstance(value, bool | int | str) or word not in _YES | _NO:
        raise _wrong(key, value, "True or False is allowed, also 1, 0, yes, no, on and off")
    return word in _YES


def _level(values: Mapping[str, Any], key: str) -> bool:
    """Flask-Mail hands a number to smtplib, where 2 says more than 1; here each says everything."""
    value = values[key]
    if isinstance(value, int | str) and (word := str(value).strip()).isdecimal():
        return int(word) > 0
    return _flag(values, key)


def _whole(values: Mapping[str, Any], key: str, least: int, most: int | None) -> int | None:
    value = values.get(key)
    if value is None:
        return None
    allowed = f"a number from {least} to {most} is allowed" if most else f"a number from {least} is allowed"
    number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
    if isinstance(number, bool) or not isinstance(number, int) or number < least or (most and number > most):
        raise _wrong(key, value, allowed)
    return number


def _seconds(values: Mapping[str, Any], key: str) -> float | None:
    value = values.get(key)
    if value is None:
        return None
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise _wrong(key, value, "a positive and finite number of seconds is allowed")
    return seconds


def _text(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    # from_prefixed_env reads variables as JSON, so a name of digits arrives as a number.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is not None and not isinstance(value, str):
        raise _wrong(key, value, "a string is allowed")
    return value


def _host(values: Mapping[str, Any], key: str) -> str | None:
    value = _text(values, key)
    if value and (port := re.fullmatch(r"[^:]+:([0-9]{1,5})", value)):
        raise _wrong(key, value, f"a name or an address alone is allowed; say MAIL_PORT={port[1]}")
    return value


def _secret(values: Mapping[str, Any], key: str) -> Secret | None:
    value = values.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return Secret(str(value))
    if value is not None and not isinstance(value, str | bytes | Secret):
        raise SMTPInputError(
            f"{key} is a {type(value).__name__} (not shown); a string is allowed, in an environment that is read "
            "as JSON in quotes"
        )
    return value if value is None or isinstance(value, Secret) else Secret(value)


def _sender(values: Mapping[str, Any], key: str) -> Mailbox | None:
    value = values.get(key)
    if value is None:
        return None
    sender: Mailbox = tuple(value) if isinstance(value, list) else value
    try:
        divided(sender)
    except SMTPInputError as error:
        raise SMTPInputError(f"{key}: {error}; an address is allowed, 'Name <address>', or (name, address)") from None
    return sender


def _file(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    if value is None:
        return None
    if not isinstance(value, str | Path) or not Path(value).is_file():
        raise _wrong(key, value, "the path of a file with certificates (PEM) is allowed, and this is none")
    return str(value)
