"""Gunicorn with an app of a test's own, at a socket that listens before it starts."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 20.0  # seconds


@contextmanager
def serving(folder: Path, app: str, *flags: str) -> Iterator[str]:
    """Serve an app whose module lies in a folder, as long as the block lasts; it ends well, and says nothing.

    Args:
        folder: Where the module lies, and where it runs.
        app: The module and the app in it, such as "shop:app".
        *flags: Further arguments of gunicorn's.

    Yields:
        Its address, with a slash at the end.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bind = f"--bind=fd://{listener.fileno()}"
        master = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "gunicorn", app, bind, "--log-level=error", *flags],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])},
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with master:
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
            finally:
                # What does not end as it should must not hold up the tests.
                kill = threading.Timer(PATIENCE, master.kill)
                kill.start()
                master.terminate()
                said, _ = master.communicate()
                kill.cancel()
    assert (master.returncode, said) == (0, "")
