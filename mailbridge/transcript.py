"""The black box: the last lines of a connection, redacted as they are written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from .commands import Auth, Command
from .compiling import mypyc_attr
from .facts import PRINTED, printable
from .replies import Reply

LINES = 200


@mypyc_attr(allow_interpreted_subclasses=True)
class Transcript:
    """Keeps what was said, formats it only when somebody asks."""

    def __init__(self, lines: int = LINES) -> None:
        # A line of the client, octets of content, a reply, or a text that is written already.
        self._entries: deque[bytes | int | Reply | str] = deque(maxlen=lines)
        self._untaken = 0

    def sent(self, command: Command, octets: bytes) -> None:
        """The client said this line; of a secret one only the mechanism is kept."""
        self._untaken += 1
        if command.secret:
            verb = f"AUTH {command.mechanism} " if isinstance(command, Auth) else ""
            self._entries.append(f"C: {verb}[hidden]")
        else:
            self._entries.append(octets[:PRINTED])

    def content(self, octets: int) -> None:
        """The client sent content; runs of it are one entry."""
        if self._entries and isinstance(before := self._entries[-1], int):
            self._entries[-1] = before + octets
            self._untaken = max(self._untaken, 1)
            return
        self._entries.append(octets)
        self._untaken += 1

    def received(self, reply: Reply, *, secret: bool = False) -> None:
        """The server answered. A challenge may hold what a password could be guessed from: hide it."""
        # Cut as it is written: a server may say a hundred kilobytes, again and again (WIRE.md S12).
        if not secret and len(reply.lines) == 1 and len(reply.lines[0]) <= PRINTED:
            self._entries.append(reply)
            self._untaken += 1
            return
        lines = ("[hidden]",) if secret else reply.lines[-LINES:]
        self._entries.extend(f"S: {reply.code} {line[:PRINTED]}".rstrip() for line in lines)
        self._untaken += len(lines)

    def note(self, event: str) -> None:
        """Something happened that is not a line: TLS, the end of the stream."""
        self._entries.append(f"-: {event}")
        self._untaken += 1

    def _lines(self) -> Iterator[str]:
        for entry in self._entries:
            match entry:
                case int():
                    yield f"C: [{entry} octets of content]"
                case bytes():
                    yield f"C: {printable(entry.decode('utf-8', 'replace').rstrip())}"
                case Reply():
                    yield f"S: {printable(str(entry).rstrip())}"
                case _:
                    yield entry[:3] + printable(entry[3:])

    def lines(self) -> tuple[str, ...]:
        """The entries as text: "C:" said the client, "S:" said the server, "-:" happened."""
        return tuple(self._lines())[-LINES:]

    def take(self) -> tuple[str, ...]:
        """The entries that nobody took before, as text."""
        untaken, self._untaken = self._untaken, 0
        return self.lines()[-untaken:] if untaken else ()
