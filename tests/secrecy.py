"""A pytest plugin: every secret of every test is searched for in all that the test makes a reader see.

`python -m pytest -p tests.secrecy` (`make secrets`). A secret is what becomes a `Secret`, the password or token of a
scripted server's account, what the classic API hides, a response of an AUTH exchange, and the keys of SCRAM. A test
turns red where one of its `leaks.forms` stands in

- a record of any logger, at DEBUG, with its arguments, its extra fields and its traceback;
- what was printed, warned of, or told to an audit hook, and in what `faulthandler` writes;
- a transcript;
- an exception that left our code, wherever it went and whoever caught it: its text, facts and pickle, and the
  variables of each frame that it passed, those of the standard library below us included. The frames of the tests and
  of the scripted server, which must know the secret, are left out.
"""

import faulthandler
import hashlib
import hmac
import logging
import sys
import tempfile
import threading
import warnings
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from types import CodeType
from typing import Any

import pytest

from mailbridge import auth, commands, transcript
from mailbridge.smtplib import hiding
from mailbridge.testing import settings
from tests import leaks

PRODUCT = tuple(str(leaks.ROOT / package) for package in ("mailbridge", "mailbridge_django", "mailbridge_flask"))
# Exceptions of one kind that leave one function in one test: further ones would show the same frames.
ENOUGH = 8
# Transcripts of one test: those of hypothesis have thousands of sessions.
SESSIONS = 500
# Words that stand in our own sentences, or that are no secret by the test's own account.
WORDS = {"secret", "password", "another"} | {name.lower() for name in auth.MECHANISMS}

EXCUSED = {
    "tests/core/test_commands.py::test_every_command_is_tried": "its AUTH responses are addresses, too",
}


class Watch:
    """What one test must keep to itself, and what it made a reader see."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.total: Counter[str] = Counter()
        self.short: set[bytes] = set()
        self.begin()

    def begin(self) -> None:
        """Another test."""
        with self.lock:
            self.secrets: set[bytes] = set()
            self.names: set[bytes] = {b"", b"=", b"*"}
            self.told: dict[str, str] = {}
            self.transcripts: deque[transcript.Transcript] = deque(maxlen=SESSIONS)
            self.examined: Counter[tuple[CodeType, type]] = Counter()

    def keep(self, value: object) -> None:
        """Register a secret."""
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogatepass")
        if not isinstance(value, bytes | bytearray) or value in self.names:
            return
        with self.lock:
            if len(value) >= leaks.SHORTEST and value.decode("latin-1").lower() not in WORDS:
                self.secrets.add(bytes(value))
            else:
                self.short.add(bytes(value))

    def name(self, user: str) -> None:
        """A user's name is no secret, though LOGIN sends it as it sends the password."""
        with self.lock:
            self.names |= {user.encode(), b64encode(user.encode())}

    def tell(self, place: str, text: str) -> None:
        """Remember what a reader could see."""
        with self.lock:
            self.told.setdefault(text, place)

    def findings(self) -> list[str]:
        """Where a secret stands."""
        for one in self.transcripts:
            for line in one.lines():
                self.tell("a transcript", line)
        with self.lock:
            forms = leaks.spelled(*self.secrets - self.names)
            told = dict(self.told)
        self.total["tests with secrets"] += bool(forms)
        self.total["secrets"] += len(self.secrets)
        self.total["forms"] += len(forms)
        self.total["texts"] += len(told)
        everything = "\n".join(told)
        found = {form for form in forms if form in everything}
        return [
            f"{place} shows {form!r}, which spells {forms[form]}:\n    {_around(text, form)}"
            for text, place in told.items()
            for form in sorted(found)
            if form in text
        ]


def _around(text: str, form: str) -> str:
    at = text.index(form)
    return repr(text[max(0, at - 300) : at + len(form) + 60])


watch = Watch()


class Ear(logging.Handler):
    """Hears every record of every logger."""

    def emit(self, record: logging.LogRecord) -> None:
        extra = {key: value for key, value in vars(record).items() if key not in {"exc_info", "args"}}
        with suppress(Exception):  # a record that cannot be formatted is the test's own
            watch.tell(f"logger {record.name}", f"{record.getMessage()} {record.args!r} {extra!r}")
        if record.exc_info and record.exc_info[1]:
            watch.tell(f"logger {record.name}, its traceback", leaks.shown(record.exc_info[1]))


# What registers a secret.


def _after(owner: Any, name: str, see: Callable[..., None]) -> None:
    """Let `see` look at the arguments of each call."""
    original = getattr(owner, name)

    @wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        see(*args, **kwargs)
        try:
            return original(*args, **kwargs)
        finally:
            del args, kwargs  # some tests look at all frames, and this one is not the product's

    setattr(owner, name, wrapped)


