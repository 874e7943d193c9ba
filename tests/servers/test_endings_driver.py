"""Real servers that go away: by a time-out of theirs, and by a restart in the middle of a batch."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mailbridge import MailObject, SMTPConnectionRefused
from tests.servers.lab import Lab
from tests.servers.lab.faces import Face
from tests.servers.lab.machine import added, eventually

Letter = Callable[..., MailObject]


def test_a_time_out_of_the_server_costs_no_message(smtp: Lab, face: type[Face], token: str, letter: Letter) -> None:
    """It hangs up after a second without a word, with a 421 or without: the next send is on a fresh connection."""
    with face(smtp.server("idle")) as client:
        client.send(letter())
        eventually("the server hangs up", lambda: _gone(smtp.ports["idle"]))
        client.send(letter())

    assert len(smtp.arrived(token, 2)) == 2


def _gone(port: int) -> bool:
    """No established connection of ours to this port: what `ss` would show, read from /proc."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()][1:]
    # Column 2 is the remote address, column 3 the state; 01 is ESTABLISHED.
    return not any(row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def test_a_restart_in_the_middle_of_a_batch_costs_no_message(
    lab: Lab, face: type[Face], token: str, letter: Letter
) -> None:
    """Between two messages the server stops and starts: each message arrives, and none twice."""
    with face(lab.server()) as client:
        for number in range(10):
            if number == 5:
                lab.stop()
                lab.start()
            assert client.send(letter(body=b"%d\r\n" % number)).accepted

    stored = lab.arrived(token, 10)
    # What a server delivers twice by itself has one Received field; a second transaction has another.
    once = sorted(set(stored) if lab.queues else stored, key=lambda each: each.splitlines()[-1])
    assert len(once) == 10
    for number, each in enumerate(once):
        added(each, letter(body=b"%d\r\n" % number).content)


def test_while_the_server_is_down_nothing_is_claimed(lab: Lab, face: type[Face], letter: Letter) -> None:
    """A send to a server that is gone says not_sent, and the one after its return goes through."""
    with face(lab.server()) as client:
        client.send(letter())
        lab.stop()
        try:
            with pytest.raises(SMTPConnectionRefused) as caught:
                client.send(letter())
        finally:
            lab.start()
        receipt = client.send(letter())

    assert list(caught.value.receipt.not_sent) == ["bob@lab.test"]
    assert receipt.accepted
