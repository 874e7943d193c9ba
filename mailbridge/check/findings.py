"""What is said where something is wrong: one plain sentence, and one that says what to change.

Most of it comes from the errors themselves, as every user of the engine reads it. Here stands what only a check knows.
"""

from __future__ import annotations

from datetime import UTC, datetime

from ..capabilities import Capabilities
from ..errors import SMTPException
from ..facts import Phase
from ..replies import Reply
from ..server import Security, Server, is_loopback
from ..tls import TLSInfo

# Days before the end of a certificate at which it is spoken of: who renews by machine has done so long before.
EXPIRY = 14
# RFC 4954 section 6: a login is required; RFC 3207 section 4: STARTTLS is.
_REQUIRED = 530
# RFC 5321 section 3.8: the server will not go on, whatever is said.
_CLOSING = 421

STARTTLS_REFUSED = "Mail travels in clear: the server refused STARTTLS"


def complaint(error: SMTPException, server: Server | None = None) -> str:
    """What an error says, without its place, which the check names once.

    Args:
        error: The error.
        server: Who was checked, where that makes a difference to the advice.
    """
    advice = error.advice or (_advice(error, error.reply, server) if error.reply and server else None)
    return f"{_sentence(error.what())}. {advice}" if advice else _sentence(error.what())


def repeated(reply: Reply, advice: str | None) -> str:
    """A refused login, the words of which hold the secret."""
    said = f"The server answered {reply.code}, and its words hold a secret: they are not shown"
    return f"{said}. {advice}" if advice else said


def _sentence(text: str) -> str:
    # What begins with a host or an option keeps its letters.
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text


def _advice(error: SMTPException, reply: Reply, server: Server) -> str | None:
    if reply.code == _CLOSING:
        return None
    if reply.code == _REQUIRED:
        if server.security is Security.NONE:
            return "Use STARTTLS (smtp+starttls) or implicit TLS (smtps), and a login"
        return None if server.wants_login else "Set a user name and a password"
    match error.phase:
        case Phase.MAIL:
            return "Use a sender that this server takes mail from, or ask who operates it"
        case Phase.RCPT:
            return "Check the address; for other domains than its own a server wants a login"
    return None


def is_about_the_address(error: SMTPException) -> bool:
    """A refusal of what was asked, and not of the whole session."""
    return error.reply is not None and error.reply.code not in {_REQUIRED, _CLOSING}


def one_address(error: SMTPException) -> str:
    """An address leads nowhere, and others do: whoever tries it first loses time."""
    return f"{_sentence(error.what())}, but other addresses answer: mend this one, or take it out of the DNS"


def about_tls(tls: TLSInfo, server: Server) -> str:
    """What is wrong with a protection that stands."""
    if server.danger_accept_any_certificate:
        return "The certificate is not verified: trust its CA by ca_file in place of danger_accept_any_certificate"
    days = days_left(tls)
    if days is None or days >= EXPIRY:
        return ""
    when = {0: "today", 1: "in 1 day"}.get(days, f"in {days} days")
    return f"The certificate expires {when}: renew it on the server"


def days_left(tls: TLSInfo) -> int | None:
    """Whole days until the certificate expires."""
    return (tls.expires - datetime.now(UTC)).days if tls.expires else None


def about_plain_text(capabilities: Capabilities, server: Server) -> str:
    """What is wrong with a session that will have no protection."""
    offered = "STARTTLS" in capabilities
    if server.path or is_loopback(server.host) or server.security in {Security.IMPLICIT, Security.STARTTLS}:
        return ""
    if not offered:
        return "Mail travels in clear: the server does not offer STARTTLS"
    return "" if server.security is Security.OPPORTUNISTIC else "Mail travels in clear: use STARTTLS (smtp+starttls)"


def at_once(server: Server) -> str:
    """A greeting in clear was waited for, and the port speaks TLS from the first octet."""
    said = {Security.NONE: "no TLS", Security.STARTTLS: "STARTTLS"}.get(server.security, "opportunistic TLS")
    return f"Port {server.port} speaks TLS at once; you set {said}. Use implicit TLS (smtps)"


def another_name(names: tuple[str, ...], server: Server) -> str:
    """The certificate is for others."""
    listed = ", ".join(names) or "no name"
    return f"The certificate is for {listed}, not {server.name}. Use a name that it is for, or have this one added"


def silent(server: Server) -> str:
    """Neither a greeting came, nor TLS."""
    where, seconds = f"port {server.port}" if server.host else "this socket", f"{server.timeouts.reply:g} s"
    return f"Somebody takes connections at {where} and does not greet within {seconds}. Check that it is a mail server"
