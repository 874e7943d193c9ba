"""How a secret could stand in a text, and all that a program could show of an error."""

import base64
import json
import pickle
import quopri
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

ROOT = Path(__file__).parent.parent
# Their frames hold secrets because a test says so: the tests themselves, and the server that plays the other side.
OURS_TO_KNOW = (str(ROOT / "tests"), str(ROOT / "mailbridge" / "testing"), str(ROOT / "example_project"))

# Fewer characters of base64 stand in many a text by chance.
SHORTEST = 6
# Of a message of megabytes the beginning is looked at.
LONGEST = 100_000


def forms(secret: str | bytes) -> set[str]:
    """Every spelling of a secret that is looked for: as it is, escaped, encoded, and inside of a longer base64."""
    octets = secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else secret
    text = octets.decode("utf-8", "backslashreplace")
    found = {text, octets.decode("latin-1"), repr(text)[1:-1], repr(octets)[2:-1], json.dumps(text)[1:-1]}
    found |= {quote(octets, safe=""), quote(octets), octets.hex(), octets.hex().upper(), octets.hex(" ")}
    found |= {quopri.encodestring(octets, quotetabs=True).decode().strip(), text.encode().decode("ascii", "replace")}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        found |= set(_encoded(octets, encode))
    return {form for form in found if len(form) >= SHORTEST and "\ufffd" not in form}


def _encoded(octets: bytes, encode: object) -> Iterator[str]:
    """In base64, alone and wherever it begins in a longer text: PLAIN and XOAUTH2 put a name in front of it."""
    assert callable(encode)
    for shift in range(3):
        # Whole groups of three: the first and the last may hold bits of the neighbours.
        whole = octets[(3 - shift) % 3 :]
        whole = whole[: len(whole) // 3 * 3]
        yield encode(whole).decode()
    yield encode(octets).decode().rstrip("=")


def leaks(text: str, secrets: dict[str, str]) -> dict[str, str]:
    """The forms that stand in a text, each with the secret that it spells."""
    return {form: secret for form, secret in secrets.items() if form in text}


def spelled(*secrets: str | bytes) -> dict[str, str]:
    """Every form of these secrets, each with a name for the report."""
    return {form: repr(secret)[:24] for secret in secrets for form in forms(secret)}


def shown(error: BaseException) -> str:
    """All that a program could show of an error: text, facts, pickle, transcript, frames with their variables."""
    parts = [str(error), repr(error), repr(vars(error)), frames(error), *getattr(error, "transcript", ())]
    try:
        parts.append(pickle.dumps(error).decode("latin-1"))
    except Exception as refusal:  # noqa: BLE001 - what cannot be pickled shows nothing that way
        parts.append(repr(refusal))
    return "\n".join(parts)


def frames(error: BaseException) -> str:
    """The traceback with the variables of each frame, and those of its causes; but not of `OURS_TO_KNOW`."""
    told, seen = [], set[int]()
    chain: BaseException | None = error
    while chain is not None and id(chain) not in seen:
        seen.add(id(chain))
        told += [f"{type(chain).__name__}: {chain}", *_variables(chain.__traceback__)]
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    return "\n".join(told)


def _variables(tb: TracebackType | None) -> Iterator[str]:
    for frame, line in traceback.walk_tb(tb):
        code = frame.f_code
        if not code.co_filename.startswith(OURS_TO_KNOW):
            yield f"{code.co_filename}:{line} in {code.co_qualname}"
            yield from (f"    {name} = {_repr(value)}" for name, value in list(frame.f_locals.items()))


def _repr(value: object) -> str:
    """As a traceback with its variables would show it."""
    if isinstance(value, bytes | bytearray | str) and len(value) > LONGEST:
        value = value[:LONGEST]
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - half made objects have no repr
        return f"<{type(error).__name__}>"
