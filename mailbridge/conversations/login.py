"""Proving who the client is (RFC 4954). A secret goes nowhere that a stranger can read."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence

from ..auth import MECHANISMS, Credentials, Dialogue, Mechanism, Secret, candidates
from ..commands import Auth, AuthResponse
from ..errors import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupportedError,
    SMTPSecurityError,
    SMTPServerDisconnected,
)
from ..facts import Phase
from ..protocol import SMTPProtocol
from ..replies import Reply
from ..server import Server
from .needs import Conversation, Need, answered, say

# More challenges than any mechanism has: a server that goes on asking is not serious.
CHALLENGES = 8


def login(smtp: SMTPProtocol, server: Server) -> Conversation[None]:
    """Log in, where the caller gave something to log in with.

    Raises:
        SMTPSecurityError: The credentials would travel in clear, or the server could not prove itself.
        SMTPNotSupportedError: No mechanism of the server fits.
        SMTPAuthenticationError: The credentials were refused. No second mechanism gets to see them.
    """
    if not server.wants_login:
        return
    if not (smtp.secure or server.may_log_in_plainly):
        raise SMTPSecurityError("credentials would travel in clear", phase=Phase.AUTH, advice="Use TLS")
    secret = (yield Need.TOKEN) if server.token_provider else None
    reply: Reply | None = None
    try:
        for mechanism in _fitting(smtp, server):
            reply = yield from authenticate(smtp, mechanism, server.credentials(secret))
            # RFC 4954 section 4: 504 says that the mechanism, not the credentials, will not do.
            if reply.code == 504:
                continue
            if reply.permanent and secret is not None:
                secret = yield from _fresh_token(reply)
                reply = yield from authenticate(smtp, mechanism, server.credentials(secret))
            break
    except SMTPServerDisconnected:
        # Some servers hang up behind a refusal: that is the reason, not the silence after it.
        if reply is None or reply.code == 504:
            raise
    if reply is not None and reply.refused:
        raise SMTPAuthenticationError.of(reply, Phase.AUTH, _advice(reply, server))


def _fresh_token(refusal: Reply) -> Conversation[Secret]:
    """The one retry of a login: a token may have expired since the provider cached it."""
    try:
        fresh: Secret = yield Need.FRESH_TOKEN
    except SMTPException as error:
        error.reply = refusal  # a provider that fails does not make the server's word undone
        raise
    return fresh


def _advice(reply: Reply, server: Server) -> str:
    if reply.transient:
        return "The server cannot check credentials now: try again later"
    if server.token_provider:
        return f"The token for {server.username} was refused twice: check its scope and the account"
    return f"Check user name ({server.username}) and password; some providers want a token or an app password"


def _fitting(smtp: SMTPProtocol, server: Server) -> list[Mechanism]:
    takes = "token" if server.token_provider else "password" if server.password is not None else "nothing"
    offered = smtp.capabilities.mechanisms
    if found := candidates(takes, server.mechanisms, offered):
        return found
    wanted = ", ".join(mechanism.name for mechanism in server.mechanisms) or f"any that takes a {takes}"
    raise SMTPNotSupportedError(
        f"no way to log in: the server offers {', '.join(offered) or 'no AUTH'}, the configuration allows {wanted}",
        phase=Phase.AUTH,
        advice=_way_out(smtp, takes, server.mechanisms),
    )


def _way_out(smtp: SMTPProtocol, takes: str, wanted: Sequence[Mechanism]) -> str | None:
    if "STARTTLS" in smtp.capabilities:
        return "The server offers STARTTLS, and most take credentials only behind it"
    scram = MECHANISMS["SCRAM-SHA-256"]
    fits = scram.name in smtp.capabilities.mechanisms and scram.takes == takes and scram in (wanted or [scram])
    if fits and not scram.runs():
        return "SCRAM needs the extra mailbridge-smtp[scram]"
    return None


def authenticate(smtp: SMTPProtocol, mechanism: Mechanism, credentials: Credentials) -> Conversation[Reply]:
    """Go through one mechanism's exchange; give the reply that ends it.

    What the client says is a Secret until it is a command, so that no traceback through here shows it.
    """
    dialogue = mechanism.dialogue(credentials)
    first = _next(dialogue, None)
    command = Auth(mechanism.name, _initial(first))
    # RFC 4954 section 4: an initial response that makes the line too long waits for the server's 334.
    held = [] if command.fits or first is None else [first]
    exchange = yield from say(smtp, Auth(mechanism.name) if held else command)
    for _ in range(CHALLENGES):
        reply = yield from answered(smtp, exchange)
        if not reply.intermediate:
            break
        response = held.pop() if held else _respond(dialogue, reply)
        exchange = yield from say(smtp, AuthResponse(b64encode(response.reveal()) if response is not None else b"*"))
    else:
        raise SMTPSecurityError(f"the server asked for more than {CHALLENGES} responses", phase=Phase.AUTH)
    if reply.positive and mechanism.mutual and _respond(dialogue, Reply(334)) is not None:
        raise SMTPSecurityError("the server did not prove that it knows the password", phase=Phase.AUTH)
    return reply


def _initial(response: Secret | None) -> bytes | None:
    """RFC 4954 section 4: base64, and "=" for an empty initial response."""
    return None if response is None else b64encode(response.reveal()) or b"="


def _respond(dialogue: Dialogue, challenge: Reply) -> Secret | None:
    """What the mechanism says to a challenge; None where it has nothing more to say."""
    text = challenge.raw.strip()
    try:
        octets = b64decode(text, validate=True)
    except binascii.Error:
        octets = text  # LOGIN's prompts come in plain text from some servers, and mean nothing
    return _next(dialogue, octets)


def _next(dialogue: Dialogue, challenge: bytes | None) -> Secret | None:
    try:
        said = next(dialogue) if challenge is None else dialogue.send(challenge)
        return None if said is None else Secret(said)
    except StopIteration:
        return None
    except SMTPException as error:
        error.phase = Phase.AUTH
        raise
    except Exception as error:  # noqa: BLE001 - a mechanism of the caller's own may raise anything
        # The mechanism's own words may hold what the server sent; its frames hold the secret.
        raise SMTPSecurityError(f"the AUTH exchange failed: {type(error).__name__}", phase=Phase.AUTH) from None
