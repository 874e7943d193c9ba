"""DATA and BDAT: taking content, and the replies that follow it."""

import re

from mailbridge.testing.answers import Answer
from mailbridge.testing.dialogue import Conversation, Dialogue, Transaction
from mailbridge.testing.intake import Chunk, Content
from mailbridge.testing.script import ANY
from mailbridge.testing.verbs import OUT_OF_ORDER, TOO_LARGE, is_binary, too_large

_BDAT = re.compile(r"(\d{1,20})( LAST)?", re.IGNORECASE)


def data(dialogue: Dialogue, argument: str) -> Conversation:
    """DATA: content up to a line of one dot."""
    transaction = dialogue.transaction
    answer = _no_transaction(dialogue) or Answer(354, "", "end with a line of one dot")
    if transaction is not None and (transaction.chunks is not None or is_binary(transaction.parameters)):
        # RFC 3030 sections 2 and 3: DATA and BDAT do not mix, and DATA carries no binary content.
        answer = OUT_OF_ORDER
    dialogue.say("DATA", answer)
    if dialogue.severity != 3:
        return
    content = yield Content()
    if not dialogue.too_soon():
        _finish(dialogue, content, "CONTENT")


def bdat(dialogue: Dialogue, argument: str) -> Conversation:
    """BDAT: one chunk. Its octets are read whatever is said about them (RFC 3030 section 2)."""
    found = _BDAT.fullmatch(argument)
    if "CHUNKING" not in dialogue.offered or found is None:
        # Nobody knows where the octets end, so the session cannot go on (as Postfix does).
        dialogue.hang_up("BDAT", Answer(521, "5.5.1", "BDAT is not understood here"))
        return
    chunk = yield Chunk(int(found[1]))
    if not dialogue.too_soon():
        _take_chunk(dialogue, chunk, last=found[2] is not None)


def _take_chunk(dialogue: Dialogue, chunk: bytes, *, last: bool) -> None:
    transaction = dialogue.transaction
    refusal = _no_transaction(dialogue)
    if transaction is not None and transaction.failed:
        refusal = Answer(503, "5.5.0", "an earlier chunk failed")
    if transaction is None or refusal is not None:
        dialogue.say("BDAT", refusal or OUT_OF_ORDER, *(["CONTENT"] if last else []))
        dialogue.transaction = None if last else transaction
        return
    if transaction.chunks is None:
        transaction.chunks = bytearray()
    transaction.chunks += chunk
    if last:
        _finish(dialogue, bytes(transaction.chunks), "CONTENT", "BDAT")
    else:
        transaction.failed = not dialogue.say("BDAT", _verdict_on_chunk(dialogue, transaction.chunks, chunk))


def _verdict_on_chunk(dialogue: Dialogue, so_far: bytearray, chunk: bytes) -> Answer:
    if too_large(dialogue, len(so_far)):
        return TOO_LARGE
    return Answer(250, "2.0.0", f"{len(chunk)} octets received")


def _no_transaction(dialogue: Dialogue) -> Answer | None:
    if dialogue.transaction is None:
        return OUT_OF_ORDER
    if not dialogue.transaction.recipients:
        # RFC 5321 section 3.3 and RFC 2033 section 4.2
        return Answer(503 if dialogue.settings.lmtp else 554, "5.5.1", "no valid recipients")
    return None


def _finish(dialogue: Dialogue, content: bytes, *events: str) -> None:
    transaction, refusal = dialogue.transaction, _no_transaction(dialogue)
    dialogue.transaction = None
    if transaction is None or (refusal is not None and not dialogue.settings.lmtp):
        dialogue.say(events[0], refusal or OUT_OF_ORDER, *events[1:])
        return
    deliver = _deliver_each if dialogue.settings.lmtp else _deliver_all
    happy = deliver(dialogue, transaction, content, events)
    if happy:
        dialogue.accept(transaction, happy, content)
    _perhaps_leave(dialogue)


def _deliver_all(
    dialogue: Dialogue, transaction: Transaction, content: bytes, events: tuple[str, ...]
) -> tuple[str, ...]:
    queued = f"queued as {dialogue.record.taken + 1:06X}"
    answer = _refusal(dialogue, ANY, content) or Answer(250, "2.0.0", f"Ok: {queued}")
    return tuple(transaction.recipients) if dialogue.say(events[0], answer, *events[1:]) else ()


def _deliver_each(
    dialogue: Dialogue, transaction: Transaction, content: bytes, events: tuple[str, ...]
) -> tuple[str, ...]:
    # RFC 2033 section 4.2: one reply for each accepted RCPT, in their order.
    happy = []
    for recipient in transaction.recipients:
        answer = _refusal(dialogue, recipient, content) or Answer(250, "2.0.0", f"<{recipient}> saved")
        if dialogue.say(events[0], answer, *events[1:]):
            happy.append(recipient)
    return tuple(happy)


def _refusal(dialogue: Dialogue, recipient: str, content: bytes) -> Answer | None:
    if too_large(dialogue, len(content)):
        return TOO_LARGE
    contents = dialogue.script.contents
    return contents.get(recipient) or contents.get(ANY)


def _perhaps_leave(dialogue: Dialogue) -> None:
    farewell = dialogue.script.farewell
    if farewell and farewell.unasked and dialogue.connection.messages >= farewell.after_messages:
        dialogue.say("421", Answer(421, "4.7.0", "that was enough"))
        dialogue.outlet.end(farewell.then)
