"""The typed options of MAIL and RCPT."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import unquote

import pytest
from hypothesis import given

from mailbridge.errors import SMTPInputError
from mailbridge.parameters import MailOptions, RcptOptions, is_whole, xtext
from mailbridge.testing.extensions import MAIL_PARAMETERS
from tests.core.given import ANY_TEXT, raised

NOON = datetime(2026, 5, 4, 12, 0, 0, 500, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "extensions", "words"),
    [
        (MailOptions(), [], []),
        (MailOptions(ret="FULL"), ["DSN"], ["RET=FULL"]),
        (MailOptions(envid="a+b = c"), ["DSN"], ["ENVID=a+2Bb+20+3D+20c"]),
        (MailOptions(submitter="ann@x.org"), ["AUTH"], ["AUTH=ann@x.org"]),
        (MailOptions(submitter=""), ["AUTH"], ["AUTH=<>"]),
        (MailOptions(require_tls=True), ["REQUIRETLS"], ["REQUIRETLS"]),
        (MailOptions(priority=-9), ["MT-PRIORITY"], ["MT-PRIORITY=-9"]),
        (MailOptions(deliver_by=120), ["DELIVERBY"], ["BY=120;R"]),
        (MailOptions(deliver_by=-5, deliver_by_mode="N"), ["DELIVERBY"], ["BY=-5;N"]),
        (MailOptions(hold_for=60), ["FUTURERELEASE"], ["HOLDFOR=60"]),
        (MailOptions(hold_until=NOON), ["FUTURERELEASE"], ["HOLDUNTIL=2026-05-04T12:00:00Z"]),
        (
            MailOptions(hold_until=NOON.astimezone(timezone(timedelta(hours=2)))),
            ["FUTURERELEASE"],
            ["HOLDUNTIL=2026-05-04T14:00:00+02:00"],
        ),
        (RcptOptions(), [], []),
        (RcptOptions(["SUCCESS", "DELAY"]), ["DSN"], ["NOTIFY=SUCCESS,DELAY"]),
        (RcptOptions(original="Ann <a+b@x.org>"), ["DSN"], ["ORCPT=rfc822;a+2Bb@x.org"]),
        (RcptOptions(original="jö=@x.org"), ["DSN"], ["ORCPT=utf-8;j\\x{F6}\\x{3D}@x.org"]),
    ],
)
def test_what_stands_in_the_command(
    options: MailOptions | RcptOptions, extensions: list[str], words: list[str]
) -> None:
    """Each option with the extension that it takes, spelled as its RFC says."""
    assert list(options.extensions()) == extensions
    assert list(options.words()) == words


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: MailOptions(ret="HALF"), "ret is FULL or HDRS, not 'HALF'"),
        (lambda: MailOptions(envid=""), "envid"),
        (lambda: MailOptions(envid="x" * 101), "envid"),
        (lambda: MailOptions(envid="é"), "envid"),
        (lambda: MailOptions(envid="a\nb"), "envid"),
        (lambda: MailOptions(submitter="nobody at all"), "not an address"),
        (lambda: MailOptions(priority=10), "priority is -9 to 9, not 10"),
        (lambda: MailOptions(priority=1.5), "not 1.5"),
        (lambda: MailOptions(priority=True), "not True"),
        (lambda: MailOptions(deliver_by=0), "deliver_by"),
        (lambda: MailOptions(deliver_by=10**9), "deliver_by"),
        (lambda: MailOptions(deliver_by="60"), "not '60'"),
        (lambda: MailOptions(deliver_by=9, deliver_by_mode="X"), "R or N"),
        (lambda: MailOptions(hold_for=0), "hold_for"),
        (lambda: MailOptions(hold_for=10**9), "hold_for"),
        (lambda: MailOptions(hold_for=1, hold_until=NOON), "exclude"),
        (lambda: MailOptions(hold_until=NOON.replace(tzinfo=None)), "time zone"),
        (lambda: MailOptions(ret=["FULL"]), "ret is FULL or HDRS, not ['FULL']"),
        (lambda: MailOptions(envid=5), "envid is a string, not 5"),
        (lambda: MailOptions(envid=" " * 34), "a space, + and = count three"),
        (lambda: MailOptions(submitter=5), "submitter is an address, a string, not 5"),
        (lambda: MailOptions(require_tls="False"), "require_tls is True or False, not 'False'"),
        (lambda: MailOptions(priority="9"), "not '9'"),
        (lambda: MailOptions(deliver_by=9, deliver_by_mode=["R"]), "not ['R']"),
        (lambda: MailOptions(hold_for=1.5), "not 1.5"),
        (
            lambda: MailOptions(hold_until="2029-01-01T00:00:00Z"),
            "hold_until is a datetime, not '2029-01-01T00:00:00Z'",
        ),
        (lambda: RcptOptions("NEVER"), "notify is a list, not 'NEVER'"),
        (lambda: RcptOptions(None), "notify is a list, not None"),
        (lambda: RcptOptions([["NEVER"]]), "notify takes"),
        (lambda: RcptOptions(original=5), "original is an address, a string, not 5"),
        (lambda: RcptOptions(["ALWAYS"]), "notify takes"),
        (lambda: RcptOptions(["NEVER", "DELAY"]), "NEVER excludes"),
        (lambda: RcptOptions(original="nobody at all"), "not an address"),
        (lambda: RcptOptions(original="ö" + "=" * 60 + "@" + ".".join(["x" * 60] * 3)), "more than 500 octets"),
    ],
)
def test_a_wrong_option_is_named(make: Callable[[], object], named: str) -> None:
    """The error says which one, and what is allowed, before a byte is sent."""
    assert named in str(raised(SMTPInputError, make))


@given(ANY_TEXT.filter(lambda text: text.isprintable()))
def test_xtext_is_plain_and_can_be_read_back(text: str) -> None:
    """RFC 3461 section 4: printable ASCII only, and every octet comes back."""
    encoded = xtext(text)
    plain = re.sub(r"\+([0-9A-F]{2})", lambda found: f"%{found[1]}", encoded.replace("%", "+25"))

    assert re.fullmatch("[!-~]*", encoded)
    assert "=" not in encoded
    assert unquote(plain) == text


@pytest.mark.parametrize(("value", "whole"), [(1, True), (4, True), (0, False), (5, False), (3.0, False), ("3", False)])
def test_a_whole_number(value: object, whole: bool) -> None:
    """Between its borders, and no string, fraction or truth value."""
    assert is_whole(value, 1, 4) is whole
    assert not is_whole(True, 1, 4)


def test_the_longest_envid() -> None:
    """One hundred characters on the line, as the embedded server counts them too."""
    word = next(MailOptions(envid="x" * 97 + " ").words())

    assert MAIL_PARAMETERS["ENVID"].allows(word.removeprefix("ENVID="))
    assert not MAIL_PARAMETERS["ENVID"].allows(word.removeprefix("ENVID=") + "x")
