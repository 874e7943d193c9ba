"""One row: every driver in a process of its own, in turns, and the server asked what it got."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from .rows import COMPILED, Kind, Row
from .servers import Program, pin, proxy, rounds, sink
from .tools import Tools
from .workloads import SENDER, WORKLOADS, Workload

# Messages before anything is measured: Node's compiler needs thousands of small ones until it is at its best.
WARM, WARM_NODE = 50, 3_000


@dataclass(frozen=True)
class Effort:
    """How long it may take.

    Attributes:
        rounds: How often each driver has its turn.
        seconds: How long one turn shall last.
    """

    rounds: int = 5
    seconds: float = 0.25


@dataclass(frozen=True)
class Sample:
    """One driver's turn.

    Attributes:
        value: What the row measures; messages per second where that is the rate.
        cpu: Seconds of CPU per message.
        unfair: The longest wait of one send as a multiple of the median, where sends compete.
    """

    value: float
    cpu: float
    unfair: float = 0.0


class Unavailable(Exception):  # noqa: N818 - it is no error: a cell stays empty
    """A driver cannot run here."""


class Worker:
    """A driver's process."""

    def __init__(self, command: Sequence[str], name: str) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, preexec_fn=pin)  # noqa: S603, PLW1509 - our own; no threads here
        self.name = name
        if missing := self._answer().get("missing"):
            self.close()
            raise Unavailable(f"{name}: {missing}")

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise Unavailable(f"{self.name}: the driver died, its own words are above")
        answer: dict[str, float] = json.loads(line)
        return answer

    def run(self, count: int) -> dict[str, float]:
        """Send so many messages."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Let it say goodbye."""
        self._process.communicate(timeout=60)


@dataclass
class Place:
    """Where a row is measured: a sink, and perhaps a proxy in front of it."""

    row: Row
    tools: Tools
    sink: Program
    proxy: Program | None

    @property
    def workload(self) -> Workload:
        """What is sent."""
        return WORKLOADS[self.row.workload]

    def worker(self, name: str) -> Worker:
        """Start a driver.

        Raises:
            Unavailable: What it drives is not here.
        """
        message = self.tools.folder / "message.eml"
        self.workload.write(message)
        front = self.proxy or self.sink
        if name == "Nodemailer":
            if not self.tools.node:
                raise Unavailable("Nodemailer")
            spec = {"port": front.port, "modules": str(self.tools.folder), "message": str(message), "sender": SENDER}
            order = json.dumps({**spec, "recipients": self.workload.names})
            return Worker(["node", str(Path(__file__).parent / "node" / "driver.mjs"), order], name)
        target = {"port": front.port, "tls": self.row.tls, "file": str(message)}
        target |= {"ca_file": str(self.tools.bundle)} if self.row.tls else {}
        packages = ""
        if name.endswith(COMPILED):
            if not self.tools.compiled:
                raise Unavailable(f"mailbridge{COMPILED}")
            packages = str(self.tools.compiled)
        driver = name.removesuffix(COMPILED)
        order = json.dumps({"driver": driver, "packages": packages, "workload": self.row.workload, "target": target})
        return Worker([sys.executable, "-m", "benchmarks.worker", order], name)

    def warm(self, worker: Worker, effort: Effort) -> int:
        """Send the first messages; say how many fill one turn."""
        if self.row.kind is Kind.RATE:
            small = len(self.workload.body()) < 100_000
            node = WARM_NODE if small else WARM
            worker.run(node if worker.name == "Nodemailer" else WARM if small else 4)
            count = WARM if small else 4
            return max(1, int(effort.seconds * count / worker.run(count)["wall"]))
        if self.row.kind is not Kind.MEMORY:
            worker.run(2)
        return self.row.count

    def sample(self, worker: Worker, count: int) -> Sample:
        """One turn of a driver, checked against what the server got."""
        if self.row.kind is Kind.ROUNDS:
            worker.run(1)  # the connection shall be hot
        self.sink.stats(reset=True)
        if self.proxy:
            self.proxy.stats(reset=True)
        found = worker.run(count)
        self._check(worker.name, count)
        value = found["wall"] / count / (self.row.rtt or 1)
        if self.row.kind is Kind.ROUNDS and self.proxy:
            value = rounds(self.proxy) / count
        elif self.row.kind is Kind.RATE:
            value = count / found["wall"]
        elif self.row.kind is Kind.MEMORY:
            value = found["memory"] / 1024
        return Sample(value, found["cpu"] / count, _unfair(found["waits"]))  # type: ignore[arg-type] # a list, by worker.py

    def _check(self, name: str, count: int) -> None:
        got = self.sink.stats()
        wrong = {key: got[key] for key in ("errors", "early_data", "bare_lf") if got[key]}
        if got["messages"] != count or got["rcpts"] != count * self.workload.recipients:
            wrong["messages"] = f"{got['messages']} of {count} for {got['rcpts']} recipients"
        builds = "Django" in name or "Flask" in name
        body = self.workload.body()
        if not builds and (got["body_octets"], got["body_sum"]) != (count * len(body), count * sum(body)):
            wrong["body"] = f"{got['body_octets']} octets where {count * len(body)} were sent"
        if wrong:
            raise RuntimeError(f"{name}, {self.row.title}: {wrong}")


def _unfair(waits: list[float]) -> float:
    return max(waits) / statistics.median(waits) if waits else 0.0


@contextmanager
def _place(row: Row, tools: Tools) -> Iterator[Place]:
    with (
        sink(tools, row.without) as server,
        proxy(tools, server, row.rtt) if row.rtt else nullcontext() as path,
    ):
        yield Place(row, tools, server, path)


def measure(row: Row, tools: Tools, effort: Effort, names: Sequence[str]) -> tuple[dict[str, list[Sample]], list[str]]:
    """Let each driver have its turns, interleaved; give the samples, and why others have none."""
    samples: dict[str, list[Sample]] = {}
    missing: list[str] = []
    with _place(row, tools) as place, ExitStack() as stack:
        ready: list[tuple[Worker, int]] = []
        for name in names:
            try:
                worker = place.worker(name)
                stack.callback(worker.close)
                ready.append((worker, place.warm(worker, effort)))
            except Unavailable as why:
                missing.append(str(why))
        for turn in range(effort.rounds):
            for worker, count in ready if turn % 2 else reversed(ready):
                samples.setdefault(worker.name, []).append(_turn(place, worker, count))
    return samples, missing


def _turn(place: Place, worker: Worker, count: int) -> Sample:
    if place.row.kind is not Kind.MEMORY:
        return place.sample(worker, count)
    # A process that sent such a message before has its memory still.
    fresh = place.worker(worker.name)
    try:
        return place.sample(fresh, count)
    finally:
        fresh.close()
