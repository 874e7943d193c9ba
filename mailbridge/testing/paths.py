"""Reading the arguments of MAIL and RCPT as strictly as RFC 5321 section 4.1.2 does."""

import re
from collections.abc import Mapping

from mailbridge.testing.answers import Answer
from mailbridge.testing.extensions import Parameter

# A quoted local part may hold any printable character, an address literal most, all else no space and no bracket.
_QUOTED, _LITERAL, _PLAIN = r'"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*"', r"\[[!-;=?-Z^-~]*\]", r'[^\s"<>\x00-\x1f\x7f]'
_PATH = re.compile(rf"<((?:{_QUOTED}|{_LITERAL}|{_PLAIN})*)>((?: \S+)*)")
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^=\s\x00-\x1f\x7f]+))?")

Parameters = dict[str, str]


class RefusedError(Exception):
    """The argument is not acceptable; `answer` says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


def parse(keyword: str, argument: str) -> tuple[str, Parameters]:
    """Split `FROM:<path> NAME=value ...`.

    Raises:
        RefusedError: with 501 where the form is wrong.
    """
    head, rest = argument[: len(keyword)], argument[len(keyword) :]
    found = _PATH.fullmatch(rest)
    if head.upper() != keyword or found is None:
        raise RefusedError(Answer(501, "5.5.2", f"syntax: {keyword}<address> [parameters]"))
    return found[1], _parameters(found[2].split())


def _parameters(words: list[str]) -> Parameters:
    parameters: Parameters = {}
    for word in words:
        found = _PARAMETER.fullmatch(word)
        if found is None or found[1].upper() in parameters:
            raise RefusedError(Answer(501, "5.5.4", f"bad parameter {word}"))
        parameters[found[1].upper()] = found[2] or ""
    return parameters


def check(parameters: Parameters, known: Mapping[str, Parameter], offered: Mapping[str, str]) -> None:
    """Refuse parameters that were not announced, and values without the right form.

    Raises:
        RefusedError: with 555 or 501.
    """
    for name, value in parameters.items():
        parameter = known.get(name)
        if parameter is None or parameter.extension not in offered:
            raise RefusedError(Answer(555, "5.5.4", f"{name} was not offered"))
        if not parameter.allows(value):
            raise RefusedError(Answer(501, "5.5.4", f"bad value for {name}"))


def check_utf8(address: str, *, allowed: bool) -> None:
    """Refuse a non-ASCII address outside an SMTPUTF8 transaction (RFC 6531 section 3.5).

    Raises:
        RefusedError: with 553.
    """
    if not address.isascii() and not allowed:
        raise RefusedError(Answer(553, "5.6.7", "this address needs SMTPUTF8"))
