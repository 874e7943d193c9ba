"""Django under gevent: greenlets share the connections of their process, and nothing waits for ever."""

import os
import subprocess
import sys
import textwrap

import pytest

from mailbridge.testing import ScriptedServer, Then

PATIENCE = 20.0  # seconds

FIRST = """
from gevent import monkey
monkey.patch_all()
import logging, sys
import gevent
from django.conf import settings
MAILBRIDGE = {"url": sys.argv[1], "max_connections": 2, "max_messages": 1000}
settings.configure(EMAIL_BACKEND="mailbridge_django.Backend", MAILBRIDGE=MAILBRIDGE)
logging.disable()
from django.core import mail
from django.core.mail import send_mail
from mailbridge_django.signals import message_sent

def send(who):
    return send_mail("Hello", "Text", "ann@example.com", [f"{who}@example.org"])
"""


@pytest.fixture(autouse=True)
def gevent() -> None:
    pytest.importorskip("gevent", reason="gevent is not installed")


def run(program: str, server: ScriptedServer) -> str:
    """Run a program behind the lines above, in a process of its own; give what it says."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FIRST + textwrap.dedent(program), server.url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_many_greenlets(smtp_server: ScriptedServer) -> None:
    """A hundred of them send at once; there are never more than `max_connections`, and each message arrives once."""
    said = run(
        f"""
        jobs = [gevent.spawn(send, number) for number in range(100)]
        gevent.joinall(jobs, timeout={PATIENCE}, raise_error=True)
        print(sum(job.value for job in jobs))
        """,
        smtp_server,
    )
    assert said == "100"
    assert len({message.recipients for message in smtp_server.messages}) == len(smtp_server.messages) == 100
    assert len(smtp_server.connections) == 2


def test_a_receiver_that_sends(smtp_server: ScriptedServer) -> None:
    """Greenlets whose receivers send mail, with fewer connections than greenlets, do not wait for each other."""
    said = run(
        f"""
        def echo(message, **_):
            if not message.to[0].startswith("copy"):
                send("copy-" + message.to[0].partition("@")[0])

        message_sent.connect(echo)
        jobs = [gevent.spawn(send, number) for number in range(20)]
        gevent.joinall(jobs, timeout={PATIENCE}, raise_error=True)
        print(sum(job.ready() for job in jobs))
        """,
        smtp_server,
    )
    assert (said, len(smtp_server.messages)) == ("20", 40)
    assert len(smtp_server.connections) == 2


def test_batches_side_by_side(smtp_server: ScriptedServer) -> None:
    """Whole batches share the connections, too."""
    run(
        f"""
        def batch(number):
            messages = [mail.EmailMessage("Hello", "Text", "ann@example.com", [f"{{number}}-{{n}}@example.org"])
                        for n in range(20)]
            assert mail.get_connection().send_messages(messages) == 20

        gevent.joinall([gevent.spawn(batch, number) for number in range(8)], timeout={PATIENCE}, raise_error=True)
        """,
        smtp_server,
    )
    assert len({message.recipients for message in smtp_server.messages}) == len(smtp_server.messages) == 160
    assert len(smtp_server.connections) == 2


def test_a_greenlet_that_is_given_up(smtp_server: ScriptedServer) -> None:
    """`gevent.Timeout` passes at once, and the place of its connection is free for the others."""
    smtp_server.answer("RCPT", b"", times=2, then=Then.SILENCE)
    said = run(
        f"""
        def hasty(number):
            try:
                with gevent.Timeout(0.3):
                    send(number)
            except gevent.Timeout:
                return send("again")

        jobs = [gevent.spawn(hasty, number) for number in range(2)]
        gevent.joinall(jobs, timeout={PATIENCE}, raise_error=True)
        print([job.value for job in jobs])
        """,
        smtp_server,
    )
    assert said == "[1, 1]"
    assert [message.recipients for message in smtp_server.messages] == [("again@example.org",)] * 2
