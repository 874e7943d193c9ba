"""A Flask app under gunicorn, which forks its workers: none of them talks on a connection of somebody else."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import pytest

from mailbridge.testing import ScriptedServer
from tests.gunicorn import PATIENCE, serving

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


@pytest.mark.parametrize(("first", "parents"), [("pass", 1), ("shop.send()", 2)], ids=["before", "after"])
def test_forked(first: str, parents: int, tmp_path: Path, server: ScriptedServer) -> None:
    """Whether it had sent mail before or not: the parent keeps its connection, each worker has one of its own."""

    def get(page: str) -> bytes:
        with urlopen(url + page, timeout=PATIENCE) as answer:
            found: bytes = answer.read()
        return found

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "shop.py").write_text(SHOP.format(url=server.url, pipe=str(tmp_path / "pipe")))
    (tmp_path / "hooks.py").write_text(HOOKS.format(first=first))
    flags = ("-w2", "--preload", "-chooks.py")
    with serving(tmp_path, "shop:app", *flags) as url, ThreadPoolExecutor(2) as browsers:
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
