"""What the caller of a send sees, row by row of DESIGN.md's table."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from mailbridge import (
    SMTPDataError,
    SMTPException,
    SMTPOutcomeUnknown,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    State,
)
from mailbridge.testing import ScriptedServer, Then

from .conftest import Site, mails

A, R = State.ACCEPTED, State.REJECTED
Row = tuple[Callable[[ScriptedServer], object], list[State], list[str], str, type[Exception] | None]

ROWS: dict[str, Row] = {
    "all accepted": (lambda s: None, [A, A], ["message_sent"], "INFO", None),
    "one rejected": (
        lambda s: s.refuse("bob@example.org"),
        [R, A],
        ["message_sent", "recipients_refused"],
        "WARNING",
        None,
    ),
    "one deferred": (
        lambda s: s.defer("bob@example.org"),
        [State.DEFERRED, A],
        ["message_sent", "recipients_refused"],
        "WARNING",
        None,
    ),
    "all refused": (
        lambda s: s.refuse("*"),
        [R, R],
        ["recipients_refused", "message_failed"],
        "ERROR",
        SMTPRecipientsRefused,
    ),
    "sender refused": (
        lambda s: s.refuse_sender("ann@example.com"),
        [R, R],
        ["recipients_refused", "message_failed"],
        "ERROR",
        SMTPSenderRefused,
    ),
    "content refused": (
        lambda s: s.refuse_content(),
        [R, R],
        ["recipients_refused", "message_failed"],
        "ERROR",
        SMTPDataError,
    ),
    "cut before the content": (
        lambda s: s.cut_before("RCPT"),
        [State.NOT_SENT] * 2,
        ["message_failed"],
        "ERROR",
        SMTPServerDisconnected,
    ),
    "421 in the middle": (
        lambda s: s.answer("RCPT", b"421 4.3.2 going down\r\n", nth=2, then=Then.CLOSE),
        [State.NOT_SENT, State.DEFERRED],
        ["recipients_refused", "message_failed"],
        "ERROR",
        SMTPException,
    ),
    "cut behind the content": (
        lambda s: s.cut_before("CONTENT"),
        [State.UNKNOWN] * 2,
        ["outcome_unknown"],
        "ERROR",
        SMTPOutcomeUnknown,
    ),
}


@pytest.mark.parametrize("fail_silently", [False, True], ids=["raising", "silent"])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_an_outcome(
    row: Row,
    fail_silently: bool,
    site: Site,
    server: ScriptedServer,
    heard: list[tuple[str, dict[str, Any]]],
    records: Callable[[], list[tuple[str, Any]]],
) -> None:
    """Count, receipt, signals, one record, and an error unless `fail_silently` keeps it from the caller."""
    misbehave, states, signals, level, error = row
    misbehave(server)
    [message] = batch = mails("bob@example.org,eve@example.org")

    if error and not fail_silently:
        with pytest.raises(error) as caught:
            site.backend().send_messages(batch)
        assert caught.value.receipts == (message.mailbridge_receipt,)
    else:
        assert site.backend(fail_silently=fail_silently).send_messages(batch) == (A in states)

    assert [result.state for result in message.mailbridge_receipt.results.values()] == states
    assert [name for name, _ in heard] == signals
    assert [found for found, _ in records()] == [level]


def test_a_refusal_in_all_its_places(
    site: Site,
    server: ScriptedServer,
    heard: list[tuple[str, dict[str, Any]]],
    records: Callable[[], list[tuple[str, Any]]],
) -> None:
    """Receipt, signal and record say who was refused, by which reply."""
    server.refuse("bob@example.org", 550, "5.1.1", "no such user")
    [message] = batch = mails("bob@example.org,eve@example.org")
    backend = site.backend()
    backend.send_messages(batch)

    result = message.mailbridge_receipt.refused["bob@example.org"]
    assert (result.code, str(result.enhanced)) == (550, "5.1.1")
    _, arguments = heard[1]
    assert arguments.pop("signal")
    assert arguments == {
        "sender": type(backend),
        "message": message,
        "receipt": message.mailbridge_receipt,
        "refused": {"bob@example.org": result},
        "alias": site.alias,
    }
    [(_, record)] = records()
    assert (record.name, record.alias, record.accepted) == ("mailbridge.django", site.alias, ["eve@example.org"])
    assert [(r["recipient"], r["code"], r["enhanced"]) for r in record.refused] == [("bob@example.org", 550, "5.1.1")]


def test_signal_and_record_come_before_the_error(
    site: Site,
    server: ScriptedServer,
    heard: list[tuple[str, dict[str, Any]]],
    records: Callable[[], list[tuple[str, Any]]],
) -> None:
    """When a failure reaches the caller, everybody else has been told, about the whole batch."""
    server.refuse("bob@example.org")
    backend = site.backend()
    try:
        backend.send_messages(mails("bob@example.org", "eve@example.org"))
    except SMTPRecipientsRefused as error:
        told = [name for name, _ in heard]
        levels = [level for level, _ in records()]
        receipts = error.receipts

    assert told == ["recipients_refused", "message_failed", "message_sent"]
    assert levels == ["ERROR", "INFO"]
    assert [receipt.delivered for receipt in receipts] == [False, True]


def test_a_message_goes_through_a_queue(site: Site, server: ScriptedServer) -> None:
    """Message and error can be pickled with their receipts, as Celery's results are."""
    server.refuse("bob@example.org", 550, "5.1.1", "no such user")
    [message] = batch = mails("bob@example.org")
    with pytest.raises(SMTPRecipientsRefused) as caught:
        site.backend().send_messages(batch)
    there, error = pickle.loads(pickle.dumps((message, caught.value)))
    assert there.mailbridge_receipt.refused == message.mailbridge_receipt.refused
    assert error.receipts[0].refused == message.mailbridge_receipt.refused
