"""The state of one app, and Flask-Mail's connection, whose messages go over the pool."""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from email.message import Message as MIMEMessage
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from mailbridge import (
    ORIGINAL_RECIPIENTS,
    MailObject,
    Receipt,
    RecipientResult,
    SMTPException,
    Staged,
    State,
    log_receipt,
)

from . import signals
from .config import Settings
from .message import Message
from .pools import pool_for, pools
from .sanitize import Mailbox, encoded

if TYPE_CHECKING:
    from types import TracebackType

    from flask import Flask

    from mailbridge import Client, Pool

logger = logging.getLogger("mailbridge.flask")

# A refusal is always signalled: "signal" does no more than that.
_ON_PARTIAL: Mapping[str, Literal["deliver", "raise", "abort"]] = {
    "signal": "deliver",
    "raise": "raise",
    "abort": "abort",
}


class MailState:
    """What `app.extensions["mail"]` is: the settings of one app, and the verbs on them.

    Flask-Mail's names of the settings (`server`, `default_sender`, ...) are read and set through it; a value is
    read as that of its key in the configuration, and holds from the next message or connection on.
    """

    __slots__ = ("__weakref__", "_app", "_suppress", "_was_testing", "mailers", "name", "settings")

    def __init__(self, app: Flask, settings: Settings, name: str = "default") -> None:
        # The app holds its state; the other way round neither would ever be freed.
        self._app = weakref.ref(app)
        self._was_testing = app.testing
        self._suppress = settings.suppress
        self.settings = settings
        self.name = name
        self.mailers: dict[str, MailState] = {}

    def __getitem__(self, name: str) -> MailState:
        """A mailer of MAIL_MAILERS by its name; "default" is that of the MAIL_* keys.

        Raises:
            KeyError: There is none of that name; the text names those that there are.
        """
        if name == self.name:
            return self
        if name not in self.mailers:
            known = ", ".join([self.name, *self.mailers])
            raise KeyError(f"no mailer {name!r} in MAIL_MAILERS; there are {known}")
        return self.mailers[name]

    @property
    def app(self) -> Flask:
        """The app that it belongs to."""
        app = self._app()
        if app is None:
            raise RuntimeError("the app of this mail state is gone")
        return app

    @property
    def suppress(self) -> bool:
        """Nothing is sent: MAIL_SUPPRESS_SEND says so, or else the app is under test or was at `init_app`."""
        return self._was_testing or self.app.testing if self._suppress is None else self._suppress

    @suppress.setter
    def suppress(self, value: bool) -> None:
        self._suppress = self.settings.changed("suppress", value).suppress

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "settings":
            raise AttributeError(name)
        return getattr(self.settings, name)

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            self.settings = self.settings.changed(name, value)

    @contextmanager
    def sending_to(self, host: str, port: int) -> Iterator[None]:
        """Send to another server, in clear and without a login, until the block ends. For tests."""
        settings, suppress = self.settings, self._suppress
        plain = Settings(server=host, port=port)
        names = ("server", "port", "use_tls", "use_ssl", "security", "username", "password", "further")
        self.settings = replace(settings, **{name: getattr(plain, name) for name in names})
        self._suppress = False
        try:
            yield
        finally:
            self.settings, self._suppress = settings, suppress
            pools.clear()

    def connect(self) -> Connection:
        """What several messages are sent by; `with` makes sure that a server is there."""
        return Connection(self)

    def send(self, message: Message) -> Receipt | None:
        """Send one message; see `Connection.send`."""
        # Without `with`, which connects at once: a server that is not there is an outcome of this message.
        return message.send(self.connect())

    def send_message(self, *args: Any, **kwargs: Any) -> Receipt | None:
        """Send a `Message` of these arguments."""
        return self.send(Message(*args, **kwargs))

    async def asend(self, message: Message) -> Receipt | None:
        """Send one message from an async view, without holding up its event loop; see `Connection.send`.

        It is sent in a worker thread, over the connections of all other sends: Flask runs each async view in a loop
        of its own, and a connection of that loop would end with it. Receivers are called in that thread, in the
        app's context. Where the task is cancelled the send goes on, and its outcome is in the log and the signals.
        """
        return await asyncio.to_thread(self.send, message)

    def record_messages(self) -> AbstractContextManager[list[Message]]:
        """Record the messages that leave, or would leave; see `mailbridge_flask.signals.record_messages`."""
        return signals.record_messages()


