"""AUTH (RFC 4954): the lines around a mechanism."""

import base64
import binascii

from mailbridge.testing.answers import Answer
from mailbridge.testing.dialogue import Conversation, Dialogue
from mailbridge.testing.intake import Line
from mailbridge.testing.mechanisms import MECHANISMS, SERVER_FIRST
from mailbridge.testing.verbs import OUT_OF_ORDER

_WRONG = Answer(535, "5.7.8", "authentication failed")
_SUCCESS = Answer(235, "2.7.0", "welcome")
_CANCELLED = Answer(501, "5.7.0", "cancelled")
_NOT_BASE64 = Answer(501, "5.5.2", "that is not base64")


def auth(dialogue: Dialogue, argument: str) -> Conversation:
    """AUTH: the exchange that its mechanism asks for."""
    name, _, initial = argument.partition(" ")
    refusal = _refusal(dialogue, name.upper(), initial)
    if refusal is not None:
        dialogue.say("AUTH", refusal)
        return
    event, response = "AUTH", _decoded(initial) if initial else None
    exchange = MECHANISMS[name.upper()](dialogue.settings.accounts)
    challenge = next(exchange)
    while True:
        if response is None:
            dialogue.say(event, Answer(334, "", base64.b64encode(challenge).decode()))
            if dialogue.severity != 3:
                return
            line = yield Line()
            dialogue.note(line)
            if dialogue.too_soon(whatever=True):
                return
            event, response = "RESPONSE", _decoded(line.decode("ascii", "replace"))
        if isinstance(response, Answer):
            dialogue.say(event, response)
            return
        try:
            challenge, response = exchange.send(response), None
        except StopIteration as end:
            _conclude(dialogue, event, end.value)
            return
        except (ValueError, KeyError):
            # The mechanism could not read the response.
            _conclude(dialogue, event, None)
            return


def _conclude(dialogue: Dialogue, event: str, user: str | None) -> None:
    if dialogue.say(event, _WRONG if user is None else _SUCCESS):
        dialogue.connection.authenticated_as = user or ""


def _refusal(dialogue: Dialogue, mechanism: str, initial: str) -> Answer | None:
    if not dialogue.greeted or dialogue.transaction or dialogue.connection.authenticated_as is not None:
        return OUT_OF_ORDER
    if "AUTH" not in dialogue.offered:
        clear = "STARTTLS" in dialogue.offered
        return Answer(538, "5.7.11", "encryption required") if clear else OUT_OF_ORDER
    if mechanism not in MECHANISMS or mechanism not in dialogue.offered["AUTH"].upper().split():
        return Answer(504, "5.5.4", "mechanism not offered")
    if initial and mechanism in SERVER_FIRST:
        return Answer(501, "5.7.0", "this mechanism has no initial response")
    return None


def _decoded(text: str) -> bytes | Answer:
    if text == "*":
        return _CANCELLED
    if text == "=":
        # RFC 4954 section 4: "=" is the empty initial response.
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return _NOT_BASE64
