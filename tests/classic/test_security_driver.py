"""The rows of WIRE.md's security table that concern the classic API, each under its id."""

import socket
import threading
import time
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest

from mailbridge import smtplib
from mailbridge.testing import Then

INJECTED = ["a@x\r\nRCPT TO:<e@y>", "a\r@x", "a@x\rb", "a\nb@x", "a\0@x", "a\x0b@x", "a@x\n", "a\u0085@x", "a\u2028@x"]


@pytest.mark.parametrize("address", INJECTED)
@pytest.mark.parametrize("verb", ["mail", "rcpt", "verify", "expn"])
def test_s5_no_address_injects_a_command(serve, dial, verb: str, address: str) -> None:
    """S5: a control octet in an address is a ValueError, and nothing is written."""
    server = serve()
    client = dial(server)

    with pytest.raises(ValueError):  # noqa: PT011 - SMTPInputError or UnicodeEncodeError: both say what is wrong
        getattr(client, verb)(address)
    client.noop()
    assert server.lines == [b"noop"]


@pytest.mark.parametrize("address", INJECTED)
def test_s5_sendmail_writes_nothing(serve, dial, address: str) -> None:
    """S5: one bad recipient behind good ones stops the message before its first command."""
    server = serve()
    client = dial(server)

    for envelope in ((address, ["b@y"]), ("a@x", ["b@y", address])):
        with pytest.raises(smtplib.SMTPInputError):
            client.sendmail(*envelope, b"hi")
    client.noop()
    assert server.lines == [b"noop"]


def test_s5_the_encoded_octets_are_checked(serve, dial) -> None:
    """S5: U+760A ends in 0x0A in some encodings; it is the octets that count."""
    server = serve()
    client = dial(server)
    client.command_encoding = "utf-16-be"

    with pytest.raises(smtplib.SMTPInputError, match="control octet"):
        client.docmd("noop", "\u760a")
    client.command_encoding = "utf-8"
    client.docmd("vrfy", "\u760a")
    assert server.lines == [b"vrfy \xe7\x98\x8a"]


@pytest.mark.parametrize(
    "address", ["b@x> NOTIFY=NEVER", "b@x>,<c@y", "b@x, c@y", "<b@x> X", "b@x>", "b@x c@y", "alice@ok)Roger(<bob@evil>"]
)
def test_s6_no_parameter_is_smuggled(serve, dial, address: str) -> None:
    """S6: what is not one address is refused, not pasted between angle brackets."""
    server = serve()
    client = dial(server)

    for call in (client.mail, client.rcpt, smtplib.quoteaddr):
        with pytest.raises(smtplib.SMTPInputError):
            call(address)
    client.noop()
    assert server.lines == [b"noop"]


def test_s6_a_quoted_local_part_stays_quoted(serve, dial) -> None:
    """S6: the path is written from what was understood."""
    server = serve()
    dial(server).rcpt('"a> X"@y')

    assert server.lines == [b'rcpt to:<"a> X"@y>']


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("ehlo", ("h\r\nMAIL FROM:<e@y>",)),
        ("helo", ("h\nRSET",)),
        ("mail", ("a@x", ["size=1\r\nRSET"])),
        ("rcpt", ("a@x", ["X\nRSET"])),
        ("docmd", ("NOOP", "x\r\nRSET")),
        ("docmd", ("NOOP\r\nRSET",)),
        ("putcmd", ("NOOP", "\x7f")),
        ("help", ("\x01",)),
        ("auth", ("PLAIN\r\nRSET", lambda challenge=None: "x")),
        ("sendmail", ("a@x", ["b@y"], b"hi", ["X\nRSET"])),
        ("sendmail", ("a@x", ["b@y"], b"hi", [], ["X\nRSET"])),
    ],
)
def test_s7_no_argument_injects_a_command(serve, dial, method: str, args: tuple[Any, ...]) -> None:
    """S7: names, options and sizes pass the same choke point; the connection stays usable."""
    server = serve()
    client = dial(server)
    client.ehlo()

    with pytest.raises(smtplib.SMTPInputError):
        getattr(client, method)(*args)
    client.noop()
    assert not [line for line in server.lines if line in {b"RSET", b"MAIL FROM:<e@y>"} or b"X" in line]


