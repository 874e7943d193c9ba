"""An SMTP, ESMTP and LMTP client on which a refusal is never lost.

The classic API stands in `mailbridge.smtplib`, the errors of the operating system, the resolver
and of TLS in `mailbridge.translation`. Neither `smtplib` nor `asyncio` is a name of this module,
so that `from mailbridge import smtplib` always gives ours.
"""

from .addresses import Address, with_a_labels
from .addresses import parse as parse_address
from .auth import Credentials, Mechanism, Secret
from .capabilities import Capabilities
from .errors import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPConnectionRefused,
    SMTPConnectionReset,
    SMTPDataError,
    SMTPException,
    SMTPGivenUp,
    SMTPHeloError,
    SMTPInputError,
    SMTPNotSupportedError,
    SMTPOutcomeUnknown,
    SMTPPoolClosed,
    SMTPPoolError,
    SMTPPoolTimeout,
    SMTPProtocolError,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSecurityError,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
    SMTPUnreachableError,
)
from .facts import Endpoint, Phase, printable
from .limits import Limits
from .logs import AddressStyle, log_receipt
from .logs import emit as log_event
from .logs import spelled as spell_address
from .logs import spelled_error as spell_error
from .message import MailObject
from .parameters import MailOptions, RcptOptions
from .receipts import Receipt, RecipientResult, State
from .replies import EnhancedCode, Reply
from .server import Security, Server
from .sockets.pooled import Stats
from .staging import ORIGINAL_RECIPIENTS, Staged, Staging
from .sync.batch import Batch
from .sync.client import Client
from .sync.pool import Pool
from .sync.pools import Pools
from .timeouts import Timeouts
from .tls import TLSInfo
from .translation import SMTPCertificateError, SMTPHandshakeError, SMTPNameError
from .urls import parse as parse_url

__version__ = "0.1.0"

__all__ = [
    "ORIGINAL_RECIPIENTS",
    "Address",
    "AddressStyle",
    "Batch",
    "Capabilities",
    "Client",
    "Credentials",
    "Endpoint",
    "EnhancedCode",
    "Limits",
    "MailObject",
    "MailOptions",
    "Mechanism",
    "Phase",
    "Pool",
    "Pools",
    "RcptOptions",
    "Receipt",
    "RecipientResult",
    "Reply",
    "SMTPAuthenticationError",
    "SMTPCertificateError",
    "SMTPConnectError",
    "SMTPConnectionRefused",
    "SMTPConnectionReset",
    "SMTPDataError",
    "SMTPException",
    "SMTPGivenUp",
    "SMTPHandshakeError",
    "SMTPHeloError",
    "SMTPInputError",
    "SMTPNameError",
    "SMTPNotSupportedError",
    "SMTPOutcomeUnknown",
    "SMTPPoolClosed",
    "SMTPPoolError",
    "SMTPPoolTimeout",
    "SMTPProtocolError",
    "SMTPRecipientsRefused",
    "SMTPResponseException",
    "SMTPSecurityError",
    "SMTPSenderRefused",
    "SMTPServerDisconnected",
    "SMTPTimeoutError",
    "SMTPUnreachableError",
    "Secret",
    "Security",
    "Server",
    "Staged",
    "Staging",
    "State",
    "Stats",
    "TLSInfo",
    "Timeouts",
    "log_event",
    "log_receipt",
    "parse_address",
    "parse_url",
    "printable",
    "spell_address",
    "spell_error",
    "with_a_labels",
]
