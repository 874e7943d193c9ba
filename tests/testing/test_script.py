"""What a test dictates happens, and nothing else."""

from collections.abc import Callable

import pytest

from mailbridge.testing import End, Record, Script, Settings, StartTLS, Then, Write
from mailbridge.testing.certificates import Authority
from tests.testing.transcripts import GREETING, Talk

OK = b"250 2.0.0 ok\r\n"


def test_recipients_and_senders() -> None:
    """Refused and deferred by name, or all of them; the rest is welcome."""
    talk = Talk()
    talk.script.refuse("no@y")
    talk.script.defer("later@y", text="one\ntwo")
    talk.script.refuse_sender("", 553, "5.7.1", "no bounces")
    talk.hello().follow(
        (b"MAIL FROM:<>\r\n", b"553 5.7.1 no bounces\r\n"),
        (b"MAIL FROM:<a@x>\r\n", b"250 2.1.0 sender ok\r\n"),
        (b"RCPT TO:<no@y>\r\n", b"550 5.1.1 no such user\r\n"),
        (b"RCPT TO:<later@y>\r\n", b"451-4.2.0 one\r\n451 4.2.0 two\r\n"),
        (b"RCPT TO:<b@y>\r\n", b"250 2.1.5 recipient ok\r\n"),
    )


def test_nth_and_times() -> None:
    """A rule holds from its nth occurrence on, so many times."""
    talk = Talk().hello()
    talk.script.answer("NOOP", b"250 mine\r\n", nth=2, times=2)
    talk.follow(*((b"NOOP\r\n", answer) for answer in (OK, b"250 mine\r\n", b"250 mine\r\n", OK)))


def test_the_last_line_wins() -> None:
    """A later rule for the same thing goes first, and leaves the field when it is used up."""
    talk = Talk().hello()
    talk.script.answer("noop", b"250 first\r\n")
    talk.script.answer("NOOP", b"250 second\r\n", times=1)
    talk.follow((b"NOOP\r\n", b"250 second\r\n"), (b"NOOP\r\n", b"250 first\r\n"))


@pytest.mark.parametrize(
    ("raw", "granted"),
    [
        (b"250 fine\r\n", True),
        (b"250-a\r\n550 b\r\n", False),
        (b"451 later\r\n", False),
        (b"", True),
        (b"nonsense\r\n", True),
    ],
)
def test_a_raw_reply_decides_by_its_last_line(raw: bytes, granted: bool) -> None:
    """2 and 3 grant, other digits refuse, and without a digit all is as it would have been."""
    talk = Talk()
    talk.script.answer("RCPT", raw)
    assert talk.envelope().say(b"DATA\r\n")[:3] == (b"354" if granted else b"554")


def test_the_greeting_can_be_anything() -> None:
    """421 in place of the banner, for one connection."""
    script = Script()
    script.answer("GREETING", b"421 too many connections\r\n", times=1, then=Then.CLOSE)
    refused = Talk(script=script)
    assert refused.open() == b"421 too many connections\r\n"
    assert refused.session.ended
    assert Talk(script=script).open() == GREETING


def test_what_ehlo_said_is_what_is_offered() -> None:
    """A scripted EHLO reply sets the extensions for the session."""
    talk = Talk()
    talk.script.answer("EHLO", b"250-x\r\n250-SIZE 5\r\n250 CHUNKING\r\n")
    talk.hello().follow(
        (b"MAIL FROM:<a@x> SIZE=6\r\n", b"552 5.3.4 message too large\r\n"),
        (b"MAIL FROM:<a@x> RET=FULL\r\n", b"555 5.5.4 RET was not offered\r\n"),
    )


def test_offers_before_and_after_tls() -> None:
    """An extension can be offered in clear only, under TLS only, or in both."""
    script = Script(extensions=[])
    script.offer("PIPELINING", tls=False)
    script.offer("SIZE 9", tls=True)
    script.offer("DSN")
    script.offer("CHUNKING")
    script.withdraw("chunking", tls=True)
    replies = []
    for tls in (False, True):
        talk = Talk(script=script, tls=tls)
        talk.open()
        replies.append(talk.say(b"EHLO me\r\n").split(b"\r\n")[1:-1])
    assert replies == [[b"250-PIPELINING", b"250-DSN", b"250 CHUNKING"], [b"250-SIZE 9", b"250 DSN"]]


