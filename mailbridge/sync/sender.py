"""What a client and a pool have in common: they take a message, say what became of it, and write it down."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from ..conversations import Delivery
from ..errors import SMTPException
from ..message import MailObject, MessageSource, OnPartial, check_partial
from ..parameters import MailOptions, RcptOptions
from ..preparing import prepare_given
from ..receipts import Receipt
from ..sockets.clerk import Clerk


class Sender(Clerk):
    """Sends messages to one server.

    Attributes:
        server: Where to.
        log_receipts: Write one record to the logger "mailbridge" for each message.
    """

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
        check_partial(on_partial)
        mail = prepare_given(message, sender, recipients, canonical, options, recipient_options)
        delivery = Delivery(mail, abort=on_partial == "abort")
        try:
            receipt, error = self._deliver(delivery, strict=on_partial == "raise")
        except BaseException as interruption:
            self._write_down(getattr(interruption, "receipt", None))
            raise
        self._write_down(receipt)
        if error is not None:
            raise error
        return receipt

    @abstractmethod
    def _deliver(self, delivery: Delivery, *, strict: bool) -> tuple[Receipt, SMTPException | None]:
        """Send it over some channel; hold none when this returns."""
