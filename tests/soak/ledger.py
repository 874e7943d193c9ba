"""Two books: what the client was told, and what the server took. They must agree to the message.

A line of the client's book holds the message's name, the sum of its content, and each recipient with its state; one of
the server's the name, the sum, the transaction, and the recipients.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from mailbridge import Receipt, State

NAME = re.compile(rb"^Message-ID: <([^@>]+)@", re.MULTILINE)
# How many disagreements are shown of each kind.
SHOWN = 20


def told_line(name: str, content: bytes, receipt: Receipt) -> str:
    """A line of the client's book."""
    states = ",".join(f"{address}={result.state}" for address, result in receipt.results.items())
    return f"{name} {crc32(content):08x} {states}\n"


def recorded_line(content: bytes, recipients: Iterable[str], transaction: object) -> str:
    """A line of the server's book."""
    found = NAME.search(content)
    name = found[1].decode() if found else "nameless"
    return f"{name} {crc32(content):08x} {transaction} {','.join(recipients)}\n"


@dataclass
class Account:
    """What comes of the comparison.

    Attributes:
        messages: That the client was told something of.
        states: Recipients in each state.
        unknown_taken: Those that are unknown to the client, and that the server has.
        repeated: Recipients to whom the server delivered one transaction more than once, all by itself.
        disagreements: What must not be, by kind.
    """

    messages: int = 0
    states: Counter[str] = field(default_factory=Counter)
    unknown_taken: int = 0
    repeated: int = 0
    disagreements: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def lines(self) -> list[str]:
        """The disagreements, or as many as one wants to read."""
        return [
            line for kind, found in self.disagreements.items() for line in (f"{len(found)} x {kind}:", *found[:SHOWN])
        ]


Recorded = dict[str, dict[str, tuple[str, Counter[str]]]]


def recorded(path: Path) -> Recorded:
    """The server's book: for each message its transactions, each with the sum and how often each recipient has it."""
    book: Recorded = defaultdict(dict)
    for line in path.read_text().splitlines():
        name, total, transaction, recipients = line.split(" ")
        _, have = book[name].setdefault(transaction, (total, Counter()))
        have.update(recipients.split(","))
    return book


def compare(told: Path, taken: Path) -> Account:
    """Hold one book against the other."""
    account, book = Account(), recorded(taken)
    for line in told.read_text().splitlines():
        name, total, states = line.split(" ")
        account.messages += 1
        transactions = book.pop(name, {})
        if any(other != total for other, _ in transactions.values()):
            account.disagreements["other content than was sent"].append(line)
        for address, _, state in (each.rpartition("=") for each in states.split(",")):
            account.states[state] += 1
            copies = [have[address] for _, have in transactions.values() if address in have]
            account.repeated += sum(copies) - len(copies)
            account.unknown_taken += state == State.UNKNOWN and bool(copies)
            if wrong := _wrong(State(state), len(copies)):
                account.disagreements[wrong].append(f"{line} {transactions}")
    for name, transactions in book.items():
        account.disagreements["taken, and nobody was told"].append(f"{name} {transactions}")
    return account


def _wrong(state: State, copies: int) -> str | None:
    """What is wrong with a recipient that is told to be in this state, and has so many copies."""
    if copies > 1:
        return "taken twice"
    if state is State.ACCEPTED and not copies:
        return "accepted, and not taken"
    if state not in {State.ACCEPTED, State.UNKNOWN} and copies:
        return f"{state}, and taken all the same"
    return None
