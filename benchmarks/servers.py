"""The sink and the proxy in front of it: started, asked, ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .tools import Tools

# The core on which everything runs. On two cores a wake-up from one to the other costs more than a message.
CORE = 0


def pin() -> None:
    """Stay on one core, where the system can say that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0) | {CORE})})


@dataclass(frozen=True)
class Program:
    """One of the C programs under way."""

    port: int
    control: int

    def stats(self, *, reset: bool = False) -> dict[str, Any]:
        """What it counted; what it counts next begins at zero where that is asked for."""
        with socket.create_connection(("127.0.0.1", self.control), timeout=10) as asked:
            asked.sendall(b"reset\n" if reset else b"stats\n")
            answer = b"".join(iter(lambda: asked.recv(65536), b""))
        found: dict[str, Any] = json.loads(answer)
        return found


@contextmanager
def _running(command: Sequence[str], prepare: Callable[[], None] | None) -> Iterator[Program]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, preexec_fn=prepare) as process:  # noqa: S603, PLW1509 - our own program; no threads here
        assert process.stdin is not None  # noqa: S101 - they are pipes
        assert process.stdout is not None  # noqa: S101 - they are pipes
        port, control = map(int, process.stdout.readline().split())
        try:
            yield Program(port, control)
        finally:
            # It ends when its standard input does, which is also when we are killed.
            process.stdin.close()


@contextmanager
def sink(tools: Tools, without: Sequence[str] = ()) -> Iterator[Program]:
    """A server that takes everything.

    Args:
        tools: Where it lies.
        without: Extensions that it shall not announce.
    """
    options = [word for name in without for word in ("-x", name)]
    command = [str(tools.folder / "sink"), "-k", str(tools.folder / "key.pem"), "-C", str(tools.folder / "cert.pem")]
    with _running([*command, *options], pin) as program:
        yield program


@contextmanager
def proxy(tools: Tools, upstream: Program, rtt: float) -> Iterator[Program]:
    """A path to a server that takes `rtt` seconds forth and back."""
    command = [str(Path(tools.folder / "proxy")), "-u", str(upstream.port), "-d", str(rtt * 1000 / 2)]
    with _running(command, None) as program:
        yield program


def rounds(program: Program) -> int:
    """Round trips on the critical path of all connections since the last reset."""
    return sum(connection["rounds"] for connection in program.stats()["conns"])
