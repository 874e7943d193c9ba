"""What a session writes, cut, dripped and split as the script says."""

from mailbridge.testing.actions import Action, End, StartTLS, Then, Write
from mailbridge.testing.records import Connection
from mailbridge.testing.script import Cut, Script


class Outlet:
    """Collects the actions of one connection and counts its octets."""

    def __init__(self, script: Script, connection: Connection) -> None:
        self._script = script
        self._connection = connection
        self._actions: list[Action] = []
        self._pending = bytearray()
        self._last_words = b""
        self._held = False
        self._turns = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be written."""
        return self._connection.ended is not None

    def write(self, data: bytes) -> bytes:
        """Say this, up to where the script cuts.

        Returns:
            What was meant: the script's last words where they stand in its place, or else all of it.
        """
        if self.ended:
            return self._last_words or data
        self._held = False
        cut = self._cut(reading=False)
        room = len(data) if cut is None else max(0, cut.at - self._connection.written)
        self._pending += data[:room]
        self._connection.written += len(data[:room])
        if cut is None or room > len(data):
            if self._script.each_reply:
                self.flush()
            return data
        self._cut_off(cut)
        return data if room else cut.saying or data

    def read(self, data: bytes) -> bytes:
        """Count what arrived; only what stands before a cut is returned."""
        cut = self._cut(reading=True)
        room = len(data) if cut is None else max(0, cut.at - self._connection.read)
        self._connection.read += len(data[:room])
        return data[:room]

    def end_if_read(self) -> None:
        """End where the script says so, once all that was read is answered."""
        cut = self._cut(reading=True)
        if cut is not None and self._connection.read >= cut.at:
            self._cut_off(cut)

    def hold(self) -> None:
        """Keep what was written until more is."""
        self._held = True

    def flush(self) -> None:
        """What is written from now on goes into another segment."""
        if self._held:
            return
        pause = self._script.pause
        sizes = (1,) if pause else self._script.sizes
        while self._pending:
            size = sizes[self._turns % len(sizes)] if sizes else len(self._pending)
            self._turns += 1
            self._actions.append(Write(bytes(self._pending[:size]), pause))
            del self._pending[:size]

    def start_tls(self) -> None:
        """Shake hands after what was written so far."""
        if not self.ended:
            self._held = False
            self.flush()
            self._actions.append(StartTLS())

    def end(self, then: Then) -> None:
        """End the server's side, once; `Then.GO_ON` does nothing."""
        if then is not Then.GO_ON and not self.ended:
            self._held = False
            self.flush()
            self._connection.ended = then.value
            self._actions.append(End(then))

    def collect(self) -> list[Action]:
        """What is to be done now."""
        self.flush()
        actions, self._actions = self._actions, []
        return actions

    def _cut_off(self, cut: Cut) -> None:
        self._pending += cut.saying
        self._last_words = cut.saying
        self.end(cut.how)

    def _cut(self, *, reading: bool) -> Cut | None:
        if not self._script.cuts:
            return None
        mine = (c for c in self._script.cuts if c.reading is reading and c.concerns(self._connection.number))
        return min(mine, key=lambda cut: cut.at, default=None)
