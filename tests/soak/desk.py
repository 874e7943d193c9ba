"""Where letters come from and receipts go: shared by all threads and tasks of one process."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from mailbridge import MailObject, Receipt
from tests.soak.ledger import told_line

NAMES = [f"u{number}@lab.test" for number in range(50)]
HEAD = (
    "From: <ann@lab.test>\r\nTo: <everybody@lab.test>\r\nDate: Wed, 25 Nov 2026 12:00:00 +0000\r\n"
    "Message-ID: <{name}@soak.test>\r\nSubject: soak\r\n\r\n"
)
LINE = b"The quick brown fox jumps over the lazy dog, and .dots. go where they like.\r\n.\r\n..\r\n"
# Seconds to wait where the server is not there: a caller that did not would do nothing but ask.
PAUSE = 0.2


@dataclass(frozen=True)
class Letter:
    """A message with a name of its own."""

    name: str
    mail: MailObject


class Desk:
    """Hands out letters until the end, and files what became of each.

    Attributes:
        begun: Letters handed out.
        filed: Letters with a receipt.
        accepted: Those that somebody accepted.
        longest: Seconds that the longest send took.
        strange: What nobody may see: errors of no tree of ours, letters without a receipt.
        errors: How often each error came.
    """

    def __init__(self, book: Path, seconds: float, seed: int) -> None:
        self._book, self._seed = book.open("w"), seed
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self.begun = self.filed = self.accepted = 0
        self.longest = 0.0
        self.strange: list[str] = []
        self.errors: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._book.close()

    @property
    def over(self) -> bool:
        """No more letters."""
        return time.monotonic() >= self._end

    def dice(self, who: str) -> Random:
        """Chance, the same for the same worker in each run."""
        return Random(f"{self._seed} {who}")

    def letter(self, who: str, dice: Random) -> Letter:
        """One more."""
        with self._lock:
            self.begun += 1
            name = f"{who}-{self.begun}"
        lines = dice.randrange(3000, 6000) if dice.random() < 0.005 else dice.randrange(40)
        to = dice.sample(NAMES, dice.choice((1, 1, 2, 3)))
        for refused in ("nobody@lab.test", "temp@lab.test"):
            if dice.random() < 0.05:
                to.insert(dice.randrange(len(to) + 1), refused)
        return Letter(name, MailObject(HEAD.format(name=name).encode() + LINE * lines, "ann@lab.test", to))

    def letters(self, who: str, dice: Random, handed: list[Letter]) -> Iterator[MailObject]:
        """Some for a batch; those that were pulled stand in the list."""
        for _ in range(dice.randrange(1, 30)):
            handed.append(self.letter(who, dice))
            yield handed[-1].mail

    def file(self, letter: Letter, receipt: Receipt | None, seconds: float, error: BaseException | None = None) -> None:
        """Write down what became of it."""
        with self._lock:
            self.longest = max(self.longest, seconds)
            if error is not None:
                self.errors[type(error).__name__] += 1
            if receipt is None:
                self.strange.append(f"{letter.name} has no receipt: {error!r}")
                return
            self.filed += 1
            self.accepted += bool(receipt.accepted)
            self._book.write(told_line(letter.name, letter.mail.content, receipt))

    def file_all(self, letters: Sequence[Letter], receipts: Sequence[Receipt], seconds: float) -> None:
        """Write down what became of a batch's, in their order; each took its share of the time."""
        for number, letter in enumerate(letters):
            receipt = receipts[number] if number < len(receipts) else None
            self.file(letter, receipt, seconds / len(letters), receipt and receipt.error)

    def complain(self, error: BaseException) -> None:
        """An error that is none of ours."""
        with self._lock:
            self.strange.append(repr(error))