@pytest.mark.parametrize("how", [Then.CLOSE, Then.DROP, Then.RESET, Then.SILENCE])
def test_cut_after_and_before(how: Then) -> None:
    """The connection ends behind the reply, or instead of it, once; nothing is said afterwards."""
    script = Script()
    script.cut_after("NOOP", how)
    script.cut_before("RSET", how)
    after, before, well = (Talk(script=script).hello() for _ in range(3))
    assert (after.say(b"NOOP\r\n"), after.actions[-1]) == (OK, End(how))
    assert after.say(b"NOOP\r\n") == b""
    assert after.session.connection.ended == how.value
    assert (before.say(b"RSET\r\n"), before.actions) == (b"", [End(how)])
    assert well.say(b"NOOP\r\n") + well.say(b"RSET\r\n") == OK * 2


def test_cut_in_a_group() -> None:
    """What stands behind the cut in the same segment is not answered and not done."""
    talk = Talk()
    talk.script.cut_after("RCPT", nth=2)
    answers = talk.hello().say(b"MAIL FROM:<a@x>\r\n" + b"RCPT TO:<b@y>\r\n" * 3 + b"DATA\r\n")
    assert len(answers.splitlines()) == 3


@pytest.mark.parametrize("octets", range(len(GREETING) + len(OK) + 30))
def test_cut_at_every_octet_written(octets: int) -> None:
    """Exactly so many octets leave, then the connection ends."""
    script = Script(extensions=[])
    script.cut_at_written(octets, Then.RESET)
    talk = Talk(script=script)
    written = talk.open() + talk.say(b"EHLO me\r\n") + talk.say(b"NOOP\r\n") + talk.say(b"NOOP\r\n" * 9)
    assert len(written) == octets == talk.session.connection.written
    assert talk.session.connection.ended == "reset"


@pytest.mark.parametrize("octets", range(23))
def test_cut_at_every_octet_read(octets: int) -> None:
    """What was asked within so many octets is answered; nothing behind them."""
    script = Script(extensions=["PIPELINING"])
    script.cut_at_read(octets)
    talk = Talk(script=script)
    answers = talk.open() + talk.say(b"EHLO me\r\nRSET\r\nRSET\r\n"[:9]) + talk.say(b"RSET\r\nRSET\r\n")
    done = (octets >= 9) + (octets >= 15) + (octets >= 21)
    assert answers.count(b"250 ") == done
    assert (talk.session.connection.ended is not None) == (octets <= 21)


def test_cuts_are_for_the_next_connections() -> None:
    """Once by default, then all is well; more often if told so."""
    script, record = Script(), Record()
    script.cut_at_written(3, times=2)
    assert [len(Talk(script=script, record=record).open()) for _ in range(3)] == [3, 3, len(GREETING)]


def test_a_cut_at_a_border_waits_for_nothing() -> None:
    """When the last octet before the cut has left, the connection ends, not at the next write."""
    talk = Talk()
    talk.script.cut_at_written(len(GREETING))
    assert talk.open() == GREETING
    assert talk.actions[-1] == End(Then.CLOSE)


@pytest.mark.parametrize("octets", range(23))
def test_last_words_where_the_client_is_cut(octets: int) -> None:
    """They stand behind what was answered, and nothing behind them is."""
    script = Script(extensions=["PIPELINING"])
    script.cut_at_read(octets, saying=b"421 bye\r\n")
    talk = Talk(script=script)
    answers = talk.open() + talk.say(b"EHLO me\r\n") + talk.say(b"RSET\r\nRSET\r\n")

    assert answers.endswith(b"\r\n421 bye\r\n") == (octets <= 21)
    assert answers.count(b"421 ") == (octets <= 21)


def test_last_words_where_a_reply_was_due_are_that_reply() -> None:
    """LMTP: one recipient's 250 has left when the server says 421, so the other one's mail is not delivered."""
    script = Script(Settings(lmtp=True), extensions=[])
    talk = Talk(script=script)
    talk.open()
    for line in (b"LHLO me\r\n", b"MAIL FROM:<a@x>\r\n", b"RCPT TO:<b@y>\r\n", b"RCPT TO:<c@y>\r\n", b"DATA\r\n"):
        talk.say(line)
    script.cut_at_written(talk.session.connection.written + len(b"250 <b@y> saved\r\n"), saying=b"421 bye\r\n")

    assert talk.say(b"x:y\r\n.\r\n") == b"250 <b@y> saved\r\n421 bye\r\n"
    assert [message.recipients for message in talk.record.messages] == [("b@y",)]


