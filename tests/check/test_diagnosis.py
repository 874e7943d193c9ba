"""How a diagnosis is told, to people and to machines."""

import json

import pytest

from mailbridge.check import Diagnosis, Step
from mailbridge.receipts import Receipt, RecipientResult, State
from mailbridge.replies import Reply

WELL = Step("EHLO", 0.0042, facts={"name": "mx.test", "extensions": ["PIPELINING", "SIZE 1000"], "auth": []})
WARNED = Step("TLS", 0.01, facts={"version": "TLSv1.3"}, finding="The certificate expires in 5 days")
FAILED = Step("AUTH", 1.5, ok=False, finding="The server answered 535 no")
RECEIPT = Receipt(
    "ann@example.com",
    {"bob@example.org": RecipientResult("bob@example.org", State.ACCEPTED, Reply(250, ("2.0.0 queued as 7",)))},
    message_id="<1@example.com>",
    reply=Reply(250, ("2.0.0 queued as 7",)),
)


@pytest.mark.parametrize(
    ("steps", "ok", "summary"),
    [
        ((WELL,), True, "mx.test:25: all well"),
        ((WELL, WARNED), True, "mx.test:25: all well, 1 warning"),
        ((WARNED, WARNED, FAILED), False, "mx.test:25: failed at AUTH, 2 warnings"),
    ],
)
def test_a_warning_is_no_failure(steps: tuple[Step, ...], ok: bool, summary: str) -> None:
    """Only a step that failed makes the whole fail; the last line counts the warnings."""
    diagnosis = Diagnosis("mx.test:25", "starttls", steps)

    assert (diagnosis.ok, diagnosis.summary, diagnosis.lines()[-1]) == (ok, summary, summary)


def test_each_step_is_a_line() -> None:
    """Verdict, name, time and facts; a finding stands on the next line."""
    assert [line for step in (WELL, WARNED, FAILED) for line in step.lines()] == [
        "ok    EHLO         4.2 ms  name mx.test; extensions PIPELINING, SIZE 1000; auth none",
        "warn  TLS         10.0 ms  version TLSv1.3",
        "      The certificate expires in 5 days",
        "FAIL  AUTH      1500.0 ms",
        "      The server answered 535 no",
    ]


def test_machines_get_the_same() -> None:
    """Nothing is in it that JSON does not know."""
    read = json.loads(json.dumps(Diagnosis("mx.test:25", "starttls", (WELL, FAILED)).as_dict()))

    assert {key: read[key] for key in ("server", "security", "ok", "seconds", "receipt")} == {
        "server": "mx.test:25",
        "security": "starttls",
        "ok": False,
        "seconds": 1.5042,
        "receipt": None,
    }
    assert read["steps"] == [
        {"name": "EHLO", "seconds": 0.0042, "ok": True, "facts": dict(WELL.facts), "finding": None},
        {"name": "AUTH", "seconds": 1.5, "ok": False, "facts": {}, "finding": "The server answered 535 no"},
    ]


def test_the_receipt_is_shown() -> None:
    """What became of the test message, in both forms."""
    diagnosis = Diagnosis("mx.test:25", "starttls", (WELL,), RECEIPT)

    assert "      bob@example.org accepted 250 2.0.0 queued as 7" in diagnosis.lines()
    assert diagnosis.as_dict()["receipt"] == {
        "message_id": "<1@example.com>",
        "queue_id": "7",
        "sender": "ann@example.com",
        "recipients": [
            {
                "recipient": "bob@example.org",
                "state": "accepted",
                "code": 250,
                "enhanced": "2.0.0",
                "text": "queued as 7",
            }
        ],
    }
