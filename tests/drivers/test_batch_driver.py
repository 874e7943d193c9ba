"""Batches over real sockets: order, what is pulled, several connections, and every way in which one can end."""

import gc
import io
import logging
import threading
import warnings
import weakref
from collections.abc import Iterator

import pytest

from mailbridge import MailObject, Pool, Receipt, SMTPException, SMTPInputError, State
from mailbridge.testing import ScriptedServer, Then
from tests.drivers.helpers import QUICK, pool_to, server_of

CHUNKING = ("PIPELINING", "CHUNKING")
# With each driver.
BOTH = pytest.mark.usefixtures("driver")
ALL = pytest.mark.parametrize("extensions", [(), ("PIPELINING",), CHUNKING])


def mail(number: int, *names: str) -> MailObject:
    head = f"Message-ID: <{number}@x>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\nSubject: {number}\r\n\r\n"
    return MailObject(head.encode() + b"hello\r\n", "ann@example.com", names or ["bob@example.org"])


def mails(count: int) -> Iterator[MailObject]:
    return (mail(number) for number in range(count))


def pool_of(server: ScriptedServer, connections: int = 1, messages: int = 10_000, **options: object) -> Pool:
    return pool_to(server_of(server, **options), max_connections=connections, max_messages=messages)


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mailbridge")


def arrived(server: ScriptedServer) -> list[int]:
    """The subjects of what the server has, in its order."""
    return [int(m.content.split(b"Subject: ")[1].split(b"\r\n")[0]) for m in server.messages]


def ids(receipts: list[Receipt]) -> list[str | None]:
    return [receipt.message_id for receipt in receipts]


@ALL
@pytest.mark.parametrize("connections", [1, 3])
@BOTH
def test_every_message_once_and_in_order(extensions: tuple[str, ...], connections: int) -> None:
    """Receipts come in the order of the messages, however many connections carry them."""
    with ScriptedServer(extensions=extensions) as server, pool_of(server, connections) as pool:
        receipts = list(pool.send_many(mails(120)))
        assert ids(receipts) == [f"<{number}@x>" for number in range(120)]
        assert all(receipt.complete for receipt in receipts)
        assert sorted(arrived(server)) == list(range(120))
        # A busy server is through before there is work for a third one.
        assert min(connections, 2) <= len(server.connections) <= connections


@ALL
@BOTH
def test_each_has_a_fate_of_its_own(extensions: tuple[str, ...]) -> None:
    """Refusals in the middle of a batch are those messages' alone."""
    with ScriptedServer(extensions=extensions) as server, pool_of(server) as pool:
        server.refuse("gone@example.org")
        server.defer("full@example.org")
        batch = [mail(1), mail(2, "gone@example.org"), mail(3, "bob@example.org", "full@example.org"), mail(4)]
        receipts = list(pool.send_many(batch))
        assert [[str(r.state) for r in receipt.results.values()] for receipt in receipts] == [
            ["accepted"],
            ["rejected"],
            ["accepted", "deferred"],
            ["accepted"],
        ]
        assert [receipt.error is None for receipt in receipts] == [True, False, True, True]
        assert arrived(server) == [1, 3, 4]


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@BOTH
def test_over_tls(tls: str) -> None:
    """Records of TLS hold parts of many replies; nothing is waited for that is there already."""
    with ScriptedServer(tls=tls, extensions=CHUNKING) as server, pool_of(server, 2) as pool:  # type: ignore[arg-type]  # one of two
        assert all(receipt.complete for receipt in pool.send_many(mails(60)))
        assert sorted(arrived(server)) == list(range(60))


