"""Runs one driver in a process of its own: `python -m benchmarks.worker SPEC`, then one order a line.

An order is a number of messages; the answer is a line of JSON with the seconds, the CPU seconds, the
memory that was needed above what was there (KiB) and how long single sends waited.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from importlib import import_module
from pathlib import Path

from .drivers import driver
from .drivers.base import Driver, Target
from .servers import pin
from .workloads import WORKLOADS, Mail, turns

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory(name: str) -> int:
    found = [line.split() for line in _STATUS.read_text().splitlines() if line.startswith(name)]
    return int(found[0][1])


def _obey(one: Driver, mails: list[Mail], count: int) -> dict[str, object]:
    due = list(turns(mails, count))
    one.waits.clear()
    gc.collect()
    _CLEAR.write_text("5")  # the high-water mark begins anew
    held, used, begun = _memory("VmRSS"), _cpu(), time.perf_counter()
    one.run(due)
    wall, spent = time.perf_counter() - begun, _cpu() - used
    return {"wall": wall, "cpu": spent, "memory": _memory("VmHWM") - held, "waits": one.waits}


def _mails(workload: str, file: str) -> list[Mail]:
    kind = WORKLOADS[workload]
    if not kind.huge:
        return kind.distinct()
    # Read and not built: what building left behind on the heap would hide what sending needs.
    return [Mail(Path(file).read_bytes(), kind.names, "", "", b"")]


def _import_machine_code(folder: str) -> None:
    """Let a driver import the mailbridge of this folder, and no other.

    Raises:
        ImportError: It is not machine code.
    """
    sys.path.insert(0, folder)
    found = Path(import_module("mailbridge.protocol").__file__ or "")
    if found.suffix != ".so" or not found.is_relative_to(folder):
        raise ImportError(f"{found} is no machine code of {folder}")


def main(spec: dict[str, str], target: Target) -> None:
    """Open, obey, close."""
    pin()
    try:
        if spec["packages"]:
            _import_machine_code(spec["packages"])
        one = driver(spec["driver"], target)
    except (ImportError, AttributeError) as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    mails = _mails(spec["workload"], target.file)
    try:
        one.open()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    print("{}", flush=True)
    for order in sys.stdin:
        print(json.dumps(_obey(one, mails, int(order))), flush=True)
    one.close()


if __name__ == "__main__":
    _spec = json.loads(sys.argv[1])
    main(_spec, Target(**_spec.pop("target")))
