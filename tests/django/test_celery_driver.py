"""Celery's worker, which forks its children: each has connections of its own, and a soft time limit frees them."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailbridge.testing import ScriptedServer, Then

PATIENCE = 60.0  # seconds: Celery takes its time to start

SITE = """
import os
from pathlib import Path
from django.conf import settings

settings.configure(EMAIL_BACKEND="mailbridge_django.Backend", MAILBRIDGE={{"url": "{url}", "max_connections": 1}})

from celery import Celery, signals
from celery.exceptions import SoftTimeLimitExceeded
from django.core.mail import send_mail

folders = {{"data_folder_in": "{folder}", "data_folder_out": "{folder}", "control_folder": "{folder}/control"}}
app = Celery("site", broker="filesystem://")
app.conf.update(
    broker_transport_options=folders | {{"polling_interval": 0.02}},
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
)


def send(who):
    return send_mail("Hello", f"from {{os.getpid()}}", "ann@example.com", [f"{{who}}@example.org"])


@app.task
def task(who):
    send(who)


@app.task
def meeting(who, mode):
    # Nobody opens one end of a pipe alone, so two children are at work.
    open("{folder}/pipe", mode).close()
    send(who)


@app.task(soft_time_limit=1)
def hasty(who):
    try:
        send(who)
    except SoftTimeLimitExceeded:
        send("late")


@signals.worker_init.connect
def begin(**_):
    send("parent")
    {begin}


@signals.worker_shutdown.connect
def end(**_):
    send("parent")
"""


@contextmanager
def working(folder: Path, server: ScriptedServer, begin: str, children: int) -> Iterator[None]:
    """A worker that begins with these tasks; it ends well."""
    (folder / "control").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "site_of_test.py").write_text(SITE.format(url=server.url, folder=folder, begin=begin))
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR")
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "site_of_test", "worker", "--pool=prefork", f"-c{children}", *quiet],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with worker:
        try:
            yield
        finally:
            # What does not end as it should must not hold up the tests.
            kill = threading.Timer(PATIENCE, worker.kill)
            kill.start()
            worker.send_signal(signal.SIGTERM)
            said, _ = worker.communicate()
            kill.cancel()
    assert (worker.returncode, "Traceback" in said) == (0, False), said


def senders(server: ScriptedServer) -> list[set[bytes]]:
    """The processes that used each connection."""
    found: dict[int, set[bytes]] = {}
    for message in server.messages:
        found.setdefault(message.connection, set()).add(message.content.rpartition(b"from ")[2].strip())
    return [found[number] for number in sorted(found)]


def test_each_child_has_a_connection_of_its_own(tmp_path: Path, smtp_server: ScriptedServer) -> None:
    """Two children and their parent share none, and each keeps its own from task to task."""
    begin = "meeting.delay('a', 'rb'), meeting.delay('b', 'wb'), [task.delay(n) for n in range(10)]"
    with working(tmp_path, smtp_server, begin, children=2):
        smtp_server.wait_for(lambda: len(smtp_server.messages) == 13, PATIENCE)

    assert [len(processes) for processes in senders(smtp_server)] == [1, 1, 1]
    assert len(set.union(*senders(smtp_server))) == 3
    first, *others = smtp_server.connections
    # The parent sent once before it forked, and once at the very end.
    assert (first.messages, sum(other.messages for other in others)) == (2, 12)
    assert {message.recipients for message in smtp_server.messages if message.connection == 1} == {
        ("parent@example.org",)
    }


def test_a_soft_time_limit(tmp_path: Path, smtp_server: ScriptedServer) -> None:
    """It closes the connection whose answer did not come, and the only place is free for the next message."""
    smtp_server.answer("RCPT", b"", nth=2, times=1, then=Then.SILENCE)
    with working(tmp_path, smtp_server, "hasty.delay('slow'), task.delay('next')", children=1):
        smtp_server.wait_for(lambda: len(smtp_server.messages) == 3, PATIENCE)
        smtp_server.wait_for(lambda: smtp_server.connections[1].ended, PATIENCE)

    assert [(message.connection, message.recipients[0]) for message in smtp_server.messages] == [
        (1, "parent@example.org"),
        (3, "late@example.org"),
        (3, "next@example.org"),
        (1, "parent@example.org"),
    ]
