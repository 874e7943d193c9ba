"""A Flask app under gunicorn, which forks its workers: none of them talks on a connection of somebody else."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from mailbridge.testing import ScriptedServer

PATIENCE = 20.0  # seconds

SHOP = """
import os
from flask import Flask
from mailbridge_flask import Mail, Message

app = Flask("shop")
app.config.update(MAIL_URL={url!r}, MAIL_DEFAULT_SENDER="shop@example.com", MAIL_MAX_CONNECTIONS=1)
mail = Mail(app)

def send():
    with app.app_context():
        mail.send(Message("Hello", ["ann@example.org"], f"from {{os.getpid()}}"))
    return str(os.getpid())

app.get("/")(send)

@app.get("/<mode>")
def meeting(mode):
    # Nobody opens one end of a pipe alone, so two workers are at work.
    open({pipe!r}, mode).close()
    return send()
"""
HOOKS = """
import shop

def when_ready(server):
    {first}

def on_exit(server):
    shop.send()
"""


@contextmanager
def serving(folder: Path, server: ScriptedServer, first: str) -> Iterator[str]:
    """Gunicorn with two workers, forked from a process that has the app already; it ends well."""
    os.mkfifo(folder / "pipe")
    (folder / "shop.py").write_text(SHOP.format(url=server.url, pipe=str(folder / "pipe")))
    (folder / "hooks.py").write_text(HOOKS.format(first=first))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bind = f"--bind=fd://{listener.fileno()}"
        master = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "shop:app", bind, "-w2", "--preload", "-chooks.py", "--log-level=error"],
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


@pytest.mark.parametrize(("first", "parents"), [("pass", 1), ("shop.send()", 2)], ids=["before", "after"])
def test_forked(first: str, parents: int, tmp_path: Path, server: ScriptedServer) -> None:
    """Whether it had sent mail before or not: the parent keeps its connection, each worker has one of its own."""

    def get(page: str) -> bytes:
        with urlopen(url + page, timeout=PATIENCE) as answer:
            found: bytes = answer.read()
        return found

    with serving(tmp_path, server, first) as url, ThreadPoolExecutor(2) as browsers:
        workers = set(browsers.map(get, ["rb", "wb"]))
        workers |= {get("") for _ in range(8)}
        assert len(workers) == 2

    senders: dict[int, list[bytes]] = {}
    for message in server.messages:
        senders.setdefault(message.connection, []).append(message.content.rpartition(b"from ")[2].strip())
    assert all(len(set(processes)) == 1 for processes in senders.values())
    assert {processes[0] for processes in senders.values() if processes[0] in workers} == workers
    [parent] = [processes for processes in senders.values() if processes[0] not in workers]
    assert (len(senders), len(parent), len(server.messages)) == (3, parents, 10 + parents)
