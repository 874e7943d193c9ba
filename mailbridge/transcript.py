"""The black box: the last lines of a connection, redacted as they are written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from .commands import Auth, Command
from .facts import PRINTED, printable
from .replies import Reply

LINES = 200


class Transcript:
    """Keeps what was said, formats it only when somebody asks."""

    def __init__(self, lines: int = LINES) -> None:
        self._entries: deque[tuple[str, bytes | str | int | Reply]] = deque(maxlen=lines)
        self._untaken = 0

    def sent(self, command: Command, octets: bytes) -> None:
        """The client said this line; of a secret one only the mechanism is kept."""
        if command.secret:
            verb = f"AUTH {command.mechanism} " if isinstance(command, Auth) else ""
            self._keep("C", f"{verb}[hidden]")
        else:
            self._keep("C", octets[:PRINTED])

    def content(self, octets: int) -> None:
        """The client sent content; runs of it are one entry."""
        if self._entries and isinstance(before := self._entries[-1][1], int):
            self._entries.pop()
            self._untaken = max(self._untaken - 1, 0)
            octets += before
        self._keep("C", octets)

    def received(self, reply: Reply, *, secret: bool = False) -> None:
        """The server answered. A challenge may hold what a password could be guessed from: hide it."""
        # Cut as it is written: a server may say a hundred kilobytes, again and again (WIRE.md S12).
        if len(reply.lines) == 1 and len(reply.lines[0]) <= PRINTED and not secret:
            self._keep("S", reply)
            return
        lines = ("[hidden]",) if secret else reply.lines[-LINES:]
        for line in lines:
            self._keep("S", f"{reply.code} {line[:PRINTED]}".rstrip())

    def note(self, event: str) -> None:
        """Something happened that is not a line: TLS, the end of the stream."""
        self._keep("-", event)

    def _keep(self, who: str, what: bytes | str | int | Reply) -> None:
        self._entries.append((who, what))
        self._untaken += 1

    def _lines(self) -> Iterator[str]:
        for who, what in self._entries:
            if isinstance(what, int):
                yield f"{who}: [{what} octets of content]"
            else:
                text = what.decode("utf-8", "replace").rstrip("\r\n") if isinstance(what, bytes) else str(what).rstrip()
                yield f"{who}: {printable(text)}"

    def lines(self) -> tuple[str, ...]:
        """The entries as text: "C:" said the client, "S:" said the server, "-:" happened."""
        return tuple(self._lines())[-LINES:]

    def take(self) -> tuple[str, ...]:
        """The entries that nobody took before, as text."""
        untaken, self._untaken = self._untaken, 0
        return self.lines()[-untaken:] if untaken else ()
