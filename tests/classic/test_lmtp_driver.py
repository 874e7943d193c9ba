"""LMTP in step: one reply to the content for each recipient that RCPT accepted (RFC 2033 section 4.2)."""

from collections.abc import Sequence

import pytest

from mailbridge import smtplib
from mailbridge.testing import Then


def test_refusals_after_the_content_are_in_the_result(serve, dial) -> None:
    """Next to those at RCPT; the connection stays in step for the next message (WIRE.md S15)."""
    server = serve(lmtp=True)
    server.refuse("no@y")
    server.refuse_content(552, "5.2.2", "full", recipient="full@y")
    client = dial(server, smtplib.LMTP)

    refused = client.sendmail("a@x", ["b@y", "no@y", "full@y"], b"hi")
    assert refused == {"no@y": (550, b"5.1.1 no such user"), "full@y": (552, b"5.2.2 full")}
    assert client.sendmail("a@x", ["c@y", "d@y"], b"hi") == {}
    assert [message.recipients for message in server.messages] == [("b@y",), ("c@y", "d@y")]
    assert server.lines[0] == b"lhlo client.test"


@pytest.mark.parametrize("octets", [None, 1, 7])
def test_s15_replies_in_one_segment_and_in_many(serve, dial, octets: int | None) -> None:
    """S15: 250 and 550 are taken for their recipients however they arrive."""
    server = serve(lmtp=True)
    server.segments(octets)
    server.refuse_content(550, "5.0.0", "no", recipient="no@y")

    assert dial(server, smtplib.LMTP).sendmail("a@x", ["b@y", "no@y"], b"hi") == {"no@y": (550, b"5.0.0 no")}


def test_all_refused_after_the_content(serve, dial) -> None:
    """SMTPRecipientsRefused, each with the reply of its own, whenever it came; the connection stays open."""
    server = serve(lmtp=True)
    server.refuse("no@y")
    server.refuse_content(452, "4.2.2", "full", recipient="full@y")
    client = dial(server, smtplib.LMTP)

    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        client.sendmail("a@x", ["no@y", "full@y"], b"hi")
    assert caught.value.recipients == {"no@y": (550, b"5.1.1 no such user"), "full@y": (452, b"4.2.2 full")}
    assert client.noop() == (250, b"2.0.0 ok")


def test_refused_data_is_a_data_error(serve, dial) -> None:
    """Nobody got a reply of their own then."""
    server = serve(lmtp=True)
    server.answer("DATA", b"554 no\r\n")

    with pytest.raises(smtplib.SMTPDataError, match="554"):
        dial(server, smtplib.LMTP).sendmail("a@x", ["b@y"], b"hi")


@pytest.mark.parametrize("second", [b"", b"blurb\r\n"])
def test_s15_a_missing_reply(serve, dial, second: bytes) -> None:
    """S15: the outcome is unknown, nobody is reported as accepted, the connection is closed."""
    server = serve(lmtp=True)
    server.answer("CONTENT", second, nth=2, then=Then.CLOSE)
    client = dial(server, smtplib.LMTP)

    with pytest.raises(smtplib.SMTPOutcomeUnknown, match=r"^Connection unexpectedly closed"):
        client.sendmail("a@x", ["b@y", "c@y"], b"hi")
    assert client.sock is None
    assert client.final_replies == {"b@y": (250, b"2.0.0 <b@y> saved")}


def test_a_421_among_the_replies_closes(serve, dial) -> None:
    """The others keep their replies."""
    server = serve(lmtp=True)
    server.answer("CONTENT", b"421 bye\r\n", nth=2, then=Then.CLOSE)
    client = dial(server, smtplib.LMTP)

    assert client.sendmail("a@x", ["b@y", "c@y"], b"hi") == {"c@y": (421, b"bye")}
    assert client.sock is None


def test_m1_a_mailbox_is_asked_for_once(serve, dial) -> None:
    """M1: some servers answer doubles once; both spellings are reported all the same."""
    server = serve(lmtp=True)
    server.refuse_content(552, "5.2.2", "full", recipient="b@y")

    refused = dial(server, smtplib.LMTP).sendmail("a@x", ["b@y", "Bob <b@Y>", "c@y"], b"hi")
    assert refused == {"b@y": (552, b"5.2.2 full"), "Bob <b@Y>": (552, b"5.2.2 full")}
    assert [line for line in server.lines if line.startswith(b"rcpt")] == [b"rcpt to:<b@y>", b"rcpt to:<c@y>"]


def test_a_251_is_answered_too(serve, dial) -> None:
    """Every 2yz to RCPT is an accepted recipient."""
    server = serve(lmtp=True)
    server.answer("RCPT", b"251 forwards\r\n")
    client = dial(server, smtplib.LMTP)

    assert client.sendmail("a@x", ["b@y", "c@y"], b"hi") == {}
    assert client.noop() == (250, b"2.0.0 ok")


def test_data_called_by_hand(serve, dial) -> None:
    """It reads all the replies and gives the first that accepted the message."""
    server = serve(lmtp=True)
    server.refuse_content(550, "5.0.0", "no", recipient="b@y")
    client = dial(server, smtplib.LMTP)
    client.ehlo()
    client.mail("a@x")
    client.rcpt("b@y")
    client.rcpt("c@y")

    assert client.data("hi") == (250, b"2.0.0 <c@y> saved")
    assert client.final_replies["b@y"] == (550, b"5.0.0 no")
    assert client.noop() == (250, b"2.0.0 ok")


