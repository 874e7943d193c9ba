"""The MAIL_* keys: read once, checked, each error with the key, the value and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from mailbridge import Secret, Security, Server, SMTPInputError, Staging, Timeouts

from .reading import (
    choice,
    deadlines,
    file,
    flag,
    host,
    level,
    names,
    provider,
    seconds,
    secret,
    sender,
    text,
    whole,
    wrong,
)
from .sanitize import Mailbox, spelled
from .shelter import sheltered
from .sources import expanded

# What a URL alone can say: attributes of `Server` that have no key.
_OF_URLS = ("lmtp", "path", "authzid", "ca_path", "minimum_tls", "danger_accept_any_certificate", "source_address")

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
        max_emails: MAIL_MAX_EMAILS: messages on one connection before a new one is made; None for MAIL_MAX_MESSAGES.
        suppress: MAIL_SUPPRESS_SEND: send nothing; None to do as TESTING says.
        ascii_attachments: MAIL_ASCII_ATTACHMENTS: write file names in ASCII.
        timeout: MAIL_TIMEOUT: seconds for one wait, to connect or for a reply; None for the engine's own.
        ca_file: MAIL_CA_FILE: certificates (PEM) to trust instead of the system's.
        security: MAIL_SECURITY, where neither of the two flags says it: "none" or "opportunistic".
        on_partial: MAIL_ON_PARTIAL: "signal", "raise" or "abort" where some recipients are refused.
        log_addresses: MAIL_LOG_ADDRESSES: "full", "masked" or "none".
        staging: MAIL_REDIRECT_TO and MAIL_ALLOW_DOMAINS.
        max_connections: MAIL_MAX_CONNECTIONS: how many a process has to this server at the same time. For this one and
            the next four, None leaves it to `mailbridge.Pool`.
        max_messages: MAIL_MAX_MESSAGES: messages on one connection.
        max_idle: MAIL_MAX_IDLE: seconds that a connection may be idle.
        max_age: MAIL_MAX_AGE: seconds that a connection may live.
        claim_timeout: MAIL_CLAIM_TIMEOUT: seconds to wait for a connection at most.
        further: What else the engine's `Server` is told, by its own names.
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
    security: str = "none"
    on_partial: str = "signal"
    log_addresses: str = "full"
    staging: Staging = field(default_factory=Staging)
    max_connections: int | None = None
    max_messages: int | None = None
    max_idle: float | None = None
    max_age: float | None = None
    claim_timeout: float | None = None
    further: Mapping[str, Any] = field(default_factory=dict, repr=False)

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
        values = {key: value for key, value in sheltered(config).items() if value is not None and value != ""}
        del config  # a traceback may show variables (WIRE.md S16)
        _check_exclusion(values)
        values = expanded(values)
        security = values["MAIL_SECURITY"]
        return cls(
            server=host(values, "MAIL_SERVER") or "127.0.0.1",
            port=whole(values, "MAIL_PORT", 1, 65_535) or (IMPLICIT_TLS_PORT if security == "implicit" else 25),
            use_tls=security == "starttls" or flag(values, "MAIL_USE_TLS"),
            use_ssl=security == "implicit" or flag(values, "MAIL_USE_SSL"),
            debug=level(values, "MAIL_DEBUG") if "MAIL_DEBUG" in values else debug,
            username=text(values, "MAIL_USERNAME"),
            password=secret(values, "MAIL_PASSWORD"),
            default_sender=sender(values, "MAIL_DEFAULT_SENDER"),
            max_emails=whole(values, "MAIL_MAX_EMAILS", 0, None) or None,
            suppress=flag(values, "MAIL_SUPPRESS_SEND") if "MAIL_SUPPRESS_SEND" in values else None,
            ascii_attachments=flag(values, "MAIL_ASCII_ATTACHMENTS"),
            timeout=seconds(values, "MAIL_TIMEOUT"),
            ca_file=file(values, "MAIL_CA_FILE"),
            security=security if security == "opportunistic" else "none",
            on_partial=choice(values, "MAIL_ON_PARTIAL", ("signal", "raise", "abort"), "signal"),
            log_addresses=choice(values, "MAIL_LOG_ADDRESSES", ("full", "masked", "none"), "full"),
            staging=_staging(values),
            max_connections=whole(values, "MAIL_MAX_CONNECTIONS", 1, None),
            max_messages=whole(values, "MAIL_MAX_MESSAGES", 1, None),
            max_idle=seconds(values, "MAIL_MAX_IDLE"),
            max_age=seconds(values, "MAIL_MAX_AGE"),
            claim_timeout=seconds(values, "MAIL_CLAIM_TIMEOUT"),
            further=_further(values),
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
        keys = sheltered({key: value})
        del value
        read = Settings.of(keys)
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
        proof = self.password or self.further.get("token_provider") or self.further.get("auth")
        logs_in = bool(self.username and proof)
        name = "" if "path" in self.further else self.server
        security = Security.IMPLICIT if self.use_ssl else Security.STARTTLS if self.use_tls else Security(self.security)
        further = {key: value for key, value in self.further.items() if key not in {"timeouts", "deadline"}}
        server = _server(self.server, self.port)
        if (
            logs_in
            and security is Security.NONE
            and not (server.may_log_in_plainly or "path" in further or further.get("allow_plaintext_auth"))
        ):
            raise SMTPInputError(
                f"MAIL_USERNAME and MAIL_PASSWORD would travel in clear to MAIL_SERVER={self.server!r}: "
                "set MAIL_USE_TLS=True (port 587 or 25) or MAIL_USE_SSL=True (port 465)"
            )
        return Server(
            name,
            self.port if name else 0,
            security=security,
            username=(self.username or "") if logs_in else "",
            password=self.password if logs_in else None,
            ca_file=self.ca_file,
            timeouts=self._timeouts(),
            **further,
        )

    def limits(self) -> dict[str, Any]:
        """The options of the pool of that server: what `mailbridge.Pool` does not know by itself."""
        found = {name: getattr(self, name) for name in ("max_connections", "max_idle", "max_age", "claim_timeout")}
        # Two names of one thing, and whoever set both wants both to hold.
        found["max_messages"] = min(filter(None, (self.max_emails, self.max_messages)), default=None)
        return {name: value for name, value in found.items() if value is not None}

    def _timeouts(self) -> Timeouts:
        found: dict[str, float] = {}
        if self.timeout is not None:
            found = dict.fromkeys(("connect", "reply", "content"), self.timeout)
            found["send"] = max(self.timeout, Timeouts().send)
        found |= self.further.get("timeouts", {})
        if deadline := self.further.get("deadline"):
            found["send"] = deadline
        return Timeouts(**found)


def _server(host: str, port: int) -> Server:
    try:
        return Server(host, port, security=Security.NONE)
    except SMTPInputError as error:
        raise SMTPInputError(f"MAIL_SERVER: {error}") from None


def _check_exclusion(values: Mapping[str, Any]) -> None:
    if flag(values, "MAIL_USE_TLS") and flag(values, "MAIL_USE_SSL"):
        raise SMTPInputError("MAIL_USE_TLS=True and MAIL_USE_SSL=True exclude each other: set one of them")


def _staging(values: Mapping[str, Any]) -> Staging:
    found = {}
    for name, allowed in (("redirect_to", "addresses"), ("allow_domains", "domains, such as example.com,")):
        key = f"MAIL_{name.upper()}"
        found[name] = names(values, key)
        try:
            Staging(**{name: found[name]})
        except SMTPInputError:
            raise wrong(key, values[key], f"{allowed} are allowed") from None
    return Staging(**found)


def _further(values: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "client_cert": file(values, "MAIL_CLIENT_CERT"),
        "client_key": file(values, "MAIL_CLIENT_KEY"),
        "auth": names(values, "MAIL_AUTH"),
        "token_provider": provider(values, "MAIL_TOKEN_PROVIDER"),
        "timeouts": deadlines(values, "MAIL_TIMEOUTS"),
        "deadline": seconds(values, "MAIL_DEADLINE"),
        "local_hostname": text(values, "MAIL_LOCAL_HOSTNAME"),
        "max_recipients": whole(values, "MAIL_MAX_RECIPIENTS", 1, None),
    }
    for name in ("pipelining", "chunking", "allow_plaintext_auth"):
        key = f"MAIL_{name.upper()}"
        found[name] = flag(values, key) if key in values else None
    if "MAIL_URL" in values:
        found |= {name: values.get(f"MAIL_{name.upper()}") for name in _OF_URLS}
    return {name: value for name, value in found.items() if value is not None and value not in ((), {})}
