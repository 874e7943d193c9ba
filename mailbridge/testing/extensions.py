"""Service extensions: what is offered when, and which parameters each one allows."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

DEFAULT_EXTENSIONS = (
    "PIPELINING",
    "SIZE 10485760",
    "8BITMIME",
    "SMTPUTF8",
    "ENHANCEDSTATUSCODES",
    "DSN",
    "CHUNKING",
)


class Offers:
    """The extensions of one server, in clear and under TLS, in order.

    Changes replace the tables as a whole, so a session in another thread sees
    either the old or the new ones.
    """

    def __init__(self, extensions: Iterable[str] = DEFAULT_EXTENSIONS) -> None:
        self._tables: dict[bool, dict[str, str]] = {False: {}, True: {}}
        for extension in extensions:
            self.offer(extension)

    def offer(self, extension: str, *, tls: bool | None = None) -> None:
        """Offer "NAME" or "NAME parameters": under TLS, in clear, or (None) in both."""
        name, _, parameters = extension.partition(" ")
        for state in self._states(tls):
            self._tables[state] = {**self._tables[state], name.upper(): parameters}

    def withdraw(self, name: str, *, tls: bool | None = None) -> None:
        """Do not offer `name` any more; one that was not offered is no error."""
        for state in self._states(tls):
            self._tables[state] = {k: v for k, v in self._tables[state].items() if k != name.upper()}

    def table(self, *, tls: bool) -> Mapping[str, str]:
        """Name to parameters, as offered now."""
        return self._tables[tls]

    @staticmethod
    def _states(tls: bool | None) -> tuple[bool, ...]:
        return (False, True) if tls is None else (tls,)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of MAIL or RCPT: the extension that defines it and the form of its value."""

    extension: str
    value: re.Pattern[str]

    def allows(self, value: str) -> bool:
        """Whether `value` has the form that the standard asks for."""
        return self.value.fullmatch(value) is not None


def _parameter(extension: str, value: str = "") -> Parameter:
    return Parameter(extension, re.compile(value, re.IGNORECASE))


# RFC 3461 section 4: xtext is printable ASCII without "+" and "=", or "+" and two hexadecimal digits.
_XTEXT = r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+"

MAIL_PARAMETERS: Mapping[str, Parameter] = {
    "SIZE": _parameter("SIZE", r"\d{1,20}"),
    "BODY": _parameter("8BITMIME", "7BIT|8BITMIME|BINARYMIME"),
    "SMTPUTF8": _parameter("SMTPUTF8"),
    "RET": _parameter("DSN", "FULL|HDRS"),
    "ENVID": _parameter("DSN", rf"(?=.{{1,100}}$){_XTEXT}"),
    "AUTH": _parameter("AUTH", rf"<>|{_XTEXT}"),
    "REQUIRETLS": _parameter("REQUIRETLS"),
    "MT-PRIORITY": _parameter("MT-PRIORITY", "-?[0-9]"),
    "BY": _parameter("DELIVERBY", r"-?\d{1,9};[RN]T?"),
    "HOLDFOR": _parameter("FUTURERELEASE", r"[1-9]\d{0,8}"),
    "HOLDUNTIL": _parameter("FUTURERELEASE", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)"),
}

RCPT_PARAMETERS: Mapping[str, Parameter] = {
    "NOTIFY": _parameter("DSN", "NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}"),
    "ORCPT": _parameter("DSN", rf"[A-Z0-9-]+;{_XTEXT}|UTF-8;\S+"),
}
