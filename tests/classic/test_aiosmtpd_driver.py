"""Against aiosmtpd: plain TCP, STARTTLS, implicit TLS, and LMTP over a unix socket."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import UnixSocketController
from aiosmtpd.lmtp import LMTP

from mailbridge import smtplib
from mailbridge.testing import Inbox


@pytest.mark.parametrize("tls", [None, "starttls", "implicit"])
def test_smtp(tls: Any) -> None:
    """A login, a refusal, a deferral and a delivery over one connection."""
    with Inbox(tls=tls, accounts={"ann": "Gehe1m-pw"}, require_auth=True) as inbox:
        inbox.refuse("no@y")
        inbox.defer("later@y")
        context = ssl.create_default_context(cafile=inbox.ca_file) if tls else None
        if tls == "implicit":
            client: smtplib.SMTP = smtplib.SMTP_SSL("localhost", inbox.port, timeout=5, context=context)
        else:
            client = smtplib.SMTP("localhost", inbox.port, timeout=5)
        with client:
            if tls == "starttls":
                client.starttls(context=context)
            client.login("ann", "Gehe1m-pw")
            refused = client.sendmail("a@x", ["b@y", "no@y", "later@y"], "Subject: hi\n\n.\nFrom me\n")

        assert refused == {"no@y": (550, b"5.1.1 no such user"), "later@y": (451, b"4.2.0 try again later")}
        assert inbox.messages[0].recipients == ("b@y",)
        assert inbox.messages[0].content == b"Subject: hi\r\n\r\n.\r\nFrom me\r\n"
        assert inbox.messages[0].tls is (tls is not None)


class Mailbox:
    """Takes content for everybody but `full@y`, each with a reply of their own."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        return "\r\n".join("552 full" if each == "full@y" else f"250 {each}" for each in envelope.rcpt_tos)


@pytest.fixture
def unix_socket(tmp_path: Path) -> Iterator[str]:
    class Controller(UnixSocketController):
        def factory(self) -> LMTP:
            return LMTP(self.handler)

    controller = Controller(Mailbox(), tmp_path / "lmtp")
    controller.start()
    yield str(tmp_path / "lmtp")
    controller.stop()


def test_lmtp_over_a_unix_socket(unix_socket: str) -> None:
    """One reply per recipient is read, and the connection stays in step."""
    with smtplib.LMTP(unix_socket, timeout=5) as client:
        assert client.sendmail("a@x", ["b@y", "full@y"], "hi") == {"full@y": (552, b"full")}
        assert client.sendmail("a@x", ["c@y"], "hi") == {}
        assert client.noop()[0] == 250
