"""Properties: whatever a server does, a receipt tells no lie, nobody gets a message twice, and every send ends."""

from collections import Counter, deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

from mailbridge.conversations import Delivery, Flow, Need, outcome, send, stream
from mailbridge.errors import SMTPException, SMTPTimeoutError
from mailbridge.preparing import Prepared
from mailbridge.protocol import SMTPProtocol
from mailbridge.receipts import Receipt
from mailbridge.server import Security, Server
from mailbridge.sync.connection import drive
from mailbridge.testing import Accepted, Script, Settings, Then
from tests.core.dialogue import CONTENT, LARGE, Sent, letter, ready, warm
from tests.core.model import Model

NAMES = ("b@y", "c@y", "d@z")
EXTENSIONS = ("PIPELINING", "CHUNKING", "SIZE 400000", "LIMITS RCPTMAX=2", "8BITMIME")
NO = [
    b"421 bye\r\n",
    b"450 later\r\n",
    b"452 4.5.3 too many\r\n",
    b"452 full\r\n",
    b"550 no\r\n",
    b"554-a\r\n554 b\r\n",
]
YES = [b"250 ok\r\n", b"250-2.0.0 ok\r\n250 2.0.0 ok\r\n", b"251 elsewhere\r\n", b"250\r\n"]
# What a legal server may answer; None is what the model thinks right.
REPLIES: dict[str, list[bytes | None]] = {
    "MAIL": [None, *NO, *YES],
    "RCPT": [None, None, *NO, *YES],
    "DATA": [None, None, *NO],
    "CONTENT": [None, None, *NO, *YES],
    "BDAT": [None, None, *NO],
    "RSET": [None, None, NO[0], YES[0]],
}
ENDS = st.sampled_from([Then.CLOSE, Then.DROP, Then.RESET, Then.SILENCE])


@st.composite
def scripts(draw: st.DrawFn, *, lmtp: bool) -> Script:
    """A server that follows the standard, says yes and no as it likes, and may leave at any point."""
    extensions = draw(st.lists(st.sampled_from(EXTENSIONS), unique=True))
    limit = draw(st.sampled_from([None, 1, 2]))
    script = Script(Settings(lmtp=lmtp, max_recipients=limit), extensions)
    for _ in range(draw(st.integers(0, 4))):
        event = draw(st.sampled_from(sorted(REPLIES)))
        reply, nth = draw(st.sampled_from(REPLIES[event])), draw(st.integers(1, 4))
        # A server that refuses RSET and then goes on with the old transaction is no legal one.
        goes_on = st.nothing() if event == "RSET" and reply == NO[0] else st.just(Then.GO_ON)
        script.answer(event, reply, nth=nth, times=1, then=draw(goes_on | ENDS))
    for cut in draw(st.lists(st.sampled_from([script.cut_at_read, script.cut_at_written]), max_size=1)):
        cut(draw(st.integers(20, 700)), draw(ENDS), times=draw(st.integers(1, 2)))
    if draw(st.booleans()):
        script.say_421(after_messages=draw(st.integers(1, 2)), unasked=draw(st.booleans()), then=draw(ENDS))
    script.segments(draw(st.sampled_from([None, 1, 7])))
    note(f"{script.offers.table(tls=False)} {limit=} {script.rules} {script.cuts} {script.farewell}")
    return script


def messages(receipt: Receipt, delivery: Delivery, model: Model, seen: int) -> None:
    """What the receipt says is what the server remembers of this message."""
    agree(receipt, delivery, model.record.messages[seen:])
    for message in model.record.messages[seen:]:
        assert message.content in {CONTENT, LARGE}


def agree(receipt: Receipt, delivery: Delivery, remembered: Sequence[Accepted]) -> None:
    """The receipt of one message, and what the server has of it."""
    got = Counter(name for message in remembered for name in message.recipients)
    unknown = set(receipt.unknown)

    assert set(receipt.results) == set(NAMES)
    assert not [name for name, times in got.items() if times > 1]
    assert set(receipt.accepted) <= set(got)
    assert set(got) <= set(receipt.accepted) | unknown
    for name in unknown:
        last = [t for t in delivery.transactions if name in [r.names[0] for r in t.recipients]][-1]
        assert last.commit
        assert last.smtp.offered(last.commit)
        assert not last.commit.done


