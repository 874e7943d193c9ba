"""The tree of errors: names that old code catches, facts, sentences."""

import pickle
import smtplib

import pytest

from mailbridge import errors
from mailbridge.errors import (
    SMTPConnectionRefused,
    SMTPConnectionReset,
    SMTPDataError,
    SMTPException,
    SMTPInputError,
    SMTPOutcomeUnknown,
    SMTPPoolClosed,
    SMTPPoolTimeout,
    SMTPProtocolError,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSecurityError,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
    SMTPUnreachableError,
)
from mailbridge.facts import Endpoint, Phase
from mailbridge.replies import Reply

CLASSIC = [name for name in vars(smtplib) if name.startswith("SMTP") and name.endswith(("Exception", "Error", "ed"))]
REFUSALS = {"b@x": (450, b"later"), "c@x": (550, b"5.1.1 never\r\n\xff")}


@pytest.mark.parametrize("name", CLASSIC)
def test_a_classic_error_is_caught_by_its_namesake(name: str) -> None:
    """`except smtplib.X` that was written for the standard module catches ours."""
    assert issubclass(getattr(errors, name), getattr(smtplib, name))
    assert issubclass(getattr(errors, name), SMTPException)


@pytest.mark.parametrize(
    ("kind", "foreign"),
    [
        (SMTPTimeoutError, TimeoutError),
        (SMTPPoolTimeout, TimeoutError),
        (SMTPConnectionRefused, ConnectionRefusedError),
        (SMTPConnectionReset, ConnectionResetError),
        (SMTPInputError, ValueError),
    ],
)
def test_a_translated_error_is_caught_by_what_it_translates(
    kind: type[SMTPException], foreign: type[Exception]
) -> None:
    """A program that waits for the system's or Python's own error need not know ours."""
    assert issubclass(kind, foreign)


@pytest.mark.parametrize(
    ("error", "temporary"),
    [
        (SMTPException("x"), False),
        (SMTPServerDisconnected("x"), True),
        (SMTPProtocolError("x"), True),
        (SMTPTimeoutError("x"), True),
        (SMTPUnreachableError("x"), True),
        (SMTPPoolTimeout("x"), True),
        (SMTPPoolClosed("x"), True),
        (SMTPOutcomeUnknown("x"), False),
        (SMTPSecurityError("x"), False),
        (SMTPInputError("x"), False),
        (SMTPDataError(452, b"full"), True),
        (SMTPDataError(552, b"too large"), False),
        (SMTPRecipientsRefused({"b@x": (450, b"later")}), True),
        (SMTPRecipientsRefused(REFUSALS), False),
    ],
)
def test_temporary_means_safe_and_sensible_to_try_again(error: SMTPException, temporary: bool) -> None:
    """A 4yz, or a connection that failed; never where the outcome is unknown."""
    assert error.temporary is temporary


@pytest.mark.parametrize(("code", "temporary"), [(454, True), (554, False)])
def test_any_error_is_as_temporary_as_its_reply(code: int, temporary: bool) -> None:
    """An error of any kind that has a reply asks the reply."""
    error = SMTPSecurityError("STARTTLS was refused")
    error.reply = Reply(code)

    assert error.temporary is temporary


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SMTPServerDisconnected("please run connect() first"), "please run connect() first"),
        (SMTPResponseException(550, b"no"), "(550, b'no')"),
        (SMTPSenderRefused(550, b"no", "a@x"), "(550, b'no', 'a@x')"),
        (SMTPRecipientsRefused({"b@x": (550, b"no")}), "{'b@x': (550, b'no')}"),
        (SMTPException(), ""),
    ],
)
def test_without_facts_an_error_prints_its_arguments(error: SMTPException, text: str) -> None:
    """The classic API raises so, and programs compare these texts."""
    assert str(error) == text


def with_server(error: SMTPException) -> SMTPException:
    error.server = Endpoint("mx.example.com", 25)
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SMTPException("broken", phase=Phase.DATA), "at DATA: broken"),
        (SMTPException(phase=Phase.DATA), "at DATA: SMTPException"),
        (SMTPException("broken", phase=Phase.DATA, advice="Mend it"), "at DATA: broken. Mend it"),
        (with_server(SMTPTimeoutError("late")), "mx.example.com:25 (no TLS): late"),
        (with_server(SMTPTimeoutError("late", phase=Phase.QUIT)), "mx.example.com:25 (no TLS) at QUIT: late"),
        (
            SMTPDataError.of(Reply(554, ("5.6.0 No\x1b",)), Phase.DATA),
            "at DATA: the server answered 554 5.6.0 No\\x1b",
        ),
        (
            SMTPRecipientsRefused(REFUSALS, phase=Phase.RCPT),
            "at RCPT: refused recipients: b@x (450 later), c@x (550 5.1.1 never\\r\\n�)",
        ),
    ],
)
def test_with_facts_an_error_builds_a_sentence(error: SMTPException, text: str) -> None:
    """Where, in which step, what, and what to try; a server's words made fit to print."""
    assert str(error) == text


def test_an_error_of_a_reply_has_the_classic_attributes() -> None:
    """`smtp_code` and `smtp_error`, and the reply itself beside them."""
    reply = Reply(554, ("5.6.0 Bad", "really"))
    error = SMTPDataError.of(reply, Phase.CONTENT, "Try less")

    assert (error.smtp_code, error.smtp_error, error.reply) == (554, b"5.6.0 Bad\nreally", reply)
    assert (error.phase, error.advice) == (Phase.CONTENT, "Try less")


def test_a_reply_code_is_no_errno() -> None:
    """OSError takes two arguments for errno and its words; a reply is neither."""
    assert SMTPDataError(554, b"no").errno is None
    assert SMTPSenderRefused(554, b"no", "a@x").errno is None


def sender_refused() -> SMTPException:
    error = SMTPSenderRefused(550, b"no", "a@x", phase=Phase.MAIL, advice="Use another")
    error.reply = Reply(550, ("no",))
    error.transcript = ("C: MAIL", "S: 550 no")
    return error


def reset() -> SMTPException:
    error = with_server(SMTPConnectionReset("torn down", phase=Phase.DATA))
    error.errno, error.strerror = 104, "Connection reset by peer"
    return error


@pytest.mark.parametrize(
    "error",
    [sender_refused(), reset(), SMTPRecipientsRefused(REFUSALS, phase=Phase.RCPT), SMTPInputError("wrong")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_goes_to_another_process(error: SMTPException) -> None:
    """Type, arguments, sentence and every fact arrive."""
    arrived = pickle.loads(pickle.dumps(error))

    assert type(arrived) is type(error)
    assert (arrived.args, str(arrived), arrived.errno) == (error.args, str(error), error.errno)
    assert vars(arrived) == vars(error)


@pytest.mark.parametrize(
    ("phase", "where"), [(Phase.CONNECT, "mx:25 at CONNECT"), (Phase.MAIL, "mx:25 (no TLS) at MAIL")]
)
def test_tls_is_named_where_there_could_be_some(phase: Phase, where: str) -> None:
    """Before there is a connection, it is no news that TLS does not protect it."""
    error = SMTPException("oh", phase=phase)
    error.server = Endpoint("mx", 25)

    assert str(error) == f"{where}: oh"
