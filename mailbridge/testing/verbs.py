"""The verbs of the envelope and of housekeeping, each a small function of a `Dialogue`."""

from mailbridge.testing.actions import Then
from mailbridge.testing.answers import Answer
from mailbridge.testing.dialogue import Conversation, Dialogue, Transaction
from mailbridge.testing.extensions import MAIL_PARAMETERS, RCPT_PARAMETERS
from mailbridge.testing.intake import TLS
from mailbridge.testing.paths import Parameters, RefusedError, check, check_utf8, parse
from mailbridge.testing.script import ANY

OUT_OF_ORDER = Answer(503, "5.5.1", "bad sequence of commands")
TOO_LARGE = Answer(552, "5.3.4", "message too large")


def greet(dialogue: Dialogue) -> None:
    """The greeting."""
    protocol = "LMTP" if dialogue.settings.lmtp else "ESMTP"
    dialogue.say("GREETING", Answer(220, "", f"{dialogue.settings.name} {protocol}"))


def ehlo(dialogue: Dialogue, argument: str) -> None:
    """EHLO at an SMTP server."""
    _hello(dialogue, "EHLO", argument, wrong=dialogue.settings.lmtp)


def lhlo(dialogue: Dialogue, argument: str) -> None:
    """LHLO at an LMTP server."""
    _hello(dialogue, "LHLO", argument, wrong=not dialogue.settings.lmtp)


def helo(dialogue: Dialogue, argument: str) -> None:
    """HELO: a session without extensions."""
    _hello(dialogue, "HELO", argument, wrong=dialogue.settings.lmtp)


def _hello(dialogue: Dialogue, verb: str, argument: str, *, wrong: bool) -> None:
    # RFC 2033 section 4.1: an LMTP server must not answer HELO and EHLO with success.
    if wrong:
        dialogue.say(verb, Answer(500, "5.5.1", f"{verb} is not spoken here"))
        return
    lines = [dialogue.settings.name]
    if verb != "HELO":
        lines += [f"{k} {v}".rstrip() for k, v in _offers(dialogue).items()]
    refusal = None if argument else Answer(501, "5.5.4", f"syntax: {verb} name")
    if dialogue.say(verb, refusal or Answer(250, "", "\n".join(lines))):
        # RFC 5321 section 4.1.4: EHLO clears the transaction. What was said is what is offered.
        dialogue.greeted, dialogue.transaction = True, None
        dialogue.offered = _said(dialogue.reply)


def _offers(dialogue: Dialogue) -> dict[str, str]:
    return dict(dialogue.script.offers.table(tls=dialogue.connection.tls))


def _said(reply: bytes) -> dict[str, str]:
    words = (line[4:].decode().partition(" ") for line in reply.splitlines()[1:])
    return {name.upper(): parameters for name, _, parameters in words}


def starttls(dialogue: Dialogue, argument: str) -> Conversation:
    """STARTTLS; the handshake is the driver's."""
    answer = Answer(220, "2.0.0", "go ahead")
    if argument:
        answer = Answer(501, "5.5.4", "no parameters allowed")
    elif "STARTTLS" not in dialogue.offered:
        answer = Answer(503, "5.5.1", "STARTTLS is not offered")
    if not dialogue.say("STARTTLS", answer):
        return
    if dialogue.script.behind_starttls is not None:
        injected, same_segment = dialogue.script.behind_starttls
        if not same_segment:
            dialogue.outlet.flush()
        dialogue.outlet.write(injected)
    dialogue.outlet.start_tls()
    yield TLS()


def mail(dialogue: Dialogue, argument: str) -> None:
    """MAIL opens a transaction."""
    try:
        transaction = _sender(dialogue, argument)
        answer = _verdict_on_sender(dialogue, transaction)
    except RefusedError as refused:
        transaction, answer = None, refused.answer
    if dialogue.say("MAIL", answer):
        dialogue.transaction = transaction
        dialogue.mails += 1
    elif answer.code == 421 and dialogue.script.farewell is not None:
        dialogue.outlet.end(dialogue.script.farewell.then)


def _sender(dialogue: Dialogue, argument: str) -> Transaction:
    if not dialogue.greeted or dialogue.transaction is not None:
        raise RefusedError(OUT_OF_ORDER)
    if dialogue.settings.require_auth and dialogue.connection.authenticated_as is None:
        raise RefusedError(Answer(530, "5.7.0", "authentication required"))
    sender, parameters = parse("FROM:", argument)
    check(parameters, MAIL_PARAMETERS, dialogue.offered)
    check_utf8(sender, allowed="SMTPUTF8" in parameters)
    if is_binary(parameters) and "BINARYMIME" not in dialogue.offered:
        # RFC 3030 section 3
        raise RefusedError(Answer(555, "5.5.4", "BINARYMIME was not offered"))
    if "REQUIRETLS" in parameters and not dialogue.connection.tls:
        # RFC 8689 section 4.2.1
        raise RefusedError(Answer(530, "5.7.4", "REQUIRETLS needs TLS"))
    return Transaction(sender, parameters)


