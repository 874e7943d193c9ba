"""The one tree of errors. Each carries its facts and builds its own sentence.

The classic names derive from their namesakes in the standard `smtplib`, so that an
`except smtplib.SMTPException` that was written for it still catches ours.
"""

from __future__ import annotations

import smtplib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from .facts import Endpoint, Phase, printable

if TYPE_CHECKING:
    from .receipts import Receipt
    from .replies import Reply


def _rebuild(kind: type[SMTPException], args: tuple[Any, ...]) -> SMTPException:
    """Unpickle: constructors of the classic errors differ, their arguments do not."""
    error = kind.__new__(kind, *args)
    error.args = args
    return error


_UNCONNECTED = {Phase.RESOLVE, Phase.CONNECT, Phase.TLS}


class SMTPException(smtplib.SMTPException):
    """Anything that goes wrong between a message and its acceptance.

    Attributes:
        phase: The step in which it happened.
        server: The server it happened with, with port and TLS state.
        reply: The reply that says so, where one came.
        advice: What to try, in one sentence.
        receipt: What became of each recipient, where a message was under way.
        receipts: Those of a whole batch, where there was one.
        transcript: The last lines of the connection's redacted transcript.
    """

    phase: Phase | None = None
    server: Endpoint | None = None
    reply: Reply | None = None
    advice: str | None = None
    receipt: Receipt | None = None
    receipts: tuple[Receipt, ...] = ()
    transcript: tuple[str, ...] = ()

    def __init__(self, *args: object, phase: Phase | None = None, advice: str | None = None) -> None:
        super().__init__(*args)
        self.phase = phase or self.phase
        self.advice = advice or self.advice

    @property
    def temporary(self) -> bool:
        """It is safe and sensible to send the same again later."""
        return self.reply is not None and self.reply.transient

    def what(self) -> str:
        """Say what happened, without where."""
        if self.reply is not None:
            return f"the server answered {printable(str(self.reply))}"
        return printable(str(self.args[0])) if self.args else type(self).__name__

    def __str__(self) -> str:
        if self.server is None and self.phase is None:
            # Raised without facts, as the classic API does: programs compare these texts.
            return super().__str__()
        where = []
        if self.server:
            # Before there is a connection, it is no news that TLS does not protect it.
            where.append(self.server.place if self.phase in _UNCONNECTED else str(self.server))
        if self.phase:
            where.append(f"at {self.phase}")
        sentence = f"{' '.join(where)}: {self.what()}"
        return f"{sentence}. {self.advice}" if self.advice else sentence

    def __reduce__(self) -> tuple[Any, ...]:
        facts = dict(self.__dict__)
        if self.errno is not None:
            facts |= {"errno": self.errno, "strerror": self.strerror}
        # The facts come last, when the error exists already: its receipt holds the error again.
        return _rebuild, (type(self), self.args), facts


class SMTPNotSupportedError(SMTPException, smtplib.SMTPNotSupportedError):
    """The server does not offer the extension that was asked for."""


class SMTPServerDisconnected(SMTPException, smtplib.SMTPServerDisconnected):
    """The connection ended, or was never there."""

    @property
    def temporary(self) -> bool:
        """A later connection may live longer."""
        return True


class SMTPResponseException(SMTPException, smtplib.SMTPResponseException):
    """A reply that refuses. `smtp_code` and `smtp_error` are its code and its octets."""

    def __init__(self, code: int, msg: bytes | str, *, phase: Phase | None = None, advice: str | None = None) -> None:
        # OSError would take code and words for its errno and strerror; the standard constructor goes round it.
        smtplib.SMTPResponseException.__init__(self, code, msg)
        self.phase = phase
        self.advice = advice

    @classmethod
    def of(cls, reply: Reply, phase: Phase, advice: str | None = None) -> Self:
        """Make one from a reply and the phase that it came in."""
        error = cls(reply.code, reply.raw, phase=phase, advice=advice)
        error.reply = reply
        return error

    @property
    def temporary(self) -> bool:
        """The reply code is 4yz."""
        return 400 <= self.smtp_code < 500


class SMTPSenderRefused(SMTPResponseException, smtplib.SMTPSenderRefused):
    """MAIL was refused, and with it every recipient. `sender` is the refused reverse-path."""

    def __init__(
        self, code: int, msg: bytes | str, sender: str, *, phase: Phase | None = None, advice: str | None = None
    ) -> None:
        super().__init__(code, msg, phase=phase, advice=advice)
        smtplib.SMTPSenderRefused.__init__(self, code, msg, sender)  # type: ignore[arg-type]  # words may be a str


class SMTPRecipientsRefused(SMTPException, smtplib.SMTPRecipientsRefused):
    """Recipients were refused. `recipients` maps each to its `(code, octets)`."""

    def __init__(self, recipients: Mapping[str, tuple[int, bytes]], *, phase: Phase | None = None) -> None:
        smtplib.SMTPRecipientsRefused.__init__(self, dict(recipients))
        self.phase = phase

    def what(self) -> str:
        """Name the refused recipients, each with its reply."""
        each = (f"{who} ({code} {text.decode('utf-8', 'replace')})" for who, (code, text) in self.recipients.items())
        return printable("refused recipients: " + ", ".join(each))

    @property
    def temporary(self) -> bool:
        """Every refusal was a 4yz."""
        return all(400 <= code < 500 for code, _ in self.recipients.values())


class SMTPGivenUp(SMTPException):
    """All or nothing: this recipient was accepted, others were refused, and so nobody got the message."""

    @property
    def temporary(self) -> bool:
        """Without the others it may be sent at once."""
        return True


class SMTPDataError(SMTPResponseException, smtplib.SMTPDataError):
    """DATA or the content was refused."""


class SMTPConnectError(SMTPResponseException, smtplib.SMTPConnectError):
    """The greeting was a refusal."""


class SMTPHeloError(SMTPResponseException, smtplib.SMTPHeloError):
    """EHLO, HELO or LHLO was refused."""


class SMTPAuthenticationError(SMTPResponseException, smtplib.SMTPAuthenticationError):
    """The credentials were refused."""


class SMTPOutcomeUnknown(SMTPServerDisconnected):
    """The content was complete on its way and no reply came: nobody can know what became of it."""

    @property
    def temporary(self) -> bool:
        """Never: sending again may deliver it twice."""
        return False


class SMTPProtocolError(SMTPServerDisconnected):
    """The server said something that SMTP does not allow; the connection was closed."""


class SMTPSecurityError(SMTPException):
    """Going on would have been unsafe: no TLS where it is required, bytes injected, a secret in clear."""


class SMTPTimeoutError(SMTPServerDisconnected, TimeoutError):
    """A deadline passed; the connection was closed."""


class SMTPUnreachableError(SMTPException):
    """No connection could be made."""

    @property
    def temporary(self) -> bool:
        """The server may be back later."""
        return True


class SMTPConnectionRefused(SMTPUnreachableError, ConnectionRefusedError):
    """Nobody listens at that address and port."""


class SMTPConnectionReset(SMTPServerDisconnected, ConnectionResetError):
    """The connection was torn down from the other side."""


class SMTPPoolError(SMTPException):
    """A pool had no connection to give. Nothing was sent."""

    @property
    def temporary(self) -> bool:
        """Another moment, or another pool, may have one."""
        return True


class SMTPPoolTimeout(SMTPPoolError, TimeoutError):
    """No connection of the pool came free in time."""


class SMTPPoolClosed(SMTPPoolError):
    """The pool was closed, or is being drained."""


class SMTPInputError(SMTPException, ValueError):
    """An address, a message, an option or a setting is wrong. Nothing was sent."""
