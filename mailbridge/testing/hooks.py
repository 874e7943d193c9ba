"""The hooks that aiosmtpd calls for an `Inbox`. Import it only where aiosmtpd is installed."""

import ssl
from collections.abc import Mapping
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from mailbridge.testing.mailroom import Mailroom
from mailbridge.testing.settings import TLSMode


class Hooks:
    """What an inbox says to MAIL, RCPT and content; aiosmtpd does the rest."""

    def __init__(self, mailroom: Mailroom, accounts: Mapping[str, str], *, require_auth: bool) -> None:
        self._mailroom = mailroom
        self._accounts = accounts
        self._require_auth = require_auth

    async def handle_EHLO(  # noqa: N802, D102  # the name that aiosmtpd looks for
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        # aiosmtpd offers AUTH even where nobody has an account.
        return responses if self._accounts else [r for r in responses if r[4:8] != "AUTH"]

    async def handle_MAIL(  # noqa: N802, D102  # as above
        self, server: SMTP, session: Session, envelope: Envelope, address: str | None, options: list[str]
    ) -> str:
        if self._require_auth and not session.authenticated:
            return "530 5.7.0 authentication required"
        envelope.mail_from = address or ""
        envelope.mail_options.extend(options)
        return "250 2.1.0 sender ok"

    async def handle_RCPT(  # noqa: N802, D102  # as above
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = self._mailroom.verdict(envelope.mail_from or "", address)
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient ok"

    async def handle_DATA(  # noqa: N802, D102  # as above
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.original_content or b""
        tls = server.transport is not None and server.transport.get_extra_info("sslcontext") is not None
        login = cast("LoginPassword | None", session.auth_data)
        user = login.login.decode() if login is not None and session.authenticated else None
        self._mailroom.keep(envelope.mail_from or "", envelope.rcpt_tos, content, user, tls=tls)
        return f"250 2.0.0 Ok: queued as {len(self._mailroom.messages):06X}"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: Any
    ) -> AuthResult:
        """Judge a login; aiosmtpd then says 235 or 535."""
        known = isinstance(login, LoginPassword) and login.password == self._password(login.login)
        return AuthResult(success=known, handled=False, auth_data=login)

    def _password(self, user: bytes) -> bytes | None:
        password = self._accounts.get(user.decode("utf-8", "replace"))
        return None if password is None else password.encode()


def protocol(hooks: Hooks, tls: TLSMode | None, context: ssl.SSLContext | None, max_size: int) -> SMTP:
    """The aiosmtpd protocol for one connection."""
    starttls = tls == "starttls"
    return SMTP(
        hooks,
        data_size_limit=max_size,
        enable_SMTPUTF8=True,
        # Without a name aiosmtpd asks the resolver, which may block.
        hostname="inbox.test",
        tls_context=context if starttls else None,
        # aiosmtpd knows nothing of implicit TLS, it would call it clear text.
        auth_require_tls=starttls,
        authenticator=hooks.authenticate,
    )
