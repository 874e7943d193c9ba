"""DATA and BDAT, SMTP and LMTP: who has the message afterwards."""

import pytest

from mailbridge.testing import End, Script, Settings, Then
from tests.testing.transcripts import Talk

LMTP = Settings(lmtp=True)
NO_RECIPIENTS = b" 5.5.1 no valid recipients\r\n"


@pytest.mark.parametrize(("lmtp", "code"), [(False, b"554"), (True, b"503")])
@pytest.mark.parametrize("content", [b"DATA\r\n", b"BDAT 3 LAST\r\nabc"])
def test_no_recipient_no_content(lmtp: bool, code: bytes, content: bytes) -> None:
    """All refused: no 354, and a chunk is swallowed; the session stays in step."""
    talk = Talk(settings=Settings(lmtp=lmtp))
    talk.script.refuse("b@y")
    assert talk.envelope("b@y").say(content) == code + NO_RECIPIENTS
    assert talk.say(b"NOOP\r\n") == b"250 2.0.0 ok\r\n"
    assert talk.record.messages == []


def test_a_lone_dot_after_a_hasty_354() -> None:
    """A script may say 354 to nobody; the lone dot then gets its refusal (RFC 2920 section 3.1)."""
    talk = Talk()
    talk.script.refuse("*")
    talk.script.answer("DATA", b"354 go\r\n")
    talk.envelope("b@y").follow((b"DATA\r\n", b"354 go\r\n"), (b".\r\n", b"554" + NO_RECIPIENTS))
    assert talk.record.messages == []


def test_chunks_make_a_message() -> None:
    """Each chunk has its reply, the content is what the chunks held, dots and all."""
    talk = Talk().envelope()
    talk.follow(
        (b"BDAT 4\r\n.\r\n.", b"250 2.0.0 4 octets received\r\n"),
        (b"BDAT 0\r\n", b"250 2.0.0 0 octets received\r\n"),
        (b"BDAT 2 LAST\r\n\r\n", b"250 2.0.0 Ok: queued as 000001\r\n"),
    )
    assert talk.record.messages[0].content == b".\r\n.\r\n"


def test_one_flight() -> None:
    """Two messages, each with a refused recipient, in one write, are answered in order and in full."""
    talk = Talk().hello()
    talk.script.refuse("no@y")
    flight = b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<no@y>\r\nBDAT 3 LAST\r\nabc"
    codes = [line[:3] for line in talk.say(flight * 2).splitlines()]
    assert codes == [b"250", b"250", b"550", b"250"] * 2
    assert [message.recipients for message in talk.record.messages] == [("b@y",)] * 2


def test_bdat_unannounced() -> None:
    """Nobody knows what the octets are, so the session ends (SERVERS.md B5)."""
    talk = Talk()
    talk.script.withdraw("CHUNKING")
    assert talk.envelope().say(b"BDAT 3 LAST\r\nabc")[:3] == b"521"
    assert talk.actions[-1] == End(Then.CLOSE)


def test_chunks_without_pipelining() -> None:
    """A chunk follows its command at once; anything behind the chunk is too soon."""
    talk = Talk()
    talk.script.withdraw("PIPELINING")
    talk.envelope()
    assert talk.say(b"BDAT 1\r\na") == b"250 2.0.0 1 octets received\r\n"
    assert talk.say(b"BDAT 1\r\naRSET\r\n") == b"554 5.5.0 you talk too soon\r\n"


def test_nothing_behind_the_dot_without_pipelining() -> None:
    """A server without PIPELINING shows out whoever goes on before the final reply (SERVERS.md P1)."""
    talk = Talk()
    talk.script.withdraw("PIPELINING")
    talk.envelope().say(b"DATA\r\n")
    assert talk.say(b"hi\r\n.\r\nQUIT\r\n") == b"554 5.5.0 you talk too soon\r\n"
    assert talk.record.messages == []


def test_data_and_bdat_do_not_mix() -> None:
    """RFC 3030 section 2: neither DATA nor RCPT after a chunk."""
    talk = Talk().envelope()
    talk.say(b"BDAT 1\r\na")
    assert talk.say(b"DATA\r\n")[:3] == b"503"
    assert talk.say(b"RCPT TO:<c@y>\r\n")[:3] == b"503"


