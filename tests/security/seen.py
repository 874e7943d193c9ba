"""What a server saw, in questions that several rows ask."""

from mailbridge.testing import ScriptedServer

# What is said before there is a login or a message, and when there will be none.
POLITE = {b"EHLO", b"HELO", b"LHLO", b"STARTTLS", b"QUIT", b"NOOP", b"RSET"}


def verbs(server: ScriptedServer) -> list[bytes]:
    """The verbs of all that was said, in upper case; an empty line is one too."""
    return [(line.split() or [b""])[0].upper() for line in server.lines]


def only_polite(server: ScriptedServer) -> bool:
    """Neither credentials nor an envelope were on the wire, nor was a message taken."""
    return set(verbs(server)) <= POLITE and server.messages == []


def untouched(server: ScriptedServer, face: object) -> bool:
    """Nothing was said for a letter that cannot be: no connection was made, but for the classic API, which had one."""
    return only_polite(server) if getattr(face, "name", "") == "smtplib" else server.connections == []
