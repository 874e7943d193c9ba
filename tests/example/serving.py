"""The demo as `make demo SERVE=1` leaves it running."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "example_project.demo"]


@contextmanager
def served() -> Iterator[str]:
    """The address of the site that `SERVE=1` leaves running."""
    environment = {**os.environ, "SERVE": "1"}
    process = subprocess.Popen(
        DEMO, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            found = (re.search(r"http://127\.0\.0\.1:\d+/", line) for line in process.stdout)
            yield next(filter(None, found))[0]
        finally:
            process.terminate()
            status = process.wait(10)
    assert status == 0