@BOTH
def test_a_message_that_cannot_be_sent(caplog: pytest.LogCaptureFixture) -> None:
    """Its receipt stands where it belongs, says why, and is logged like any other."""
    with ScriptedServer() as server, pool_of(server) as pool:
        bad = MailObject(b"x", "ann@example.com", ["no address"])
        receipts = list(pool.send_many([mail(1), bad, mail(2)]))
        assert isinstance(receipts[1].error, SMTPInputError)
        assert list(receipts[1].not_sent) == ["no address"]
        assert arrived(server) == [1, 2]
    assert [r.levelname for r in caplog.records if r.levelno > logging.DEBUG] == ["INFO", "ERROR", "INFO"]


@BOTH
def test_no_more_is_pulled_than_is_needed() -> None:
    """A generator of millions is never run ahead of by more than a bounded number."""
    pulled = 0

    def source() -> Iterator[MailObject]:
        nonlocal pulled
        for pulled in range(10_000):
            yield mail(pulled)

    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server) as pool, pool.send_many(source()) as batch:
        for _ in range(5):
            next(batch)
        assert pulled < 80


class Letter(io.BytesIO):
    """Content that can be watched."""


@BOTH
def test_the_memory_of_a_batch_does_not_grow() -> None:
    """What is pulled and not handed out is bounded, and what was handed out is forgotten."""
    living: weakref.WeakSet[Letter] = weakref.WeakSet()

    def source() -> Iterator[MailObject]:
        for number in range(500):
            letter = Letter(b"Subject: %d\r\n\r\nhello\r\n" % number)
            living.add(letter)
            yield MailObject(letter, "ann@example.com", ["bob@example.org"])

    most = 0
    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server) as pool:
        for receipt in pool.send_many(source()):
            assert receipt.complete
            most = max(most, len(living))
    assert 10 < most < 80


@pytest.mark.parametrize("how", [Then.CLOSE, Then.RESET])
@ALL
@BOTH
def test_cut_in_the_middle(extensions: tuple[str, ...], how: Then) -> None:
    """What the server has is called accepted or unknown, and nothing is there twice; the rest goes on."""
    with ScriptedServer(extensions=extensions) as server, pool_of(server) as pool:
        server.cut_before("CONTENT", how, nth=20)
        receipts = list(pool.send_many(mails(60)))
        states = [receipt.results["bob@example.org"].state for receipt in receipts]
        got = arrived(server)
        assert len(got) == len(set(got))
        assert {number for number, state in enumerate(states) if state is State.ACCEPTED} <= set(got)
        assert all(states[number] in {State.ACCEPTED, State.UNKNOWN} for number in got)
        assert State.UNKNOWN in states
        assert states[-1] is State.ACCEPTED


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
@BOTH
def test_421_in_the_middle(extensions: tuple[str, ...]) -> None:
    """So many messages for each connection: all arrive, once."""
    with ScriptedServer(extensions=extensions) as server, pool_of(server) as pool:
        server.say_421(after_messages=10)
        assert all(receipt.complete for receipt in pool.send_many(mails(40)))
        assert arrived(server) == list(range(40))


@pytest.mark.parametrize(("then", "states"), [(Then.CLOSE, {"accepted"}), (Then.RESET, {"accepted", "unknown"})])
@BOTH
def test_421_inside_a_window(then: Then, states: set[str]) -> None:
    """Behind a clean end all goes on over a fresh connection; after a reset nobody can know."""
    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server) as pool:
        server.say_421(after_messages=10, then=then)
        receipts = list(pool.send_many(mails(40)))
        assert {str(receipt.results["bob@example.org"].state) for receipt in receipts} == states
        assert len(set(arrived(server))) == len(arrived(server)) == sum(bool(r.accepted) for r in receipts)


@BOTH
def test_rotation() -> None:
    """After max_messages a connection is replaced, without a word."""
    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server, messages=10) as pool:
        assert all(receipt.complete for receipt in pool.send_many(mails(35)))
        assert [len([m for m in server.messages if m.connection == n]) for n in (1, 2, 3, 4)] == [10, 10, 10, 5]


