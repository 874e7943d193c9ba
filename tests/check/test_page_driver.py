"""What docs/check.md shows is true."""

import datetime
import re
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme

from mailbridge.__main__ import main
from mailbridge.testing import ScriptedServer

PAGE = (Path(__file__).parent.parent.parent / "docs/check.md").read_text()


def timeless(text: str) -> list[str]:
    """The lines without what differs from run to run."""
    return re.sub(r" *[0-9.]+ ms|localhost:[0-9]+|expires [0-9-]+", "", text).splitlines()


def test_the_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A certificate with five days left, and a login that is refused."""
    authority, now = trustme.CA(), datetime.datetime.now(datetime.UTC)
    authority.cert_pem.write_to_path(str(ca_file := tmp_path / "ca.pem"))
    extensions = ("PIPELINING", "SIZE 1000000", "ENHANCEDSTATUSCODES")
    with ScriptedServer(tls="starttls", name="mail.test", extensions=extensions, accounts={"ann": "x"}) as server:
        soon = authority.issue_cert("localhost", not_after=now + datetime.timedelta(days=5, hours=1))
        soon.configure_cert(server.tls_context)
        url = f"smtp+starttls://shop%40example.com:secret@localhost:{server.port}?ca_file={quote(str(ca_file))}"
        assert main(["check", url]) == 1

    [shown] = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert timeless(capsys.readouterr().out) == timeless(shown)


def test_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    """It runs, and prints the diagnosis."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    with ScriptedServer() as server:
        exec(code.replace("localhost:2525", f"localhost:{server.port}"), {})

    assert capsys.readouterr().out.endswith(": all well True ()\n")
