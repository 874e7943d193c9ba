"""One session after the other: played, cut, judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from tests.faults.cuts import WITHOUT_WORDS, Cut, above_tls, acts_behind, records
from tests.faults.faces import Faces, Receipts
from tests.faults.host import Host, groups
from tests.faults.judge import wrongs
from tests.faults.network import Network
from tests.faults.report import Tally
from tests.faults.sessions import ALIKE, Combination
from tests.faults.tls import Contexts

# Seconds for the answer to QUIT.
FAREWELL = 2.0
# What adding up seconds loses, and `poll` rounds up.
ROUNDING = 0.01


@dataclass(frozen=True, slots=True)
class Measure:
    """What a session comes to without a cut, in octets above TLS.

    Attributes:
        passed: How many the first connection had read and written when each message, or all, had been sent.
        unsaid: How many it had read and written when MAIL came.
        last_line: Where the last line before MAIL begins: last words in it complete it.
        borders: Those read behind which the server acts, each with what it had written then.
    """

    passed: list[tuple[int, int]]
    unsaid: tuple[int, int]
    last_line: int
    borders: dict[int, int]

    @classmethod
    def of(cls, host: Host, passed: list[tuple[int, int]]) -> Measure:
        """Measure the session that a host has just had."""
        line, read = host.lines[0], passed[-1][0]
        borders = acts_behind(host.script, bytes(line.offered[:read]), implicit=host.implicit)
        begin = line.offered.index(b"MAIL ")
        written = borders[begin]
        return cls(passed, (begin, written), line.heard.rfind(b"\r\n", 0, written - 2) + 2, borders)

    def before_mail(self, cut: Cut) -> bool:
        """The client has said nothing of its messages when it meets this cut."""
        read, written = self.unsaid
        return cut.at < (read if cut.reading else self.last_line if cut.way == "421" else written)

    def stands_for(self, cut: Cut, combination: Combination) -> int:
        """How many cuts this one is; 0 where another session's is this one, too."""
        if self.before_mail(cut):
            return cut.stands_for * ALIKE if combination.speaks_for_all else 0
        # What happens to the first of two messages happens to the only one.
        read, written = self.passed[0]
        weight = cut.stands_for * (1 + (combination.in_a_row and cut.at <= (read if cut.reading else written)))
        if self.at_border(cut):
            return weight
        # Behind the login the octets are those of the session without one, which is cut at the borders all the same:
        # the next connection logs in.
        return 0 if combination.auth else 2 * weight

    def at_border(self, cut: Cut) -> bool:
        """It stands behind a command, or behind the reply to one."""
        return cut.at in (self.borders if cut.reading else self.borders.values())


class Stage:
    """Where sessions are played, one at a time, on a network of its own that stands in for the system's."""

    def __init__(self, full: Contexts, swift: Contexts) -> None:
        self._network = Network()
        self._full, self._swift = full, swift

    def __enter__(self) -> Self:
        self._faces = Faces(self._network)
        self._network.stand_in()
        return self

    def __exit__(self, *what: object) -> None:
        self._network.step_back()
        self._faces.close()

    def measure(self, combination: Combination) -> Measure:
        """What a session comes to without a cut."""
        tally = Tally()
        found = self._measured(self._host(combination), tally)
        assert not tally.wrongs, tally.wrongs
        return found

    def cut_everywhere(self, combination: Combination, *, step: int = 1) -> Tally:
        """Cut a combination at every octet; every `step`th one for a sample."""
        tally = Tally(sessions=1 + combination.in_a_row)
        protected = combination.protection != "plain"
        host = self._host(combination)
        measure = self._measured(host, tally)
        read, written = measure.passed[-1]
        cuts = above_tls(read, written, measure.borders, protected=protected)
        weighed = [(cut, weight) for cut in cuts if (weight := measure.stands_for(cut, combination))]
        for cut, weight in weighed[::step]:
            self._try(host, cut, weight, tally)
        if protected and combination.speaks_for_all:
            host = Host(combination, self._full)
            self._measured(host, tally)
            for cut in list(_within_handshake(host))[::step]:
                self._try(host, cut, ALIKE, tally)
        return tally

    def _host(self, combination: Combination) -> Host:
        return Host(combination, None if combination.protection == "plain" else self._swift)

    def _measured(self, host: Host, tally: Tally) -> Measure:
        """A session without a cut."""
        passed: list[tuple[int, int]] = []

        def sent() -> None:
            connection = host.record.connections[0]
            passed.append((connection.read, connection.written))

        found, _ = self._play(host, None, sent)
        del passed[2 if host.combination.in_a_row else 1 :]
        if found:
            tally.wrongs.append(f"{host.combination}: without a cut: " + "; ".join(found))
        return Measure.of(host, passed)

    def _try(self, host: Host, cut: Cut, stands_for: int, tally: Tally) -> None:
        found, receipts = self._play(host, cut)
        states = (result.state for receipt in receipts.values() for result in receipt.results.values())
        tally.count(host.combination.protection, cut.way, stands_for, states)
        if found:
            tally.wrongs.append(f"{host.combination}: {cut}: " + "; ".join(found))

    def _play(self, host: Host, cut: Cut | None, sent: Callable[[], None] = lambda: None) -> tuple[list[str], Receipts]:
        """A session, and what comes behind it: what is wrong, and all receipts."""
        clock, begun = self._network.clock, self._network.clock.now
        host.begin(cut)
        self._network.connect = host.connect
        sender, receipts, found = self._faces.make(host), Receipts(), list[str]()
        for group in groups(host.combination):
            over, unnoticed = host.over, clock.now == begun
            receipts |= sender.send_all(group)
            sent()
            well = all(mail.went_well(receipts[mail.number]) for mail in group)
            if over and well:
                break
            # Nobody can know before the next send that a server has fallen silent.
            if not well and (not host.over or (over and not (unnoticed and cut and cut.way == "silence"))):
                found.append(f"messages from {group[0].number} on failed without a cut, or behind it")
        if cut and not host.over:
            found.append("nothing was cut")
        found += wrongs(host, host.mails[: len(receipts)], receipts)
        limit = max(host.server.timeouts.reply, host.server.timeouts.content) if cut and cut.way == "silence" else 0
        if clock.now - begun > limit + ROUNDING:
            found.append(f"{clock.now - begun:g} s went by, where {limit:g} are allowed")
        return found + self._closed(sender.close), receipts

    def _closed(self, close: Callable[[], None]) -> list[str]:
        """Close a sender: what is wrong with how it goes."""
        found, begun = [], self._network.clock.now
        close()
        if (took := self._network.clock.now - begun) > FAREWELL:
            found.append(f"closing took {took:g} s")
        if self._network.plugs:
            found.append(f"{len(self._network.plugs)} sockets were left open")
            self._network.plugs.clear()
        return found


def _within_handshake(host: Host) -> Iterator[Cut]:
    """Every border of a record of the handshake, seen from both sides."""
    line = host.lines[0]
    assert line.shaken is not None, "the session without a cut had no handshake"
    hello = bytes(line.reached).find(b"STARTTLS\r\n")
    begins = (0, 0) if hello < 0 else (hello + 10, bytes(line.given).find(b"220 \r\n") + 6)
    for stream, begin, end, reading in zip((line.reached, line.given), begins, line.shaken, (True, False), strict=True):
        for at in records(bytes(stream), begin, end):
            for turn, way in enumerate(WITHOUT_WORDS):
                yield Cut(at, reading, way, lazy=(at + turn) % 2 == 1, raw=True)