def test_s7_local_hostname(serve, dial) -> None:
    """S7: the name that the constructor was given is checked when it is said."""
    server = serve()
    with pytest.raises(smtplib.SMTPInputError, match=r"prohibited newline characters: ehlo h\\r\\nMAIL"):
        dial(server, local_hostname="h\r\nMAIL").sendmail("a@x", "b@y", b"hi")


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\n.\r\n"])
@pytest.mark.parametrize("lax", [False, True])
@pytest.mark.parametrize("kind", [bytes, str])
def test_s8_no_second_message_is_smuggled(serve, dial, end: bytes, lax: bool, kind: type) -> None:
    """S8: whatever ends a line for whatever server, the content is one message."""
    server = serve(lax_newlines=lax)
    body = b"one" + end + b"MAIL FROM:<e@y>\r\nRCPT TO:<e@y>\r\nDATA\r\ntwo"
    dial(server).sendmail("a@x", "b@y", body if kind is bytes else body.decode())

    assert [message.sender for message in server.messages] == ["a@x"]
    assert server.messages[0].content.endswith(b"MAIL FROM:<e@y>\r\nRCPT TO:<e@y>\r\nDATA\r\ntwo\r\n")
    assert server.lines[-1] == b"data"


def test_l1_line_ends_become_crlf(serve, dial) -> None:
    """L1: a bare LF is a hang-up at some servers; SIZE counts what is sent."""
    server = serve()
    dial(server).sendmail("a@x", "b@y", b"a\nb\rc\r\n.d")

    assert server.messages[0].content == b"a\r\nb\r\nc\r\n.d\r\n"
    assert server.messages[0].mail_parameters == {"SIZE": "11"}


@pytest.mark.parametrize(
    "flood",
    [(b"250-" + b"x" * 8_000 + b"\r\n") * 3_000, b"250-" + b"x" * 3_000_000, b"250-x\r\n" * 1_000_000],
    ids=["24 MB", "an endless line", "a million lines"],
)
def test_s12_replies_are_bounded(flood: bytes) -> None:
    """S12: an error, never more than 1 MB held, and the connection is closed."""
    ours, theirs = socket.socketpair()

    class Near(smtplib.SMTP):
        def _get_socket(self, host: str, port: int, timeout: object) -> socket.socket:
            return ours

    def pour() -> None:
        with suppress(OSError), theirs:
            theirs.sendall(flood)

    thread = threading.Thread(target=pour)
    tracemalloc.start()
    thread.start()
    with pytest.raises(smtplib.SMTPException):
        Near("localhost")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    thread.join()
    assert ours.fileno() == -1


def test_s13_a_dripping_server_is_late(serve, dial) -> None:
    """S13: an octet after 0.45 s does not extend the 0.5 s that the reply may take."""
    server = serve()
    client = dial(server, timeout=0.5)
    server.drip(0.45)
    started = time.monotonic()

    with pytest.raises(smtplib.SMTPServerDisconnected, match=r"^Connection unexpectedly closed: timed out$"):
        client.noop()
    assert 0.5 <= time.monotonic() - started < 0.9
    assert client.sock is None


def test_s13_the_sockets_own_timeout_counts(serve, dial) -> None:
    """S13: a program that sets it on `sock` is heard, and finds it unchanged."""
    server = serve()
    client = dial(server, timeout=None)
    client.sock.settimeout(0.2)
    client.noop()
    assert client.sock.gettimeout() == 0.2
    server.answer("NOOP", b"", then=Then.SILENCE)

    with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
        client.noop()


@pytest.mark.parametrize("reply", [b"250-a\r\n550 b", b"550-a\r\n250 b", b"", b"2500", b"hello", b"250x", b" 250 x"])
def test_s14_what_is_no_reply_closes(serve, dial, reply: bytes) -> None:
    """S14: the code is -1, as the standard module has it, and the connection is closed."""
    server = serve()
    server.answer("NOOP", reply + b"\r\n")
    client = dial(server)

    assert client.noop()[0] == -1
    assert client.sock is None
    with pytest.raises(smtplib.SMTPServerDisconnected, match="please run connect"):
        client.noop()


