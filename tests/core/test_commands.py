"""Commands as lines: no value of a caller's becomes a second one."""

import inspect
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbridge import commands
from mailbridge.addresses import Address, parse
from mailbridge.commands import (
    Auth,
    AuthResponse,
    Bdat,
    Command,
    Data,
    Ehlo,
    EndOfData,
    Expn,
    Generic,
    Greeting,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTLS,
    Vrfy,
    line,
)
from mailbridge.errors import SMTPInputError
from mailbridge.parameters import MailOptions, RcptOptions
from mailbridge.replies import Reply
from tests.core.given import ODD_TEXT, SECRET, assert_hides_the_secret, raised

ANN = Address("ann", "x.org")
# As machine code they look at the type of a number before we do, and take True for 1.
COMPILED = not (commands.__file__ or "").endswith(".py")
REFUSALS = (SMTPInputError, TypeError) if COMPILED else (SMTPInputError,)


@pytest.mark.parametrize(
    ("command", "octets"),
    [
        (Greeting(), b""),
        (Ehlo("me.example"), b"EHLO me.example\r\n"),
        (Helo("[192.0.2.1]"), b"HELO [192.0.2.1]\r\n"),
        (Lhlo("me"), b"LHLO me\r\n"),
        (StartTLS(), b"STARTTLS\r\n"),
        (Auth("PLAIN"), b"AUTH PLAIN\r\n"),
        (Auth("PLAIN", b"AGpvZQ=="), b"AUTH PLAIN AGpvZQ==\r\n"),
        (AuthResponse(b"cHc="), b"cHc=\r\n"),
        (AuthResponse(b""), b"\r\n"),
        (AuthResponse(b"*"), b"*\r\n"),
        (Mail(ANN), b"MAIL FROM:<ann@x.org>\r\n"),
        (Mail(None), b"MAIL FROM:<>\r\n"),
        (Mail(ANN, 0, "8BITMIME", True), b"MAIL FROM:<ann@x.org> SIZE=0 BODY=8BITMIME SMTPUTF8\r\n"),
        (Mail(ANN, options=MailOptions(ret="HDRS")), b"MAIL FROM:<ann@x.org> RET=HDRS\r\n"),
        (Rcpt(ANN), b"RCPT TO:<ann@x.org>\r\n"),
        (Rcpt(ANN, RcptOptions(["NEVER"])), b"RCPT TO:<ann@x.org> NOTIFY=NEVER\r\n"),
        (Data(), b"DATA\r\n"),
        (EndOfData(), b".\r\n"),
        (Bdat(10), b"BDAT 10\r\n"),
        (Bdat(0, last=True), b"BDAT 0 LAST\r\n"),
        (Rset(), b"RSET\r\n"),
        (Noop(), b"NOOP\r\n"),
        (Quit(), b"QUIT\r\n"),
        (Generic("ETRN"), b"ETRN\r\n"),
        (Generic("ETRN", "x y \udcff"), b"ETRN x y \xff\r\n"),
        (Vrfy(ANN), b"VRFY ann@x.org\r\n"),
        (Vrfy(Address("änn"), utf8=True), "VRFY änn SMTPUTF8\r\n".encode()),
        (Expn("staff"), b"EXPN staff\r\n"),
        (Expn("bürò", utf8=True), "EXPN bürò SMTPUTF8\r\n".encode()),
        (Help(), b"HELP\r\n"),
        (Help("MAIL"), b"HELP MAIL\r\n"),
    ],
)
def test_a_command_as_it_goes_out(command: Command, octets: bytes) -> None:
    """Verb, arguments and parameters, one space between them, CRLF."""
    assert command.serialize() == octets