@settings(max_examples=100)
@given(st.data(), st.booleans())
def test_a_receipt_tells_what_the_server_remembers(data: st.DataObject, lmtp: bool) -> None:
    """A legal server that leaves when it likes: accepted means taken, all else but unknown means not taken."""
    model = _model(data, lmtp=lmtp)
    smtp: SMTPProtocol | None = None
    for _ in range(data.draw(st.integers(1, 3), label="messages")):
        seen = len(model.record.messages)
        delivery = Delivery(_letter(data), abort=data.draw(st.booleans(), label="abort"))
        limit = data.draw(st.sampled_from([1, 2, 50]), label="max_recipients")
        ended = drive(
            send(smtp, delivery, max_recipients=limit, hot=data.draw(st.booleans(), label="hot")), model.serve
        )

        receipt, error = outcome(delivery, ended)
        messages(receipt, delivery, model, seen)
        assert (error is None) == receipt.delivered
        smtp = model.smtp if model.smtp and model.smtp.reusable else None


@settings(max_examples=100)
@given(st.data(), st.booleans())
def test_a_batch_tells_what_the_server_remembers(data: st.DataObject, lmtp: bool) -> None:
    """The same for messages in flight: each recipient of each message has one true state, and nothing is sent twice."""
    model = _model(data, lmtp=lmtp)
    limit = data.draw(st.sampled_from([1, 2, 50]), label="max_recipients")
    mails = [_numbered(data, number) for number in range(data.draw(st.integers(1, 20), label="messages"))]
    deliveries = [Delivery(mail) for mail in mails]
    waiting = deque(deliveries)

    def serve(need: Need) -> Any:
        if need is not Need.MESSAGE:
            return model.serve(need)
        if waiting:
            waiting[0].hot = model.smtp is not None
        return waiting.popleft() if waiting else None

    again: deque[Delivery] = deque()
    try:
        drive(stream(Flow(None, again, max_recipients=limit)), serve)
    except SMTPException as error:
        for delivery in (*again, *waiting):
            delivery.end(error)
    for number, delivery in enumerate(deliveries):
        assert delivery.done
        receipt, _ = outcome(delivery, delivery.ended)
        got = [m for m in model.record.messages if f"Subject: {number}\r\n".encode() in m.content]
        agree(receipt, delivery, got)


def _numbered(data: st.DataObject, number: int) -> Prepared:
    body = data.draw(st.sampled_from([CONTENT, CONTENT, CONTENT, LARGE]), label="content")
    return letter(*NAMES, content=f"Subject: {number}\r\n".encode() + body)


def _model(data: st.DataObject, *, lmtp: bool) -> Model:
    server = Server("mail.example.com", security=Security.NONE, lmtp=lmtp)
    return Model(data.draw(scripts(lmtp=lmtp)), server, octets=data.draw(st.sampled_from([1 << 20, 20])))


def _letter(data: st.DataObject) -> Prepared:
    return letter(*NAMES, content=data.draw(st.sampled_from([CONTENT, CONTENT, LARGE]), label="content"))


@settings(max_examples=40)
@given(st.data(), st.booleans())
def test_a_server_that_stays_is_never_waited_for_in_vain(data: st.DataObject, lmtp: bool) -> None:
    """Without cuts every wait is answered: nobody waits for a reply that is not due."""
    script = data.draw(scripts(lmtp=lmtp))
    script.cuts.clear()
    script.farewell = None
    for rule in script.rules:
        rule.then = Then.CLOSE if rule.raw and rule.raw.startswith(b"421") else Then.GO_ON
    model = Model(script, Server("mail.example.com", security=Security.NONE, lmtp=lmtp))
    smtp: SMTPProtocol | None = None
    for _ in range(3):
        drive(send(smtp, Delivery(_letter(data)), max_recipients=2, hot=True), model.serve)
        smtp = model.smtp if model.smtp and model.smtp.reusable else None

    assert model.waited == 0


DIALOGUES = [
    (
        ("PIPELINING",),
        False,
        b"250 ok\r\n250 ok\r\n452 4.2.2 no\r\n550-a\r\n550 b\r\n354 go\r\n",
        b"250 ok\r\n421 bye\r\n",
    ),
    (("PIPELINING",), True, b"250 ok\r\n250 ok\r\n250 ok\r\n550 b\r\n354 go\r\n", b"250 ok\r\n452 4.2.2 full\r\n"),
    (("PIPELINING", "CHUNKING"), False, b"250 ok\r\n" * 3 + b"451 no\r\n", b"250-132\r\n250 OK id=1\r\n"),
]


