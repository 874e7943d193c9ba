"""aiosmtpd: SMTP with STARTTLS, implicit TLS and logins, in a process of its own, which runs `main` below."""

import asyncio
import json
import ssl
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from .machine import LARGEST, LIMIT, PASSWORD, RECIPIENTS, USER, Lab

ENDS = {"rejecteod@": "554 5.7.1 no", "tempeod@": "451 4.7.1 later"}
SENDERS = {"blocked@": "550 5.7.1 not you", "tempsender@": "451 4.7.1 not now"}
RECIPIENT = {"nobody@": "550 5.1.1 unknown", "temp@": "450 4.2.1 later"}


class Aiosmtpd(Lab):
    """The server of aiosmtpd, which comes with our own extra."""

    name = "aiosmtpd"
    doors = ("smtp", "starttls", "tls", "small", "unsized", "idle")
    once = True
    longest = 998

    def check(self) -> None:
        """It is a dependency of the tests."""

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "tests.servers.lab.python", str(self.folder), json.dumps(self.ports)]


class Handler:
    """Keeps messages; refuses by the contract."""

    def __init__(self, mail: Path, *, sized: bool) -> None:
        self.mail, self.sized = mail, sized

    async def handle_EHLO(  # noqa: N802 - aiosmtpd looks it up by this name
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return responses if self.sized else [each for each in responses if "SIZE" not in each]

    async def handle_MAIL(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802 - as above
        if refusal := _refusal(SENDERS, address):
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 ok"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802 - as above
        if refusal := _refusal(RECIPIENT, address):
            return refusal
        if len(envelope.rcpt_tos) >= RECIPIENTS:
            return "452 4.5.3 too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        if refusal := _refusal(ENDS, envelope.mail_from or ""):
            return refusal
        assert isinstance(envelope.original_content, bytes)
        path = self.mail.parent / str(uuid.uuid4())
        path.write_bytes(envelope.original_content)
        path.rename(self.mail / path.name)
        return "250 2.0.0 kept"


def _refusal(table: dict[str, str], address: str) -> str | None:
    return next((reply for start, reply in table.items() if address.startswith(start)), None)


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    """One user has a password."""
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


async def main(folder: Path, ports: dict[str, int]) -> None:
    """Serve until the process is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    def session(door: str) -> SMTP:
        return SMTP(
            Handler(folder / "mail", sized=door != "unsized"),
            hostname="python.lab.test",
            enable_SMTPUTF8=True,
            data_size_limit=LIMIT if door in {"small", "unsized"} else LARGEST,
            timeout=1 if door == "idle" else 300,
            tls_context=context if door == "starttls" else None,
            authenticator=authenticate,
            auth_require_tls=door != "tls",
            loop=asyncio.get_running_loop(),
        )

    for door, port in ports.items():
        implicit = context if door == "tls" else None
        await asyncio.get_running_loop().create_server(lambda door=door: session(door), "127.0.0.1", port, ssl=implicit)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
