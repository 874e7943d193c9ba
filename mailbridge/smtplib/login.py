"""AUTH (RFC 4954), as callers of the standard module know it: an authobject answers each challenge."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from typing import Any

from .. import auth as sasl
from ..commands import INITIAL_LINE
from ..errors import SMTPAuthenticationError, SMTPException, SMTPNotSupportedError
from .base import CodeAndText
from .hiding import HiddenText
from .names import names
from .verbs import Verbs

# Called with the decoded challenge, or with nothing for an initial response.
AuthObject = Callable[..., str | None]

# Strongest first; the rest of the standard module's promise is in their methods' names.
_PREFERRED = ("CRAM-MD5", "PLAIN", "LOGIN")


def _encoded(answer: Any) -> HiddenText:
    """An answer in base64, its text in UTF-8 (RFC 4616 section 2)."""
    octets = answer if isinstance(answer, bytes) else answer.encode()
    return HiddenText(base64.b64encode(octets).decode())


class Login(Verbs):
    """Proving who the client is.

    Attributes:
        user: Who logs in.
        password: With what; it shows itself only where it is used.
    """

    user: str
    password: str
    _auth_challenge_count = 0

    def auth(self, mechanism: str, authobject: AuthObject, *, initial_response_ok: bool = True) -> CodeAndText:
        """Run one AUTH exchange.

        Args:
            mechanism: Its name.
            authobject: Called with each decoded challenge, gives the answer; called without one, gives
                the initial response, or None where the mechanism has none.
            initial_response_ok: Whether it is asked for one.

        Returns:
            The reply: 235, or 503 where the client is logged in already.

        Raises:
            SMTPAuthenticationError: The server refused.
            SMTPSecurityError: The credentials would go out in clear; nothing was sent.
        """
        mechanism = mechanism.upper()
        initial = _initial(authobject) if initial_response_ok else None
        # RFC 4954 section 4: an initial response goes only where the whole line fits in 512 octets.
        if initial is not None and len(mechanism) + len(initial) + len("AUTH  \r\n") <= INITIAL_LINE:
            code, resp = self.docmd("AUTH", HiddenText(f"{mechanism} {initial or '='}"))
            initial = None
            self._auth_challenge_count = 1
        else:
            code, resp = self.docmd("AUTH", mechanism)
            self._auth_challenge_count = 0
        while code == 334:
            code, resp = self._answer(resp, authobject, initial)
            initial = None
        if code in {235, 503}:
            return code, resp
        if code == 421:
            self.close()
        raise SMTPAuthenticationError(code, resp)

    def _answer(self, resp: bytes, authobject: AuthObject, initial: HiddenText | None) -> CodeAndText:
        """Answer one challenge."""
        self._auth_challenge_count += 1
        try:
            challenge = base64.decodebytes(resp)
        except ValueError:
            # RFC 4954 section 4: a client that cannot decode a challenge gives up by "*".
            return self.docmd("*")
        code, resp = self.docmd(initial if initial is not None else _encoded(authobject(challenge)))
        # If server keeps sending challenges, something is wrong.
        if self._auth_challenge_count > names["_MAXCHALLENGE"]:
            raise SMTPException(f"Server AUTH mechanism infinite loop. Last response: {(code, resp)!r}")
        return code, resp

    def _credentials(self) -> sasl.Credentials:
        return sasl.Credentials(self.user, sasl.Secret(self.password))

    def auth_cram_md5(self, challenge: bytes | None = None) -> str | None:
        """The authobject of CRAM-MD5 (RFC 2195). The server speaks first."""
        if challenge is None:
            return None
        dialogue = sasl.cram_md5(self._credentials())
        next(dialogue)
        return (dialogue.send(challenge) or b"").decode()

    def auth_plain(self, challenge: bytes | None = None) -> str:
        """The authobject of PLAIN (RFC 4616)."""
        return (next(sasl.plain(self._credentials())) or b"").decode()

    def auth_login(self, challenge: bytes | None = None) -> str:
        """The authobject of LOGIN: first the user, then the password, whatever the server asks."""
        second = challenge is not None and self._auth_challenge_count >= 2
        return (list(sasl.login(self._credentials()))[second] or b"").decode()

    def login(self, user: str, password: str, *, initial_response_ok: bool = True) -> CodeAndText:
        """Log in: say EHLO if needed, then try what the server offers, strongest first.

        After a refusal the next mechanism is tried: some servers announce one that they cannot do.

        Args:
            user: The user's name.
            password: The password. Both go out in UTF-8.
            initial_response_ok: As for `auth`.

        Returns:
            The reply: 235, or 503 where the client is logged in already.

        Raises:
            SMTPHeloError: EHLO and HELO were refused.
            SMTPNotSupportedError: The server offers no AUTH.
            SMTPAuthenticationError: The credentials were refused, by the last mechanism at least.
            SMTPException: The server offers no mechanism that is known here.
            SMTPSecurityError: The credentials would go out in clear; nothing was sent.
        """
        password = HiddenText(password)
        self.ehlo_or_helo_if_needed()
        if not self.has_extn("auth"):
            raise SMTPNotSupportedError("SMTP AUTH extension not supported by server.")
        offered = self.esmtp_features["auth"].upper().split()
        authlist = [mechanism for mechanism in _PREFERRED if mechanism in offered and _can_run(mechanism)]
        if not authlist:
            raise SMTPException("No suitable authentication method found.")
        self.user, self.password = user, password
        *earlier, last = authlist
        for mechanism in earlier:
            try:
                return self._try(mechanism, initial_response_ok=initial_response_ok)
            except SMTPAuthenticationError as refusal:
                if refusal.smtp_code in {421, -1}:
                    raise
        return self._try(last, initial_response_ok=initial_response_ok)

    def _try(self, mechanism: str, *, initial_response_ok: bool) -> CodeAndText:
        authobject = getattr(self, f"auth_{mechanism.lower().replace('-', '_')}")
        return self.auth(mechanism, authobject, initial_response_ok=initial_response_ok)


def _initial(authobject: AuthObject) -> HiddenText | None:
    answer = authobject()
    return None if answer is None else _encoded(answer)


def _can_run(mechanism: str) -> bool:
    """A FIPS build of OpenSSL has no MD5."""
    if mechanism != "CRAM-MD5":
        return True
    try:
        hmac.new(b"", b"", "md5")
    except ValueError:
        return False
    return True
