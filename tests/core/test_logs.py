"""Log records: one for each message, at the right level, with nothing in them that anybody smuggled in."""

import logging
from dataclasses import replace

import pytest

from mailbridge import logs
from mailbridge.errors import SMTPOutcomeUnknown
from mailbridge.facts import Endpoint, Phase
from mailbridge.receipts import Receipt, RecipientResult, State
from mailbridge.replies import Reply

REFUSED = Reply(550, ("5.1.1 <bob@x.org> No such user",))


def receipt(**states: State) -> Receipt:
    """Recipients of x.org by name."""
    results = {
        f"{name}@x.org": RecipientResult(
            f"{name}@x.org", state, REFUSED if state is State.REJECTED else None, Phase.RCPT
        )
        for name, state in states.items()
    }
    error = SMTPOutcomeUnknown("no reply about ann@x.org")
    return Receipt(
        "ann@x.org", results, "<1@x.org>", Reply(250, ("queued as ABC123",)), error, Endpoint("mx", 25, "TLSv1.3"), 0.25
    )


def logged(caplog: pytest.LogCaptureFixture, one: Receipt, **options: object) -> logging.LogRecord:
    with caplog.at_level(logging.DEBUG, "mailbridge"):
        logs.log_receipt(one, **options)
    [record] = caplog.records
    return record


@pytest.mark.parametrize(
    ("states", "level"),
    [
        ({"bob": State.ACCEPTED}, logging.INFO),
        ({"bob": State.ACCEPTED, "eve": State.REJECTED}, logging.WARNING),
        ({"bob": State.ACCEPTED, "eve": State.UNKNOWN}, logging.ERROR),
        ({"bob": State.REJECTED}, logging.ERROR),
        ({"bob": State.NOT_SENT}, logging.ERROR),
    ],
)
def test_the_level_follows_the_outcome(states: dict[str, State], level: int, caplog: pytest.LogCaptureFixture) -> None:
    """All accepted, some refused, and the rest: DESIGN.md's table. Who sees that level sees the record."""
    assert logged(caplog, receipt(**states)).levelno == level
    for seen, least in ((True, level), (False, level + 1)):
        with caplog.at_level(least, "mailbridge"):
            assert logs.is_logged(receipt(**states)) is seen


def test_a_record_tells_the_whole_story(caplog: pytest.LogCaptureFixture) -> None:
    """Counts, every recipient that was not accepted, and the error; the same in fields for machines."""
    one = receipt(cat=State.ACCEPTED, bob=State.REJECTED, dan=State.UNKNOWN, eve=State.NOT_SENT)
    record = logged(caplog, one, extra={"alias": "default"})

    assert record.getMessage() == (
        "message <1@x.org>: 1 accepted, 1 rejected, 1 unknown, 1 not_sent; "
        "bob@x.org rejected 550 5.1.1 <bob@x.org> No such user; dan@x.org unknown; eve@x.org not_sent; "
        "no reply about ann@x.org"
    )
    assert vars(record) | {
        "host": "mx",
        "port": 25,
        "tls": "TLSv1.3",
        "message_id": "<1@x.org>",
        "queue_id": "ABC123",
        "mail_from": "ann@x.org",
        "accepted": ["cat@x.org"],
        "refused": [
            {
                "recipient": "bob@x.org",
                "state": "rejected",
                "code": 550,
                "enhanced": "5.1.1",
                "text": "<bob@x.org> No such user",
                "phase": "RCPT",
            }
        ],
        "unknown": ["dan@x.org"],
        "not_sent": ["eve@x.org"],
        "duration": 0.25,
        "reused": False,
        "alias": "default",
    } == vars(record)


@pytest.mark.parametrize(("style", "bob"), [("masked", "b***@x.org"), ("none", "[address]")])
def test_addresses_can_be_left_out(style: logs.AddressStyle, bob: str, caplog: pytest.LogCaptureFixture) -> None:
    """And with them the words of the server and of the error, which repeat them."""
    record = logged(caplog, receipt(bob=State.REJECTED), addresses=style)

    assert f"{bob} rejected 550" in record.getMessage()
    assert "bob@" not in str(vars(record))
    assert "ann@" not in str(vars(record))


