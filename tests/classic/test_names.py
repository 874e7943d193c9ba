"""What the standard module has, ours has: names, signatures, defaults, constants, exceptions."""

import inspect
import pickle
import smtplib as standard
from collections.abc import Callable
from typing import Any

import pytest

from mailbridge import smtplib

CLASSES = ["SMTP", "SMTP_SSL", "LMTP"]
METHODS = [
    (kind, name)
    for kind in CLASSES
    for name, _ in inspect.getmembers(getattr(standard, kind), inspect.isfunction)
    if name == "__init__" or not name.startswith("__")
]
EXCEPTIONS = [name for name in dir(standard) if name.startswith("SMTP") and isinstance(getattr(standard, name), type)]


def _parameters(function: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Name to default and whether it may be given by position, in order."""
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return {p.name: (p.default, p.kind in by_position) for p in inspect.signature(function).parameters.values()}


@pytest.mark.parametrize("where", ["", *CLASSES])
def test_no_name_is_missing(where: str) -> None:
    """The module and its classes have every name of the standard ones, private ones included."""
    theirs, ours = (getattr(module, where) if where else module for module in (standard, smtplib))

    assert set(dir(theirs)) - set(dir(ours)) == set()


def test_a_star_import_gives_the_same() -> None:
    """`from smtplib import *` binds at least what the standard module's does."""
    assert set(standard.__all__) <= set(smtplib.__all__)


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_signatures_are_supersets(kind: str, name: str) -> None:
    """Every method takes what the standard one takes, in the same order and with the same defaults."""
    theirs = _parameters(getattr(getattr(standard, kind), name))
    ours = _parameters(getattr(getattr(smtplib, kind), name))

    if "args" in theirs:  # *args: anything goes
        return
    positional = [parameter for parameter, (_, by_position) in theirs.items() if by_position]
    assert list(ours)[: len(positional)] == positional
    assert {parameter: ours[parameter][0] for parameter in theirs} == {p: d for p, (d, _) in theirs.items()}
    assert all(default is not inspect.Parameter.empty for p, (default, _) in ours.items() if p not in theirs)


def test_the_calling_forms_of_python_2() -> None:
    """`keyfile` and `certfile` stand where they stood in Python 2.7."""
    ssl_names, starttls_names = _parameters(smtplib.SMTP_SSL), _parameters(smtplib.SMTP.starttls)

    assert list(ssl_names)[:6] == ["host", "port", "local_hostname", "keyfile", "certfile", "timeout"]
    assert list(starttls_names)[1:3] == ["keyfile", "certfile"]
    assert all(by_position for _, by_position in [*ssl_names.values(), *starttls_names.values()])


def test_constants() -> None:
    """Ports and line ends have the standard values."""
    names = ["SMTP_PORT", "SMTP_SSL_PORT", "LMTP_PORT", "CRLF", "bCRLF", "_MAXLINE", "_MAXCHALLENGE", "OLDSTYLE_AUTH"]

    assert [getattr(smtplib, name) for name in names] == [getattr(standard, name) for name in names]


def test_class_attributes() -> None:
    """What stands on the classes before a connection is what stands on the standard ones."""
    names = ["debuglevel", "sock", "file", "helo_resp", "ehlo_msg", "ehlo_resp", "does_esmtp", "default_port"]

    for kind in ("SMTP", "SMTP_SSL"):
        assert [getattr(getattr(smtplib, kind), n) for n in names] == [
            getattr(getattr(standard, kind), n) for n in names
        ]
    assert smtplib.LMTP.ehlo_msg == standard.LMTP.ehlo_msg
    assert smtplib.LMTP.default_port == 2003


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions_are_caught_by_the_standard_names(name: str) -> None:
    """`except smtplib.SMTP…` of a module that imports the standard library catches ours."""
    if name in CLASSES:
        return
    assert issubclass(getattr(smtplib, name), getattr(standard, name))


@pytest.mark.parametrize(
    ("name", "args", "facts"),
    [
        ("SMTPException", ("words",), {}),
        ("SMTPException", (5, "words"), {}),
        ("SMTPServerDisconnected", ("words",), {}),
        ("SMTPNotSupportedError", ("words",), {}),
        ("SMTPResponseException", (550, b"no"), {"smtp_code": 550, "smtp_error": b"no"}),
        ("SMTPSenderRefused", (550, b"no", "a@x"), {"smtp_code": 550, "smtp_error": b"no", "sender": "a@x"}),
        ("SMTPRecipientsRefused", ({"b@y": (550, b"no")},), {"recipients": {"b@y": (550, b"no")}}),
        ("SMTPDataError", (554, b"no"), {"smtp_code": 554}),
        ("SMTPConnectError", (554, b"no"), {"smtp_code": 554}),
        ("SMTPHeloError", (554, b"no"), {"smtp_code": 554}),
        ("SMTPAuthenticationError", (535, b"no"), {"smtp_error": b"no"}),
    ],
)
def test_exceptions_look_the_same(name: str, args: tuple[Any, ...], facts: dict[str, Any]) -> None:
    """Arguments, attributes and text are those of the standard exception; they survive pickling."""
    theirs, ours = getattr(standard, name)(*args), getattr(smtplib, name)(*args)

    for error in (ours, pickle.loads(pickle.dumps(ours))):
        assert (error.args, str(error)) == (theirs.args, str(theirs))
        assert {fact: getattr(error, fact) for fact in facts} == facts


@pytest.mark.parametrize(
    "address", ["a@x.example", "<a@x.example>", "Ann <a@x.example>", "a@x.example (Ann)", "", "<>", "postmaster"]
)
def test_quoteaddr(address: str) -> None:
    """Addresses that are some are quoted as the standard module quotes them."""
    assert smtplib.quoteaddr(address) == standard.quoteaddr(address)


@pytest.mark.parametrize("address", ['"a@b.example"', '"a@b.example" ', '<"a@b.example">'])
def test_quoteaddr_does_not_guess(address: str) -> None:
    """An address in quotes is a local user's name to one program, an address to another: it is neither."""
    with pytest.raises(smtplib.SMTPInputError, match="quoted local part without a domain"):
        smtplib.quoteaddr(address)


@pytest.mark.parametrize("data", ["abc\n.jkl\rfoo\r\n..blue", "", ".", "\r\r\n\n", "a\r\n.b"])
def test_quotedata(data: str) -> None:
    """The legacy function does what it did."""
    assert smtplib.quotedata(data) == standard.quotedata(data)
    assert smtplib._fix_eols(data) == standard._fix_eols(data)
    assert smtplib._quote_periods(data.encode()) == standard._quote_periods(data.encode())