class Connection:
    """What several messages are sent by; a context manager, for one thread.

    It holds no connection to the server: each message takes one from the pool of the process, and gives it back.

    Attributes:
        mail: The state that it belongs to.
        num_emails: How many messages it sent; it starts again after MAIL_MAX_EMAILS.

    Example:
        >>> with mail.connect() as connection:
        ...     for user in users:
        ...         connection.send(Message("News", recipients=[user.email], body=news))
    """

    def __init__(self, mail: MailState) -> None:
        self.mail = mail
        self.num_emails = 0

    def __enter__(self) -> Self:
        """Make sure that a connection is there, logged in, unless sending is suppressed. It is kept for who sends next.

        Raises:
            SMTPException: A step of it failed.
        """
        if not self.mail.suppress:
            with self._overheard(pool_for(self.mail.settings)):
                pass
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Begin to count anew. Connections to the server stay, for whoever sends next."""
        self.num_emails = 0

    def send(self, message: Message, envelope_from: Mailbox | None = None) -> Receipt | None:
        """Send a message, log what became of it, and tell the receivers of the signals.

        Args:
            message: The mail.
            envelope_from: The reverse-path where it is not the sender, "<>" for the null sender.

        Returns:
            What became of each recipient: at least one was accepted, and nobody's fate is open. None where
            sending is suppressed, or a receiver of `message_sending` cancelled it.

        Raises:
            BadHeaderError: A line end in a header field; nothing was sent.
            SMTPInputError: The message cannot be sent; nothing was. It is an AssertionError too where there is no
                sender or no recipient, as in Flask-Mail.
            SMTPException: Nobody accepted it, or somebody's fate is open: see `error.receipt`.
            Exception: What a value of the message raised, such as a lazy text; nothing was sent.
        """
        message.mailbridge_receipt = None
        if not signals.allowed(self.mail.app, message):
            return None
        try:
            mail = self._built(message, envelope_from)
        except Exception as error:
            # Whatever it is, a lazy text or a date that is none: the message is accounted for.
            self._fail(message, _unsent(message, error), error)
            raise
        receipt = None
        if self.mail.suppress:
            signals.tell(signals.email_dispatched, self.mail.app, message=message)
        else:
            receipt = self._deliver(message, mail)
        self._count()
        return receipt

    def send_message(self, *args: Any, **kwargs: Any) -> Receipt | None:
        """Send a `Message` of these arguments."""
        return self.send(Message(*args, **kwargs))

    def _built(self, message: Message, envelope_from: Mailbox | None) -> MailObject:
        settings = self.mail.settings
        if not message.sender or message.sender == message.default_sender:
            message.sender = settings.spelled_sender or message.sender
        message.date = time.time() if message.date is None else message.date
        return message.mail_object(envelope_from, ascii_names=settings.ascii_attachments)

    def _staged(self, mail: MailObject) -> tuple[MailObject, Staged]:
        """The mail as it may leave here: MAIL_REDIRECT_TO and MAIL_ALLOW_DOMAINS decide who is named at RCPT."""
        staged = self.mail.settings.staging.apply(mail.recipients or ())
        if staged.original is None:
            return mail, staged
        # The message was written for this send alone.
        content = cast("MIMEMessage", mail.content)
        del content[ORIGINAL_RECIPIENTS]
        content[ORIGINAL_RECIPIENTS] = encoded(staged.original, "utf-8")
        asked = next(iter(mail.recipient_options.values()), None)
        options = dict.fromkeys(staged.recipients, asked) if asked else {}
        return replace(mail, recipients=staged.recipients, recipient_options=options), staged

    def _deliver(self, message: Message, mail: MailObject) -> Receipt:
        mail, staged = self._staged(mail)
        try:
            if not staged.recipients:
                raise _first_error(staged)
            receipt = self._sent(mail)
        except SMTPException as error:
            self._fail(message, _joined(error.receipt or _unsent(message, error, mail), staged), error)
            raise
        except BaseException as interruption:
            # A soft time limit, Ctrl-C: it passes on as soon as everybody was told.
            found = getattr(interruption, "receipt", None)
            if isinstance(found, Receipt):
                self._record(message, found)
                signals.announce(self.mail.app, message, found)
            elif isinstance(interruption, Exception):
                self._fail(message, _unsent(message, interruption), interruption)
            raise
        if staged.withheld:
            withheld = _first_error(staged)
            self._fail(message, _joined(receipt, staged), withheld)
            raise withheld
        self._record(message, receipt)
        signals.announce(self.mail.app, message, receipt)
        return receipt

    def _sent(self, mail: MailObject) -> Receipt:
        settings = self.mail.settings
        pool, on_partial = pool_for(settings), _ON_PARTIAL[settings.on_partial]
        if not settings.debug:
            return pool.send(mail, on_partial=on_partial)
        with self._overheard(pool) as client:
            return client.send(mail, on_partial=on_partial)

    @contextmanager
    def _overheard(self, pool: Pool) -> Iterator[Client]:
        """A lease. With MAIL_DEBUG, what was said meanwhile is in the log as soon as the lease has ended."""
        said: tuple[str, ...] = ()
        try:
            with pool.lease() as client:
                try:
                    yield client
                finally:
                    said = client.take_transcript()
        except SMTPException as error:
            # Where no connection was to be had, only the error knows what was said.
            said = said or error.transcript
            raise
        finally:
            if self.mail.settings.debug:
                for line in said:
                    logger.debug("%s", line)

    def _fail(self, message: Message, receipt: Receipt, error: Exception) -> None:
        if isinstance(error, SMTPException):
            error.receipt = receipt
        self._record(message, receipt)
        signals.announce(self.mail.app, message, receipt)

    def _record(self, message: Message, receipt: Receipt) -> None:
        message.mailbridge_receipt = receipt
        style = cast("Literal['full', 'masked', 'none']", self.mail.settings.log_addresses)
        log_receipt(receipt, to=logger, addresses=style, extra={"app": self.mail.app.name, "mailer": self.mail.name})

    def _count(self) -> None:
        self.num_emails += 1
        if self.num_emails == self.mail.settings.max_emails:
            self.num_emails = 0


def _first_error(staged: Staged) -> SMTPException:
    return next(result.error for result in staged.withheld.values() if isinstance(result.error, SMTPException))


def _joined(receipt: Receipt, staged: Staged) -> Receipt:
    """A receipt that names those who were withheld too."""
    if not staged.withheld:
        return receipt
    return replace(receipt, results={**receipt.results, **staged.withheld}, error=receipt.error or _first_error(staged))


def _unsent(message: Message, error: Exception, mail: MailObject | None = None) -> Receipt:
    """The receipt of a message before anything was sent: it was refused here, or no connection was to be had."""
    try:
        sender = str(mail.sender if mail else message.sender or "")
        names = mail.recipients or () if mail else message.envelope()
    except Exception:  # noqa: BLE001 - what cannot be written as a message may not have readable addresses either
        sender, names = "", []
    results = {name: RecipientResult(name, State.NOT_SENT, error=error) for name in names}
    return Receipt(sender, results, message.msgId, error=error, server=getattr(error, "server", None))
