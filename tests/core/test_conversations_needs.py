"""Needs: the words that conversations are made of."""

import pytest

from mailbridge import commands
from mailbridge.conversations.needs import answered, ask, say
from mailbridge.errors import SMTPResponseException, SMTPServerDisconnected
from mailbridge.facts import Phase
from tests.core.dialogue import BYE, CLOSED, OK, RSET, ready, talk

NOOP = b"NOOP\r\n"


def test_ask_gives_the_reply() -> None:
    """Something said, and the reply that accepts it."""
    smtp = ready()

    assert talk(ask(smtp, commands.Noop()), smtp, (NOOP, b"250 here\r\n")).lines == ("here",)


def test_ask_raises_a_refusal() -> None:
    """The error has the reply and the phase."""
    smtp = ready()

    with pytest.raises(SMTPResponseException) as caught:
        talk(ask(smtp, commands.Rset()), smtp, (RSET, b"502 5.5.1 no\r\n"))
    assert (caught.value.smtp_code, caught.value.smtp_error, caught.value.phase) == (502, b"5.5.1 no", Phase.RESET)


def test_say_waits_for_its_turn() -> None:
    """Without PIPELINING the second command leaves after the first one's reply."""
    smtp = ready()
    first = smtp.send(commands.Noop())

    second = talk(say(smtp, commands.Rset()), smtp, (NOOP, OK), (RSET,))
    assert (first.done, second.done) == (True, False)


@pytest.mark.parametrize("end", [BYE, CLOSED])
def test_nobody_waits_in_vain(end: object) -> None:
    """A wait ends with the error that says why nothing more will come."""
    smtp = ready()
    smtp.send(commands.Noop())
    rset = commands.Rset()

    with pytest.raises(SMTPServerDisconnected):
        talk(say(smtp, rset), smtp, (NOOP, end))  # type: ignore[arg-type]  # a segment or an end
    with pytest.raises(SMTPServerDisconnected):
        talk(answered(smtp, smtp.greeting.__class__(rset)), smtp)
