"""`python -m mailbridge check`: what it prints, and how it ends."""

import base64
import json
import subprocess
import sys

import pytest

from mailbridge.__main__ import main
from mailbridge.testing import ScriptedServer

ANN = {"ann@example.com": "sw0rdf/sh"}
ENCODED = (base64.b64encode(octets).decode() for octets in (b"sw0rdf/sh", b"\0ann@example.com\0sw0rdf/sh"))
SPELLED = ("sw0rdf/sh", "sw0rdf%2Fsh", *ENCODED)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing of the machine's own."""
    monkeypatch.delenv("MAILBRIDGE_URL", raising=False)
    return monkeypatch


def test_all_well(capsys: pytest.CaptureFixture[str]) -> None:
    """The steps, a last line, status 0; nothing is sent."""
    with ScriptedServer() as server:
        assert main(["check", server.url]) == 0
        assert server.messages == []
    out, err = capsys.readouterr()

    assert out.splitlines()[-1] == f"127.0.0.1:{server.port}: all well"
    assert "\nok    RSET " in out
    assert err == ""


def test_a_step_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, for health probes."""
    with ScriptedServer() as server:
        server.answer("GREETING", b"554 5.3.2 closed\r\n")
        assert main(["check", server.url]) == 1

    assert "The server answered 554 5.3.2 closed." in capsys.readouterr().out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but one JSON object goes to the standard output."""
    with ScriptedServer() as server:
        assert main(["check", server.url, "--to", "bob@example.org", "--from", "ann@example.com", "--json"]) == 0
        [message] = server.messages
    read = json.loads(capsys.readouterr().out)

    assert (message.sender, message.recipients) == ("ann@example.com", ("bob@example.org",))
    assert (read["ok"], read["steps"][-1]["name"]) == (True, "SEND")
    assert [result["state"] for result in read["receipt"]["recipients"]] == ["accepted"]


@pytest.mark.parametrize("password", ["right", "wrong"])
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_no_secret_is_printed(
    password: str, options: tuple[str, ...], capsys: pytest.CaptureFixture[str], environment: pytest.MonkeyPatch
) -> None:
    """Neither the password nor its base64, taken or refused; the URL may come from the environment."""
    with ScriptedServer(tls="starttls", accounts=ANN) as server:
        environment.setenv("MAILBRIDGE_URL", server.url_for("ann@example.com"))
        if password == "wrong":
            server.answer("AUTH", b"535 5.7.8 no\r\n")
        assert main(["check", *options]) == (password == "wrong")
    printed = "".join(capsys.readouterr())

    assert f"localhost:{server.port}" in printed
    assert [secret for secret in SPELLED if secret in printed] == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["check"],
        ["smtp://ann:sw0rdf%2Fsh@localhost"],
        ["check", "smtp://ann:sw0rdf%2Fsh@localhost", "again:sw0rdf%2Fsh"],
        ["check", "smtp://ann:sw0rdf%2Fsh@localhost", "--json=sw0rdf%2Fsh"],
        ["check", "smpt://ann:sw0rdf%2Fsh@localhost"],
        ["check", "smtp://ann:sw0rdf/sh@localhost"],
        ["check", "smtp://localhost:1", "--to", "no address"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and a sentence, which does not repeat the URL."""
    try:
        status = main(arguments)
    except SystemExit as ended:
        status = int(ended.code or 0)
    out, err = capsys.readouterr()

    assert (status, out) == (2, "")
    assert "mailbridge" in err
    assert [secret for secret in SPELLED if secret in err] == []


def test_as_a_program() -> None:
    """`python -m` finds it, and hands the status on."""
    with ScriptedServer() as server:
        server.refuse("bob@example.org", text="no such \u00fcser")
        ended = subprocess.run(
            [sys.executable, "-m", "mailbridge", "check", server.url, "--to", "bob@example.org"],
            env={"PYTHONIOENCODING": "ascii"},  # as in many a log
            capture_output=True,
            text=True,
            check=False,
        )

    assert (ended.returncode, ended.stderr) == (1, "")
    assert "FAIL  RCPT" in ended.stdout
    assert r"\xfc" in ended.stdout
