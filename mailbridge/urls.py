"""Server URLs: one string from a setting or the environment that says everything."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from .auth import Secret
from .errors import SMTPInputError
from .facts import printable

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}

# scheme → (security, LMTP, port). None: STARTTLS, but plain text where the host is this machine.
SCHEMES: Mapping[str, tuple[str | None, bool, int]] = {
    "smtp": (None, False, 25),
    "smtps": ("implicit", False, 465),
    "smtp+starttls": ("starttls", False, 587),
    "submission": ("starttls", False, 587),
    "lmtp": (None, True, 24),
}

# RFC 3986 section 3.1.
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
# An "@" behind the host would mean a password with a "/" or "?" in it: parts of it must not be taken for another
# thing, and shown in an error.
_URL = re.compile(r"(?:(?P<user>[^/?#]*)@)?(?P<place>[^/?#@]*)(?P<path>/[^?#@]*)?(?:\?(?P<query>[^#@]*))?")
_PLACE = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")


def to_bool(text: str) -> bool:
    """Read "true", "1", "yes", "on" and their opposites. "False" is never taken for true."""
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("true or false")
    return word in _TRUE


def to_int(text: str) -> int:
    """Read a whole number."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError("a whole number")
    return int(text)


def to_seconds(text: str) -> float:
    """Read a number of seconds."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
        raise ValueError("a number of seconds")
    return float(text)


def to_names(text: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    return tuple(name for name in text.split(",") if name)


def to_place(text: str) -> tuple[str, int]:
    """Read an address, with a port if one is given."""
    found = _PLACE.fullmatch(text)
    if not found or not found["host"]:
        raise ValueError("address or address:port")
    return found["host"].strip("[]"), int(found["port"] or 0)


OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "security": str,
    "auth": to_names,
    "authzid": str,
    "ca_file": str,
    "ca_path": str,
    "client_cert": str,
    "client_key": str,
    "minimum_tls": str,
    "danger_accept_any_certificate": to_bool,
    "local_hostname": str,
    "source_address": to_place,
    "max_recipients": to_int,
    "pipelining": to_bool,
    "chunking": to_bool,
    "overlap": to_bool,
    "allow_plaintext_auth": to_bool,
}
# Options of a URL that are fields of Timeouts.
TIMEOUTS = {f"timeout_{name}": name for name in ("connect", "reply", "content", "send")}


def parse(url: str, security: str | None = None) -> dict[str, Any]:
    """Take a URL apart into the attributes of a `Server`.

    Args:
        url: The URL.
        security: What is said beside the URL, where the scheme and the options leave it open.

    Returns:
        Attributes by name; the password as a Secret, timeouts as a mapping, security as a
        string or missing where the scheme leaves it open.

    Raises:
        SMTPInputError: It cannot be read. The sentence names the part, never a secret.
    """
    try:
        return _parsed(url, security)
    except SMTPInputError as error:
        # A traceback that shows local variables must not show the password in the URL (WIRE.md S16).
        raise error.with_traceback(None) from None
    finally:
        del url


def _parsed(url: str, security: str | None) -> dict[str, Any]:
    if not isinstance(url, str):
        raise SMTPInputError(f"a server URL is a string, not {type(url).__name__}")
    if not url.isprintable():
        raise SMTPInputError("a server URL holds no line ends and no control characters")
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        # What has no scheme may be anything: an address, perhaps with a password in front of it.
        seen = f", not {printable(scheme, 60)}://" if _SCHEME.fullmatch(scheme) and rest else ""
        raise SMTPInputError(f"a server URL begins with one of {', '.join(f'{name}://' for name in SCHEMES)}{seen}")
    found = _URL.fullmatch(rest)
    if not found:
        raise SMTPInputError(
            f"a server URL is {scheme}://[user[:password]@]host[:port][?option=value&...]; "
            "elsewhere write @ / ? # and % as %40 %2F %3F %23 %25"
        )
    scheme_says, lmtp, port = SCHEMES[scheme]
    attributes: dict[str, Any] = {"lmtp": lmtp, **_place(found["place"], _decoded(found["path"] or ""), lmtp=lmtp)}
    if "path" in attributes:
        scheme_says = "none"  # a unix socket has no TLS
    if scheme_says:
        attributes["security"] = scheme_says
    attributes |= _query(found["query"] or "", scheme_says=scheme_says)
    if attributes.get("port") == 0:
        tls_at_once = scheme == "smtp" and attributes.get("security", security) == "implicit"
        attributes["port"] = SCHEMES["smtps"][2] if tls_at_once else port
    return attributes | _userinfo(found["user"])


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise SMTPInputError("what stands behind a % in a server URL is UTF-8") from None


def _place(place: str, path: str, *, lmtp: bool) -> dict[str, Any]:
    if path not in {"", "/"} and not (lmtp and not place):
        raise SMTPInputError(f"a path ({printable(repr(path), 100)}) belongs only in lmtp:///path/to/socket")
    if lmtp and not place and path:
        return {"path": path}
    found = _PLACE.fullmatch(place)
    if not found or not found["host"]:
        # What stands behind the colon is no port: perhaps a password, and the host was forgotten.
        raise SMTPInputError(f"not host or host:port: {printable(repr(place.partition(':')[0]), 100)} and what follows")
    if found["port"] and not 0 < int(found["port"]) <= 65_535:
        raise SMTPInputError(f"a port is a number from 1 to 65535, not {found['port']}")
    return {"host": _decoded(found["host"]), "port": int(found["port"] or 0)}


def _userinfo(user: str | None) -> dict[str, Any]:
    if user is None:
        return {}
    name, colon, password = user.partition(":")
    return {"username": _decoded(name)} | ({"password": Secret(unquote_to_bytes(password))} if colon else {})


def _query(query: str, scheme_says: str | None) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    timeouts: dict[str, float] = {}
    for item in filter(None, query.split("&")):
        # A "+" stays a "+": these are paths and names, not the fields of a form.
        name, _, text = item.partition("=")
        name, text = _decoded(name), _decoded(text)
        read = to_seconds if name in TIMEOUTS else OPTIONS.get(name)
        if read is None:
            allowed = ", ".join(sorted({*OPTIONS, *TIMEOUTS}))
            raise SMTPInputError(f"unknown option {printable(repr(name), 60)} in a server URL; allowed are {allowed}")
        if name in taken or TIMEOUTS.get(name) in timeouts:
            raise SMTPInputError(f"the option {name} stands twice in a server URL")
        if name in TIMEOUTS:
            timeouts[TIMEOUTS[name]] = _value(name, text, read)
        else:
            taken[name] = _value(name, text, read)
    if scheme_says and taken.get("security", scheme_says) != scheme_says:
        option = printable(f"security={taken['security']}", 60)
        raise SMTPInputError(f"the scheme says {scheme_says}, the option {option}: leave one out")
    return taken | ({"timeouts": timeouts} if timeouts else {})


def _value(name: str, text: str, read: Callable[[str], Any]) -> Any:
    if not text:
        raise SMTPInputError(f"the option {name} has no value in a server URL: leave it out, or say {name}=...")
    try:
        return read(text)
    except ValueError as error:
        raise SMTPInputError(f"the option {name} is {error}, not {printable(repr(text), 60)}") from None