def test_drip_and_segments() -> None:
    """One octet at a time with a pause, or pieces of a size, or all at once."""
    talk = Talk().hello()
    talk.script.drip(0.5)
    talk.say(b"NOOP\r\n")
    assert talk.actions == [Write(bytes([octet]), 0.5) for octet in OK]
    talk.script.drip(0)
    talk.script.segments(8)
    talk.say(b"NOOP\r\n")
    assert talk.actions == [Write(OK[:8]), Write(OK[8:])]
    talk.script.segments(None)
    talk.say(b"NOOP\r\n")
    assert talk.actions == [Write(OK)]


def test_sizes_take_turns() -> None:
    """One octet, then seven, then one again, whatever the borders of the replies are."""
    talk = Talk().hello()
    talk.script.segments([1, 7])
    talk.say(b"NOOP\r\n")
    assert talk.actions == [Write(OK[:1]), Write(OK[1:8]), Write(OK[8:9]), Write(OK[9:])]


def test_each_reply_in_a_segment_of_its_own() -> None:
    """What was asked at once is answered in pieces."""
    talk = Talk().hello()
    talk.say(b"RSET\r\nRSET\r\n")
    assert talk.actions == [Write(OK * 2)]
    talk.script.segments("replies")
    talk.say(b"RSET\r\nRSET\r\n")
    assert talk.actions == [Write(OK), Write(OK)]
    talk.script.segments(None)
    talk.say(b"RSET\r\nRSET\r\n")
    assert talk.actions == [Write(OK * 2)]


@pytest.mark.parametrize("how", ["another reply", "the end"])
def test_a_reply_held_back_leaves_with_the_next_one(how: str) -> None:
    """Two replies in one segment, though the first was due before; none is lost at an end."""
    talk = Talk().hello()
    talk.script.hold_back("RSET")
    assert talk.say(b"RSET\r\n") == b""
    if how == "the end":
        assert [*talk.session.say(b"", Then.CLOSE)] == [Write(OK), End(Then.CLOSE)]
    else:
        talk.say(b"RSET\r\n")
        assert talk.actions == [Write(OK * 2)]
        assert talk.say(b"RSET\r\n") == OK


