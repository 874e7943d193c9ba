"""A driver in memory for one connection: it carries octets in any pieces, lets writes fail and streams end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mailbridge.auth import Secret
from mailbridge.conversations import Need
from mailbridge.errors import SMTPConnectionReset, SMTPException, SMTPTimeoutError
from mailbridge.protocol import SMTPProtocol
from mailbridge.server import Security, Server
from tests.fuzz.fate import Fate
from tests.fuzz.grammar import Ear
from tests.fuzz.legal import End, Kept, LegalServer
from tests.fuzz.sayings import Said

# A reply in the making, what waits to be sent, and the transcript: more than this a client never holds.
UNFINISHED, PENDING, TRANSCRIPT = 150_000, 3 << 20, 200_000
STEPS = 20_000

Host = Callable[..., LegalServer]


@dataclass
class World:
    """What all links of a session share."""

    server: Server
    host: Host
    fate: Fate
    kept: list[Kept]
    spoken: list[tuple[str, str]]


class Link:
    """One connection: the client's protocol, the server, and who listens."""

    def __init__(self, world: World, smtp: SMTPProtocol) -> None:
        """Connect."""
        server = world.server
        self.smtp, self._world, self._steps = smtp, world, 0
        self.tls = server.security is Security.STARTTLS
        self.host = world.host(world.fate, world.kept, world.spoken, lmtp=server.lmtp, tls=self.tls)
        secure = server.security is Security.IMPLICIT
        self.ear = Ear(lmtp=server.lmtp, secure=secure, overlap=server.overlap)
        # Octets that left, and what was heard while some waited: (their last one's offset, the segment).
        self._offset, self._behind = 0, deque[tuple[int, bytes]]()
        # What TLS may have taken some of, though it said that it took none.
        self._tried = b""
        self.offended = False  # the server broke the rules: its last words count for nothing

    @property
    def fate(self) -> Fate:
        """What happens next."""
        return self._world.fate

    def serve(self, need: Need) -> Any:
        """Serve a need as a driver would."""
        self._steps += 1
        assert self._steps < STEPS, "it never ends"
        wrote = self._transmit()
        if need is Need.TLS:
            self.ear.secured()
            self.host.secured()
            self.smtp.tls_established()
        elif need in {Need.TOKEN, Need.FRESH_TOKEN}:
            return Secret("token")
        elif need is Need.DATA or not wrote:
            self._hear()
        return None

    def _transmit(self) -> bool:
        """Write what is queued; say whether the kernel took all of it."""
        while not self.smtp.over and (view := self.smtp.data_to_send()):
            assert self.smtp.pending < PENDING
            data = bytes(view)
            self.smtp.attempting(len(data))
            if self.host.end is End.RESET and self.fate.number(2):
                self._break(data)
            if self.fate.seldom(16):
                self._tried = data if self.ear.secure else b""
                self._took_none()
                return False
            taken = max(1, len(data) * self.fate.number(256) // 255) if self.fate.seldom(4) else len(data)
            self._tried = b""
            self._arrive(data[:taken])
            self.smtp.sent(taken)
        return True

    def _arrive(self, data: bytes) -> None:
        for said in self._say(data):
            self.host.hear(said)
        for _ in range(self.fate.one_of([1, 0, 3, 30])):
            self.host.step()

    def _say(self, data: bytes) -> list[Said]:
        """What was queued before a reply came is no answer to it: the ear hears that reply behind it."""
        complete: list[Said] = []
        while self._behind and self._behind[0][0] <= self._offset + len(data):
            mark, segment = self._behind.popleft()
            first, data = data[: mark - self._offset], data[mark - self._offset :]
            complete += self.ear.said(first)
            self._offset += len(first)
            self.ear.heard(segment)
        self._offset += len(data)
        return complete + self.ear.said(data)

    def _listen(self) -> None:
        """What waits will never be said, but for what TLS may have taken."""
        self._say(self._tried)
        self._tried = b""
        while self._behind:
            self.ear.heard(self._behind.popleft()[1])

    def _took_none(self) -> None:
        if not self.ear.secure:
            self.smtp.attempting(0)

    def _break(self, data: bytes) -> None:
        """A write fails; under TLS any part of it may have left."""
        self._tried = b""
        if self.ear.secure:
            arrived = self.fate.number(256) * len(data) // 255
            self._arrive(data[:arrived])
            self._say(data[arrived:])
        self._took_none()
        phase = self.smtp.phase
        while not self.smtp.over and self.host.out:
            self._deliver()
        self._lose(SMTPConnectionReset("broken", phase=phase))

    def _hear(self) -> None:
        """Read something; the server works until there is something to read."""
        while not self.host.out and not self.host.end:
            if self.host.step():
                continue
            if self.smtp.pending:
                return
            assert not self.host.patient, f"the client waits in vain for {[each.verb for each in self.ear.waiting]}"
            self.host.end = End.SILENT
        if self.fate.number(2):
            self.host.step()
        if self.host.end in {End.RESET, End.SILENT} and self.fate.seldom(4):
            # What was on its way is lost with the connection.
            self.host.out.clear()
        if self.host.out:
            self._deliver()
        elif self.host.end is End.CLOSED:
            self.smtp.receive_data(b"")
        else:
            kind = SMTPConnectionReset if self.host.end is End.RESET else SMTPTimeoutError
            self._lose(kind("cut", phase=self.smtp.phase))

    def _deliver(self) -> None:
        size = self.fate.one_of([1 << 20, 1 << 20, 1, 2, 5, 40, 500])
        segment = bytes(self.host.out[:size])
        del self.host.out[:size]
        self._behind.append((self._offset + self.smtp.pending, segment))
        try:
            self.smtp.receive_data(segment)
        except SMTPException:
            self.offended = True
            raise
        if not self.smtp.pending:
            self._listen()
        assert len(self.ear.unfinished) < UNFINISHED, "a reply without an end is read on and on"

    def _lose(self, error: SMTPException) -> None:
        dismissed = self.smtp.dismissal is not None and isinstance(error, SMTPConnectionReset)
        self.smtp.connection_lost()
        raise self.smtp.ending() if dismissed else error

    def close(self) -> None:
        """The client hangs up; what arrived before may still be obeyed."""
        self.smtp.connection_lost()
        self._listen()
        while self.host.step():
            pass
        assert sum(map(len, self.smtp.transcript.lines())) < TRANSCRIPT
