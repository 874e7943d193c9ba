"""`send_message`: what of a message becomes the envelope, and what of it goes over the wire."""

from email.message import EmailMessage, Message

import pytest

from mailbridge import smtplib


def _message(**fields: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "a@x.example", "b@y.example"
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    message.set_content("hi\n")
    return message


def test_s22_bcc_never_leaves(serve, dial) -> None:
    """S22: hidden recipients get the mail and stand in no header; the caller's message keeps them."""
    server = serve()
    message = _message(Bcc="hidden@z.example")
    dial(server).send_message(message)

    assert server.messages[0].recipients == ("b@y.example", "hidden@z.example")
    assert b"hidden" not in server.messages[0].content
    assert message["Bcc"] == "hidden@z.example"


def test_s22_resent_bcc_never_leaves(serve, dial) -> None:
    """S22: with Resent-Date the Resent- fields are the envelope, and both kinds of Bcc are left out."""
    server = serve()
    fields = {"Resent_Date": "Thu, 1 Jan 1970 17:42:00 +0000", "Resent_From": "r@x.example"}
    dial(server).send_message(_message(Bcc="old@z.example", Resent_Bcc="new@z.example", **fields))

    assert (server.messages[0].sender, server.messages[0].recipients) == ("r@x.example", ("new@z.example",))
    assert b"@z.example" not in server.messages[0].content


def test_s9_no_header_field_begins_another(serve, dial) -> None:
    """S9: it is an error, and nothing is written."""
    server = serve()
    client = dial(server)
    for subject in ("x\r\nBcc: e@y", "x\n\nbody", "x\rBcc: e@y"):
        message = _message()
        message._headers.append(("Subject", subject))
        with pytest.raises(smtplib.SMTPInputError, match="Subject"):
            client.send_message(message)
    client.noop()
    assert server.lines == [b"noop"]


def test_s10_the_envelope_is_parsed_by_structure(serve, dial) -> None:
    """S10: no quoted string and no comment changes who gets the mail."""
    server = serve()
    client = dial(server)
    client.send_message(_message(Cc='"e@evil x"@ok.example'))
    assert server.messages[0].recipients == ("b@y.example", '"e@evil x"@ok.example')

    message = _message()
    message._headers.append(("Cc", "alice@ok)Roger(<bob@evil>"))
    with pytest.raises(smtplib.SMTPInputError):
        client.send_message(message)


def test_s23_no_field_opens_a_path(serve, dial) -> None:
    """S23: what looks like a path or a URL is text."""
    server = serve()
    message = _message(Subject="/etc/passwd")
    message.add_attachment("/etc/passwd", filename="file:///etc/passwd")
    dial(server).send_message(message)

    assert server.messages[0].content.count(b"/etc/passwd") == 3
    assert b"root:" not in server.messages[0].content


def test_sender_and_recipients_come_from_the_header(serve, dial) -> None:
    """Sender before From; To, Bcc and Cc; all fields of a name count, groups are opened."""
    server = serve()
    message = _message(Sender="s@x.example", Cc="friends: c@z.example, Dan <d@z.example>;", Bcc="e@z.example")
    dial(server).send_message(message)

    assert server.messages[0].sender == "s@x.example"
    assert server.messages[0].recipients == ("b@y.example", "e@z.example", "c@z.example", "d@z.example")


def test_a_given_envelope_counts(serve, dial) -> None:
    """Also a generator of recipients; parameters are handed on."""
    server = serve()
    client = dial(server)
    client.send_message(_message(), "s@x", (f"{name}@y" for name in "cd"), ["BODY=8BITMIME"], ["NOTIFY=NEVER"])

    assert (server.messages[0].sender, server.messages[0].recipients) == ("s@x", ("c@y", "d@y"))
    assert server.messages[0].mail_parameters["BODY"] == "8BITMIME"
    assert server.messages[0].rcpt_parameters["c@y"] == {"NOTIFY": "NEVER"}


def test_resent_twice(dial, serve) -> None:
    """Nobody can know which block counts."""
    message = _message()
    for day in ("1", "2"):
        message["Resent-Date"] = f"Thu, {day} Jan 1970 17:42:00 +0000"
    with pytest.raises(ValueError, match="more than one 'Resent-' header block"):
        dial(serve()).send_message(message)


def test_nobody_to_send_from(dial, serve) -> None:
    """It says which field is missing, instead of sending from "None"."""
    message = EmailMessage()
    message["To"] = "b@y.example"
    with pytest.raises(smtplib.SMTPInputError, match="names none in From"):
        dial(serve()).send_message(message)


def test_a_local_part_beyond_ascii(serve, dial) -> None:
    """It goes out with SMTPUTF8 and a header in UTF-8; where that is not offered, it is an error."""
    server = serve()
    dial(server).send_message(_message(Cc="Jörg <jörg@z.example>"))
    assert server.messages[0].mail_parameters.keys() == {"SIZE", "SMTPUTF8", "BODY"}
    assert "Cc: Jörg <jörg@z.example>".encode() in server.messages[0].content

    with pytest.raises(smtplib.SMTPNotSupportedError, match="does not advertise the required SMTPUTF8"):
        dial(serve(extensions=())).send_message(_message(Cc="Jörg <jörg@z.example>"))


def test_a_domain_beyond_ascii(serve, dial) -> None:
    """It needs no SMTPUTF8: envelope and header name it in A-labels."""
    server = serve(extensions=())
    dial(server).send_message(_message(Cc="Jörg <j@faß.example>"))

    assert server.messages[0].recipients[1] == "j@xn--fa-hia.example"
    assert b"<j@xn--fa-hia.example>" in server.messages[0].content
    dial(server).send_message(_message(), to_addrs=["j@faß.example"])
    assert server.messages[1].recipients == ("j@xn--fa-hia.example",)


def test_an_old_message(serve, dial) -> None:
    """`compat32` works as well; a body line that begins with "From " is left as it is."""
    server = serve()
    message = Message()
    message["From"], message["To"] = "a@x.example", "=?utf-8?q?J=C3=B6rg?= <b@y.example>"
    message.set_payload("From here\n.\non\n")
    dial(server).send_message(message)

    assert server.messages[0].recipients == ("b@y.example",)
    assert server.messages[0].content.endswith(b"\r\n\r\nFrom here\r\n.\r\non\r\n")
