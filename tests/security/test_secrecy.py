"""The search for secrets (`make secrets`) finds each leak that is planted here, and nothing that is hidden."""

import subprocess
import sys
import textwrap

import pytest

from mailbridge import transcript
from tests.leaks import ROOT, leaks, spelled

if sys.version_info < (3, 12):
    pytest.skip("tests.secrecy needs sys.monitoring, which came with Python 3.12", allow_module_level=True)

BEGINNING = """
import logging, sys, warnings
from mailbridge import Client, Secret, Server, SMTPException, logs
from mailbridge.testing import ScriptedServer

PASSWORD = "corr3ct-horse"
logger = logging.getLogger("theirs")
"""
TEST = """
def test_{}(capsys):
    with ScriptedServer(accounts={{"ann": PASSWORD}}) as server:
        client = Client(Server.from_url(server.url_for("ann")))
{}
"""
LEAKS = {
    "a_record": 'logger.debug("logging in", extra={"by": PASSWORD})',
    "a_record_in_base64": 'logger.debug("Y29ycjNjdC1ob3JzZQ==")',
    "standard_output": "print(PASSWORD)",
    "what_capsys_has_read": "print(PASSWORD); capsys.readouterr()",
    "a_warning": 'warnings.simplefilter("always"); warnings.warn(f"{PASSWORD} is weak")',
    "a_transcript": "client.connect(); client._channel.connection.protocol.transcript.note(PASSWORD)",
    "an_audit_event": 'sys.audit("smtplib.send", client, PASSWORD.encode())',
    "a_variable_of_a_frame": """
        try:
            logs.spelled(None, PASSWORD)
        except AttributeError:
            pass
    """,
}
HIDDEN = {
    "a_secret": 'client.connect(); logger.debug("%r", Secret(PASSWORD))',
    "a_failure": """
        server.answer("MAIL", b"550 no\\r\\n")
        try:
            client.send(b"hi", sender="a@x", recipients=["b@y"])
        except SMTPException as error:
            logger.exception("failed")
    """,
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says with the plugin about a test for each of them."""
    file = tmp_path_factory.mktemp("planted") / "test_planted.py"
    bodies = {name: textwrap.indent(textwrap.dedent(line).strip(), " " * 8) for name, line in (LEAKS | HIDDEN).items()}
    file.write_text(BEGINNING + "".join(TEST.format(*each) for each in bodies.items()), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.secrecy", "-p", "no:cacheprovider", str(file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_found(report: str, name: str) -> None:
    """The test that makes a reader see a secret turns red."""
    if name == "a_transcript" and transcript.__file__.endswith(".so"):
        pytest.skip("machine code makes a transcript unheard by the plugin; `make secrets` runs the Python sources")
    assert f"test_planted.py::test_{name}" in report


@pytest.mark.parametrize("name", HIDDEN)
def test_what_is_hidden_is_no_leak(report: str, name: str) -> None:
    """A login, and a failure with all its frames."""
    assert f"test_planted.py::test_{name}" not in report
    assert f"{len(LEAKS | HIDDEN)} tests with secrets" in report


@pytest.mark.parametrize(
    "text",
    [
        "hörse/%+",
        "h\\xc3\\xb6rse/%+",
        "h%C3%B6rse/%25%2B",
        "h%C3%B6rse%2F%25%2B",
        '"h\\u00f6rse/%+"',
        "68c3b67273652f252b",
        "68 c3 b6 72 73 65 2f 25 2b",
        "h=C3=B6rse/%+",
        "aMO2cnNlLyUr",
        "AGFubgBow7Zyc2UvJSs=",
    ],
)
def test_each_spelling_is_known(text: str) -> None:
    """As it is, escaped, percent-encoded, as JSON, in hexadecimal, quoted-printable, base64 alone and behind a name."""
    assert leaks(f"password={text};", spelled("hörse/%+"))
