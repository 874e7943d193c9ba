"""One session after the other: played, cut, judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.faults.cuts import WITHOUT_WORDS, Cut, above_tls, acts_behind, records
from tests.faults.faces import Faces, Receipts
from tests.faults.host import Host, Mail, mails
from tests.faults.judge import wrongs
from tests.faults.network import Network
from tests.faults.report import Tally
from tests.faults.sessions import Combination
from tests.faults.tls import Contexts

# Seconds for the answer to QUIT.
FAREWELL = 2.0
# What adding up seconds loses, and `poll` rounds up.
ROUNDING = 0.01


@dataclass(frozen=True, slots=True)
class Measure:
    """What a session comes to without a cut: octets read and written above TLS, and those behind which it acts."""

    read: int
    written: int
    borders: list[int]


class Stage:
    """Where sessions are played, one at a time, while the network stands in for the system's."""

    def __init__(self, network: Network, full: Contexts, swift: Contexts) -> None:
        self._network, self._faces = network, Faces(network)
        self._full, self._swift = full, swift

    def close(self) -> None:
        """Close what belongs to the system."""
        self._faces.close()

    def cut_everywhere(self, combination: Combination, *, step: int = 1) -> Tally:
        """Cut a combination at every octet; every `step`th one for a sample."""
        tally = Tally(sessions=1)
        protected = combination.protection != "plain"
        host = Host(combination, self._swift if protected else None)
        measure = self._measured(host, tally)
        cuts = above_tls(measure.read, measure.written, measure.borders, protected=protected)
        for cut in list(cuts)[::step]:
            self._try(host, cut, tally)
        if protected:
            host = Host(combination, self._full)
            self._measured(host, tally)
            for cut in list(_within_handshake(host))[::step]:
                self._try(host, cut, tally)
        return tally

    def _measured(self, host: Host, tally: Tally) -> Measure:
        """A session without a cut."""
        read = written = 0

        def sent() -> None:
            nonlocal read, written
            read, written = host.record.connections[0].read, host.record.connections[0].written

        found, _ = self._play(host, None, sent)
        if found:
            tally.wrongs.append(f"{host.combination}: without a cut: " + "; ".join(found))
        octets = bytes(host.lines[0].offered[:read])
        return Measure(read, written, acts_behind(host.script, octets, implicit=host.implicit))

    def _try(self, host: Host, cut: Cut, tally: Tally) -> None:
        found, receipts = self._play(host, cut)
        states = (result.state for receipt in receipts.values() for result in receipt.results.values())
        tally.count(host.combination, cut, states)
        if found:
            tally.wrongs.append(f"{host.combination}: {cut}: " + "; ".join(found))

    def _play(self, host: Host, cut: Cut | None, sent: Callable[[], None] = lambda: None) -> tuple[list[str], Receipts]:
        """A session, and what comes behind it: what is wrong, and all receipts."""
        clock, begun = self._network.clock, self._network.clock.now
        host.begin(cut)
        self._network.connect = host.connect
        *first, following, last = mails(host.combination.recipients, host.combination.messages + 2)
        sender = self._faces.make(host)
        receipts = sender.send_all(first)
        sent()
        unnoticed = clock.now == begun
        receipts |= sender.send_all([following])
        sent_all = [*first, following]
        if unnoticed and cut and cut.way == "silence" and not _went_well(receipts, following):
            # Nobody could know before this one that the server had fallen silent.
            receipts |= sender.send_all([last])
            sent_all.append(last)
        found = list(wrongs(host, sent_all, receipts))
        if not _went_well(receipts, sent_all[-1]):
            found.append(f"the next send failed: {receipts[sent_all[-1].number].error!r}")
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


def _went_well(receipts: Receipts, mail: Mail) -> bool:
    return tuple(receipts[mail.number].accepted) == mail.good


def _within_handshake(host: Host) -> Iterator[Cut]:
    """Every border of a record of the handshake, seen from both sides."""
    line = host.lines[0]
    assert line.shaken is not None, "the session without a cut had no handshake"
    hello = bytes(line.reached).find(b"STARTTLS\r\n")
    begins = (0, 0) if hello < 0 else (hello + 10, bytes(line.given).find(b"220 go") + 14)
    for stream, begin, end, reading in zip((line.reached, line.given), begins, line.shaken, (True, False), strict=True):
        for at in records(bytes(stream), begin, end):
            for turn, way in enumerate(WITHOUT_WORDS):
                yield Cut(at, reading, way, lazy=(at + turn) % 2 == 1, raw=True)