@BOTH
def test_a_silent_server() -> None:
    """The deadline of one reply ends what is under way; the next message is tried."""
    with ScriptedServer() as server, pool_of(server, timeouts=QUICK) as pool:
        server.answer("MAIL", b"", times=1)
        receipts = list(pool.send_many(mails(2)))
        assert [r.results["bob@example.org"].state for r in receipts] == [State.NOT_SENT, State.ACCEPTED]


@BOTH
def test_no_server() -> None:
    """A failure to connect ends the batch: each message has a receipt that says so, and one attempt was made."""
    with ScriptedServer() as gone:
        server = server_of(gone)

    with pool_to(server) as pool:
        receipts = list(pool.send_many(mails(3)))
    assert [list(receipt.not_sent) for receipt in receipts] == [["bob@example.org"]] * 3
    assert all("nobody listens" in str(receipt.error) for receipt in receipts)


def test_close_reads_what_is_outstanding(caplog: pytest.LogCaptureFixture) -> None:
    """After `break` nothing is pulled any more, and each receipt that was not handed out is logged."""
    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server) as pool:
        for receipt in pool.send_many(mails(100)):
            assert receipt.complete
            break
        records = [r for r in caplog.records if r.levelname == "INFO"]
        assert len(records) == len(server.messages) < 100
        assert pool.stats().idle == 1


def test_never_iterated(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing was sent, and it says so twice: for the developer and for the log."""
    with ScriptedServer() as server, pool_of(server) as pool:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pool.send_many(mails(1))
            gc.collect()
        assert [w.category for w in caught] == [ResourceWarning]
        assert not server.messages
    assert "never iterated" in caplog.text


@BOTH
def test_a_source_that_fails() -> None:
    """What it gave before goes out and is told; then its error comes out."""

    def source() -> Iterator[MailObject]:
        yield from mails(3)
        raise ZeroDivisionError

    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server) as pool:
        batch, receipts = pool.send_many(source()), []
        with pytest.raises(ZeroDivisionError):
            receipts.extend(iter(batch))
        assert arrived(server) == [0, 1, 2]


class SoftLimit(BaseException):
    """What Celery or gevent would raise."""


@BOTH
def test_an_interruption(caplog: pytest.LogCaptureFixture) -> None:
    """A soft limit in the caller's generator: connections closed, the lease freed, each message's receipt logged."""

    def source() -> Iterator[MailObject]:
        yield from mails(3)
        raise SoftLimit

    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server) as pool:
        with pytest.raises(SoftLimit):
            list(pool.send_many(source()))
        assert pool.stats().open == pool.stats().idle
        assert len([r for r in caplog.records if r.levelno > logging.DEBUG]) == 3
        assert pool.send(mail(9)).complete


@BOTH
def test_what_an_interruption_left() -> None:
    """Whoever writes a log of their own finds the receipts that were not handed out, in order."""

    def source() -> Iterator[MailObject]:
        yield from mails(3)
        raise SoftLimit

    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server) as pool:
        batch = pool.send_many(source())
        with pytest.raises(SoftLimit):
            next(batch)
        assert ids(list(batch.left)) == ["<0@x>", "<1@x>", "<2@x>"]


@BOTH
def test_what_close_left() -> None:
    """After `close` these are the receipts of what was under way; a batch that is done left none."""
    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server) as pool:
        with pool.send_many(mails(3)) as batch:
            assert next(batch).message_id == "<0@x>"
            assert batch.left == ()
        assert ids(list(batch.left)) == ["<1@x>", "<2@x>"]

        with pool.send_many(mails(3)) as batch:
            assert len(list(batch)) == 3
        assert batch.left == ()


@BOTH
def test_progress(caplog: pytest.LogCaptureFixture) -> None:
    """It is told of each message in order; its own failure changes nothing."""
    seen: list[int] = []

    def progress(count: int, receipt: Receipt) -> None:
        seen.append(count)
        raise ZeroDivisionError

    with ScriptedServer() as server, pool_of(server) as pool:
        assert len(list(pool.send_many(mails(3), progress=progress))) == 3
    assert seen == [1, 2, 3]
    assert "ZeroDivisionError" in caplog.text


@BOTH
def test_abort_is_for_each_message() -> None:
    """All or nothing: one refused recipient gives that message up, and no other."""
    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server) as pool:
        server.refuse("gone@example.org")
        batch = [mail(1), mail(2, "bob@example.org", "gone@example.org"), mail(3)]
        receipts = list(pool.send_many(batch, on_partial="abort"))
        assert [bool(receipt.accepted) for receipt in receipts] == [True, False, True]
        with pytest.raises(SMTPInputError, match="raises for no message"):
            pool.send_many([], on_partial="raise")


def test_a_batch_gives_way() -> None:
    """Who waits for the only connection gets it before the batch goes on: nobody waits for its end."""

    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server) as pool:
        outcome: list[Receipt | SMTPException] = []
        other = threading.Thread(target=lambda: outcome.append(pool.send(mail(1000))))

        def source() -> Iterator[MailObject]:
            yield from mails(50)
            other.start()
            while not pool.stats().waiting:
                pass
            yield from (mail(50 + number) for number in range(50))

        assert all(receipt.complete for receipt in pool.send_many(source()))
        other.join(5)
        assert [receipt.complete for receipt in outcome if isinstance(receipt, Receipt)] == [True]
        assert 0 < arrived(server).index(1000) < 100


@pytest.mark.parametrize("connections", [1, 3])
def test_sending_between_two_receipts(connections: int) -> None:
    """The loop's body sends by the same pool: the batch makes room, nobody waits for himself."""
    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server, connections) as pool:
        for number, receipt in enumerate(pool.send_many(mails(60))):
            assert receipt.complete
            if number % 20 == 0:
                assert pool.send(mail(1000 + number)).complete
        assert sorted(arrived(server)) == [*range(60), 1000, 1020, 1040]


