"""Batches: one connection, and what one message's failure does to the others."""

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core import mail

from mailbridge import SMTPAuthenticationError, SMTPConnectionRefused, SMTPRecipientsRefused, State
from mailbridge.testing import Inbox, ScriptedServer

from .conftest import Site, mails

Records = Callable[[], list[tuple[str, Any]]]


def test_a_batch_shares_a_connection(site: Site, server: ScriptedServer) -> None:
    """Three messages go over one connection, and so does the next batch: it stays."""
    assert site.backend().send_messages(mails("a@example.org", "b@example.org", "c@example.org")) == 3
    assert site.backend().send_messages(mails("d@example.org")) == 1
    assert [connection.messages for connection in server.connections] == [4]


@pytest.mark.parametrize("nothing", [[], (), None, iter(())])
def test_nothing_to_send(site: Site, server: ScriptedServer, nothing: Any) -> None:
    """An empty batch counts 0 and does not connect."""
    assert site.backend().send_messages(nothing) == 0
    assert server.connections == []


def test_any_iterable_will_do(site: Site, server: ScriptedServer) -> None:
    """A generator of messages is a batch too."""
    assert site.backend().send_messages(m for m in mails("a@example.org", "b@example.org")) == 2


def test_a_message_to_nobody(site: Site, server: ScriptedServer, records: Records) -> None:
    """It is passed over, as Django does: no count, no record, no connection, but a receipt of nothing."""
    nobody = mail.EmailMessage("Hello")
    assert site.backend().send_messages([nobody]) == 0
    assert (server.connections, records()) == ([], [])
    assert (dict(nobody.mailbridge_receipt.results), nobody.mailbridge_receipt.error) == ({}, None)

    assert site.backend().send_messages([nobody, *mails("a@example.org")]) == 1


def test_a_message_to_nobody_where_nobody_listens(site: Site) -> None:
    """It did not fail: there was nothing to send."""
    with Inbox() as gone:
        site.use(gone)
    batch = [*mails("a@example.org"), mail.EmailMessage("Hello")]
    assert site.backend(fail_silently=True).send_messages(batch) == 0
    assert batch[1].mailbridge_receipt.error is None


def test_a_refused_message_stops_nobody(site: Site, server: ScriptedServer) -> None:
    """The next message is sent on the same connection; the first error is raised, with all receipts."""
    server.refuse("bob@example.org")
    server.refuse("tom@example.org")
    batch = mails("a@example.org", "bob@example.org", "tom@example.org", "b@example.org")
    with pytest.raises(SMTPRecipientsRefused, match=r"bob@example\.org") as caught:
        site.backend().send_messages(batch)

    assert [m.recipients[0] for m in server.messages] == ["a@example.org", "b@example.org"]
    assert caught.value.receipts == tuple(m.mailbridge_receipt for m in batch)
    assert len(server.connections) == 1


def test_a_server_that_wants_a_pause(site: Site, server: ScriptedServer) -> None:
    """A 421 between two messages costs a new connection and no message."""
    server.say_421(after_messages=2)

    assert site.backend().send_messages(mails(*["a@example.org"] * 5)) == 5
    assert [connection.messages for connection in server.connections] == [2, 2, 1]


def test_a_connection_that_breaks_in_a_batch(site: Site, server: ScriptedServer) -> None:
    """The content on its way may be lost; the next message goes over a fresh connection."""
    server.withdraw("CHUNKING")
    server.cut_before("CONTENT", nth=2)
    batch = mails("a@example.org", "b@example.org", "c@example.org")

    assert site.backend(fail_silently=True).send_messages(batch) == 2
    states = [m.mailbridge_receipt.results[m.to[0]].state for m in batch]
    assert states == [State.ACCEPTED, State.UNKNOWN, State.ACCEPTED]


@pytest.mark.parametrize("fail_silently", [False, True])
def test_nobody_listens(
    site: Site, fail_silently: bool, heard: list[tuple[str, dict[str, Any]]], records: Records
) -> None:
    """One attempt for the whole batch; every message has its receipt, its signal and its record."""
    with Inbox() as gone:
        site.use(gone)
    batch = mails("a@example.org", "b@example.org,c@example.org")
    if fail_silently:
        assert site.backend(fail_silently=True).send_messages(batch) == 0
    else:
        with pytest.raises(SMTPConnectionRefused) as caught:
            site.backend().send_messages(batch)
        assert caught.value.receipts == tuple(m.mailbridge_receipt for m in batch)

    assert [len(m.mailbridge_receipt.not_sent) for m in batch] == [1, 2]
    assert all(r.temporary for r in batch[1].mailbridge_receipt.results.values())
    assert [name for name, _ in heard] == ["message_failed"] * 2
    assert [level for level, _ in records()] == ["ERROR"] * 2


def test_a_wrong_password_ends_the_batch(site: Site) -> None:
    """A login that fails is tried once, whatever the size of the batch."""
    with ScriptedServer(accounts={"ann": "secret"}) as server:
        site.use(server, username="ann", password="wrong")
        batch = mails("a@example.org", "b@example.org")
        with pytest.raises(SMTPAuthenticationError):
            site.backend().send_messages(batch)
        assert len(server.connections) == 1
    assert all(m.mailbridge_receipt.not_sent for m in batch)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C is heard, also where the tests run in the background of a shell, which tells its jobs to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_an_interruption_passes_on(
    site: Site, server: ScriptedServer, records: Records, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    """Ctrl-C in the middle of a send ends the batch; receipt, record and signal of each message say so."""

    main = threading.main_thread().ident or 0

    def press() -> None:
        server.wait_for(lambda: server.lines)
        signal.pthread_kill(main, signal.SIGINT)

    server.answer("EHLO", b"")
    batch = mails("a@example.org", "b@example.org")
    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        site.backend(fail_silently=True).send_messages(batch)
    finger.join()
    assert [level for level, _ in records()] == ["ERROR", "ERROR"]
    assert [(name, told["message"]) for name, told in heard] == [("message_failed", message) for message in batch]
    assert batch[0].mailbridge_receipt.not_sent
    assert batch[1].mailbridge_receipt.not_sent
