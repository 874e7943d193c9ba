"""Real servers that go away: by a time-out of theirs, and by a restart in the middle of a batch."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailbridge import MailObject, Receipt, RecipientResult, SMTPConnectionRefused, State
from tests.servers.lab import Lab
from tests.servers.lab.faces import Face, Pooled
from tests.servers.lab.machine import added, eventually

Letter = Callable[..., MailObject]


def test_a_time_out_of_the_server_costs_no_message(smtp: Lab, face: type[Face], token: str, letter: Letter) -> None:
    """It hangs up after a second without a word, with a 421 or without: the next send is on a fresh connection."""
    if "idle" not in smtp.doors:
        pytest.skip("Dovecot's time-out for a session is ten minutes, and no setting")
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


def test_a_restart_between_two_messages_costs_none(lab: Lab, face: type[Face], token: str, letter: Letter) -> None:
    """Between two messages the server stops and starts: each message arrives, and none twice."""
    with face(lab.server()) as client:
        for number in range(10):
            if number == 5:
                lab.stop()
                lab.start()
            assert client.send(letter(body=b"%d\r\n" % number)).accepted

    lab.settle()
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


def test_a_time_out_of_the_server_costs_a_pool_no_message(
    smtp: Lab, pooled: type[Pooled], token: str, letter: Letter
) -> None:
    """Several idle connections end at once; what comes next goes over fresh ones, alone and as a batch."""
    if "idle" not in smtp.doors:
        pytest.skip("Dovecot's time-out for a session is ten minutes, and no setting")
    with pooled(smtp.server("idle")) as pool:
        receipts = pool.send_at_once([letter() for _ in range(8)])
        eventually("the server hangs up", lambda: _gone(smtp.ports["idle"]))
        receipts += [pool.send(letter())]
        eventually("the server hangs up", lambda: _gone(smtp.ports["idle"]))
        receipts += pool.send_many([letter() for _ in range(4)])

    assert all(receipt.complete for receipt in receipts)
    assert len(smtp.arrived(token, 13)) == 13


def test_a_restart_in_the_middle_of_a_flight(lab: Lab, pooled: type[Pooled], token: str, letter: Letter) -> None:
    """The server ends while messages of a batch are unanswered, and is back at once: the batch goes on behind it."""
    messages = [letter(body=b"%d\r\n" % number) for number in range(60)]

    def pulled() -> Iterator[MailObject]:
        for number, message in enumerate(messages):
            if number == 30:
                lab.stop()
                lab.start()
            yield message

    with pooled(lab.server(), 2) as pool:
        receipts = pool.send_many(pulled())

    assert sum(bool(receipt.accepted) for receipt in receipts[-16:]) == 16
    agree(lab, token, messages, receipts)


def test_a_restart_under_many_senders(lab: Lab, pooled: type[Pooled], token: str, letter: Letter) -> None:
    """Threads and tasks that send all the while: each receipt is true, and the pool goes on behind it."""
    messages = [letter(body=b"%d\r\n" % number) for number in range(120)]
    with pooled(lab.server()) as pool, ThreadPoolExecutor(1) as other:
        restarted = None
        receipts: list[Receipt] = []
        for start in range(0, len(messages), 20):
            if start == 40:
                restarted = other.submit(lambda: (lab.stop(), lab.start()))
            receipts += pool.outcomes_at_once(messages[start : start + 20])
            if start == 40 and restarted:
                restarted.result()

    assert all(receipt.complete for receipt in receipts[-40:])
    agree(lab, token, messages, receipts)


def agree(lab: Lab, token: str, messages: list[MailObject], receipts: list[Receipt]) -> None:
    """What is accepted arrived once as it was sent, what is unknown once or not at all, and all else never."""
    lab.settle()
    accepted = sum(bool(receipt.accepted) for receipt in receipts)
    stored = lab.arrived(token, accepted) if accepted else []
    if lab.queues:
        # What a server delivers twice by itself has one Received field; a second transaction has another.
        stored = sorted(set(stored))
    for message, receipt in zip(messages, receipts, strict=True):
        copies = [each for each in stored if each.endswith(message.content)]
        [result] = receipt.results.values()
        most = 1 if result.state in {State.ACCEPTED, State.UNKNOWN} or _dovecot_says_so(lab, result) else 0
        least = 1 if result.state is State.ACCEPTED else 0
        assert least <= len(copies) <= most, (result, copies)
        for each in copies:
            added(each, message.content)


def _dovecot_says_so(lab: Lab, result: RecipientResult) -> bool:
    """Where it shuts down it answers 421 to content that its relay has: RFC 5321 section 4.2.1 makes that a refusal."""
    return lab.name == "submission" and result.code == 421 and "Shutting down" in result.text
