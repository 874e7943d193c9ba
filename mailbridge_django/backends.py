"""The backend: batches in; receipts, records, signals, a count and perhaps an error out."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Iterable
from os import PathLike
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.functional import cached_property

from mailbridge import (
    Client,
    Receipt,
    Secret,
    Security,
    Server,
    SMTPException,
    SMTPInputError,
    Timeouts,
    log_receipt,
    printable,
)

from . import conf
from .messages import mail_object, unsent
from .signals import announce

logger = logging.getLogger("mailbridge.django")

# Hooks of Django's own backend that nothing here would call.
_STRANGE = ("connection_class", "prep_address")


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
        ca_file: Certificates (PEM) to trust instead of the system's.
        allow_plaintext_auth: Send the password unprotected to another machine.
        **kwargs: Left to Django, which reports what it does not know.

    Attributes:
        connection: The client that `open` connected, or None.

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
    ssl_keyfile: str | None
    ssl_certfile: str | None
    ca_file: str | None
    allow_plaintext_auth: bool

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
        ca_file: str | PathLike[str] | None = None,
        allow_plaintext_auth: bool | None = None,
        **kwargs: Any,
    ) -> None:
        # A traceback that shows local variables must not show this one (WIRE.md S16).
        password = Secret(password) if isinstance(password, str) else password
        super().__init__(alias=alias, **kwargs)
        given: dict[str, object] = {"host": host, "port": port, "username": username, "password": password}
        given |= {"use_tls": use_tls, "use_ssl": use_ssl, "timeout": timeout}
        given |= {"ssl_keyfile": ssl_keyfile, "ssl_certfile": ssl_certfile}
        given |= {"ca_file": ca_file, "allow_plaintext_auth": allow_plaintext_auth}
        options = conf.gather(alias, given)
        self.password = options.pop("password").reveal().decode()
        self.__dict__ |= options
        self.alias = alias
        self.fail_silently = fail_silently
        self.connection: Client | None = None
        self._lock = threading.Lock()
        if ignored := [name for name in _STRANGE if hasattr(type(self), name)]:
            raise conf.wrong(f"{type(self).__name__}.{ignored[0]} would count for nothing: it is smtplib's", alias)
        # Not through `server`: a subclass's `ssl_context` may need what its constructor sets after this one.
        self.port = self._server({}).port

    @property
    def server(self) -> Server:
        """Where mail goes, by the attributes as they are now."""
        protected = self.use_tls or self.use_ssl
        if protected and ("ssl_context" in self.__dict__ or type(self).ssl_context is not Backend.ssl_context):
            try:
                return self._server({"ssl_context": self.ssl_context})
            except OSError as error:
                raise conf.wrong(f"{type(self).__name__}.ssl_context: {error}", self.alias) from error
        return self._server({"ca_file": self.ca_file, "client_cert": self.ssl_certfile, "client_key": self.ssl_keyfile})

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
        logs_in = bool(self.username and self.password)
        try:
            return Server(
                self.host,
                self.port,
                security=self._security,
                username=self.username if logs_in else "",
                password=self.password if logs_in else None,
                timeouts=self._timeouts,
                allow_plaintext_auth=self.allow_plaintext_auth,
                **tls,
            )
        except SMTPInputError as error:
            raise conf.wrong(str(error), self.alias) from error

    @property
    def _security(self) -> Security:
        if self.use_ssl:
            return Security.IMPLICIT
        return Security.STARTTLS if self.use_tls else Security.NONE

    @property
    def _timeouts(self) -> Timeouts:
        # In Django it bounds every wait for the server, so it does here. The whole send, which has no
        # end in Django, keeps its own deadline.
        usual, given = Timeouts(), self.timeout
        return usual if given is None else Timeouts(given, given, given, max(given, usual.send))

    def open(self) -> bool | None:
        """Connect, and stay connected until `close`.

        Returns:
            True; False where it is done already; None where it failed and `fail_silently` is set.

        Raises:
            SMTPException: It failed.
        """
        with self._lock:
            if self.connection is not None:
                return False
            client = self._client()
            try:
                client.connect()
            except SMTPException as error:
                if not self.fail_silently:
                    raise
                logger.error("%s", printable(str(error)), extra={"alias": self.alias})
                return None
            self.connection = client
            return True

    def close(self) -> None:
        """Close what `open` opened."""
        with self._lock:
            client, self.connection = self.connection, None
            if client is not None:
                client.close()

    def send_messages(self, email_messages: Iterable[EmailMessage]) -> int:
        """Send a batch over one connection.

        A message that fails does not keep back the next one; a failure to connect, to secure the
        connection or to log in ends the batch. Receipt, record and signals of every message come
        before anything is raised. A message without recipients is passed over: it has an empty receipt.

        Returns:
            How many messages were accepted, each for at least one recipient.

        Raises:
            SMTPException: The first failure, with the receipts of the whole batch in `receipts`.
            Exception: The same, where the first failure was a message that could not be built.
        """
        receipts: list[Receipt] = []
        client = self.connection or self._client()
        lost: SMTPException | None = None
        try:
            for message in list(email_messages or ()):
                receipt = unsent(message, lost) if lost else self._send(client, message)
                self._report(message, receipt)
                receipts.append(receipt)
                lost = lost or _without_session(receipt)
        finally:
            if client is not self.connection:
                client.close()
        errors = [receipt.error for receipt in receipts if receipt.error]
        if errors and not self.fail_silently:
            errors[0].receipts = tuple(receipts)  # type: ignore[attr-defined]  # ours have it, Django's get it
            raise errors[0]
        return sum(bool(receipt.accepted) for receipt in receipts)

    def _client(self) -> Client:
        return Client(self.server, log_receipts=False)

    def _send(self, client: Client, message: EmailMessage) -> Receipt:
        try:
            mail = mail_object(message)
        except Exception as error:  # noqa: BLE001 - a template, a file, a subclass: anybody's code may run here
            return unsent(message, error)
        if mail is None:
            return unsent(message, None)
        try:
            # Threads may share a backend that is open; nobody's receivers run under the lock.
            with self._lock:
                return client.send(mail)
        except SMTPException as error:
            return error.receipt or unsent(message, error)
        except BaseException as interruption:
            # A soft time limit, a cancelled task, Ctrl-C: said in the log, and passed on at once.
            if receipt := getattr(interruption, "receipt", None):
                self._record(message, receipt)
            raise

    def _report(self, message: EmailMessage, receipt: Receipt) -> None:
        self._record(message, receipt)
        if receipt.results or receipt.error:
            announce(type(self), message, receipt, self.alias)

    def _record(self, message: EmailMessage, receipt: Receipt) -> None:
        message.mailbridge_receipt = receipt  # type: ignore[attr-defined]  # ours to add
        if receipt.results or receipt.error:
            log_receipt(receipt, to=logger, extra={"alias": self.alias})


def _without_session(receipt: Receipt) -> SMTPException | None:
    """The error that no message of the batch would escape: no connection, no TLS, no login."""
    error = receipt.error
    if isinstance(error, SMTPException) and error.phase is not None and error.phase.opens_session:
        return error
    return None
