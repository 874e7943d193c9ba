"""The black box: the last lines of a connection, redacted as they are written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from .facts import printable
from .replies import Reply

LINES = 200


class Transcript:
    """Keeps what was said, formats it only when somebody asks."""

    def __init__(self, lines: int = LINES) -> None:
        self._entries: deque[tuple[str, bytes | str | int | Reply]] = deque(maxlen=lines)

    def sent(self, data: bytes) -> None:
        """The client said this line."""
        self._entries.append(("C", data))

    def hidden(self, verb: str) -> None:
        """The client said something that nobody may read."""
        self._entries.append(("C", f"{verb} [hidden]".lstrip()))

    def content(self, octets: int) -> None:
        """The client sent content; runs of it are one entry."""
        if self._entries and isinstance(before := self._entries[-1][1], int):
            self._entries.pop()
            octets += before
        self._entries.append(("C", octets))

    def received(self, reply: Reply, *, secret: bool = False) -> None:
        """The server answered. A challenge may hold what a password could be guessed from: hide it."""
        self._entries.append(("S", f"{reply.code} [hidden]" if secret else reply))

    def note(self, event: str) -> None:
        """Something happened that is not a line: TLS, the end of the stream."""
        self._entries.append(("-", event))

    def _lines(self) -> Iterator[str]:
        for who, what in self._entries:
            if isinstance(what, int):
                yield f"{who}: [{what} octets of content]"
            elif isinstance(what, Reply):
                yield from (f"S: {what.code} {printable(line)}".rstrip() for line in what.lines)
            else:
                text = what.decode("utf-8", "replace").rstrip("\r\n") if isinstance(what, bytes) else what
                yield f"{who}: {printable(text)}"

    def lines(self) -> tuple[str, ...]:
        """The entries as text: "C:" said the client, "S:" said the server, "-:" happened."""
        return tuple(self._lines())[-LINES:]
