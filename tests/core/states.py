"""A protocol in each of its states, as a dialogue leads there."""

from typing import Any

from mailbridge import commands
from mailbridge.addresses import parse
from mailbridge.commands import Command
from mailbridge.protocol import SMTPProtocol, State
from tests.core.dialogue import GO, OK, ehlo

ANN = parse("ann@x")


def say(smtp: SMTPProtocol, *said: Command, answer: bytes = b"") -> Any:
    """Say commands, let them leave, and read the answer."""
    exchanges = [smtp.send(command) for command in said]
    smtp.sent(smtp.pending)
    if answer:
        smtp.receive_data(answer)
    return exchanges[-1]


def receive(smtp: SMTPProtocol, segments: list[bytes]) -> None:
    """Read one segment after the other."""
    for segment in segments:
        smtp.receive_data(segment)


def in_state(state: State) -> SMTPProtocol:
    """A protocol in some state, as a dialogue leads there."""
    smtp = SMTPProtocol()
    if state is State.GREETING:
        return smtp
    smtp.receive_data(b"220 x\r\n")
    if state is State.NEW:
        return smtp
    say(smtp, commands.Ehlo("me"), answer=ehlo("PIPELINING", "CHUNKING"))
    if state in {State.TRANSACTION, State.CONTENT, State.CHUNKS}:
        say(smtp, commands.Mail(ANN), commands.Rcpt(ANN), answer=OK * 2)
    match state:
        case State.CHALLENGED:
            say(smtp, commands.Auth("LOGIN"), answer=b"334 \r\n")
        case State.TLS:
            say(smtp, commands.StartTLS(), answer=b"220 go\r\n")
        case State.CONTENT:
            say(smtp, commands.Data(), answer=GO)
        case State.CHUNKS:
            say(smtp, commands.Bdat(0), answer=OK)
        case State.CLOSING:
            say(smtp, commands.Quit())
        case State.CLOSED:
            smtp.receive_data(b"")
    return smtp
