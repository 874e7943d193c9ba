"""A message and a server: what must be changed, asked for or refused before a byte of it is sent."""

from __future__ import annotations

from collections.abc import Sequence

from ..commands import Mail
from ..errors import SMTPException, SMTPInputError, SMTPNotSupportedError
from ..facts import Phase
from ..preparing import Prepared, Recipient, downgraded
from ..protocol import SMTPProtocol


def fitted(smtp: SMTPProtocol, mail: Prepared) -> Prepared:
    """The message as this server can take it.

    Raises:
        SMTPInputError: It is larger than the server's limit.
        SMTPNotSupportedError: It needs or asks for what the server does not offer.
    """
    offered = smtp.capabilities
    if mail.sender and mail.sender.needs_utf8 and "SMTPUTF8" not in offered:
        raise SMTPNotSupportedError(f"the sender {mail.sender} needs SMTPUTF8, which the server does not offer")
    _check_options(smtp, mail)
    # RFC 6531 section 3.6 and RFC 6152 section 3: what is not offered must be encoded.
    utf8_in_vain = mail.content.utf8_header and "SMTPUTF8" not in offered
    eight_bit_in_vain = mail.content.eight_bit and "8BITMIME" not in offered
    # RFC 6532 section 3.1: a header is UTF-8 or it is nothing that SMTPUTF8 could carry.
    if utf8_in_vain or eight_bit_in_vain or mail.content.undecodable_header:
        mail = downgraded(mail, body=eight_bit_in_vain)
    if offered.size is not None and mail.content.size > offered.size:
        # RFC 1870 section 6.1: not worth a round trip.
        raise SMTPInputError(
            f"the message has {mail.content.size} octets, the server takes {offered.size}", phase=Phase.MAIL
        )
    return mail


def _check_options(smtp: SMTPProtocol, mail: Prepared) -> None:
    asked = list(mail.options.extensions()) if mail.options else []
    for recipient in mail.recipients:
        asked += recipient.options.extensions() if recipient.options else ()
    if not asked:
        return
    for extension in dict.fromkeys(asked):
        if extension not in smtp.capabilities:
            raise SMTPNotSupportedError(f"the message asks for {extension}, which the server does not offer")
    # RFC 8689 section 4.1: the first hop needs TLS too.
    if "REQUIRETLS" in asked and not smtp.secure:
        raise SMTPNotSupportedError("the message asks for REQUIRETLS on a connection without TLS")


def unfit_recipients(smtp: SMTPProtocol, mail: Prepared) -> dict[Recipient, SMTPException]:
    """Who cannot be reached through this server at all. The others can."""
    if "SMTPUTF8" in smtp.capabilities:
        return {}
    return {
        recipient: SMTPNotSupportedError(f"{recipient.address} needs SMTPUTF8, which the server does not offer")
        for recipient in mail.recipients
        if recipient.address.needs_utf8
    }


def mail_command(smtp: SMTPProtocol, mail: Prepared, recipients: Sequence[Recipient]) -> Mail:
    """MAIL with the parameters that this message needs and this server offers (SERVERS.md R8)."""
    utf8 = mail.needs_utf8 or any(recipient.address.needs_utf8 for recipient in recipients)
    eight_bit = mail.content.eight_bit or mail.content.utf8_header
    return Mail(
        mail.sender,
        # RFC 1870 section 5: said wherever it is offered, with or without a limit.
        size=mail.content.size if "SIZE" in smtp.capabilities else None,
        body="8BITMIME" if eight_bit and "8BITMIME" in smtp.capabilities else None,
        utf8=utf8,
        options=mail.options,
    )
