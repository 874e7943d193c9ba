"""Batches in flight: their order, what is rendered ahead of them, and what is known of each message in the end."""

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core import mail

from mailbridge import SMTPConnectionRefused, SMTPRecipientsRefused, State
from mailbridge.testing import Inbox, ScriptedServer

from .conftest import Site, mails

Records = Callable[[], list[tuple[str, Any]]]


class Busy(mail.EmailMessage):
    """A message that does something when it is rendered."""

    def message(self, **options: Any) -> Any:
        self.when_rendered()
        return super().message(**options)

    def when_rendered(self) -> None:
        raise NotImplementedError


def busy(task: Any, *recipients: str) -> list[mail.EmailMessage]:
    batch = [Busy("Hello", "Text", "ann@example.com", [recipient]) for recipient in recipients]
    for message in batch:
        message.when_rendered = task
    return list(batch)


def numbered(count: int) -> list[str]:
    return [f"{number}@example.org" for number in range(count)]


def arrived(server: ScriptedServer) -> list[str]:
    return [recipient for message in server.messages for recipient in message.recipients]


def states(batch: list[mail.EmailMessage]) -> list[State]:
    return [result.state for m in batch for result in m.mailbridge_receipt.results.values()]


def test_several_are_in_flight(site: Site, server: ScriptedServer) -> None:
    """The second message leaves while the server is still silent about the first."""
    server.answer("CONTENT", b"", times=1)
    seen: list[int] = []

    def senders() -> int:
        return sum(line.startswith(b"MAIL") for line in server.lines)

    def end() -> None:
        try:
            server.wait_for(lambda: senders() == 2)
        finally:
            seen.append(senders())
            server.hang_up()

    patient = threading.Thread(target=end)
    patient.start()
    site.backend(fail_silently=True).send_messages(mails("a@example.org", "b@example.org"))
    patient.join()
    assert seen == [2]


def test_the_order_of_a_long_batch(site: Site, server: ScriptedServer) -> None:
    """Messages arrive in their order, and each has its own receipt, however many there are."""
    site.use(server, max_connections=1, max_messages=1000)
    batch = mails(*numbered(150))
    assert site.backend().send_messages(batch) == 150
    assert arrived(server) == numbered(150)
    assert [list(m.mailbridge_receipt.accepted) for m in batch] == [[one] for one in numbered(150)]
    assert len(server.connections) == 1


def test_a_batch_over_two_connections(site: Site, server: ScriptedServer) -> None:
    """Nobody gets anything twice, and no more connections are made than there may be."""
    site.use(server, max_connections=2, max_messages=1000)
    assert site.backend().send_messages(mails(*numbered(150))) == 150
    assert sorted(arrived(server)) == sorted(numbered(150))
    assert len(server.connections) <= 2


def test_one_that_cannot_be_rendered(site: Site, server: ScriptedServer) -> None:
    """It keeps its place among the receipts, its error is raised, and the others are sent."""

    def fail() -> None:
        raise ZeroDivisionError

    batch = [*mails("a@example.org"), *busy(fail, "b@example.org"), *mails("c@example.org")]
    with pytest.raises(ZeroDivisionError) as caught:
        site.backend().send_messages(batch)
    assert caught.value.receipts == tuple(m.mailbridge_receipt for m in batch)  # type: ignore[attr-defined]  # ours
    assert states(batch) == [State.ACCEPTED, State.NOT_SENT, State.ACCEPTED]
    assert arrived(server) == ["a@example.org", "c@example.org"]


def test_rendering_sends_mail(site: Site, server: ScriptedServer) -> None:
    """With one connection for all, messages whose own code sends mail do not wait for the batch that they are in."""
    site.use(server, max_connections=1, claim_timeout=5)
    batch = busy(lambda: site.backend().send_messages(mails("inner@example.org")), *numbered(3))
    assert site.backend().send_messages(batch) == 3
    assert sorted(arrived(server)) == [*numbered(3), *["inner@example.org"] * 3]


def test_large_messages_are_not_gathered(site: Site, server: ScriptedServer) -> None:
    """One is gone before the next one is rendered: the batch never stands in memory as a whole."""
    gone: list[int] = []
    batch = busy(lambda: gone.append(len(server.messages)), *numbered(3))
    for message in batch:
        message.body = "A line of many\n" * 300_000
    assert site.backend().send_messages(batch) == 3
    assert gone == [0, 1, 2]


def test_nobody_listens_to_a_long_batch(site: Site) -> None:
    """Not even rendering goes on, once it is known that nothing can be sent; the first error is raised."""
    with Inbox() as gone:
        site.use(gone)
    rendered: list[None] = []
    batch = busy(lambda: rendered.append(None), *numbered(150))
    with pytest.raises(SMTPConnectionRefused) as caught:
        site.backend().send_messages(batch)
    assert len(rendered) < 150
    assert states(batch) == [State.NOT_SENT] * 150
    assert caught.value.receipt is batch[0].mailbridge_receipt


def test_a_partial_refusal_raises(site: Site, server: ScriptedServer) -> None:
    """With `on_partial="raise"` it is the error of its message, as for a message on its own."""
    site.use(server, on_partial="raise")
    server.refuse("bob@example.org")
    batch = mails("a@example.org", "bob@example.org,eve@example.org", "c@example.org")
    with pytest.raises(SMTPRecipientsRefused, match=r"bob@example\.org \(550") as caught:
        site.backend().send_messages(batch)
    assert caught.value.receipt is batch[1].mailbridge_receipt
    assert caught.value.receipts == tuple(m.mailbridge_receipt for m in batch)
    assert arrived(server) == ["a@example.org", "eve@example.org", "c@example.org"]


def test_all_or_nothing(site: Site, server: ScriptedServer) -> None:
    """With `on_partial="abort"` it holds for each message of a batch."""
    site.use(server, on_partial="abort")
    server.refuse("bob@example.org")
    batch = mails("a@example.org", "bob@example.org,eve@example.org", "c@example.org")
    assert site.backend(fail_silently=True).send_messages(batch) == 2
    assert arrived(server) == ["a@example.org", "c@example.org"]


class SoftTimeLimit(BaseException):
    """As Celery's, raised by a handler of SIGUSR1."""


@pytest.fixture
def soft_time_limit() -> Iterator[None]:
    def limit(*_: object) -> None:
        raise SoftTimeLimit

    before = signal.signal(signal.SIGUSR1, limit)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("soft_time_limit")
def test_an_interrupted_flight(
    site: Site, server: ScriptedServer, records: Records, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    """What had arrived, what may have arrived and what had not left: each has receipt, record and signal."""
    server.refuse("gone@example.org")
    server.withdraw("CHUNKING")
    server.withdraw("PIPELINING")
    server.answer("CONTENT", b"", nth=2)
    main = threading.main_thread().ident or 0

    def end() -> None:
        server.wait_for(lambda: len(server.messages) == 2)
        signal.pthread_kill(main, signal.SIGUSR1)

    limit = threading.Thread(target=end)
    limit.start()
    first, *rest = numbered(3)
    batch = mails(f"{first},gone@example.org", *rest)
    with pytest.raises(SoftTimeLimit):
        site.backend(fail_silently=True).send_messages(batch)
    limit.join()
    assert states(batch) == [State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.NOT_SENT]
    assert [level for level, _ in records()] == ["WARNING", "ERROR", "ERROR"]
    assert [name for name, _ in heard] == ["message_sent", "recipients_refused", "outcome_unknown", "message_failed"]