def is_binary(parameters: Parameters) -> bool:
    """Whether the content may hold anything, so that DATA cannot carry it (RFC 3030 section 3)."""
    return parameters.get("BODY", "").upper() == "BINARYMIME"


def announced(dialogue: Dialogue, name: str) -> int | None:
    """A limit that EHLO announced (RFC 9422)."""
    words = (word.partition("=") for word in dialogue.offered.get("LIMITS", "").upper().split())
    return next((int(value) for key, _, value in words if key == name and value.isdigit()), None)


def _verdict_on_sender(dialogue: Dialogue, transaction: Transaction) -> Answer:
    farewell = dialogue.script.farewell
    if farewell and not farewell.unasked and dialogue.connection.messages >= farewell.after_messages:
        return Answer(421, "4.7.0", "too many messages on this connection")
    most = announced(dialogue, "MAILMAX")
    if most is not None and dialogue.mails >= most:
        return Answer(452, "4.5.3", "too many transactions on this connection")
    if too_large(dialogue, int(transaction.parameters.get("SIZE", "0"))):
        return TOO_LARGE
    senders = dialogue.script.senders
    return senders.get(transaction.sender) or senders.get(ANY) or Answer(250, "2.1.0", "sender ok")


def too_large(dialogue: Dialogue, octets: int) -> bool:
    """Whether a message of so many octets is over the limit (RFC 1870; 0 and none are no limit)."""
    limit = dialogue.offered.get("SIZE", "")
    return limit.isdigit() and 0 < int(limit) < octets


def rcpt(dialogue: Dialogue, argument: str) -> None:
    """RCPT adds a recipient."""
    transaction = dialogue.transaction
    recipient, parameters = "", dict[str, str]()
    try:
        recipient, parameters = _recipient(dialogue, argument)
        answer = _verdict_on_recipient(dialogue, recipient)
    except RefusedError as refused:
        answer = refused.answer
    if dialogue.say("RCPT", answer) and transaction is not None and recipient:
        transaction.recipients.append(recipient)
        transaction.rcpt_parameters[recipient] = parameters


def _recipient(dialogue: Dialogue, argument: str) -> tuple[str, dict[str, str]]:
    transaction = dialogue.transaction
    if transaction is None or transaction.chunks is not None:
        raise RefusedError(OUT_OF_ORDER)
    recipient, parameters = parse("TO:", argument)
    if not recipient:
        raise RefusedError(Answer(501, "5.1.3", "a recipient has an address"))
    check(parameters, RCPT_PARAMETERS, dialogue.offered)
    check_utf8(recipient, allowed="SMTPUTF8" in transaction.parameters)
    return recipient, parameters


def _verdict_on_recipient(dialogue: Dialogue, recipient: str) -> Answer:
    limits = (dialogue.settings.max_recipients, announced(dialogue, "RCPTMAX"))
    taken = len(dialogue.transaction.recipients) if dialogue.transaction else 0
    if any(most is not None and taken >= most for most in limits):
        # RFC 5321 section 4.5.3.1.10
        return Answer(452, "4.5.3", "too many recipients")
    return _dictated(dialogue, recipient) or Answer(250, "2.1.5", "recipient ok")


def _dictated(dialogue: Dialogue, recipient: str) -> Answer | None:
    recipients = dialogue.script.recipients
    return recipients.get(recipient) or recipients.get(ANY)


def rset(dialogue: Dialogue, argument: str) -> None:
    """RSET forgets the transaction."""
    if dialogue.say("RSET", Answer(250, "2.0.0")):
        dialogue.transaction = None


def noop(dialogue: Dialogue, argument: str) -> None:
    """NOOP does nothing."""
    dialogue.say("NOOP", Answer(250, "2.0.0"))


def vrfy(dialogue: Dialogue, argument: str) -> None:
    """VRFY: a refused recipient is known to be none, all others may be."""
    unsure = Answer(252, "2.5.0", "send some mail, I will try my best")
    dialogue.say("VRFY", _dictated(dialogue, argument.strip("<>")) or unsure)


def expn(dialogue: Dialogue, argument: str) -> None:
    """EXPN: there are no lists."""
    dialogue.say("EXPN", Answer(502, "5.5.1", "no lists here"))


def help_(dialogue: Dialogue, argument: str) -> None:
    """HELP."""
    dialogue.say("HELP", Answer(214, "2.0.0", "this server does what a test says\nend of help"))


def quit_(dialogue: Dialogue, argument: str) -> None:
    """QUIT ends the session."""
    if dialogue.say("QUIT", Answer(221, "2.0.0", "bye")):
        dialogue.outlet.end(Then.CLOSE)