def _watch_secrets() -> None:
    _after(auth.Secret, "__init__", lambda self, value: watch.keep(value))
    _after(commands.Auth, "__init__", lambda self, mechanism, initial=None: watch.keep(initial))
    _after(commands.AuthResponse, "__init__", lambda self, response: watch.keep(response))
    _after(settings.Settings, "__init__", lambda self, **options: _keep_accounts(options.get("accounts") or {}))
    _after(auth.Credentials, "__init__", lambda self, username="", *args, **options: watch.name(username))
    new = hiding.HiddenText.__new__

    def hidden(cls: type, value: str, shown: str = hiding.HIDDEN) -> Any:
        watch.keep((value.split() or [""])[-1])
        return new(cls, value, shown)

    hiding.HiddenText.__new__ = hidden  # type: ignore[method-assign]  # what the plugin is for
    derive = hashlib.pbkdf2_hmac

    def pbkdf2_hmac(*args: Any, **kwargs: Any) -> bytes:
        salted = derive(*args, **kwargs)
        # RFC 5802 section 3: each of them is as good as the password at this server.
        client = hmac.digest(salted, b"Client Key", "sha256")
        for key in (salted, client, hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")):
            watch.keep(key)
        return salted

    hashlib.pbkdf2_hmac = pbkdf2_hmac  # type: ignore[assignment]  # as above


def _keep_accounts(accounts: Any) -> None:
    for secret in accounts.values():
        watch.keep(secret)


# What makes a reader see something.


def _watch_readers() -> None:
    _after(transcript.Transcript, "__init__", lambda self, *args: watch.transcripts.append(self))
    _after(
        warnings.WarningMessage,
        "__init__",
        lambda self, message, *args, **options: watch.tell("a warning", str(message)),
    )
    sys.addaudithook(_audited)
    logging.getLogger().addHandler(Ear(logging.DEBUG))
    logging.getLogger().setLevel(logging.DEBUG)
    sys.monitoring.use_tool_id(sys.monitoring.PROFILER_ID, "secrecy")
    sys.monitoring.register_callback(sys.monitoring.PROFILER_ID, sys.monitoring.events.PY_UNWIND, _unwound)
    sys.monitoring.set_events(sys.monitoring.PROFILER_ID, sys.monitoring.events.PY_UNWIND)


def _audited(event: str, args: tuple[Any, ...]) -> None:
    # The standard module, which some tests use beside ours, tells everything.
    if event.startswith("smtplib.") and type(args[0]).__module__ != "smtplib":
        watch.tell(f"audit event {event}", repr(args[1:]))


_busy = threading.local()


def _unwound(code: CodeType, offset: int, error: BaseException) -> None:
    """An exception leaves a function; where that one is ours and its caller is not, look at it."""
    if not _is_ours(code) or not watch.secrets or getattr(_busy, "now", False):
        return
    caller = sys._getframe(1).f_back
    if isinstance(error, GeneratorExit) or (caller is not None and _is_ours(caller.f_code)):
        return
    _busy.now = True
    try:
        _examine(code, error)
    finally:
        _busy.now = False


def _is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(PRODUCT) and not code.co_filename.startswith(leaks.OURS_TO_KNOW)


def _examine(code: CodeType, error: BaseException) -> None:
    watch.examined[code, type(error)] += 1
    if watch.examined[code, type(error)] > ENOUGH:
        return
    watch.total["exceptions"] += 1
    place = f"{type(error).__name__} out of {code.co_qualname}"
    watch.tell(place, leaks.shown(error))
    if watch.examined.total() == 1:
        with tempfile.TemporaryFile() as file:
            faulthandler.dump_traceback(file)
            file.seek(0)
            watch.tell("faulthandler", file.read().decode(errors="replace"))


# pytest's own hooks.


def pytest_configure(config: pytest.Config) -> None:
    """Begin to look and listen."""
    if sys.version_info < (3, 12):
        raise pytest.UsageError("tests.secrecy needs sys.monitoring, which came with Python 3.12")
    _watch_secrets()
    _watch_readers()
    read = pytest.CaptureFixture.readouterr

    def readouterr(self: Any) -> Any:
        captured = read(self)
        watch.tell("standard output", str(captured.out))
        watch.tell("standard error", str(captured.err))
        return captured

    pytest.CaptureFixture.readouterr = readouterr  # type: ignore[method-assign]  # as above


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Each test has secrets of its own."""
    watch.begin()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """After the last phase of a test, its findings make it fail."""
    report = yield
    if call.when == "teardown":
        for name, content in report.sections:
            watch.tell(name, content)
        excused = any(item.nodeid.startswith(prefix) for prefix in EXCUSED)
        if not excused and (findings := watch.findings()):
            report.outcome, report.longrepr = "failed", "\n".join(findings[:10])
            watch.total["leaks"] += len(findings)
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much was looked at, and who was excused."""
    terminalreporter.section("secrets")
    terminalreporter.line(", ".join(f"{count} {what}" for what, count in sorted(watch.total.items())))
    short = ", ".join(sorted(secret.decode(errors="replace") for secret in watch.short))
    terminalreporter.line(f"too short or too common to be told from other text: {short}")
    for test, reason in EXCUSED.items():
        terminalreporter.line(f"excused: {test}: {reason}")
