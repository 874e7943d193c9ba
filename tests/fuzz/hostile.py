"""A model of a hostile server: it begins as a legal one, and what it writes may be anything."""

from __future__ import annotations

from tests.fuzz.legal import LegalServer

LONG = b"y" * 500
JUNK = (
    b"",
    b"250 ok\r\n",
    b"421 bye\r\n",
    b"354 go\r\n",
    b"334 \r\n",
    b"235 welcome\r\n",
    b"220 go\r\n250-x\r\n250 AUTH PLAIN LOGIN\r\n",
    b"550 no\r\n",
    b"452 4.5.3 too many\r\n",
    b"\r\n",
    b"250-a\r\n",
    b"250-a\r\n550 b\r\n",
    b"2500 x\r\n",
    b"199 x\r\n",
    b"999 x\r\n",
    b"250 \x1b[2J\x00\xff\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01",
    b"x" * 9_000,
    b"250 " + b"x" * 9_000 + b"\r\n",
    (b"250-" + LONG + b"\r\n") * 400,
    b"250-a\r\n" * 3_000,
    b"250-a\r\n" * 1_500 + b"250 a\r\n",
)


class HostileServer(LegalServer):
    """Keeps its records as a legal server does, whatever it says of them."""

    patient = False

    def _write(self, reply: bytes) -> None:
        super()._write(self._mangled(reply) if self.fate.seldom(6) else reply)

    def _mangled(self, reply: bytes) -> bytes:
        junk = self.fate.one_of(JUNK)
        match self.fate.number(8):
            case 0:
                return junk + reply
            case 1:
                return reply + junk
            case 2:
                return junk
            case 3:
                return reply * 2
            case 4:
                return reply[: self.fate.number(len(reply) + 1)]
            case 5:
                return b"%d" % self.fate.number(10) + reply[1:]
            case 6:
                return reply.replace(b"-", b" ")
            case _:
                return bytes(self.fate.number(256) for _ in range(self.fate.number(12)))

    def leave(self) -> None:
        """Go, or say something that nobody asked for."""
        if self.fate.number(2):
            self._write(self.fate.one_of(JUNK))
        else:
            super().leave()
