"""The check at real servers: what goes well there is told so, and what does not has its sentence."""

import pytest

from mailbridge import Security, Timeouts
from mailbridge.check import diagnose
from tests.servers.lab import Lab
from tests.servers.lab.machine import PASSWORD, USER


@pytest.mark.parametrize("door", ["starttls", "tls"])
def test_a_message_over_each_door(smtp: Lab, door: str) -> None:
    """Every step goes well, a login among them where the server has one, and the message is accepted."""
    server = smtp.server(door, username=USER, password=PASSWORD)
    diagnosis = diagnose(server, to="bob@lab.test", sender="ann@lab.test")

    assert diagnosis.ok, "\n".join(diagnosis.lines())
    assert {"RESOLVE", "CONNECT", "GREETING", "TLS", "EHLO", "AUTH", "MAIL", "RCPT", "RSET", "SEND"} <= {
        str(step.name) for step in diagnosis.steps
    }
    assert diagnosis.receipt is not None
    assert diagnosis.receipt.accepted


def test_lmtp(dovecot: Lab) -> None:
    """Where there is no mailbox for postmaster, that is a warning."""
    assert diagnose(dovecot.server("starttls"), sender="ann@lab.test").ok


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.NONE])
def test_a_port_that_speaks_tls_at_once(smtp: Lab, security: Security) -> None:
    """None of them greets there: a second look finds TLS."""
    server = smtp.server("tls", security=security, timeouts=Timeouts(connect=2, reply=2, content=2, send=10))

    assert diagnose(server).findings[0].startswith(f"Port {server.port} speaks TLS at once; you set ")


def test_a_wrong_password(smtp: Lab) -> None:
    """The server's words, and what to check."""
    diagnosis = diagnose(smtp.server("starttls", username=USER, password="wrong", auth=("PLAIN",)))

    assert (diagnosis.ok, diagnosis.steps[-1].name) == (False, "AUTH")
    assert "Check user name" in diagnosis.steps[-1].finding