# Every place for a caller's text, and what it would look like there.
PLACES: dict[str, Callable[[str], Command]] = {
    "EHLO": Ehlo,
    "HELO": Helo,
    "LHLO": Lhlo,
    "mechanism": Auth,
    "response": lambda text: AuthResponse(text.encode("utf-8", "replace")),
    "sender": lambda text: Mail(parse(text)),
    "sender's parts": lambda text: Mail(Address(text, "x.org")),
    "size": lambda text: Mail(None, size=text),
    "body": lambda text: Mail(None, body=text),
    "envid": lambda text: Mail(None, options=MailOptions(envid=text)),
    "ret": lambda text: Mail(None, options=MailOptions(ret=text)),
    "submitter": lambda text: Mail(None, options=MailOptions(submitter=text)),
    "priority": lambda text: Mail(None, options=MailOptions(priority=text)),
    "deliver_by": lambda text: Mail(None, options=MailOptions(deliver_by=text)),
    "hold_for": lambda text: Mail(None, options=MailOptions(hold_for=text)),
    "recipient": lambda text: Rcpt(parse(text)),
    "recipient's domain": lambda text: Rcpt(Address("b", text)),
    "notify": lambda text: Rcpt(ANN, RcptOptions([text])),
    "original": lambda text: Rcpt(ANN, RcptOptions(original=text)),
    "chunk": Bdat,
    "verb": Generic,
    "argument": lambda text: Generic("X", text),
    "VRFY": lambda text: Vrfy(parse(text)),
    "EXPN": Expn,
    "HELP": Help,
}


def test_every_command_is_tried() -> None:
    """A new command with a caller's text in it cannot be forgotten here."""
    kinds = {kind for _, kind in inspect.getmembers(commands, inspect.isclass) if issubclass(kind, Command)}
    fixed = {Command, commands.Hello, Greeting, StartTLS, Data, EndOfData, Rset, Noop, Quit}
    tried = set()
    for make in PLACES.values():
        for text in ("a@x.org", "x.org", "1"):
            try:
                tried.add(type(make(text)))
            except REFUSALS:
                continue

    assert tried | {Mail, Bdat} == kinds - fixed


@given(st.sampled_from(sorted(PLACES)), ODD_TEXT)
def test_s7_no_input_yields_more_than_one_line(place: str, text: str) -> None:
    """Every argument of every command: one line without control octets, or an error."""
    try:
        octets = PLACES[place](text).serialize()
    except REFUSALS:
        return

    assert octets.endswith(b"\r\n")
    assert not set(octets[:-2]) & {*range(32), 127}


CONTROLS = ["\r\nRCPT TO:<e@y>", "\r", "\n", "\0", "\v", "\t\r\n", "\x7f", "\x85", "\u2028", "瘊RCPT TO:<e@y>"]


@pytest.mark.parametrize("tail", CONTROLS)
@pytest.mark.parametrize("place", ["sender", "recipient", "VRFY", "EHLO", "verb", "body", "recipient's domain"])
def test_s5_control_octets_in_an_address(place: str, tail: str) -> None:
    """Whatever could end a line, in any server's decoding, is refused before a byte is written."""
    raised(SMTPInputError, lambda: PLACES[place]("a@x.org" + tail).serialize())


@pytest.mark.parametrize("octet", [*range(32), 127])
def test_s5_each_control_octet_is_refused(octet: int) -> None:
    """On the encoded octets, so that no spelling of it slips through; the error names it."""
    error = raised(SMTPInputError, lambda: line([b"NOOP", b"ab%cd" % octet]))

    assert f"0x{octet:02X} (after 'NOOP ab')" in str(error)


@pytest.mark.parametrize(
    "text", ["b@x> NOTIFY=NEVER", "b@x>,<c@y", "b@x, c@y", "<b@x> NOTIFY=NEVER", "b@x NOTIFY=NEVER", "b@x>", "a b@x"]
)
def test_s6_an_address_cannot_smuggle_parameters(text: str) -> None:
    """The caller's string is parsed and never pasted between the brackets."""
    raised(SMTPInputError, lambda: Rcpt(parse(text)))


