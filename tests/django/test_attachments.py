"""Attachments of every kind that Django takes arrive octet for octet."""

import email
from email.message import MIMEPart
from email.mime.application import MIMEApplication
from typing import Any

import django
import pytest
from django.core import mail

from mailbridge.testing import ScriptedServer

from .conftest import Site

LARGE = bytes(range(256)) * (30 * 4096)


def part(content: bytes) -> Any:
    """A part that the program made itself, in the way of its Django."""
    if django.VERSION < (6, 0):
        return MIMEApplication(content)
    made = MIMEPart()
    made.set_content(content, "application", "octet-stream")
    return made


@pytest.mark.parametrize(
    ("attachment", "content"),
    [
        (("a.txt", "text", "text/plain"), b"text"),
        (("a.bin", b"\x00\xff\r\n.\r\n", "application/octet-stream"), b"\x00\xff\r\n.\r\n"),
        (("a.bin", b"", "application/octet-stream"), b""),
        (("a.txt", "", "text/plain"), b""),
        (part(b"\x00\xff"), b"\x00\xff"),
        (("large.bin", LARGE, "application/octet-stream"), LARGE),
    ],
    ids=["str", "bytes", "empty bytes", "empty str", "part", "30 MB"],
)
def test_an_attachment(site: Site, server: ScriptedServer, attachment: Any, content: bytes) -> None:
    """It comes out as it went in."""
    server.withdraw("SIZE")
    message = mail.EmailMessage("Hello", "Text", "ann@example.com", ["bob@example.org"])
    message.attach(*attachment) if isinstance(attachment, tuple) else message.attach(attachment)
    assert site.backend().send_messages([message]) == 1

    [received] = server.messages
    [_, attached] = email.message_from_bytes(received.content).get_payload()
    assert attached.get_payload(decode=True).rstrip(b"\r\n") == content.rstrip(b"\r\n")
