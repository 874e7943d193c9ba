"""The synchronous client: one connection, one user."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Literal, Self

from .. import commands
from ..addresses import parse
from ..capabilities import Capabilities
from ..conversations import Conversation, Delivery, Need, ask, expand, failure, refusal, send, verify
from ..errors import SMTPException, SMTPInputError, SMTPServerDisconnected
from ..logs import emit, log_receipt
from ..message import MailObject, MessageSource, prepare
from ..parameters import MailOptions, RcptOptions
from ..protocol import SMTPProtocol
from ..receipts import Receipt
from ..replies import Reply
from ..server import Server
from ..sockets.resumption import Resumption
from ..tls import TLSInfo
from .connection import Connection, drive

OnPartial = Literal["deliver", "raise", "abort"]


class Client:
    """A client that keeps one connection and replaces it when it dies.

    It connects when it must, and it is for one thread at a time.

    Example:
        >>> with Client(Server.from_url("smtps://user:secret@mail.example.com")) as client:
        ...     receipt = client.send(message)
    """

    def __init__(self, server: Server, *, log_receipts: bool = True) -> None:
        """Remember the server; nothing is connected yet.

        Args:
            server: Where to send.
            log_receipts: Write one record to the logger "mailbridge" for each message. A framework
                that writes its own turns this off.
        """
        if not isinstance(server, Server):
            raise SMTPInputError("a Client takes a Server: Server.from_url(...) makes one of a URL")
        self.server = server
        self._log_receipts = log_receipts
        self._connection: Connection | None = None
        self._resumption = Resumption()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        """A connection is open and could carry a message, as far as anybody knows without asking."""
        return self._connection is not None and self._connection.protocol.reusable

    @property
    def capabilities(self) -> Capabilities:
        """What the server announced on the present connection."""
        return self._connection.protocol.capabilities if self._connection else Capabilities()

    @property
    def tls(self) -> TLSInfo | None:
        """What protects the present connection: version, cipher, the certificate's names and expiry."""
        return self._connection.tls if self._connection else None

    @property
    def transcript(self) -> tuple[str, ...]:
        """The last lines of the present connection, redacted."""
        return self._connection.protocol.transcript.lines() if self._connection else ()

    def connect(self) -> None:
        """Connect, protect and log in, unless that is done.

        Raises:
            SMTPException: A step of it failed; the error says which, with whom and what to try.
        """
        if not self.connected:
            self._reconnect(self._send_deadline())

    def close(self) -> None:
        """Say QUIT and close. The answer is waited for at most two seconds."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def send(
        self,
        message: MessageSource | MailObject,
        *,
        sender: str | None = None,
        recipients: Sequence[str] | None = None,
        canonical: bool = False,
        options: MailOptions | None = None,
        recipient_options: Mapping[str, RcptOptions] | None = None,
        on_partial: OnPartial = "deliver",
    ) -> Receipt:
        """Send one message.

        Args:
            message: An `EmailMessage`, octets, a binary file, or a `MailObject` with all of the below.
            sender: The reverse-path; taken from Sender or From where it is None, "" for the null sender.
            recipients: Taken from To, Cc and Bcc where it is None.
            canonical: The octets are known to hold CR and LF only as CRLF.
            options: What to ask for at MAIL: delivery reports and more.
            recipient_options: The same at RCPT, by recipient, however its address is spelled.
            on_partial: What to do where some recipients are refused: "deliver" to the others, deliver
                and then "raise", or "abort": all or nothing.

        Returns:
            The receipt: at least one recipient was accepted, and nobody's fate is open.

        Raises:
            SMTPInputError: The message cannot be sent; nothing was.
            SMTPException: Nobody accepted it, or somebody's fate is open: see `error.receipt`.
        """
        if on_partial not in {"deliver", "raise", "abort"}:
            raise SMTPInputError(f"on_partial is deliver, raise or abort, not {on_partial!r}")
        if isinstance(message, MailObject):
            if sender is not None or recipients is not None or canonical or options or recipient_options:
                raise SMTPInputError("a MailObject has its own sender, recipients and options: say them there")
        else:
            message = MailObject(message, sender, recipients, canonical, options, recipient_options or {})
        return self._send(Delivery(prepare(message), abort=on_partial == "abort"), on_partial)

    def noop(self) -> Reply:
        """Ask whether the server is there."""
        return self._ask(lambda smtp: ask(smtp, commands.Noop()))

    def reset(self) -> Reply:
        """Say RSET."""
        return self._ask(lambda smtp: ask(smtp, commands.Rset()))

    def verify(self, address: str) -> Reply:
        """Ask whether a mailbox exists (VRFY). Most servers answer 252: they will not say."""
        return self._ask(lambda smtp: verify(smtp, parse(address)))

    def expand(self, name: str) -> Reply:
        """Ask for the members of a list (EXPN)."""
        return self._ask(lambda smtp: expand(smtp, name))

    def help(self, topic: str = "") -> Reply:
        """Ask for help, in general or on a topic."""
        return self._ask(lambda smtp: ask(smtp, commands.Help(topic)))

    def command(self, verb: str, argument: str = "") -> Reply:
        """Say anything else that has one reply.

        Raises:
            SMTPResponseException: It was refused.
        """
        return self._ask(lambda smtp: ask(smtp, commands.Generic(verb, argument)))

    # What the verbs are made of.

    def _send_deadline(self) -> float:
        return time.monotonic() + self.server.timeouts.send

    def _ask(self, conversation: Callable[[SMTPProtocol], Conversation[Reply]]) -> Reply:
        self.connect()
        assert self._connection is not None  # noqa: S101 - connect made one
        return self._connection.converse(conversation(self._connection.protocol), self._send_deadline())

    def _reconnect(self, deadline: float) -> Connection:
        self.close()
        self._connection = Connection(self.server, self._resumption)
        self._connection.open(deadline)
        emit(logging.DEBUG, f"connected to {self._connection.endpoint}")
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.abort()

    def _send(self, delivery: Delivery, on_partial: OnPartial) -> Receipt:
        begun, deadline = time.monotonic(), self._send_deadline()
        found = self._connection if self.connected else None
        if found:
            found.begin(deadline)
        conversation = send(
            found.protocol if found else None,
            delivery,
            max_recipients=self.server.max_recipients,
            hot=bool(found and found.hot),
        )

        try:
            error = drive(conversation, lambda need: self._serve(need, deadline))
        except BaseException as interruption:
            # A soft time limit, a cancelled task, Ctrl-C: the dialogue is broken off where it stands.
            self._drop()
            error = SMTPServerDisconnected(f"interrupted by {type(interruption).__name__}")
            receipt = self._finished(delivery, error, time.monotonic() - begun)
            interruption.receipt = receipt  # type: ignore[attr-defined]  # as our own errors have it
            raise
        receipt = self._finished(delivery, error, time.monotonic() - begun)
        if receipt.error is None and on_partial == "raise" and receipt.refused:
            raise self._attached(refusal(delivery, receipt), receipt)
        if receipt.error is not None:
            raise receipt.error
        return receipt

    def _serve(self, need: Need, deadline: float) -> object:
        if need is Need.CONNECTION:
            connection = self._reconnect(deadline)
            connection.begin(deadline)
            return connection.protocol
        assert self._connection is not None  # noqa: S101 - the conversation asked for it first
        return self._connection.serve(need)

    def _finished(self, delivery: Delivery, error: SMTPException | None, duration: float) -> Receipt:
        """Write the receipt and its record; close what cannot be used again."""
        connection, error = self._connection, failure(delivery, error)
        receipt = delivery.receipt(
            error,
            server=connection.endpoint if connection else None,
            duration=duration,
            reused=bool(connection and connection.messages),
        )
        if error is not None:
            self._attached(error, receipt)
        if connection and delivery.transactions:
            connection.messages += 1
        if connection and not connection.protocol.reusable:
            connection.abort()
        if self._log_receipts:
            log_receipt(receipt)
        return receipt

    def _attached(self, error: SMTPException, receipt: Receipt) -> SMTPException:
        error.receipt = receipt
        if self._connection:
            self._connection.explain(error)
        return error
