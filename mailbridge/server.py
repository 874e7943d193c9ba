"""Where and how to connect: one frozen description, checked before a byte is sent."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from . import urls
from .auth import Credentials, Mechanism, Secret, TokenProvider, known
from .errors import SMTPInputError
from .facts import printable
from .parameters import is_whole, require, shown
from .timeouts import Timeouts

if TYPE_CHECKING:
    import ssl

_T = TypeVar("_T")

# Recipients of one transaction. RFC 5321 section 4.5.3.1.8 promises 100, but Amazon SES takes 50.
RECIPIENTS = 50


class Security(StrEnum):
    """How a connection is protected."""

    IMPLICIT = "implicit"
    """TLS from the first octet (RFC 8314), port 465."""
    STARTTLS = "starttls"
    """Plain until STARTTLS, which is required (RFC 3207), port 587."""
    OPPORTUNISTIC = "opportunistic"
    """STARTTLS where it is offered. Protects from nobody who can change the traffic; never with credentials."""
    NONE = "none"
    """Plain text. With credentials only to the same machine."""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """The host is this machine, as its name alone shows; nothing is looked up."""
    name = host.strip("[]").rstrip(".").lower()
    address = _address(name)
    return address.is_loopback if address else name == "localhost" or name.endswith(".localhost")


_PORTS = {Security.IMPLICIT: 465, Security.STARTTLS: 587, Security.OPPORTUNISTIC: 25, Security.NONE: 25}
_LMTP_PORT = 24
_HOST = re.compile(r"[\w.:%-]+|\[[0-9A-Fa-f:.%\w]+\]")

_TEXTS = ("host", "username", "authzid", "minimum_tls")
_FILES = ("path", "ca_file", "ca_path", "client_cert", "client_key")
_FLAGS = ("lmtp", "danger_accept_any_certificate", "pipelining", "chunking", "overlap", "allow_plaintext_auth")
_OLDEST_TLS = "TLSv1.2"
_SECRETS = {"password", "client_key_password"}
# A token in place of its provider is a mistake, and a secret all the same.
_SHELTERED = _SECRETS | {"token_provider"}


def _sheltered(arguments: dict[str, Any]) -> dict[str, Any]:
    """These arguments, secrets as a `Secret`."""
    return {
        name: Secret(value) if name in _SHELTERED and isinstance(value, str | bytes) else value
        for name, value in arguments.items()
    }


def _shelters(cls: type[_T]) -> type[_T]:
    """Turn secrets into a `Secret` before any other frame sees them.

    A dataclass keeps its arguments as local variables while it checks them, and a traceback
    may show local variables (WIRE.md S16).
    """
    build = cls.__init__

    @wraps(build)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            build(self, *args, **_sheltered(kwargs))
        finally:
            # Neither a secret, nor what is half made and has no repr.
            del self, args, kwargs

    cls.__init__ = init  # type: ignore[method-assign]  # the wrapper keeps the signature
    return cls


@_shelters
@dataclass(frozen=True, slots=True)
class Server:
    """A server and how to talk to it. Safe as it stands: TLS required and verified, every deadline finite.

    Attributes:
        host: Name or address; for a unix socket leave it empty and set `path`.
        port: By default 465, 587 or 25, as `security` says; 24 for LMTP. In a URL the scheme decides, see `from_url`.
        security: How the connection is protected.
        username: Who logs in, if anybody.
        password: The password; kept as a `Secret`.
        token_provider: Called with no argument for an OAuth token, and once more with
            `force_refresh=True` where the server refuses the first one.
        auth: Mechanisms to try, in order, by name or as `Mechanism`; all that fit where empty. A string
            holds names with commas between them.
        authzid: Log in as `username` on behalf of somebody else.
        lmtp: Speak LMTP (RFC 2033).
        path: A unix socket instead of host and port.
        ca_file: Certificates (PEM) to trust instead of the system's.
        ca_path: The same, a directory.
        client_cert: The client's own certificate (PEM), with or without its key.
        client_key: The key, where it is in a file of its own.
        client_key_password: The password of that key.
        ssl_context: A context of the caller's own; the TLS options above are then not allowed.
        minimum_tls: The oldest TLS version to accept, "TLSv1.2" or "TLSv1.3".
        danger_accept_any_certificate: Do not verify. A man in the middle can then read everything.
        local_hostname: The name to say in EHLO.
        source_address: The local address (and port) to connect from.
        timeouts: The deadlines.
        max_recipients: Recipients of one transaction; a message with more goes in several.
        pipelining: Use PIPELINING where it is offered.
        chunking: Use CHUNKING where it is offered.
        overlap: In a batch without CHUNKING, put the next envelope behind the content before its reply. For a
            relay that is known to take it: four of ten servers break on it.
        allow_plaintext_auth: Send credentials unprotected to another machine.
    """

    host: str = ""
    port: int = 0
    _: KW_ONLY
    security: Security = Security.STARTTLS
    username: str = ""
    password: Secret | str | None = field(default=None, repr=False)
    token_provider: TokenProvider | None = field(default=None, repr=False, hash=False)
    auth: Sequence[str | Mechanism] = ()
    authzid: str = ""
    lmtp: bool = False
    path: str = ""
    ca_file: str | None = None
    ca_path: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    client_key_password: Secret | str | None = field(default=None, repr=False)
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    minimum_tls: str = _OLDEST_TLS
    danger_accept_any_certificate: bool = False
    local_hostname: str | None = None
    source_address: tuple[str, int] | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    max_recipients: int = RECIPIENTS
    pipelining: bool = True
    chunking: bool = True
    overlap: bool = False
    allow_plaintext_auth: bool = False

    def __post_init__(self) -> None:
        self._set("security", _security(self.security))
        self._set("auth", known(_names(self.auth)))
        self._set("source_address", _source(self.source_address))
        for name in _FILES:
            self._set(name, _file(name, getattr(self, name)))
        self._check_types()
        self._check_place()
        self._check_limits()
        self._check_tls()
        self._check_credentials()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_types(self) -> None:
        for name in _TEXTS:
            require(name, "a string", getattr(self, name), str)
        for name in _FLAGS:
            # "False" from the environment is a string, and would be true.
            require(name, "True or False", getattr(self, name), bool)
        require("timeouts", "a Timeouts", self.timeouts, Timeouts)

    def _check_place(self) -> None:
        if bool(self.host) == bool(self.path):
            raise SMTPInputError("a server needs a host, or the path of a unix socket, and not both")
        if self.host:
            _check_host(self.host)
        else:
            self._check_path()
        if self.port == 0 and self.host:
            self._set("port", _LMTP_PORT if self.lmtp else _PORTS[self.security])
        if not is_whole(self.port, 0, 65_535):
            raise SMTPInputError(f"a port is a number from 1 to 65535, not {shown(self.port)}")
        if self.local_hostname is not None:
            require("local_hostname", "a string", self.local_hostname, str)
            if not re.fullmatch(r"[!-~]+", self.local_hostname):
                raise SMTPInputError(f"local_hostname is one word of ASCII, not {shown(self.local_hostname)}")

    def _check_path(self) -> None:
        ignored = self._tls_options() + ["ssl_context"] * (self.ssl_context is not None)
        # Nobody can tell whether the default, STARTTLS, was asked for.
        if self.security in {Security.IMPLICIT, Security.OPPORTUNISTIC}:
            ignored.append(f"security={self.security}")
        if ignored:
            raise SMTPInputError(f"a unix socket (path) has no TLS: leave out {', '.join(ignored)}")
        self._set("security", Security.NONE)  # nobody stands between two processes of one machine

    def _check_limits(self) -> None:
        if not is_whole(self.max_recipients, 1):
            raise SMTPInputError(f"max_recipients is a number from 1, not {shown(self.max_recipients)}")

    def _check_tls(self) -> None:
        if self.minimum_tls not in {_OLDEST_TLS, "TLSv1.3"}:
            raise SMTPInputError(f"minimum_tls is {_OLDEST_TLS} or TLSv1.3, not {shown(self.minimum_tls)}")
        if self.client_key and not self.client_cert:
            raise SMTPInputError("client_key without client_cert")
        if self.ssl_context is None:
            return
        # Its class lives in a module that this floor does not import.
        if not hasattr(self.ssl_context, "wrap_socket"):
            raise SMTPInputError(f"ssl_context is an ssl.SSLContext, not {shown(self.ssl_context)}")
        if given := self._tls_options():
            raise SMTPInputError(f"ssl_context and {', '.join(given)} exclude each other: set them on the context")

    def _tls_options(self) -> list[str]:
        """The options of TLS that were given, the context apart."""
        names = (*_FILES[1:], "client_key_password", "danger_accept_any_certificate")
        given = [name for name in names if getattr(self, name)]
        return given + ["minimum_tls"] * (self.minimum_tls != _OLDEST_TLS)

    def _check_credentials(self) -> None:
        for name in _SECRETS:
            require(name, "a string", getattr(self, name), Secret | None)
        require("token_provider", "a function that gives a token", self.token_provider, Callable | None)
        if self.password is not None and self.token_provider is not None:
            raise SMTPInputError("password and token_provider exclude each other")
        if self._holds != "nothing" and not self.username:
            raise SMTPInputError("a password or token_provider without a username")
        for name in ("username", "authzid"):
            # RFC 4616 section 2: NUL separates the fields; XOAUTH2 does the same with SOH. Some providers
            # take a key for the user name, so it is not repeated.
            if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", getattr(self, name)):
                raise SMTPInputError(f"{name} must not hold control characters or halves of surrogates")
        self._check_mechanisms()
        self._check_secrecy()

    @property
    def _holds(self) -> str:
        """What the account has, as in `Mechanism.takes`."""
        return "token" if self.token_provider else "password" if self.password is not None else "nothing"

    def _check_mechanisms(self) -> None:
        if not self.username or any(one.takes in {self._holds, "nothing"} for one in self.mechanisms):
            return
        if self._holds == "nothing":
            raise SMTPInputError("a username without password or token_provider; only auth=('EXTERNAL',) needs neither")
        if self.mechanisms:
            names = ", ".join(printable(one.name) for one in self.mechanisms)
            raise SMTPInputError(f"auth names {names}, and this account has a {self._holds}, which none of them takes")

    def _check_secrecy(self) -> None:
        if self.wants_login and self.security is Security.OPPORTUNISTIC:
            raise SMTPInputError("opportunistic TLS never carries credentials: use starttls or implicit")
        if self.wants_login and self.security is Security.NONE and not self.may_log_in_plainly:
            raise SMTPInputError(
                f"credentials would travel in clear to {self.host}: use starttls (in settings USE_TLS) or implicit "
                "(USE_SSL), or say allow_plaintext_auth if you must"
            )

    @property
    def wants_login(self) -> bool:
        """There is something to log in with."""
        return bool(self.username) or any(mechanism.takes == "nothing" for mechanism in self.mechanisms)

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """What `auth` names."""
        return known(self.auth)

    @property
    def may_log_in_plainly(self) -> bool:
        """Credentials do not leave this machine, or the caller said that they may."""
        return self.allow_plaintext_auth or bool(self.path) or is_loopback(self.host)

    @property
    def name(self) -> str:
        """The host without brackets, or the path of the unix socket."""
        return self.path or self.host.strip("[]")

    def credentials(self, secret: Secret | None = None) -> Credentials:
        """What a mechanism may use; `secret` is a token where there is a token provider."""
        kept = secret or cast("Secret | None", self.password) or Secret(b"")
        return Credentials(self.username, kept, self.authzid, self.name, self.port)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Server:
        """Read a server from a URL.

        Args:
            url: Such as "smtp+starttls://user:secret@mail.example.com:587?max_recipients=100".
                `smtps://` is implicit TLS (port 465 where none is given), `smtp+starttls://` and
                `submission://` require STARTTLS (587), `smtp://` requires it unless the host is this
                machine (25; 465 with `security=implicit`), `lmtp://host` (24) and
                `lmtp:///path/to/socket` speak LMTP. User and password are percent-decoded. Options of a URL are
                allow_plaintext_auth, auth, authzid, ca_file, ca_path, chunking, client_cert, client_key,
                danger_accept_any_certificate, local_hostname, max_recipients, minimum_tls, overlap, pipelining,
                security, source_address, and timeout_connect, timeout_reply, timeout_content and timeout_send.
            **options: Attributes that a URL cannot say, such as `token_provider`.

        Raises:
            SMTPInputError: An unknown scheme, option or value. A secret is never repeated.
        """
        options = _sheltered(options)
        try:
            attributes = urls.parse(url, options.get("security"))
        finally:
            del url  # it holds a password, and a traceback may show variables (WIRE.md S16)
        if twice := sorted(attributes.keys() & options.keys()):
            raise SMTPInputError(f"the URL says {', '.join(twice)} already: say it in one place")
        if "security" not in attributes | options and is_loopback(attributes["host"]):
            attributes["security"] = Security.NONE
        if "timeouts" in attributes:
            attributes["timeouts"] = Timeouts(**attributes["timeouts"])
        return cls(**attributes, **options)


def _security(value: str) -> Security:
    try:
        return Security(value)
    except ValueError:
        raise SMTPInputError(f"security is one of {', '.join(Security)}, not {shown(value)}") from None


def _names(auth: object) -> Sequence[str | Mechanism]:
    if isinstance(auth, str):
        return urls.to_names(auth)
    if not isinstance(auth, list | tuple):
        raise SMTPInputError(f"auth is a list of mechanisms, not {shown(auth)}")
    return auth


def _source(address: object) -> tuple[str, int] | None:
    match address:
        case None:
            return None
        # An empty name: any address of this machine.
        case (str(host), int(port)) if (not host or _HOST.fullmatch(host)) and is_whole(port, 0, 65_535):
            return host, port
    raise SMTPInputError(f"source_address is an address and a port (0 for any), not {shown(address)}")


def _file(name: str, value: Any) -> str | None:
    if value is None and name != "path":
        return None
    try:
        text = os.fspath(value)
    except TypeError:
        text = None
    if not isinstance(text, str) or "\0" in text:
        raise SMTPInputError(f"{name} is a path, a string without NUL, not {shown(value)}")
    return text


def _check_host(host: str) -> None:
    if re.search("[@/]", host):
        # Perhaps a URL with its password: it is not repeated.
        raise SMTPInputError("host is the name or address alone; a URL is for Server.from_url")
    if not _HOST.fullmatch(host) or (":" in host and not _address(host)):
        found = re.fullmatch(r"(?:[^:]+|\[.*\]):([0-9]{1,5})", host)
        hint = f": give the port as port={found[1]}" if found else ""
        raise SMTPInputError(f"{shown(host)} is not a host name or an address{hint}")
