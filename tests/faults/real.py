"""The same over real sockets: cut at every border of a command or a reply, and one octet to either side."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from mailbridge import Client, Pool, Server, Timeouts
from mailbridge import asyncio as mailbridge_asyncio
from mailbridge.testing import Record, ScriptedServer
from tests.faults.cuts import WAYS, Cut, spans
from tests.faults.faces import AtOnce, Awaited, InABatch, InAnAwaitedBatch, OneByOne, Receipts, Sender
from tests.faults.host import OFFERS, TLS, Mail, accounts, be_brief, groups, known
from tests.faults.judge import wrongs
from tests.faults.line import Line
from tests.faults.report import Tally
from tests.faults.running import Measure
from tests.faults.sessions import IN_FLIGHT, Combination
from tests.faults.tls import Contexts

# Sessions side by side: most of them wait.
SIDE_BY_SIDE = 24
# Seconds until a silent server is given up, and until a busy machine is.
BRIEF = Timeouts(connect=5, reply=1, content=1, send=5)
UNHURRIED = Timeouts(connect=10, reply=10, content=10, send=40)
PATIENT = Timeouts(connect=30, reply=30, content=30, send=60)


class Loopback(ScriptedServer):
    """A server of a combination, with a certificate that many share."""

    def __init__(self, combination: Combination, contexts: Contexts) -> None:
        super().__init__(
            lmtp=combination.dialect == "LMTP",
            extensions=OFFERS[combination.extensions],
            tls=TLS[combination.protection],
            accounts=accounts(combination),
            auth=("PLAIN",),
            name="t",
        )
        be_brief(self)
        self._contexts = contexts

    @property
    def tls_context(self) -> ssl.SSLContext:  # it is made anew for each server there
        return self._contexts.server


class InThreads(OneByOne):
    """From a pool by one thread for each message."""

    def send_all(self, mails: Sequence[Mail]) -> Receipts:
        with ThreadPoolExecutor(len(mails)) as threads:
            return dict(zip((mail.number for mail in mails), threads.map(self._send, mails), strict=True))


@dataclass
class Seen:
    """What is known of a session that nobody watched on its way."""

    combination: Combination
    record: Record
    lines: list[Line] = field(default_factory=list)


def cut_at_borders(combination: Combination, measure: Measure, contexts: Contexts, *, step: int = 1) -> Tally:
    """Cut a combination at each border, and one octet to either side.

    Args:
        combination: What kind of session.
        measure: What it comes to.
        contexts: Its TLS, where there is some.
        step: Every so manyth cut, for a sample.
    """
    tally, passed = Tally(sessions=1), measure.passed[-1]
    if combination.driver == "sync" and combination.face == "pool":
        # With threads there can be some in flight: each message has a connection of its own.
        combination, passed = replace(combination, messages=IN_FLIGHT), measure.passed[0]
    cuts = list(_at_borders(passed, measure.borders))[::step]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        for cut, (found, receipts) in zip(cuts, threads.map(partial(_play, combination, contexts), cuts), strict=True):
            states = (result.state for receipt in receipts.values() for result in receipt.results.values())
            tally.count(f"{combination.protection}, real", cut.way, cut.stands_for, states)
            if found:
                tally.wrongs.append(f"real sockets, {combination}: {cut}: " + "; ".join(found))
    return tally


def _at_borders(passed: tuple[int, int], acts: dict[int, int]) -> Iterator[Cut]:
    """What lies behind one border and before the next one is one cut: the server does nothing between them."""
    read, written = passed
    for at, count in spans(read, acts):
        for way in WAYS:
            yield Cut(at, True, way, stands_for=min(count, 2))
    for at in sorted({near for border in acts.values() for near in (border - 1, border, border + 1)}):
        if 0 <= at <= written:
            for way in WAYS:
                yield Cut(at, False, way)


def _play(combination: Combination, contexts: Contexts, cut: Cut) -> tuple[list[str], Receipts]:
    """A session, and what comes behind it: what is wrong, and all receipts."""
    slow, wrong, receipts = _attempt(combination, contexts, cut, BRIEF if cut.way == "silence" else PATIENT)
    if slow and not wrong and cut.way == "silence":
        # A busy machine is slow, not wrong: what came too late for a brief deadline has another chance.
        slow, wrong, receipts = _attempt(combination, contexts, cut, UNHURRIED)
    return wrong + slow, receipts


def _attempt(
    combination: Combination, contexts: Contexts, cut: Cut, timeouts: Timeouts
) -> tuple[list[str], list[str], Receipts]:
    """Play it once: what failed or came late, what is wrong whatever the time, and all receipts."""
    receipts, slow, failures = Receipts(), list[str](), 0
    with asyncio.Runner() as runner, Loopback(combination, contexts) as server:
        server.cuts.append(cut.scripted)
        protected = contexts if combination.protection != "plain" else None
        sender = _sender(combination, known(combination, server.port, protected, timeouts), runner)
        begun = time.monotonic()
        for group in groups(combination):
            over = any(one.ended is not None for one in server.connections)
            receipts |= sender.send_all(group)
            well = all(mail.went_well(receipts[mail.number]) for mail in group)
            if over and well:
                break
            failures += not well
        else:
            slow.append("no next send went well behind the cut")
        # Nobody can know before the next send that a server has fallen silent.
        if failures > 1 + (cut.way == "silence"):
            slow.append(f"{failures} sends failed for one cut")
        if time.monotonic() - begun > (limit := timeouts.send * (1 + failures)):
            slow.append(f"it took more than {limit:g} s")
        sender.close()
    sent = [mail for group in groups(combination) for mail in group if mail.number in receipts]
    return slow, list(wrongs(Seen(combination, Record(messages=server.messages)), sent, receipts)), receipts


def _sender(kind: Combination, server: Server, runner: asyncio.Runner) -> Sender:
    if kind.driver == "sync":
        if kind.face == "client":
            return OneByOne(Client(server, log_receipts=False))
        pool = Pool(server, max_connections=IN_FLIGHT, log_receipts=False)
        return InABatch(pool) if kind.face == "batch" else InThreads(pool)
    if kind.face == "client":
        return Awaited(mailbridge_asyncio.Client(server, log_receipts=False), runner.get_loop())
    crowd = mailbridge_asyncio.Pool(server, max_connections=IN_FLIGHT, log_receipts=False)
    return (InAnAwaitedBatch if kind.face == "batch" else AtOnce)(crowd, runner.get_loop())


# Each extension and each dialect once; memory has the whole product.
_PAIRS = {("none", "SMTP"), ("PIPELINING", "LMTP"), ("PIPELINING+CHUNKING", "SMTP")}
SCOPE = (
    "over real sockets run several messages to three recipients, behind a login, with "
    + " / ".join(sorted(" ".join(pair) for pair in _PAIRS))
    + "; in memory all"
)


def takes(combination: Combination) -> bool:
    """A kind that runs over real sockets: see `SCOPE`."""
    pair = (combination.extensions, combination.dialect)
    return combination.auth and combination.speaks_for_all and pair in _PAIRS
