"""`python -m tests.soak`: soak both servers, hold the books against each other, write benchmarks/SOAK.md.

`MINUTES` says for how long, 10 by default; what is shorter writes nothing.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.servers.lab import MissingError
from tests.soak.grounds import ROOT, Ground, Restarted, Scripted
from tests.soak.ledger import compare
from tests.soak.report import FULL, Leg, report

RESULTS = ROOT / "benchmarks" / "SOAK.md"


@dataclass(frozen=True)
class Effort:
    """How much is sent.

    Attributes:
        seconds: For how long.
        threads: On a pool.
        tasks: On a pool for asyncio.
        pool: Connections of each pool.
        seed: Of all that is left to chance.
    """

    seconds: float
    threads: int = 32
    tasks: int = 200
    pool: int = 8
    seed: int = 1


def soak(effort: Effort, grounds: list[Ground], folder: Path) -> list[Leg]:
    """Let clients and servers run beside each other; say what came of each server."""
    with contextlib.ExitStack() as stack:
        clients = [_client(stack.enter_context(ground), effort, folder) for ground in grounds]
        codes = [client.wait() for client in clients]
    assert not any(codes), "a client failed: its own words are above"
    return [_leg(ground, folder) for ground in grounds]


def _client(ground: Ground, effort: Effort, folder: Path) -> subprocess.Popen[bytes]:
    order = {"port": ground.port, "seconds": effort.seconds, "threads": effort.threads, "tasks": effort.tasks}
    order |= {"pool": effort.pool, "seed": effort.seed}
    order |= {"book": str(folder / f"{ground.name}.told"), "samples": str(folder / f"{ground.name}.samples")}
    return subprocess.Popen([sys.executable, "-m", "tests.soak.load", json.dumps(order)], cwd=ROOT)


def _leg(ground: Ground, folder: Path) -> Leg:
    *samples, end = map(json.loads, (folder / f"{ground.name}.samples").read_text().splitlines())
    return Leg(ground.name, ground.story(), compare(folder / f"{ground.name}.told", ground.taken), samples, end)


def main() -> int:
    """Soak and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("MINUTES") or FULL / 60))
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    effort = Effort(seconds=wanted.minutes * 60, seed=wanted.seed)
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        grounds: list[Ground] = [Scripted(folder, effort.seed)]
        try:
            grounds.append(Restarted(folder))
        except MissingError as missing:
            print(f"without Postfix: {missing}")  # noqa: T201 - for the person who waits
        legs = soak(effort, grounds, folder)
    text = report(legs, effort)
    print(text)  # noqa: T201 - as above
    if effort.seconds >= FULL and len(legs) == 2:
        RESULTS.write_text(text)
    return 0 if all(leg.holds for leg in legs) else 1


if __name__ == "__main__":
    sys.exit(main())