def test_s14_ehlo_says_that_nobody_is_there(serve, dial) -> None:
    """S14: with the text of the standard module."""
    server = serve()
    server.answer("EHLO", b"\r\n")

    with pytest.raises(smtplib.SMTPServerDisconnected, match=r"^Server not connected$"):
        dial(server).ehlo()


@pytest.mark.parametrize("event", ["EHLO", "MAIL", "RCPT", "DATA", "CONTENT"])
def test_s14_nobody_is_accepted(serve, dial, event: str) -> None:
    """S14: wherever it comes, the message counts as not accepted; behind the content its fate is open."""
    server = serve()
    server.answer(event, b"550-a\r\n250 b\r\n")
    client = dial(server)

    with pytest.raises(smtplib.SMTPServerDisconnected) as caught:
        client.sendmail("a@x", ["b@y"], b"hi")
    assert isinstance(caught.value, smtplib.SMTPOutcomeUnknown) is (event == "CONTENT")
    assert client.sock is None


@pytest.mark.parametrize("event", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA"])
def test_s14_an_extra_reply_closes(serve, dial, event: str) -> None:
    """S14: it is never taken for the next command's reply."""
    server = serve()
    usual = {"GREETING": b"220 hi\r\n", "DATA": b"354 go\r\n"}
    server.answer(event, usual.get(event, b"250 ok\r\n") + b"250 extra\r\n")
    client = dial(server)

    with pytest.raises(smtplib.SMTPProtocolError, match="out of turn"):
        client.sendmail("a@x", ["b@y"], b"hi")
    assert client.sock is None
    assert server.messages == []


def test_s14_a_program_may_send_ahead(serve, dial) -> None:
    """S14: replies that were asked for may wait: who says `putcmd` twice reads twice."""
    client = dial(serve())
    client.ehlo()
    for verb in ("mail from:<a@x>", "rcpt to:<b@y>", "rset"):
        client.putcmd(verb)

    assert [client.getreply()[1] for _ in range(3)] == [b"2.1.0 sender ok", b"2.1.5 recipient ok", b"2.0.0 ok"]
    assert client.noop() == (250, b"2.0.0 ok")


@pytest.mark.parametrize("pieces", [[b"BDAT 4 LAST\r\n", b"a\r\nb"], [b"BDAT 4 LAST\r\na\r\nb"]])
def test_s14_a_program_may_say_bdat(serve, dial, pieces: list[bytes]) -> None:
    """S14: its octets have no replies of their own, so an extra one is still seen."""
    server = serve()
    client = dial(server)
    client.ehlo()
    client.mail("a@x")
    client.rcpt("b@y")
    for piece in pieces:
        client.send(piece)
    assert client.getreply()[0] == 250

    server.answer("NOOP", b"250 ok\r\n250 extra\r\n")
    client.noop()
    with pytest.raises(smtplib.SMTPProtocolError):
        client.noop()


def test_s14_a_new_connection_owes_nothing(serve, dial) -> None:
    """S14: what was asked for and not read on an earlier one does not count."""
    server = serve()
    server.answer("NOOP", b"250 ok\r\n250 extra\r\n")
    client = dial(server)
    for name in "xy":
        client.putcmd("vrfy", name)
    client.connect("localhost", server.port)
    client.noop()

    with pytest.raises(smtplib.SMTPProtocolError):
        client.noop()


def test_r4_the_last_words_of_a_server_are_heard(serve, dial) -> None:
    """R4: a 421 that came while idle is the reply to the next command, which is not sent."""
    server = serve()
    client = dial(server)
    server.answer("NOOP", b"250 ok\r\n421 idle too long\r\n")
    client.noop()

    assert client.rset() == (421, b"idle too long")
    assert server.lines == [b"noop"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [(b"552 too large\r\n", smtplib.SMTPDataError), (b"250 ok\r\n", smtplib.SMTPServerDisconnected)],
)
def test_r4_why_the_content_could_not_be_written(serve, dial, words: bytes, expected: type) -> None:
    """R4: a refusal that came before the write failed is the reply; anything else proves nothing."""
    server = serve()

    class Broken(socket.socket):
        def sendall(self, data: bytes) -> None:
            if data.startswith(b"hi"):
                server.hang_up(Then.DROP, words)
                raise BrokenPipeError
            super().sendall(data)

    client = dial(server)
    client.sock, client.file = Broken(fileno=client.sock.detach()), None
    with pytest.raises(expected):
        client.sendmail("a@x", ["b@y"], b"hi")


@pytest.mark.parametrize("where", ["sendall", "recv"])
def test_s14_an_interruption_closes(serve, dial, where: str) -> None:
    """S14: after Ctrl-C, or a worker's soft time limit, nobody knows which reply would come next."""

    def interrupted(self: socket.socket, *args: object) -> None:
        # A look at what has come does not wait, so nobody interrupts it.
        raise BlockingIOError if self.gettimeout() == 0 else KeyboardInterrupt

    client = dial(serve())
    impatient = type("Impatient", (socket.socket,), {where: interrupted})
    client.sock, client.file = impatient(fileno=client.sock.detach()), None
    client.sock.settimeout(5)
    with pytest.raises(KeyboardInterrupt):
        client.noop()
    assert client.sock is None


class Foreign:
    """A socket of another library: not the standard class, but with the same methods."""

    def __init__(self, inner: socket.socket) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


@pytest.mark.parametrize("extra", [b"", b"250 extra\r\n"])
def test_s14_on_a_foreign_socket(serve, dial, extra: bytes) -> None:
    """S14: its own file is read, and what it holds too much is seen."""
    server = serve()
    server.answer("NOOP", b"250 ok\r\n" + extra)
    client = dial(server)
    client.sock, client.file = Foreign(client.sock), None
    assert client.noop() == (250, b"ok")
    if extra:
        with pytest.raises(smtplib.SMTPProtocolError):
            client.noop()
    else:
        assert client.noop() == (250, b"ok")


def test_no_reply_at_all_to_the_content(serve, dial) -> None:
    """The outcome is unknown, and the error says so; it is an SMTPServerDisconnected with its text."""
    server = serve()
    server.cut_before("CONTENT")

    with pytest.raises(smtplib.SMTPOutcomeUnknown, match=r"^Connection unexpectedly closed$") as caught:
        dial(server).sendmail("a@x", ["b@y"], b"hi")
    assert not caught.value.temporary


def test_s18_no_host_in_a_reply_is_dialled(serve, dial) -> None:
    """S18: 551 with another address is a refusal and nothing else."""
    server, other = serve(), serve()
    server.refuse("b@y", 551, "", f"try <b@localhost:{other.port}>")

    with pytest.raises(smtplib.SMTPRecipientsRefused):
        dial(server).sendmail("a@x", ["b@y"], b"hi")
    assert other.connections == []


def test_s20_debug_output_is_escaped(serve, dial, capsys: pytest.CaptureFixture[str]) -> None:
    """S20: a server's words cannot move a terminal's cursor, nor forge a line."""
    server = serve()
    server.answer("NOOP", b"550 a\x1b[2J\x07\rERROR\r\n")
    client = dial(server)
    client.set_debuglevel(1)
    client.noop()

    printed = capsys.readouterr().err
    assert all(line.startswith(("send: ", "reply: ")) for line in printed.splitlines())
    assert printed.replace("\n", "").isprintable()


@pytest.mark.parametrize("text", ["(" * 1_000_000, "," * 1_000_000, "a:" * 500_000, '"' * 1_000_000])
def test_s11_parsing_is_cheap(text: str) -> None:
    """S11: a megabyte of nonsense is refused by its length, within 50 ms of this thread's time."""
    started = time.thread_time()
    with pytest.raises(smtplib.SMTPInputError):
        smtplib.quoteaddr(text)
    assert time.thread_time() - started < 0.05
