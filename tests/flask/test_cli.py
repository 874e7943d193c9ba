"""`flask mail check` and `flask mail send-test`."""

import json
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from mailbridge.testing import ScriptedServer
from mailbridge_flask import Mail
from tests.flask.apps import app_for


def run(server: ScriptedServer, *arguments: str, **settings: Any) -> Result:
    """Run `flask mail ...` for an app that sends to this server."""
    app = app_for(server, **settings)
    Mail(app)
    return app.test_cli_runner().invoke(args=["mail", *arguments])


def test_all_well(server: ScriptedServer) -> None:
    """The steps and status 0; the default sender is asked about, and nothing is sent."""
    result = run(server, "check")

    assert (result.exit_code, result.output.splitlines()[-1]) == (0, f"127.0.0.1:{server.port}: all well")
    assert b"MAIL FROM:<shop@example.com>" in server.lines
    assert server.messages == []


def test_json(server: ScriptedServer) -> None:
    """One object, with the receipt of what was sent."""
    result = run(server, "check", "--to", "bob@example.org", "--json")

    assert result.exit_code == 0
    assert [one["state"] for one in json.loads(result.output)["receipt"]["recipients"]] == ["accepted"]
    assert [message.recipients for message in server.messages] == [("bob@example.org",)]


def test_a_step_that_fails(server: ScriptedServer) -> None:
    """Status 1 and a sentence; no secret is printed."""
    server.answer("EHLO", b"250-mx.test\r\n250 AUTH PLAIN\r\n")
    server.answer("AUTH", b"535 5.7.8 no\r\n")
    result = run(server, "check", MAIL_USERNAME="ann", MAIL_PASSWORD="a secret")

    assert result.exit_code == 1
    assert "The server answered 535 5.7.8 no. Check user name (ann) and password" in result.output
    assert "a secret" not in result.output


def test_no_default_sender(server: ScriptedServer) -> None:
    """A warning, for machines too: the server has nothing to say about it."""
    result = run(server, "check", MAIL_DEFAULT_SENDER=None)
    assert result.exit_code == 0
    assert "MAIL_DEFAULT_SENDER is not set" in result.output
    assert result.output.endswith(": all well, 1 warning\n")

    [settings] = [
        step
        for step in json.loads(run(server, "check", "--json", MAIL_DEFAULT_SENDER=None).output)["steps"]
        if step["name"] == "SETTINGS"
    ]
    assert "MAIL_DEFAULT_SENDER" in settings["finding"]


def test_a_mailer_by_its_name(server: ScriptedServer) -> None:
    """--using takes one of MAIL_MAILERS; another name is wrong usage."""
    bulk = {"bulk": {"DEFAULT_SENDER": "news@example.com"}}
    assert run(server, "check", "--using", "bulk", MAIL_MAILERS=bulk).exit_code == 0
    assert b"MAIL FROM:<news@example.com>" in server.lines

    result = run(server, "check", "--using", "bluk", MAIL_MAILERS=bulk)
    assert (result.exit_code, "no mailer 'bluk'" in result.output) == (2, True)


@pytest.mark.parametrize(
    "settings",
    [
        {"MAIL_SUPPRESS_SEND": True},
        {"TESTING": True},
        {"MAIL_ALLOW_DOMAINS": ["example.com"]},
        {"MAIL_REDIRECT_TO": ["qa@example.com"]},
    ],
)
def test_what_keeps_mail_back_keeps_the_test_message_back(server: ScriptedServer, settings: dict[str, Any]) -> None:
    """Staging and suppression hold for --to too; without it the check says what it can."""
    result = run(server, "check", "--to", "bob@example.org", **settings)

    assert (result.exit_code, server.connections) == (2, [])
    assert "MAIL_" in result.output
    assert run(server, "check", **settings).exit_code == 0


def test_no_address(server: ScriptedServer) -> None:
    """Wrong usage, and nobody is called."""
    assert run(server, "check", "--to", "no address").exit_code == 2
    assert run(server, "send-test", "no address").exit_code == 2
    assert server.connections == []


def test_send_test(server: ScriptedServer) -> None:
    """A message goes out as every other one, and its fate is shown."""
    result = run(server, "send-test", "bob@example.org")

    assert (result.exit_code, result.output) == (0, "bob@example.org accepted 250 2.0.0 Ok: queued as 000001\n")
    [message] = server.messages
    assert (message.sender, message.recipients) == ("shop@example.com", ("bob@example.org",))


def test_send_test_that_is_refused(server: ScriptedServer) -> None:
    """Status 1, the recipient's fate, and the error."""
    server.refuse("bob@example.org")
    result = run(server, "send-test", "bob@example.org")

    assert result.exit_code == 1
    assert result.output.splitlines()[0] == "bob@example.org rejected 550 5.1.1 no such user"
    assert "at RCPT: refused recipients" in result.output


def test_send_test_where_nothing_is_sent(server: ScriptedServer) -> None:
    """It says so, and is no success."""
    result = run(server, "send-test", "bob@example.org", MAIL_SUPPRESS_SEND=True)

    assert (result.exit_code, server.connections) == (1, [])
    assert "MAIL_SUPPRESS_SEND" in result.output


def test_a_program_may_have_a_group_of_its_own(server: ScriptedServer) -> None:
    """What the app registered under the name before stays."""
    app = app_for(server)

    @app.cli.group("mail")
    def own() -> None: ...

    Mail(app)
    assert app.cli.commands["mail"] is own


def test_nothing_is_added_to_another_app(server: ScriptedServer) -> None:
    """An app without the extension has no such commands."""
    assert "mail" not in Flask("other").cli.commands
