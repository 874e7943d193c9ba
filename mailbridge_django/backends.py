"""The backend: batches in; receipts, records, signals, a count and perhaps an error out."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Iterable
from os import PathLike
from typing import Any, Literal

from asgiref.sync import sync_to_async
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.functional import cached_property

from mailbridge import (
    AddressStyle,
    Mechanism,
    Pool,
    Secret,
    Security,
    Server,
    SMTPException,
    SMTPInputError,
    Staging,
    Timeouts,
    log_event,
    spell_error,
)

from . import asending, commits, conf
from .batches import Item, Rules, abandon, asked, logger, outcome, report
from .options import OURS, sheltered
from .pools import companion, pools
from .sending import deliver

# Hooks of Django's own backend that nothing here would call.
_STRANGE = ("connection_class", "prep_address")
# Attributes that a `Pool` and a `Server` have by the same name; None leaves them to these.
_POOLS = ("max_connections", "max_messages", "max_idle", "max_age", "claim_timeout")
_SERVERS = ("auth", "token_provider", "local_hostname", "max_recipients", "pipelining", "chunking")


class Backend(BaseEmailBackend):
    """A mail backend that tells what became of every recipient.

    Arguments that are None come from the settings: those that Django's own backend has from their
    EMAIL_* setting, the rest from MAILBRIDGE. In MAILERS they come from its OPTIONS, and EMAIL_*
    count for nothing. TLS is verified, every wait has an end, and a password goes in clear to this
    machine only.

    Args:
        host: The server.
        port: Its port.
        username: Who logs in. Nobody does where it or the password is empty.
        password: The password.
        use_tls: STARTTLS, required.
        fail_silently: Raise nothing of a send; records and signals tell of it all the same.
        use_ssl: TLS from the first octet.
        timeout: Seconds for connecting and for each reply, the one to the content too; None for 10, 30
            and 120. A whole send ends within 300 seconds, or within `timeout` where that is longer.
        ssl_keyfile: The key of the client's certificate, where it is in a file of its own.
        ssl_certfile: The client's certificate.
        alias: The mailer's name in MAILERS; Django gives it.
        **options: The options of MAILBRIDGE, which docs/django.md lists. Others are left to Django, which
            reports what it does not know.

    Attributes:
        connection: The pool of connections, between `open` and `close`; else None.

    Raises:
        ValueError: `use_tls` and `use_ssl` together.
        ImproperlyConfigured: Another setting is wrong; InvalidMailer in MAILERS. A subclass has
            `connection_class` or `prep_address`, hooks of Django's own backend that are not here.
    """

    host: str
    port: int
    username: str
    password: str
    use_tls: bool
    use_ssl: bool
    timeout: float | None
    timeouts: dict[str, float]
    ssl_keyfile: str | None
    ssl_certfile: str | None
    ca_file: str | None
    auth: tuple[str | Mechanism, ...] | None
    token_provider: Callable[..., Any] | None
    on_partial: Literal["signal", "raise", "abort"]
    on_commit: bool | str
    log_addresses: AddressStyle
    allow_plaintext_auth: bool
    redirect_to: tuple[str, ...]
    allow_domains: tuple[str, ...]

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        username: str | None = None,
        password: str | Secret | None = None,
        use_tls: bool | None = None,
        fail_silently: bool = False,
        use_ssl: bool | None = None,
        timeout: float | None = None,
        ssl_keyfile: str | PathLike[str] | None = None,
        ssl_certfile: str | PathLike[str] | None = None,
        *,
        alias: str | None = None,
        **options: Any,
    ) -> None:
        # A traceback that shows local variables must not show these (WIRE.md S16).
        password, options = Secret(password) if isinstance(password, str) else password, sheltered(options)
        given = {name: options.pop(name) for name in OURS if name in options}
        super().__init__(alias=alias, **options)
        given |= {"host": host, "port": port, "username": username, "password": password, "use_tls": use_tls}
        given |= {"use_ssl": use_ssl, "timeout": timeout, "ssl_keyfile": ssl_keyfile, "ssl_certfile": ssl_certfile}
        self.alias = alias
        self.fail_silently = fail_silently
        self.connection: Pool | None = None
        self._lock = threading.Lock()
        self._configure(conf.gather(alias, given))

    def _configure(self, found: dict[str, Any]) -> None:
        self._beyond: dict[str, Any] = found.pop("url")
        self._unprotected: Security = found.pop("security")
        self.password = found.pop("password").reveal().decode()
        self.__dict__ |= found
        if ignored := [name for name in _STRANGE if hasattr(type(self), name)]:
            raise conf.wrong(f"{type(self).__name__}.{ignored[0]} would count for nothing: it is smtplib's", self.alias)
        # Not through `server`: a subclass's `ssl_context` may need what its constructor sets after this one.
        self.port = self._server({}).port
        self.rules  # noqa: B018 - a wrong staging address is said at once

    @property
    def server(self) -> Server:
        """Where mail goes, by the attributes as they are now."""
        if self.has_own_context:
            try:
                return self._server({"ssl_context": self.ssl_context})
            except OSError as error:
                raise conf.wrong(f"{type(self).__name__}.ssl_context: {error}", self.alias) from error
        return self._server({"ca_file": self.ca_file, "client_cert": self.ssl_certfile, "client_key": self.ssl_keyfile})

    @property
    def has_own_context(self) -> bool:
        """Nobody else would use its connections: they end with a batch, or with `close`."""
        own = "ssl_context" in self.__dict__ or type(self).ssl_context is not Backend.ssl_context
        return own and (self.use_tls or self.use_ssl)

    @property
    def rules(self) -> Rules:
        """What holds for each message, by the attributes as they are now."""
        try:
            staging = Staging(self.redirect_to, self.allow_domains)
        except SMTPInputError as error:
            raise conf.wrong(f"redirect_to or allow_domains: {error}", self.alias) from None
        return Rules(
            type(self),
            self.alias,
            "deliver" if self.on_partial == "signal" else self.on_partial,
            self.log_addresses,
            staging,
            self.fail_silently,
        )

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        """A context that verifies, as `ca_file`, `ssl_certfile` and `ssl_keyfile` say.

        A subclass may return another one, or change this one: it is not shared. An assigned one counts too.

        Raises:
            OSError: A file cannot be read, or holds nothing of use.
        """
        context = ssl.create_default_context(cafile=self.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
        if self.ssl_certfile:
            context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile)
        return context

    def _server(self, tls: dict[str, Any]) -> Server:
        if self.use_ssl and self.use_tls:
            raise conf.exclusive(self.alias)
        # As in Django, nobody logs in with half of the credentials.
        logs_in = bool(self.username and (self.password or self.token_provider))
        others = {name: value for name in _SERVERS if (value := getattr(self, name)) is not None}
        if self._beyond.get("path"):
            tls = {}  # nobody stands between two processes of one machine
        try:
            return Server(
                self.host,
                self.port,
                security=self._security,
                username=self.username if logs_in or self._needs_no_secret else "",
                password=self.password if logs_in and self.password else None,
                timeouts=self._timeouts,
                allow_plaintext_auth=self.allow_plaintext_auth,
                **{**self._beyond, **others, **tls},
            )
        except SMTPInputError as error:
            raise conf.wrong(str(error), self.alias) from error

    @property
    def _needs_no_secret(self) -> bool:
        """The connection itself proves who the client is, as with EXTERNAL and a client's certificate."""
        return any(one == "EXTERNAL" or getattr(one, "takes", "") == "nothing" for one in self.auth or ())

    @property
    def _security(self) -> Security:
        if self.use_ssl:
            return Security.IMPLICIT
        return Security.STARTTLS if self.use_tls else self._unprotected

    @property
    def _timeouts(self) -> Timeouts:
        # In Django it bounds every wait for the server, so it does here. The whole send, which has no
        # end in Django, keeps its own deadline.
        usual, given = Timeouts(), self.timeout
        for_all = {} if given is None else dict.fromkeys(("connect", "reply", "content"), given)
        return Timeouts(**{"send": max(given or 0, usual.send), **for_all, **self.timeouts})

    def open(self) -> bool | None:
        """See to it that a connection is there. It is kept for whoever sends next, as all of them are.

        Returns:
            True; False where it is done already; None where it failed and `fail_silently` is set.

        Raises:
            SMTPException: It failed.
        """
        with self._lock:
            if self.connection is not None:
                return False
            pool = self._pool()
            try:
                with pool.lease():
                    self.connection = pool
            except SMTPException as error:
                if not self.fail_silently:
                    raise
                said = spell_error(error, self.log_addresses)
                log_event(logging.ERROR, said, to=logger, extra={"alias": self.alias})
                return None
            return True

    def close(self) -> None:
        """End what `open` began. Connections that others may use stay."""
        with self._lock:
            pool, self.connection = self.connection, None
        self._leave(pool)

    def send_messages(self, email_messages: Iterable[EmailMessage]) -> int:
        """Send a batch, over connections that are kept and shared by the whole process.

        A message that fails does not keep back the next one; a failure to connect, to secure the
        connection or to log in ends the batch. Receipt, record and signals of every message come
        before anything is raised. A message without recipients is passed over: it has an empty receipt.

        Returns:
            How many messages were accepted, each for at least one recipient. With `on_commit`, inside a
            transaction: how many will be sent when it is committed.

        Raises:
            SMTPException: The first failure, with the receipts of the whole batch in `receipts`.
            Exception: The same, where the first failure was a message that could not be built.
        """
        rules = self.rules
        items, waiting = self.begin(email_messages, rules)
        self.deliver(items, rules)
        report(items, rules)
        return outcome(items, rules) + waiting

    def begin(self, messages: Iterable[EmailMessage] | None, rules: Rules) -> tuple[list[Item], int]:
        """Ask the receivers, and put off until the commit what has to wait for it.

        Returns:
            What is to be delivered and reported now, and how many messages wait.
        """
        items = asked(messages or (), rules)
        if not commits.is_open(self.on_commit):
            return items, 0
        waiting = commits.postpone(items, rules, self.deliver, self.on_commit)
        return [item for item in items if item not in waiting], len(waiting)

    def deliver(self, items: list[Item], rules: Rules) -> None:
        """Talk to the server about a batch: after the receivers were asked, before anybody is told."""
        if all(item.receipt for item in items):
            return
        try:
            pool = self.connection or self._pool()
            try:
                deliver(pool, items, rules)
            finally:
                if pool is not self.connection:
                    self._leave(pool)
        except BaseException as interruption:
            # A soft time limit, Ctrl-C: it passes on as soon as everybody was told.
            abandon(items, interruption, rules)
            raise

    async def adeliver(self, items: list[Item], rules: Rules) -> None:
        """The same in a loop that lives on, whose connections are kept for whoever sends next in it."""
        if all(item.receipt for item in items):
            return
        try:
            await asending.deliver(companion(self._pool()), items, rules)
        except BaseException as interruption:
            # The loop ends, or its task. Receivers run where sync code does, as always.
            await sync_to_async(abandon)(items, interruption, rules)
            raise

    def _pool(self) -> Pool:
        options: Any = {name: value for name in _POOLS if (value := getattr(self, name)) is not None}
        try:
            # A context of one's own is another one in each backend object: nobody else would use its connections.
            make = Pool if self.has_own_context else pools.get
            return make(self.server, log_receipts=False, **options)
        except SMTPInputError as error:
            raise conf.wrong(str(error), self.alias) from error

    def _leave(self, pool: Pool | None) -> None:
        if pool is not None and self.has_own_context:
            pool.close()