def test_binary_content_comes_in_chunks() -> None:
    """RFC 3030 section 3: BODY=BINARYMIME needs its extension, and DATA cannot carry it."""
    binary = b"MAIL FROM:<a@x> BODY=BINARYMIME\r\n"
    assert Talk().hello().say(binary) == b"555 5.5.4 BINARYMIME was not offered\r\n"
    talk = Talk(script=Script(extensions=["8BITMIME", "CHUNKING", "BINARYMIME"])).hello()
    talk.say(binary)
    talk.say(b"RCPT TO:<b@y>\r\n")
    assert talk.say(b"DATA\r\n") == b"503 5.5.1 bad sequence of commands\r\n"
    talk.say(b"BDAT 3 LAST\r\n\r\0\n")
    assert talk.record.messages[0].content == b"\r\0\n"


def test_too_large_by_chunks() -> None:
    """The limit is found at a chunk; the rest is swallowed and refused, then all is well again."""
    talk = Talk(script=Script(extensions=["SIZE 5", "CHUNKING"])).envelope()
    talk.follow(
        (b"BDAT 6\r\nabcdef", b"552 5.3.4 message too large\r\n"),
        (b"BDAT 1 LAST\r\ng", b"503 5.5.0 an earlier chunk failed\r\n"),
        (b"MAIL FROM:<a@x>\r\n", b"250 sender ok\r\n"),
    )
    assert talk.record.messages == []


def test_too_large_by_data() -> None:
    """The limit is found after the dot."""
    talk = Talk(script=Script(extensions=["SIZE 5"])).envelope()
    talk.say(b"DATA\r\n")
    assert talk.say(b"abcdef\r\n.\r\n") == b"552 5.3.4 message too large\r\n"
    assert talk.record.messages == []


def test_a_scripted_refusal_of_a_chunk_fails_the_rest() -> None:
    """What the script refuses is refused for good."""
    talk = Talk()
    talk.script.answer("BDAT", b"451 later\r\n", times=1)
    talk.envelope().follow(
        (b"BDAT 1\r\na", b"451 later\r\n"),
        (b"BDAT 1 LAST\r\nb", b"503 5.5.0 an earlier chunk failed\r\n"),
    )


@pytest.mark.parametrize("content", [b"DATA\r\n|abc\r\n.\r\n", b"BDAT 5 LAST\r\nabc\r\n"])
def test_lmtp_answers_for_each_recipient(content: bytes) -> None:
    """RFC 2033 section 4.2: one reply per accepted RCPT, in order; who was refused has none."""
    talk = Talk(settings=LMTP)
    talk.script.refuse("no@y")
    talk.script.refuse_content(552, "5.2.2", "over quota", recipient="full@y")
    talk.envelope("b@y", "no@y", "full@y", "b@y")
    answers = [talk.say(part) for part in content.split(b"|")]
    assert answers[-1] == b"250 2.0.0 <b@y> saved\r\n552 5.2.2 over quota\r\n250 2.0.0 <b@y> saved\r\n"
    [message] = talk.record.messages
    assert (message.recipients, message.content) == (("b@y", "b@y"), b"abc\r\n")


def test_lmtp_refused_by_all() -> None:
    """If no recipient wants it, nobody has it."""
    talk = Talk(settings=LMTP)
    talk.script.refuse_content()
    assert talk.envelope("b@y", "c@y").say(b"BDAT 1 LAST\r\na") == b"554 5.6.0 content refused\r\n" * 2
    assert talk.record.messages == []


@pytest.mark.parametrize("lmtp", [False, True])
def test_a_lost_reply_is_an_accepted_message(lmtp: bool) -> None:
    """Cut instead of the final reply: the server has the message, once, and said nothing."""
    talk = Talk(settings=Settings(lmtp=lmtp))
    talk.script.cut_before("CONTENT", Then.RESET)
    assert talk.envelope("b@y", "c@y").say(b"BDAT 1 LAST\r\na") == b""
    assert talk.actions == [End(Then.RESET)]
    assert [message.recipients for message in talk.record.messages] == [("b@y", "c@y")]


def test_smuggling_at_a_lax_server() -> None:
    """A bare LF around the dot gives a lax server two messages, a strict one a single message."""
    smuggled = b"one\r\n\n.\nMAIL FROM:<evil@x>\r\nRCPT TO:<b@y>\r\nDATA\r\ntwo\r\n.\r\n"
    found = {}
    for lax in (False, True):
        talk = Talk(settings=Settings(lax_newlines=lax, strict_pipelining=False)).envelope()
        talk.say(b"DATA\r\n")
        talk.say(smuggled)
        found[lax] = [message.sender for message in talk.record.messages]
    assert found == {False: ["a@x"], True: ["a@x", "evil@x"]}
