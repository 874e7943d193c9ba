"""The classic API: `from mailbridge import smtplib` replaces the standard module.

Names, signatures, defaults, results, verbs on the wire, error texts and debug output are those of the
standard module of Python 3.13, and the calling forms of Python 2.7 work too. What differs, on purpose:

| where | the standard module | this one |
|---|---|---|
| `SMTP_SSL`, `starttls` without a context | trust any certificate | verify chain and name; TLS 1.2 or newer; `keyfile` and `certfile` are the client's own, as in Python 2.7 |
| AUTH in clear | sends the password to anybody | `SMTPSecurityError`, except on loopback and unix sockets or with `allow_plaintext_auth = True` |
| AUTH in debug output, audit events, tracebacks | in full | `AUTH PLAIN [hidden]`, and `[hidden]` for each answer to a 334 |
| user and password beyond ASCII | `UnicodeEncodeError` | UTF-8 (RFC 4616) |
| an initial response that makes the AUTH line longer than 512 octets | sent at once | sent after the 334 (RFC 4954) |
| an address that cannot be parsed | pasted between `<` and `>` | `SMTPInputError`, a `ValueError`; `sendmail` writes no byte of the transaction, unless a subclass has its own `mail` or `rcpt`: that gets the address as it is |
| `quoteaddr('"a@b.example"')` | `<a@b.example>` | `SMTPInputError`: quotes make it one local part, and nobody guesses whose mail it is |
| `vrfy`, `expn` of what is no address | its first word | all of it |
| an empty initial response | `AUTH PLAIN `, with nothing behind the space | `AUTH PLAIN =` (RFC 4954) |
| a domain beyond ASCII | needs SMTPUTF8 | goes out in A-labels, in the header too |
| control octets in a command | only CR and LF refused | all refused, on the encoded octets; lines over 12,288 octets too |
| a bare CR or LF in `bytes` content | sent as it is | made CRLF |
| `timeout` | bounds each `recv` | bounds each reply |
| what is no reply, or mixes codes, or has no end | taken for one, or -1 | code -1, and the connection is closed; `sendmail` and `ehlo` raise `SMTPServerDisconnected` |
| a reply that nobody asked for | taken for the next command's | `SMTPProtocolError`, closed; an unasked 421 is the reply to the next command, which is not sent |
| octets behind the 220 to STARTTLS | taken for replies under TLS | `SMTPSecurityError`, closed |
| no reply to the content, or what is none | `SMTPServerDisconnected`, `SMTPDataError` | its subclass `SMTPOutcomeUnknown`: sending again may deliver twice |
| 421 to AUTH or DATA | the connection stays open | it is closed, as after any other 421 |
| DATA refused in `sendmail` | the transaction stays open | RSET, as after any other refusal |
| LMTP | reads one reply to the content | one for each accepted recipient; refusals are in the returned dict, or all in `SMTPRecipientsRefused`; one that misses is `SMTPOutcomeUnknown`, and nobody counts as accepted; a mailbox named twice is asked for once; replies count by their order, whoever said RCPT; `connect(host)` goes to port 2003, and so says `LMTP.default_port` |
| `SMTP()`, `SMTP_SSL()`, then `connect(host)` | the certificate is checked for the name "" | for `host`, or the `_host` that a program has set; what an earlier server offered is forgotten |
| `send_message` | guesses at addresses, lets a header field begin another one, writes `>From ` | parses them or raises `SMTPInputError`; refuses the field; leaves the line |
| `send`, when the server has closed | `Server not connected` | its last words, where they are a refusal, are the reply |

Every exception is a subclass of its namesake in the standard module.
"""  # noqa: E501 - a row of a table is one line

import base64 as base64
import copy as copy
import datetime as datetime
import email.generator
import email.message
import email.utils  # noqa: F401 - programs reach for `smtplib.email`, as for the modules around it
import hmac as hmac
import io as io
import re as re
import socket as socket
import ssl as ssl
import sys as sys
from email.base64mime import body_encode as encode_base64  # noqa: F401 - programs take it from here

from ..errors import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPDataError,
    SMTPException,
    SMTPHeloError,
    SMTPInputError,
    SMTPNotSupportedError,
    SMTPOutcomeUnknown,
    SMTPProtocolError,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSecurityError,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)
from .client import SMTP, SMTP_PORT, SMTP_SSL, SMTP_SSL_PORT
from .lmtp import LMTP, LMTP_PORT
from .quoting import _addr_only as _addr_only
from .quoting import _fix_eols as _fix_eols
from .quoting import _quote_periods as _quote_periods
from .quoting import quoteaddr, quotedata

_have_ssl = True

CRLF = "\r\n"
bCRLF = b"\r\n"  # noqa: N816 - the classic name
_MAXLINE = 8192  # octets of a line of a reply
_MAXCHALLENGE = 5  # challenges of one AUTH exchange
OLDSTYLE_AUTH = re.compile(r"auth=(.*)", re.IGNORECASE)

__all__ = [
    "CRLF",
    "LMTP",
    "LMTP_PORT",
    "SMTP",
    "SMTP_PORT",
    "SMTP_SSL",
    "SMTP_SSL_PORT",
    "SMTPAuthenticationError",
    "SMTPConnectError",
    "SMTPDataError",
    "SMTPException",
    "SMTPHeloError",
    "SMTPInputError",
    "SMTPNotSupportedError",
    "SMTPOutcomeUnknown",
    "SMTPProtocolError",
    "SMTPRecipientsRefused",
    "SMTPResponseException",
    "SMTPSecurityError",
    "SMTPSenderRefused",
    "SMTPServerDisconnected",
    "quoteaddr",
    "quotedata",
]
