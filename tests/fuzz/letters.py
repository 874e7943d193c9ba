"""The messages of random sessions. Each has a number in its Subject; the rest is one of a few kinds."""

from __future__ import annotations

from functools import lru_cache

from mailbridge.message import MailObject
from mailbridge.parameters import MailOptions, RcptOptions
from mailbridge.preparing import Prepared, prepare
from mailbridge.wire import CHUNK

ONE, THREE = ("b@y.example",), ("b@y.example", '"c d"@[192.0.2.1]', "d@z")
HEADER = "Message-ID: <1@x>\r\nDate: Sat, 1 Aug 2026 10:00:00 +0000\r\n"
REPORT = MailOptions(ret="HDRS", envid="a+b")
NEVER = {"d@z": RcptOptions(notify=["NEVER"], original="d@z")}

# Body, sender, recipients, options.
KINDS: tuple[tuple[str, str, tuple[str, ...], MailOptions | None], ...] = (
    ("hello\r\n", "a@x", ONE, None),
    ("hello\r\n", "a@x", THREE, None),
    ("hello\r\n", "e@x", THREE, None),
    (".\r\n..\r\nno line end", "a@x", THREE, None),
    ("hello\r\n", "", THREE, None),
    ("", "a@x", ("b@y.example", "B@y.example", "b@Y.example"), None),
    ("bl\xe5b\xe6r\r\n", "a@x", THREE, None),
    ("hello\r\n", "a@x", ("b@y.example", "\xe9@y.example"), None),
    ("hello\r\n", "a@x", THREE, REPORT),
    ("hello\r\n", "a@x", THREE, MailOptions(require_tls=True, priority=-3)),
    ("x" * 600 + "\r\n", "a@x", ONE, None),
    ("x" * 998 + "\r\n", "a@x", tuple(f"r{n}@y.example" for n in range(9)), None),
    (("x" * 70 + "\r\n") * 40, "a@x", THREE, None),
    (("x" * 70 + "\r\n") * (CHUNK // 72 + 1), "a@x", THREE, None),
)


@lru_cache(maxsize=256)
def letter(kind: int, number: int) -> Prepared:
    """A message, ready for any server."""
    body, sender, recipients, options = KINDS[kind]
    content = f"Subject: {number}\r\n{HEADER}\r\n{body}".encode()
    reports = NEVER if options is REPORT else {}
    return prepare(MailObject(content, sender, recipients, options=options, recipient_options=reports))