def test_a_unix_socket(serve) -> None:
    """A host that begins with "/" is one."""
    server = serve(lmtp=True, unix=True, accounts={"ann": "Gehe1m-pw"})
    with smtplib.LMTP(server.path, timeout=5) as client:
        client.login("ann", "Gehe1m-pw")
        assert client.sendmail("a@x", ["b@y"], b"hi") == {}

    with pytest.raises(FileNotFoundError):
        smtplib.LMTP(server.path + ".not")


def test_the_port() -> None:
    """`connect(host)` goes where the constructor goes, to 2003."""
    seen = []

    class Mine(smtplib.LMTP):
        def _get_socket(self, host: str, port: int, timeout: object) -> None:
            seen.append((host, port))
            raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        Mine("mail.example")
    with pytest.raises(ConnectionRefusedError):
        Mine().connect("mail.example")
    assert seen == [("mail.example", 2003)] * 2


class Lower(smtplib.LMTP):
    """Changes the address on its way."""

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        return super().rcpt(recip.lower(), options)


class Own(smtplib.LMTP):
    """Says RCPT itself."""

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        self.putcmd("RCPT", f"TO:<{recip.lower()}>")
        return self.getreply()


class Socket(smtplib.LMTP):
    """Says it without any method of ours."""

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        self.sock.sendall(f"RCPT TO:<{recip.lower()}>\r\n".encode())
        return self.getreply()


@pytest.mark.parametrize("kind", [Lower, Own, Socket])
def test_an_rcpt_of_the_programs_own(serve, dial, kind: type) -> None:
    """Final replies are the recipients' by their order, in the caller's spelling; the connection stays in step."""
    server = serve(lmtp=True)
    server.refuse_content(554, "5.6.0", "no", recipient="bob@y")
    client = dial(server, kind)

    assert client.sendmail("a@x", ["ann@y", "BOB@y", "cat@y"], b"hi") == {"BOB@y": (554, b"5.6.0 no")}
    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        client.sendmail("a@x", ["BOB@y"], b"hi")
    assert caught.value.recipients == {"BOB@y": (554, b"5.6.0 no")}
    assert client.sendmail("a@x", ["ann@y"], b"hi") == {}
    assert client.noop() == (250, b"2.0.0 ok")


def test_m1_spellings_that_become_one_mailbox(serve, dial) -> None:
    """M1: the one final reply is that of both."""
    server = serve(lmtp=True)
    server.refuse_content(554, "5.6.0", "no", recipient="bob@y")

    refused = dial(server, Lower).sendmail("a@x", ["ann@y", "bob@y", "BOB@y"], b"hi")
    assert refused == {"bob@y": (554, b"5.6.0 no"), "BOB@y": (554, b"5.6.0 no")}


def test_a_recipient_that_the_program_answers_for(serve, dial) -> None:
    """The server was not asked, so none of its replies is this recipient's."""

    class Mine(smtplib.LMTP):
        def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
            return (250, b"never mind") if recip == "no@y" else super().rcpt(recip, options)

    server = serve(lmtp=True)
    server.refuse_content(554, "5.6.0", "no", recipient="bob@y")

    assert dial(server, Mine).sendmail("a@x", ["no@y", "bob@y", "c@y"], b"hi") == {"bob@y": (554, b"5.6.0 no")}


def test_one_recipient_may_become_many(serve, dial) -> None:
    """A refusal by any of them is the recipient's."""

    class Mine(smtplib.LMTP):
        def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
            return [super(Mine, self).rcpt(each) for each in ("ann@y", "bob@y", "cat@y")][-1]

    server = serve(lmtp=True)
    server.refuse_content(554, "5.6.0", "no", recipient="bob@y")

    assert dial(server, Mine).sendmail("a@x", ["all@y"], b"hi") == {"all@y": (554, b"5.6.0 no")}


@pytest.mark.parametrize("ahead", [False, True])
def test_rcpt_said_by_hand(serve, dial, ahead: bool) -> None:
    """Each 2yz reply to one has its final reply, whether commands were sent one by one or in one write."""
    server = serve(lmtp=True)
    server.refuse("no@y")
    server.refuse_content(554, "5.6.0", "no", recipient="bob@y")
    client = dial(server, smtplib.LMTP)
    client.ehlo()
    commands = ["mail from:<a@x>", "rcpt to:<bob@y>", "RCPT TO:<no@y>", "Rcpt To:<c@y> NOTIFY=NEVER"]
    if ahead:
        client.send("".join(f"{command}\r\n" for command in commands))
        replies = [client.getreply()[0] for _ in commands]
    else:
        replies = [client.docmd(command)[0] for command in commands]

    assert replies == [250, 250, 550, 250]
    assert client.data(b"hi") == (250, b"2.0.0 <c@y> saved")
    assert client.final_replies == {"bob@y": (554, b"5.6.0 no"), "c@y": (250, b"2.0.0 <c@y> saved")}
    assert client.noop() == (250, b"2.0.0 ok")


def test_a_mailbox_asked_for_twice(serve, dial) -> None:
    """A program's own rcpt() may do that: a refusal of either is reported."""
    server = serve(lmtp=True)
    server.answer("CONTENT", b"452 full\r\n")
    server.answer("CONTENT", b"250 kept\r\n", nth=2)
    client = dial(server, Own)

    assert client.sendmail("a@x", ["b@y", "b@y"], b"hi") == {"b@y": (452, b"full")}
    assert client.noop() == (250, b"2.0.0 ok")