@pytest.mark.parametrize(
    ("say", "why"),
    [
        (lambda script: script.refuse("b@y", 250), "a code from 400 to 599, not 250"),
        (lambda script: script.refuse_sender("a@x", "550"), "not '550'"),
        (lambda script: script.refuse_content(354), "not 354"),
        (lambda script: script.answer("RCPT", "250 ok"), "octets, not '250 ok'"),
        (lambda script: script.cut_after("RCPT", "closed!"), "'closed!' is not a valid Then"),
        (lambda script: script.cut_at_read(10, "gone"), "'gone' is not a valid Then"),
        (lambda script: script.segments(0), "numbers from 1"),
        (lambda script: script.segments([1, -1]), "numbers from 1"),
        (lambda script: script.segments("reply"), "not 'reply'"),
        (lambda _: Settings(tls="ssl"), "None, starttls, implicit, not 'ssl'"),
        (lambda _: Settings(auth=("PLAIN", "NTLM")), "not NTLM"),
        (lambda _: Authority("bad"), "not 'bad'"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(say: Callable[[Script], object], why: str) -> None:
    """A mistake of the test's own must not look like the server's."""
    with pytest.raises((TypeError, ValueError), match=why):
        say(Script())


def test_421_to_the_idle() -> None:
    """Once, unless the client speaks again; then the connection ends, or goes on if told so."""
    talk = Talk().hello()
    assert talk.session.patience is None
    talk.script.say_421(after_idle=30, then=Then.GO_ON)
    assert talk.session.patience == 30
    assert talk.session.impatient() == [Write(b"421 4.4.2 you said nothing for too long\r\n")]
    assert talk.session.patience is None
    assert talk.say(b"NOOP\r\n") == OK
    talk.script.say_421(after_idle=0.5)
    assert talk.session.patience == 0.5
    assert talk.session.impatient()[-1] == End(Then.CLOSE)
    assert talk.session.patience is None


@pytest.mark.parametrize("same_segment", [True, False])
def test_injection_behind_starttls(same_segment: bool) -> None:
    """Clear octets behind the 220, in its segment or in one of their own, then the handshake."""
    talk = Talk(settings=Settings(tls="starttls")).hello()
    talk.script.inject_behind_starttls(b"250 AUTH PLAIN\r\n", same_segment=same_segment)
    talk.say(b"STARTTLS\r\n")
    go, injected = b"220 2.0.0 go ahead\r\n", b"250 AUTH PLAIN\r\n"
    writes = [Write(go + injected)] if same_segment else [Write(go), Write(injected)]
    assert talk.actions == [*writes, StartTLS()]


@pytest.mark.parametrize("code", [b"454", b"502"])
def test_starttls_refused_by_the_script(code: bytes) -> None:
    """No handshake, and the session goes on."""
    talk = Talk(settings=Settings(tls="starttls")).hello()
    talk.script.answer("STARTTLS", code + b" no\r\n")
    assert talk.say(b"STARTTLS\r\n") == code + b" no\r\n"
    assert StartTLS() not in talk.actions
    assert talk.say(b"NOOP\r\n") == OK


@pytest.mark.parametrize(("then", "ended"), [(Then.CLOSE, True), (Then.GO_ON, False)])
def test_421_at_the_next_mail(then: Then, ended: bool) -> None:
    """After so many messages MAIL gets 421; some servers keep the line open (SERVERS.md R3)."""
    talk = Talk()
    talk.script.say_421(after_messages=1, then=then)
    talk.envelope().say(b"BDAT 1 LAST\r\na")
    assert talk.say(b"MAIL FROM:<a@x>\r\n") == b"421 4.7.0 too many messages on this connection\r\n"
    assert talk.session.ended is ended


def test_421_unasked() -> None:
    """The 421 stands right behind the last message's reply."""
    talk = Talk()
    talk.script.say_421(after_messages=1, unasked=True)
    answers = talk.envelope().say(b"BDAT 1 LAST\r\na").splitlines()
    assert [answer[:3] for answer in answers] == [b"250", b"421"]
    assert talk.session.ended


@pytest.mark.parametrize(("raw", "count"), [(b"", 1), (b"250 a\r\n250 b\r\n", 3)])
def test_lmtp_replies_missing_and_too_many(raw: bytes, count: int) -> None:
    """Each final reply is an event of its own: one can be left out or doubled."""
    talk = Talk(settings=Settings(lmtp=True))
    talk.script.answer("CONTENT", raw, nth=2, times=1)
    assert len(talk.envelope("b@y", "c@y").say(b"BDAT 1 LAST\r\na").splitlines()) == count


def test_unasked_words() -> None:
    """A driver may say something out of turn."""
    talk = Talk().hello()
    assert talk.session.say(b"421 idle\r\n", Then.CLOSE) == [Write(b"421 idle\r\n"), End(Then.CLOSE)]


def test_play() -> None:
    """A transcript is followed to the letter, for one connection, STARTTLS included."""
    script = Script()
    script.play([(b"", b"220 hi\r\n"), (b"STARTTLS\r\n", b"220 go\r\n", Then.TLS), (b"X\r\n", b"", Then.RESET)])
    talk = Talk(script=script)
    assert talk.open() == b"220 hi\r\n"
    talk.say(b"STARTTLS\r\n")
    assert talk.actions == [Write(b"220 go\r\n"), StartTLS()]
    talk.session.tls_established()
    talk.say(b"X\r\n")
    assert talk.actions == [End(Then.RESET)]
    assert talk.record.lines == [b"STARTTLS", b"X"]
    assert Talk(script=script).open() == GREETING


def test_leaving_a_transcript_is_a_surprise() -> None:
    """A client that says something else is shown out, and it is on record."""
    script = Script()
    script.play([(b"EHLO me\r\n", OK)])
    talk = Talk(script=script)
    assert talk.open() == GREETING
    assert talk.say(b"EHLO you\r\n") == b""
    assert talk.session.ended
    assert talk.record.surprises == [r"expected b'EHLO me\r\n', got b'EHLO you\r\n'"]
