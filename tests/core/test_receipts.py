"""Receipts: every recipient in exactly one state."""

import copy
import pickle
from dataclasses import FrozenInstanceError, fields

import pytest

from mailbridge.errors import SMTPInputError, SMTPOutcomeUnknown, SMTPServerDisconnected
from mailbridge.facts import Endpoint, Phase
from mailbridge.receipts import Receipt, RecipientResult, State, queue_id
from mailbridge.replies import EnhancedCode, Reply


def receipt(*states: State) -> Receipt:
    """One recipient for each state, named after its place."""
    return Receipt("a@x", {f"{n}@x": RecipientResult(f"{n}@x", state) for n, state in enumerate(states)})


@pytest.mark.parametrize("state", State)
def test_each_state_has_one_place(state: State) -> None:
    """A recipient is found under its own state, under `refused` where a reply refused it, and nowhere else."""
    places = {*State, "refused"}

    found = {place for place in places if getattr(receipt(state), place)}

    assert found == {state} | ({"refused"} if state in {State.DEFERRED, State.REJECTED} else set())


@pytest.mark.parametrize(
    ("states", "complete", "delivered"),
    [
        ([State.ACCEPTED], True, True),
        ([State.ACCEPTED, State.REJECTED, State.DEFERRED], False, True),
        ([State.ACCEPTED, State.UNKNOWN], False, False),
        ([State.ACCEPTED, State.NOT_SENT], False, False),
        ([State.REJECTED], False, False),
        ([], False, False),
    ],
)
def test_delivered_means_that_no_fate_is_open(states: list[State], complete: bool, delivered: bool) -> None:
    """Complete: all accepted. Delivered: somebody accepted, and nobody unknown or not sent."""
    assert receipt(*states).complete is complete
    assert receipt(*states).delivered is delivered


def test_a_result_speaks_by_its_reply() -> None:
    """Code, enhanced code and words are the server's."""
    result = RecipientResult("b@x", State.REJECTED, Reply(550, ("5.1.1 No such user",)), Phase.RCPT)

    assert (result.code, result.enhanced, result.text) == (550, EnhancedCode(5, 1, 1), "No such user")


def test_a_result_without_a_reply_speaks_by_its_error() -> None:
    """Where the server said nothing the error says why; where there is none, nothing."""
    silent = RecipientResult("b@x", State.UNKNOWN, error=SMTPOutcomeUnknown("no reply"))

    assert (silent.code, silent.enhanced, silent.text) == (None, None, "no reply")
    assert RecipientResult("b@x", State.NOT_SENT).text == ""


@pytest.mark.parametrize(
    ("state", "error", "temporary"),
    [
        (State.DEFERRED, None, True),
        (State.REJECTED, None, False),
        (State.UNKNOWN, SMTPServerDisconnected("gone"), False),
        (State.NOT_SENT, None, True),
        (State.NOT_SENT, SMTPServerDisconnected("gone"), True),
        (State.NOT_SENT, SMTPInputError("wrong"), False),
        (State.NOT_SENT, RuntimeError("foreign"), True),
    ],
)
def test_temporary_means_safe_and_sensible_to_send_again(
    state: State, error: Exception | None, temporary: bool
) -> None:
    """Deferred ones, and those not sent unless the error says that it will not change."""
    assert RecipientResult("b@x", state, error=error).temporary is temporary


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("2.0.0 Ok: queued as 4X8Y5Z1abc", "4X8Y5Z1abc"),
        ("OK id=1rAbCd-000123-4f", "1rAbCd-000123-4f"),
        ("Message Queued (A1B2-C3.1)", "A1B2-C3.1"),
        ("2.0.0 3BDKx7 Message accepted for delivery", "3BDKx7"),
        ("2.0.0 OK  1700000000 d2e1a4-ab.12 - gsmtp", "d2e1a4-ab.12"),
        ("Ok 0100018c-7d2f-000000", "0100018c-7d2f-000000"),
        ("2.0.0 Ok: queued as <20240101.1@mx.example.com>.", "20240101.1@mx.example.com"),
        ("OK", None),
        ("Ok done", None),
    ],
)
def test_the_name_in_the_servers_queue(words: str, name: str | None) -> None:
    """Each of the well-known servers says it in its own way."""
    assert queue_id(Reply(250, (words,))) == name


def test_a_refusal_has_no_queue_id() -> None:
    """Nothing was queued, whatever the words; and without a reply there is no name either."""
    assert queue_id(Reply(550, ("queued as 4X8Y5Z1abc",))) is None
    assert Receipt("a@x", {}).queue_id is None


def test_a_receipt_and_its_results_are_values() -> None:
    """No field can be set or deleted, and a copy is equal and has the same hash where a value can have one."""
    whole = receipt(State.ACCEPTED)
    result = whole.results["0@x"]

    for value in (whole, result):
        assert copy.copy(value) == value
        for field in fields(value):
            with pytest.raises(FrozenInstanceError):
                setattr(value, field.name, None)
            with pytest.raises(FrozenInstanceError):
                delattr(value, field.name)
    assert hash(copy.copy(result)) == hash(result)


def test_results_cannot_be_changed() -> None:
    """A receipt is a fact: neither its mapping nor the caller's dictionary changes it later."""
    mine = {"b@x": RecipientResult("b@x", State.ACCEPTED)}
    kept = Receipt("a@x", mine)
    mine.clear()

    assert kept.complete
    assert list(kept.accepted) == ["b@x"]
    with pytest.raises(TypeError):
        kept.results["c@x"] = mine


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_receipt_and_its_error_go_to_another_process(clone) -> None:
    """The error holds the receipt that holds the error: both arrive, whichever is sent."""
    error = SMTPOutcomeUnknown("no reply", phase=Phase.CONTENT)
    result = RecipientResult("b@x", State.UNKNOWN, error=error)
    error.receipt = Receipt("a@x", {"b@x": result}, "<1@x>", Reply(250), error, Endpoint("h", 25), 0.5, reused=True)

    for arrived in (clone(error.receipt), clone(error).receipt):
        assert arrived == error.receipt
        assert str(arrived.error) == str(arrived.results["b@x"].error) == str(error)