def test_a_receipt_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What is not known is None."""
    record = logged(caplog, Receipt("", {"b@x": RecipientResult("b@x", State.DEFERRED, Reply(450))}))

    assert record.getMessage() == "message (no Message-ID): 1 deferred; b@x deferred 450"
    assert (vars(record)["host"], vars(record)["message_id"]) == (None, None)
    assert vars(record)["refused"][0] | {"enhanced": None, "phase": None} == vars(record)["refused"][0]


def test_a_receipt_without_recipients(caplog: pytest.LogCaptureFixture) -> None:
    """It says so, instead of nothing."""
    assert logged(caplog, Receipt("", {})).getMessage() == "message (no Message-ID): no recipients"


@pytest.mark.parametrize(
    ("address", "style", "text"),
    [
        ("ann@x.org", "full", "ann@x.org"),
        ("ann@x.org", "masked", "a***@x.org"),
        ("a@b@x.org", "masked", "a***@x.org"),
        ("postmaster", "masked", "p***"),
        ("\nroot", "masked", "\\***"),
        ("", "masked", "***"),
        ("ann@x.org", "none", "[address]"),
        ("a\r\nb@x", "full", "a\\r\\nb@x"),
    ],
)
def test_how_an_address_is_written(address: str, style: logs.AddressStyle, text: str) -> None:
    """In full, its first letter and domain, or not at all; never with a line end."""
    assert logs.spelled(address, style) == text


def test_s20_a_server_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """Its words are escaped and capped, in the message and in the fields."""
    reply = Reply(550, ("a\x1b[2J\nERROR " + "x" * 10_000,))
    record = logged(caplog, Receipt("a\n@x", {"b\n@x": RecipientResult("b\n@x", State.REJECTED, reply)}, "<1\n@x>"))

    assert "550 a\\x1b[2J\\nERROR" in record.getMessage()
    assert len(record.getMessage()) <= 2_001
    assert len(vars(record)["refused"][0]["text"]) < 600
    assert not {"\n", "\x1b"} & set(record.getMessage() + "".join(map(str, vars(record).values())))


class SendsMail(logging.Handler):
    """A handler that sends mail, which is logged too (Django's AdminEmailHandler)."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.levels.append(record.levelno)
        if len(self.levels) < 9 and record.levelno >= logging.ERROR:
            logs.emit(logging.ERROR, "the mail about it could not be sent")


def test_a_handler_that_sends_mail_does_not_call_itself() -> None:
    """What it logs while it handles a record goes out at DEBUG; afterwards all is as before."""
    handler = SendsMail()
    logs.logger.addHandler(handler)
    logs.logger.setLevel(logging.DEBUG)
    try:
        logs.emit(logging.ERROR, "first")
        logs.emit(logging.ERROR, "second")
    finally:
        logs.logger.removeHandler(handler)
        logs.logger.setLevel(logging.NOTSET)

    assert handler.levels == [logging.ERROR, logging.DEBUG] * 2


def test_a_receipt_that_nobody_listens_to_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """No record, and none of its fields is made."""
    with caplog.at_level(logging.CRITICAL, "mailbridge"):
        logs.log_receipt(receipt(bob=State.REJECTED))

    assert caplog.records == []


def test_what_nobody_listens_to_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    """Neither ours nor a caller's logger."""
    own = logging.getLogger("mailbridge.test")
    with caplog.at_level(logging.ERROR, "mailbridge.test"):
        logs.emit(logging.WARNING, "quiet", to=own)
        logs.emit(logging.ERROR, "100 % loud", to=own)

    assert [(record.name, record.getMessage()) for record in caplog.records] == [("mailbridge.test", "100 % loud")]


def test_nothing_is_spelled_out_for_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Where the level is off, the record is not made at all."""
    with caplog.at_level(logging.CRITICAL, "mailbridge"):
        logs.log_receipt(receipt(bob=State.REJECTED))

    assert caplog.records == []


class Broken(logging.Handler):
    """A handler that raises, as an SMTPHandler without a server may."""

    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("the log is full")


@pytest.mark.parametrize("aloud", [True, False])
def test_s19_a_handler_that_fails_changes_nothing(
    aloud: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mail was delivered; that the record was not is said on stderr, as the standard handlers do."""
    monkeypatch.setattr(logging, "raiseExceptions", aloud)
    handler = Broken()
    logs.logger.addHandler(handler)
    try:
        logs.log_receipt(receipt(bob=State.REJECTED))
    finally:
        logs.logger.removeHandler(handler)

    assert ("the log is full" in capsys.readouterr().err) is aloud


@pytest.mark.parametrize(
    ("error", "words"),
    [(SMTPOutcomeUnknown("no reply about ann@x.org"), "SMTPOutcomeUnknown"), (ValueError("ann@x.org"), "ValueError")],
)
def test_the_kind_of_an_error_is_said_where_its_words_are_not(
    error: Exception, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An error's text may hold addresses; its class and its phase do not."""
    record = logged(caplog, replace(receipt(eve=State.NOT_SENT), error=error), addresses="masked")
    assert record.getMessage().endswith(f"; {words}")
    assert "ann@" not in record.getMessage()


def test_the_kind_of_an_error_with_a_phase(caplog: pytest.LogCaptureFixture) -> None:
    """The step is named too, so that a dead server is told from a refused login."""
    error = SMTPOutcomeUnknown("no reply about ann@x.org", phase=Phase.CONTENT)
    record = logged(caplog, replace(receipt(eve=State.NOT_SENT), error=error), addresses="none")
    assert record.getMessage().endswith("; SMTPOutcomeUnknown at CONTENT")


def test_a_level_of_the_callers_own(caplog: pytest.LogCaptureFixture) -> None:
    """A message that somebody cancelled is no error."""
    assert logged(caplog, receipt(eve=State.NOT_SENT), level=logging.INFO).levelno == logging.INFO
