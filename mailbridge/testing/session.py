"""`Session`: the server's side of one SMTP or LMTP connection. Octets in, actions out.

No socket and no clock: a driver feeds what arrived to `receive`, performs the
actions that come back, and calls `tls_established` when a handshake is over.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mailbridge.testing import content, login, verbs
from mailbridge.testing.actions import Action, Then
from mailbridge.testing.answers import Answer
from mailbridge.testing.dialogue import Conversation, Dialogue
from mailbridge.testing.intake import TLS, Expected, Line, LineTooLongError, Need
from mailbridge.testing.records import Connection, Record
from mailbridge.testing.script import Script, Turn


@dataclass(frozen=True, slots=True)
class Verb:
    """How a verb is obeyed, and whether it must be the last of a pipelined group."""

    obey: Callable[[Dialogue, str], Conversation | None]
    last: bool = False


# RFC 2920 section 3.1, with RFC 3207 section 4 and RFC 4954 section 4 for STARTTLS and AUTH.
VERBS: Mapping[str, Verb] = {
    "EHLO": Verb(verbs.ehlo, last=True),
    "HELO": Verb(verbs.helo, last=True),
    "LHLO": Verb(verbs.lhlo, last=True),
    "STARTTLS": Verb(verbs.starttls, last=True),
    "AUTH": Verb(login.auth, last=True),
    "MAIL": Verb(verbs.mail),
    "RCPT": Verb(verbs.rcpt),
    "DATA": Verb(content.data, last=True),
    "BDAT": Verb(content.bdat),
    "RSET": Verb(verbs.rset),
    "NOOP": Verb(verbs.noop, last=True),
    "VRFY": Verb(verbs.vrfy, last=True),
    "EXPN": Verb(verbs.expn, last=True),
    "HELP": Verb(verbs.help_),
    "QUIT": Verb(verbs.quit_, last=True),
}

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


class Session:
    """A legal server, as far as the script lets it be one.

    Args:
        script: What the test dictates; it also holds the server's settings.
        record: Where messages, lines and connections are remembered.
    """

    def __init__(self, script: Script | None = None, record: Record | None = None) -> None:
        self._dialogue = Dialogue(script or Script(), record or Record())
        turns = self._dialogue.script.plays
        self._conversation = _played(self._dialogue, turns.pop(0)) if turns else _served(self._dialogue)
        self._need: Need | None = None
        self._impatient = False

    @property
    def connection(self) -> Connection:
        """What is known of this connection."""
        return self._dialogue.connection

    @property
    def ended(self) -> bool:
        """Whether the server's side is over."""
        return self._dialogue.outlet.ended

    def open(self, *, tls: bool = False) -> list[Action]:
        """The client is there: greet it. `tls` is true where the handshake came first."""
        self.connection.tls = tls
        self._advance(None)
        return self._go_on()

    def receive(self, data: bytes) -> list[Action]:
        """Octets have arrived (with TLS, decrypted ones)."""
        if not self.ended:
            self._impatient = False
            self._dialogue.intake.feed(self._dialogue.outlet.read(data))
        return self._go_on()

    def tls_established(self) -> list[Action]:
        """The handshake that `StartTLS` asked for is over."""
        self.connection.tls = True
        # RFC 3207 section 4.2: forget all that was learned in plain text.
        self._dialogue.forget()
        self._advance(b"")
        return self._go_on()

    def refuse_tls(self) -> list[Action]:
        """What the script says, in clear, to the client's TLS hello; nothing if it may have its handshake."""
        if self._dialogue.interrupt("TLS"):
            self._dialogue.outlet.end(Then.CLOSE)
        return self._dialogue.outlet.collect()

    def say(self, data: bytes, then: Then = Then.GO_ON) -> list[Action]:
        """Say something that nobody asked for."""
        self._dialogue.outlet.write(data)
        self._dialogue.outlet.end(then)
        return self._dialogue.outlet.collect()

    @property
    def patience(self) -> float | None:
        """Seconds after which a client that says nothing hears `impatient`; None where it may take its time."""
        found = self._dialogue.script.impatience
        return None if found is None or self.ended or self._impatient else found.seconds

    def impatient(self) -> list[Action]:
        """Nothing has arrived for too long (RFC 5321 section 4.5.3.2.7)."""
        found = self._dialogue.script.impatience
        self._impatient = True
        if found is not None:
            self._dialogue.say("421", Answer(421, "4.4.2", "you said nothing for too long"))
            self._dialogue.outlet.end(found.then)
        return self._dialogue.outlet.collect()

    def gone(self, how: str = "client closed") -> None:
        """The client is gone, or the connection is broken."""
        if not self.ended:
            self.connection.ended = how

    def _go_on(self) -> list[Action]:
        try:
            while not self.ended and self._need is not None:
                piece = self._dialogue.intake.take(self._need)
                if piece is None:
                    break
                self._advance(piece)
        except LineTooLongError:
            self._dialogue.hang_up("LINE", Answer(500, "5.5.2", "line too long"))
        if not self.ended:
            self._dialogue.outlet.end_if_read()
        return self._dialogue.outlet.collect()

    def _advance(self, piece: bytes | None) -> None:
        try:
            # A generator's first step takes None, whatever its type says.
            self._need = self._conversation.send(piece)  # type: ignore[arg-type]  # see the line above
        except StopIteration:
            self._need = None


def _served(dialogue: Dialogue) -> Conversation:
    """Greet, and obey one line after the other."""
    verbs.greet(dialogue)
    while True:
        line = yield Line()
        dialogue.note(line)
        name, _, argument = line.decode("utf-8", "surrogateescape").partition(" ")
        verb = VERBS.get(name.upper())
        if _CONTROL.search(line) or verb is None:
            dialogue.say(name.upper(), Answer(500, "5.5.2", "command not recognised"))
        elif name.upper() == "BDAT" or not dialogue.too_soon(whatever=verb.last):
            # The chunk follows its BDAT at once, so what stands behind is no sign of haste.
            conversation = verb.obey(dialogue, argument)
            if conversation is not None:
                yield from conversation


def _played(dialogue: Dialogue, turns: Sequence[Turn]) -> Conversation:
    """Follow a transcript; a client that leaves it is a surprise, and is shown out."""
    if not turns or turns[0][0]:
        verbs.greet(dialogue)
    for expected, reply, *more in turns:
        then = more[0] if more else Then.GO_ON
        got = (yield Expected(expected)) if expected else b""
        for line in got.splitlines():
            dialogue.note(line)
        if got != expected:
            dialogue.record.surprises.append(f"expected {expected!r}, got {got!r}")
            dialogue.outlet.end(Then.CLOSE)
            return
        dialogue.outlet.write(reply)
        if then is Then.TLS:
            dialogue.outlet.start_tls()
            yield TLS()
        else:
            dialogue.outlet.end(then)
