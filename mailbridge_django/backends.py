"""The backend: batches in; receipts, records, signals, a count and perhaps an error out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from os import PathLike
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

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
from .messages import UNFIT, mail_object, unsent
from .signals import announce

logger = logging.getLogger("mailbridge.django")


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
        ImproperlyConfigured: Another setting is wrong; InvalidMailer in MAILERS.
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
        self.port = self.server.port

    @property
    def server(self) -> Server:
        """Where mail goes, by the attributes as they are now."""
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
                ca_file=self.ca_file,
                client_cert=self.ssl_certfile,
                client_key=self.ssl_keyfile,
                timeouts=self._timeouts,
                allow_plaintext_auth=self.allow_plaintext_auth,
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
        before anything is raised. A message without recipients is passed over.

        Returns:
            How many messages were accepted, each for at least one recipient.

        Raises:
            SMTPException: The first failure, with the receipts of the whole batch in `receipts`.
            Exception: The same, where the first failure was a message that Django could not build.
        """
        messages = [message for message in email_messages or () if message.recipients()]
        receipts: list[Receipt] = []
        client = self.connection or self._client()
        lost: SMTPException | None = None
        try:
            for message in messages:
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
        except UNFIT as error:
            return unsent(message, error)
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
        announce(type(self), message, receipt, self.alias)

    def _record(self, message: EmailMessage, receipt: Receipt) -> None:
        message.mailbridge_receipt = receipt  # type: ignore[attr-defined]  # ours to add
        log_receipt(receipt, to=logger, extra={"alias": self.alias})


def _without_session(receipt: Receipt) -> SMTPException | None:
    """The error that no message of the batch would escape: no connection, no TLS, no login."""
    error = receipt.error
    if isinstance(error, SMTPException) and error.phase is not None and error.phase.opens_session:
        return error
    return None