def test_s6_a_quoted_local_part_stays_quoted() -> None:
    """Space and bracket inside the quotes are the mailbox's own."""
    assert Rcpt(parse('"a> X"@y')).serialize() == b'RCPT TO:<"a> X"@y>\r\n'


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("EHLO", "h\r\nMAIL FROM:<e@y>"),
        ("EHLO", "two words"),
        ("EHLO", ""),
        ("EHLO", "höst"),
        ("size", "1\r\nRSET"),
        ("size", "12"),
        ("chunk", "1\r\nRSET"),
        ("envid", "X\nRSET"),
        ("ret", "X\nRSET"),
        ("notify", "X\nRSET"),
        ("priority", "1\nRSET"),
        ("deliver_by", "1\nRSET"),
        ("hold_for", "1\nRSET"),
        ("argument", "X\nRSET"),
        ("argument", "\ud800"),
        ("HELP", "X\nRSET"),
        ("EXPN", "X\nRSET"),
    ],
)
def test_s7_other_arguments_pass_the_same_choke_point(place: str, text: str) -> None:
    """The name in EHLO, numbers and options are typed, and checked like the rest."""
    raised(REFUSALS, lambda: PLACES[place](text).serialize())


@pytest.mark.parametrize("size", [-1] if COMPILED else [-1, True, 1.5, None])
def test_a_size_is_a_whole_number(size: object) -> None:
    """A negative, true or broken one is none, and the error says so."""
    error = raised(SMTPInputError, lambda: Bdat(size).serialize())

    assert repr(size) in str(error)


def test_a_line_has_a_limit() -> None:
    """The longest line fits, and one octet more does not."""
    assert len(line([b"NOOP", b"x" * (commands.LINE - 7)])) == commands.LINE
    error = raised(SMTPInputError, lambda: line([b"NOOP", b"x" * (commands.LINE - 6)]))

    assert str(error) == "a NOOP line of 2049 octets; 2048 fit"


def test_an_initial_response_fits_into_512_octets() -> None:
    """RFC 4954 section 4: the whole command, its CRLF included."""
    fitting = Auth("PLAIN", b"x" * (commands.INITIAL_LINE - len("AUTH PLAIN \r\n")))

    assert fitting.fits
    assert len(fitting.serialize()) == commands.INITIAL_LINE
    assert not Auth("PLAIN", (fitting.initial or b"") + b"x").fits
    assert Auth("PLAIN").fits


@pytest.mark.parametrize(
    "command",
    [
        Auth("PLAIN", SECRET.encode() + b"=" * commands.INITIAL_LINE),
        Auth("PLAIN", SECRET.encode() + b"\n"),
        AuthResponse(SECRET.encode() + b"=" * commands.AUTH_LINE),
        AuthResponse(SECRET.encode() + b"\r"),
    ],
    ids=["long initial", "broken initial", "long response", "broken response"],
)
def test_s16_an_auth_line_that_does_not_fit_stays_hidden(command: Command) -> None:
    """Neither the error nor a traceback with local variables shows what could not be sent."""
    assert command.secret
    assert_hides_the_secret(raised(SMTPInputError, command.serialize))
    assert SECRET not in repr(command)


@pytest.mark.parametrize(
    ("command", "commits"), [(EndOfData(), True), (Bdat(1, last=True), True), (Bdat(1), False), (Data(), False)]
)
def test_the_commit_point(command: Command, commits: bool) -> None:
    """The dot and the last chunk complete a message, and nothing else does."""
    assert command.commits is commits


def test_what_must_end_a_pipelined_group() -> None:
    """RFC 2920 section 3.1; and the dot, behind which four servers break (SERVERS.md P1)."""
    within = {commands.Mail, commands.Rcpt, commands.Rset, commands.Bdat}
    kinds = {kind for _, kind in inspect.getmembers(commands, inspect.isclass) if issubclass(kind, Command)}

    assert {kind for kind in kinds if not kind.ends_group} == within


@pytest.mark.parametrize("verb", ["auth", "STARTTLS", "Mail", "RCPT", "DATA", "BDAT", "RSET", "QUIT", "EHLO"])
def test_a_verb_with_a_state_is_the_clients_own(verb: str) -> None:
    """A stray one would put the dialogue out of step, or a secret into the transcript (WIRE.md S16)."""
    raised(SMTPInputError, lambda: Generic(verb, "x"))


def test_only_a_secret_is_hushed() -> None:
    """A reply to any other command stays as it came."""
    reply = Reply(250, ("PLAIN",))

    assert Noop().hushed(reply) is reply