def test_a_batch_inside_a_batch() -> None:
    """One connection serves both, and each has its messages in order."""
    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server) as pool:
        for receipt in pool.send_many(mails(3)):
            inner = pool.send_many(mail(100 + number) for number in range(3))
            assert [receipt.complete, *(each.complete for each in inner)] == [True] * 4
        assert len(arrived(server)) == 12


@BOTH
def test_a_further_connection_that_is_refused() -> None:
    """One connection goes on with all of it, and no more than one further one is asked for."""
    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server, 3) as pool:
        assert pool.send(mail(1000)).complete
        server.answer("GREETING", b"421 4.7.0 too many connections\r\n", then=Then.CLOSE)
        assert all(receipt.complete for receipt in pool.send_many(mails(200)))
        assert len(server.connections) == 2


@BOTH
def test_the_only_connection_is_turned_away_first() -> None:
    """The batch waits for its next turn, and goes out whole."""
    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server, 3) as pool:
        server.answer("GREETING", b"421 4.7.0 too many connections\r\n", times=1, then=Then.CLOSE)
        assert all(receipt.complete for receipt in pool.send_many(mails(3)))
        assert arrived(server) == [0, 1, 2]


@BOTH
def test_a_file_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """Its error stands in its receipt and in the log; the messages beside it go out."""
    closed = io.BytesIO(b"x")
    closed.close()
    with ScriptedServer(extensions=CHUNKING) as server, pool_of(server) as pool:
        bad = MailObject(closed, "ann@example.com", ["bob@example.org"])
        receipts = list(pool.send_many([mail(1), bad, mail(2)]))
        assert isinstance(receipts[1].error, ValueError)
        assert list(receipts[1].not_sent) == ["bob@example.org"]
        assert arrived(server) == [1, 2]
    assert [r.levelname for r in caplog.records if r.levelno > logging.DEBUG] == ["INFO", "ERROR", "INFO"]
