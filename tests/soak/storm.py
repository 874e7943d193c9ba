"""The scripted server in a process of its own, which cuts, defers and says 421 at random.

`python -m tests.soak.storm SEED FILE` says its port in one line, and ends when its standard input does. What it took
responsibility for stands in the file then, a line for each message.
"""

import select
import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TextIO

from mailbridge.testing import ScriptedServer, Then
from mailbridge.testing.script import Cut, Rule
from tests.soak.ledger import recorded_line

# Seconds between two changes of the weather.
TURN = 0.25
# In how many of its occurrences an event goes wrong, and how.
CHANCES: tuple[tuple[str, float, bytes | None, Then], ...] = (
    ("GREETING", 0.002, b"421 4.7.0 too many connections\r\n", Then.CLOSE),
    ("GREETING", 0.005, b"421 4.3.2 not now\r\n", Then.CLOSE),
    ("GREETING", 0.005, b"", Then.RESET),
    ("EHLO", 0.005, b"", Then.DROP),
    ("MAIL", 0.01, b"451 4.7.1 not this sender now\r\n", Then.GO_ON),
    ("MAIL", 0.002, b"421 4.7.0 enough\r\n", Then.CLOSE),
    ("MAIL", 0.001, b"421 4.7.0 enough\r\n", Then.RESET),
    ("MAIL", 0.001, b"", Then.DROP),
    ("RCPT", 0.03, b"450 4.2.1 greylisted\r\n", Then.GO_ON),
    ("RCPT", 0.01, b"550 5.1.1 no such user\r\n", Then.GO_ON),
    ("RCPT", 0.001, b"421 4.7.0 enough\r\n", Then.CLOSE),
    ("RCPT", 0.001, b"", Then.RESET),
    ("DATA", 0.002, b"421 4.3.0 enough\r\n", Then.CLOSE),
    ("DATA", 0.002, b"", Then.DROP),
    ("RSET", 0.01, b"421 4.3.0 enough\r\n", Then.CLOSE),
    ("CONTENT", 0.01, b"451 4.3.0 later\r\n", Then.GO_ON),
    ("CONTENT", 0.005, b"554 5.6.0 not this\r\n", Then.GO_ON),
    ("CONTENT", 0.002, b"421 4.3.0 enough\r\n", Then.CLOSE),
    ("CONTENT", 0.001, b"421 4.3.0 enough\r\n", Then.DROP),
    ("CONTENT", 0.002, b"", Then.CLOSE),  # taken, and nobody is told
    ("CONTENT", 0.001, b"", Then.RESET),
    ("CONTENT", 0.0002, b"", Then.SILENCE),
    ("CONTENT", 0.002, None, Then.CLOSE),  # the usual reply, and no more
    ("CONTENT", 0.002, None, Then.DROP),
    ("CONTENT", 0.001, None, Then.RESET),
    ("QUIT", 0.05, b"", Then.RESET),
)
ENDS = (Then.CLOSE, Then.DROP, Then.RESET)


@dataclass(slots=True, kw_only=True)
class Sometimes(Rule):
    """A rule that holds by chance."""

    chance: float
    dice: Random
    raw: bytes | None
    nth: int = 1
    times: int | None = None
    seen: int = field(default=0)

    def occurs(self) -> bool:
        return self.dice.random() < self.chance


def break_out(server: ScriptedServer, dice: Random) -> None:
    """From now on anything may happen."""
    server.refuse("nobody@lab.test")
    server.defer("temp@lab.test")
    for event, chance, raw, then in CHANCES:
        server.rules.append(Sometimes(event=event, chance=chance, dice=dice, raw=raw, then=then))


def turn(server: ScriptedServer, dice: Random) -> None:
    """Change the weather: a cut at any octet, a farewell unasked, an end of all connections, another EHLO."""
    server.cuts = [Cut(dice.randrange(20_000), dice.choice(ENDS), 1, dice.random() < 0.5)]
    server.segments(dice.choice((None, None, None, 1, 7)))
    server.say_421(after_messages=dice.randrange(20, 60), unasked=dice.random() < 0.5, then=dice.choice(ENDS))
    for extension in ("CHUNKING", "PIPELINING"):
        (server.withdraw if dice.random() < 0.2 else server.offer)(extension)
    if dice.random() < 0.1:
        server.hang_up(dice.choice(ENDS), dice.choice((b"", b"421 4.3.2 going down\r\n")))


def note(server: ScriptedServer, file: TextIO) -> None:
    """Write down what was accepted since the last time, so that nothing here grows."""
    taken = server.clear()
    file.writelines(recorded_line(message.content, message.recipients, message.connection) for message in taken)


def main(seed: int, path: Path) -> None:
    """Serve until nobody holds the other end of standard input."""
    dice = Random(seed)
    server = ScriptedServer()
    break_out(server, dice)
    with path.open("w") as file:
        with server:
            print(server.port, flush=True)  # noqa: T201 - whoever started it reads that
            while not select.select([sys.stdin], [], [], TURN)[0]:
                turn(server, dice)
                note(server, file)
        note(server, file)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
