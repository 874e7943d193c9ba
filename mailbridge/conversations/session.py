"""How a session begins and ends: greeting, EHLO, STARTTLS, login, QUIT."""

from __future__ import annotations

from .. import commands
from ..addresses import Address
from ..errors import SMTPConnectError, SMTPHeloError, SMTPNotSupportedError, SMTPSecurityError
from ..facts import Phase
from ..protocol import SMTPProtocol
from ..replies import Reply
from ..server import Security, Server
from .login import login
from .needs import Conversation, Need, answered, ask, say

# RFC 5321 section 4.1.1.1: the replies of a server that does not know EHLO.
_UNKNOWN_COMMAND = {500, 502}


def open_session(smtp: SMTPProtocol, server: Server, name: str) -> Conversation[None]:
    """Everything from the greeting to the point where mail can be sent.

    Args:
        smtp: A protocol on a fresh connection.
        server: What the caller asked for.
        name: What to say in EHLO.
    """
    yield from greet(smtp)
    plain_will_do = server.security in {Security.NONE, Security.OPPORTUNISTIC} and not server.wants_login
    yield from hello(smtp, name, helo_will_do=plain_will_do)
    if server.security is Security.STARTTLS or (
        server.security is Security.OPPORTUNISTIC and "STARTTLS" in smtp.capabilities
    ):
        yield from starttls(smtp, name, required=server.security is Security.STARTTLS)
    yield from login(smtp, server)


def greet(smtp: SMTPProtocol) -> Conversation[None]:
    """Wait for the greeting. RFC 5321 section 4.3.1: a client says nothing before it.

    Raises:
        SMTPConnectError: The server will not serve.
    """
    reply = yield from answered(smtp, smtp.greeting)
    if reply.refused:
        raise SMTPConnectError.of(reply, Phase.GREETING, "The server is there but takes no mail from here now")


def hello(smtp: SMTPProtocol, name: str, *, helo_will_do: bool = False) -> Conversation[None]:
    """Say EHLO, or LHLO over LMTP, and HELO to a server that knows no better.

    Args:
        smtp: The protocol.
        name: What the client calls itself.
        helo_will_do: Neither TLS nor anything else of ESMTP is required.

    Raises:
        SMTPHeloError: All that was said was refused.
    """
    first = commands.Lhlo(name) if smtp.lmtp else commands.Ehlo(name)
    reply = yield from answered(smtp, (yield from say(smtp, first)))
    if reply.code in _UNKNOWN_COMMAND and helo_will_do and not smtp.lmtp:
        reply = yield from answered(smtp, (yield from say(smtp, commands.Helo(name))))
    if reply.refused:
        raise SMTPHeloError.of(reply, Phase.HELLO, _hello_advice(smtp, reply, name))


def _hello_advice(smtp: SMTPProtocol, reply: Reply, name: str) -> str | None:
    if reply.code in _UNKNOWN_COMMAND:
        # RFC 2033 section 4.1: a server speaks one of the two.
        return "The server does not speak LMTP: use SMTP" if smtp.lmtp else "If the server speaks LMTP, use that"
    return f"The client called itself {name}: set local_hostname" if reply.permanent else None


def starttls(smtp: SMTPProtocol, name: str, *, required: bool = True) -> Conversation[None]:
    """Protect the connection (RFC 3207), then begin anew: what was learned before is forgotten.

    Raises:
        SMTPSecurityError: It is required and not to be had. There is no way back to plain text.
    """
    if "STARTTLS" not in smtp.capabilities:
        raise SMTPSecurityError(
            "the server does not offer STARTTLS, which is required",
            phase=Phase.STARTTLS,
            advice="Try port 465 with implicit TLS, or ask who operates the server",
        )
    reply = yield from answered(smtp, (yield from say(smtp, commands.StartTLS())))
    if reply.refused:
        if not required:
            return
        error = SMTPSecurityError("STARTTLS was refused", phase=Phase.STARTTLS)
        error.reply = reply
        raise error
    yield Need.TLS
    yield from hello(smtp, name)


def verify(smtp: SMTPProtocol, address: Address) -> Conversation[Reply]:
    """Ask whether a mailbox exists (VRFY, RFC 5321 section 4.1.1.6).

    Raises:
        SMTPNotSupportedError: Its name needs SMTPUTF8, which the server does not offer.
        SMTPResponseException: The answer is no, or none.
    """
    return (yield from ask(smtp, commands.Vrfy(address, utf8=_utf8(smtp, str(address)))))


def expand(smtp: SMTPProtocol, name: str) -> Conversation[Reply]:
    """Ask for the members of a list (EXPN, RFC 5321 section 4.1.1.7).

    Raises:
        SMTPNotSupportedError: Its name needs SMTPUTF8, which the server does not offer.
        SMTPResponseException: The answer is no, or none.
    """
    return (yield from ask(smtp, commands.Expn(name, utf8=_utf8(smtp, name))))


def _utf8(smtp: SMTPProtocol, name: str) -> bool:
    # RFC 6531 section 3.7.4.2: what is beyond ASCII takes the parameter, and the extension.
    if not name.isascii() and "SMTPUTF8" not in smtp.capabilities:
        raise SMTPNotSupportedError(f"{name} needs SMTPUTF8, which the server does not offer")
    return not name.isascii()


def farewell(smtp: SMTPProtocol) -> Conversation[None]:
    """Say QUIT and wait for the answer (RFC 5321 section 4.1.1.10)."""
    yield from ask(smtp, commands.Quit())
