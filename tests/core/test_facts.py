"""Phases, endpoints, and text that somebody else chose."""

import pytest

from mailbridge.facts import Endpoint, Phase, printable


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        (Endpoint("mail.example.com", 587, "TLSv1.3"), "mail.example.com:587 (TLSv1.3)"),
        (Endpoint("mail.example.com", 25), "mail.example.com:25 (no TLS)"),
        (Endpoint("::1", 25), "[::1]:25 (no TLS)"),
        (Endpoint("/run/lmtp"), "/run/lmtp (no TLS)"),
    ],
)
def test_an_endpoint_names_itself(endpoint: Endpoint, text: str) -> None:
    """Host, port where there is one, and what protects the connection."""
    assert str(endpoint) == text


@pytest.mark.parametrize("phase", Phase)
def test_what_opens_a_session(phase: Phase) -> None:
    """Everything up to the login belongs to opening; a mail and what follows does not."""
    mail = {Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT, Phase.RESET, Phase.QUIT, Phase.COMMAND}

    assert phase.opens_session is (phase not in mail)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain é 日", "plain é 日"),
        ("a\x1b[2J\r\nERROR", "a\\x1b[2J\\r\\nERROR"),
        ("\u2028\x85\ud800", "\\u2028\\x85\\ud800"),
    ],
)
def test_s20_text_becomes_one_printable_line(text: str, seen: str) -> None:
    """Control characters, line ends and lone surrogates are written as escapes."""
    assert printable(text) == seen


def test_s20_text_is_capped() -> None:
    """No more than the limit is given, escapes included, and one can see that something is missing."""
    assert printable("x" * 11, 10) == "x" * 10 + "…"
    assert printable("x" * 10, 10) == "x" * 10
    assert printable("\n" * 10, 10) == "\\n" * 5 + "…"
