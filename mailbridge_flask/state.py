"""The state of one app, and a connection that carries several messages."""

from __future__ import annotations

import logging
import time
import weakref
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self

from mailbridge import Client, MailObject, Receipt, RecipientResult, SMTPException, State, log_receipt

from . import signals
from .config import Settings
from .message import Message
from .sanitize import Mailbox

if TYPE_CHECKING:
    from types import TracebackType

    from flask import Flask

logger = logging.getLogger("mailbridge.flask")


class MailState:
    """What `app.extensions["mail"]` is: the settings of one app, and the verbs on them.

    Flask-Mail's names of the settings (`server`, `default_sender`, ...) are read through it.
    """

    __slots__ = ("__weakref__", "_app", "_suppress", "_was_testing", "settings")

    def __init__(self, app: Flask, settings: Settings) -> None:
        # The app holds its state; the other way round neither would ever be freed.
        self._app = weakref.ref(app)
        self._was_testing = app.testing
        self._suppress = settings.suppress
        self.settings = settings

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
        self._suppress = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "settings":
            raise AttributeError(name)
        return getattr(self.settings, name)

    def connect(self) -> Connection:
        """Begin a connection for several messages; it is made when the first one is sent."""
        return Connection(self)

    def send(self, message: Message) -> Receipt | None:
        """Send one message; see `Connection.send`."""
        with self.connect() as connection:
            return message.send(connection)

    def send_message(self, *args: Any, **kwargs: Any) -> Receipt | None:
        """Send a `Message` of these arguments."""
        return self.send(Message(*args, **kwargs))

    def record_messages(self) -> AbstractContextManager[list[Message]]:
        """Record the messages that leave, or would leave; see `mailbridge_flask.signals.record_messages`."""
        return signals.record_messages()


class Connection:
    """A connection to the mail server that carries several messages; a context manager, for one thread.

    After MAIL_MAX_EMAILS messages it is replaced by a new one.

    Example:
        >>> with mail.connect() as connection:
        ...     for user in users:
        ...         connection.send(Message("News", recipients=[user.email], body=news))
    """

    def __init__(self, mail: MailState) -> None:
        self.mail = mail
        self.num_emails = 0
        self._client: Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye to the server; a later `send` connects anew."""
        self.num_emails = 0
        if self._client is not None:
            said = self._client.transcript if self.mail.settings.debug else ()
            self._client.close()
            self._client = None
            for line in said:
                logger.debug("%s", line)

    def send(self, message: Message, envelope_from: Mailbox | None = None) -> Receipt | None:
        """Send a message, log what became of it, and tell the receivers of the signals.

        Args:
            message: The mail.
            envelope_from: The reverse-path where it is not the sender, "<>" for the null sender.

        Returns:
            What became of each recipient: at least one was accepted, and nobody's fate is open. None where
            sending is suppressed.

        Raises:
            BadHeaderError: A line end in a header field; nothing was sent.
            SMTPInputError: The message cannot be sent; nothing was.
            SMTPException: Nobody accepted it, or somebody's fate is open: see `error.receipt`.
        """
        state = self.mail
        error: SMTPException | None = None
        message.mailbridge_receipt = None
        message.sender = message.sender or state.settings.spelled_sender
        message.date = time.time() if message.date is None else message.date
        try:
            mail = message.mail_object(envelope_from, ascii_names=state.settings.ascii_attachments)
            receipt = None if state.suppress else self._deliver(mail)
        except SMTPException as caught:
            error, receipt = caught, caught.receipt or _unsent(message, caught)
            error.receipt = receipt
        except BaseException as interruption:
            # A soft time limit, a cancelled task, Ctrl-C: said in the log, and passed on at once.
            found = getattr(interruption, "receipt", None)
            if isinstance(found, Receipt):
                self._record(message, found)
            raise
        if receipt is None:
            signals.tell(signals.email_dispatched, state.app, message=message)
        else:
            self._record(message, receipt)
            signals.announce(state.app, message, receipt)
        self._count()
        if error is not None:
            raise error
        return receipt

    def send_message(self, *args: Any, **kwargs: Any) -> Receipt | None:
        """Send a `Message` of these arguments."""
        return self.send(Message(*args, **kwargs))

    def _deliver(self, mail: MailObject) -> Receipt:
        if self._client is None:
            # The one record of a message is written here, with the app's name.
            self._client = Client(self.mail.settings.describe(), log_receipts=False)
        return self._client.send(mail)

    def _record(self, message: Message, receipt: Receipt) -> None:
        message.mailbridge_receipt = receipt
        log_receipt(receipt, to=logger, extra={"app": self.mail.app.name})

    def _count(self) -> None:
        self.num_emails += 1
        if self.num_emails == self.mail.settings.max_emails:
            self.close()


def _unsent(message: Message, error: SMTPException) -> Receipt:
    """The receipt of a message that was refused here, before anything was sent."""
    try:
        names = message.envelope()
    except SMTPException:
        names = []
    results = {name: RecipientResult(name, State.NOT_SENT, error=error) for name in names}
    return Receipt(str(message.sender or ""), results, message.msgId, error=error)