@given(st.data(), st.sampled_from(DIALOGUES))
def test_segments_do_not_matter(data: st.DataObject, dialogue: tuple[tuple[str, ...], bool, bytes, bytes]) -> None:
    """However the server's octets are cut, the receipt is the same."""
    extensions, lmtp, *answers = dialogue
    cuts = [sorted(data.draw(st.sets(st.integers(1, len(answer) - 1)))) for answer in answers]

    whole = _answered(ready(*extensions, lmtp=lmtp), [[answer] for answer in answers])
    cut = _answered(ready(*extensions, lmtp=lmtp), [_cut(*pair) for pair in zip(answers, cuts, strict=True)])
    assert cut.receipt == whole.receipt
    assert cut.error.__class__ is whole.error.__class__


def _cut(octets: bytes, places: list[int]) -> list[bytes]:
    borders = [0, *places, len(octets)]
    return [octets[start:end] for start, end in pairwise(borders)]


def _answered(smtp: SMTPProtocol, answers: list[list[bytes]], end: bytes | None = b"") -> Sent:
    """Send to a server that answers each flight by some segments, and then hangs up or is silent."""
    flights, segments = iter(answers), list[bytes]()

    def serve(need: Need) -> Any:
        if need is Need.CONNECTION:
            raise SMTPTimeoutError("no more connections")
        if smtp.pending:
            smtp.sent(smtp.pending)
            segments.extend(next(flights, []))
        if segments:
            smtp.receive_data(segments.pop(0))
        elif need is Need.DATA and end is not None:
            smtp.receive_data(end)
        elif need is Need.DATA:
            smtp.connection_lost()
            raise SMTPTimeoutError("silence")

    delivery = Delivery(letter(*NAMES))
    return Sent(delivery, drive(send(smtp, delivery, max_recipients=50, hot=True), serve), [])


LINES = st.sampled_from(
    [
        *NO,
        *YES,
        b"354 go\r\n",
        b"220 x\r\n",
        b"334 \r\n",
        b"250-a\r\n",
        b"551 b\r\n",
        b"421-x\r\n",
        b"\r\n",
        b"x\n",
        b"2",
        b"250 ",
    ]
)
FLIGHTS = st.lists(st.lists(LINES | st.binary(min_size=1, max_size=20), max_size=6), max_size=8)
OFFERS = st.lists(st.sampled_from(EXTENSIONS), unique=True)


@settings(max_examples=100)
@given(FLIGHTS, OFFERS, st.booleans(), st.sampled_from([b"", None]))
def test_a_hostile_server_gets_nothing_but_our_errors(
    flights: list[list[bytes]], extensions: list[str], lmtp: bool, end: bytes | None
) -> None:
    """Any octets at all: the send ends, with an error of ours or none, and each recipient in one state."""
    done = _answered(warm(*extensions, lmtp=lmtp), flights, end)

    assert set(done.states) == set(NAMES)
    assert done.error is None or isinstance(done.error, SMTPException)
    assert (done.error is None) == done.receipt.delivered


@settings(max_examples=100)
@given(FLIGHTS, st.sampled_from([b"", None]))
def test_a_hostile_server_cannot_break_a_login(flights: list[list[bytes]], end: bytes | None) -> None:
    """The same from the greeting to the login: no TLS, no password in clear, no other exception."""
    from mailbridge.conversations import open_session

    smtp, answers, segments = SMTPProtocol(), iter([[b"220 x\r\n"], *flights]), list[bytes]()
    said: list[bytes] = []

    def serve(need: Need) -> None:
        said.append(bytes(smtp.data_to_send()))
        smtp.sent(smtp.pending)
        if need is Need.TLS:
            raise SMTPTimeoutError("no handshake")
        segments.extend([] if segments else next(answers, []))
        if segments:
            smtp.receive_data(segments.pop(0))
        elif end is not None:
            smtp.receive_data(end)
        else:
            smtp.connection_lost()
            raise SMTPTimeoutError("silence")

    caught: SMTPException | None = None
    try:
        drive(open_session(smtp, Server("mail.example.com", username="u", password="secret"), "me"), serve)
    except SMTPException as error:
        caught = error
    assert caught is not None
    assert b"".join(said) in {b"", b"EHLO me\r\n", b"EHLO me\r\nSTARTTLS\r\n"}
