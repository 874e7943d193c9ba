"""All that is fuzzed, each with the words that make up its language."""

from __future__ import annotations

from tests.fuzz import parsers
from tests.fuzz.sessions import SERVERS, HostileSession, Session, play


def sessions(data: bytes) -> None:
    """Whatever servers do: see `sessions.Session` and `sessions.HostileSession`."""
    kind, server = divmod(data[0] if data else 0, len(SERVERS))
    session = HostileSession(SERVERS[server]) if kind % 2 else Session(SERVERS[server])
    play(session, data[1:])


TARGETS: dict[str, parsers.Target] = {**parsers.TARGETS, "sessions": sessions}

WORDS: dict[str, list[bytes]] = {
    "replies": [b"250 ok\r\n", b"250-", b"421", b"550 5.1.1 no\r\n", b"\r\n", b"\n", b"|", b"\x03", b"-", b" "],
    "ehlo": [
        b"\n",
        b"SIZE",
        b"AUTH",
        b"AUTH=",
        b"LIMITS RCPTMAX=",
        b"MAILMAX=",
        b"PIPELINING",
        b"CHUNKING",
        b" ",
        b"=",
    ],
    "addresses": [
        b"a",
        b"@",
        b"x.org",
        b'"',
        b"<",
        b">",
        b"(",
        b")",
        b",",
        b";",
        b":",
        b"\\",
        b".",
        b" ",
        b"\t",
        b"\r\n ",
        "faß.de".encode(),
        "é".encode(),
        b"[IPv6:::1]",
        b"[192.0.2.1]",
        b"[x:y]",
        b"xn--",
        "。".encode(),
        b"\xff",
    ],
    "sessions": [b"\x00", b"\xff", b"\x00\x20", b"\x11\x40", b"\x02\x08", b"\x03\x04"],
    "urls": [
        b"smtp://",
        b"smtps://",
        b"lmtp:///",
        b"localhost",
        b"[::1]",
        b"127.0.0.1",
        b"@",
        b":",
        b"/",
        b"?",
        b"&",
        b"=",
        b"%",
        b"%00",
        b"%40",
        b"%C3%A9",
        b"auth=PLAIN",
        b"security=none",
        b"source_address=",
        b"ca_file=",
        b"timeout_reply=1.5",
        b"local_hostname=",
        b"max_recipients=",
        b"allow_plaintext_auth=1",
        b"authzid=",
    ],
}  # fmt: skip - a list of words
