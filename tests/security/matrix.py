"""Which face is in which row of WIRE.md's security table, and why a combination cannot be."""

import re

ROWS = {
    "S1": "octets behind the 220 to STARTTLS",
    "S2": "STARTTLS stripped",
    "S3": "TLS that nobody vouches for",
    "S4": "credentials in clear",
    "S5": "line ends in commands",
    "S6": "parameters in addresses",
    "S7": "other arguments",
    "S8": "SMTP smuggling",
    "S9": "header injection",
    "S10": "wrong recipient by parsing",
    "S11": "cost of parsing",
    "S12": "replies without bounds",
    "S13": "a dripping server",
    "S14": "desynchronisation",
    "S15": "LMTP: one reply for each",
    "S16": "secrets in logs and errors",
    "S17": "a token as a password",
    "S18": "hosts that a server names",
    "S19": "handlers that fail",
    "S20": "log injection",
    "S21": "forks and threads",
    "S22": "Bcc",
    "S23": "files and URLs",
}

_LIBRARY = ("Client", "Pool", "asyncio.Client", "asyncio.Pool")
_DJANGO = ("send_mail", "EmailMessage", "MAILERS")
_MODERN = (*_LIBRARY, *_DJANGO, "Flask")

_FIELDS = "takes neither header fields nor attachments: the subject is the first test of S9"
_SIGNALS = "has no signals; what a program hangs into it are log handlers, which the other test of S19 has"
_TASKS = "is for one task at a time, and says so: tasks share an asyncio.Pool"
_NO_BCC = "has an argument neither for Bcc nor for header fields: EmailMessage has"
_RECORDS = "writes no records, as the standard module does not"

# By the test's name: a face that it cannot have, and why.
CANNOT: dict[str, dict[str, str]] = {
    "test_s03_verification_turned_off": {"smtplib": f"verifies by the context that it is given, and {_RECORDS}"},
    "test_s04_a_server_on_another_machine": {
        "smtplib": "judges by the peer of its socket, not by the name: test_s04_a_peer_on_another_machine",
    },
    "test_s04_a_peer_on_another_machine": dict.fromkeys(
        _MODERN, "judges by the name that it was given: test_s04_a_server_on_another_machine"
    ),
    "test_s07_envid": dict.fromkeys(_DJANGO, "has no ESMTP parameters; the EHLO name is the other test of S7"),
    "test_s08_octets": dict.fromkeys((*_DJANGO, "Flask"), "takes texts, and renders them: the other test of S8"),
    "test_s09_a_line_end_in_a_field_of_ones_own": {"send_mail": _FIELDS},
    "test_s09_a_line_end_in_a_file_name": {"send_mail": _FIELDS},
    "test_s16_a_newer_login_that_fails": {"smtplib": "knows PLAIN, LOGIN and CRAM-MD5, as the standard module does"},
    "test_s17_a_token_as_a_password": {
        "smtplib": "has no accounts with tokens: a program answers the challenges itself, by auth()",
    },
    "test_s19_a_receiver_that_fails": dict.fromkeys((*_LIBRARY, "smtplib"), _SIGNALS),
    "test_s19_a_log_handler_that_fails": {"smtplib": _RECORDS},
    "test_s20_records": {"smtplib": f"{_RECORDS}; its debug output is another test of S20"},
    "test_s20_debug_output": dict.fromkeys(_MODERN, "has no debug output but its records: test_s20_records"),
    "test_s21_forked_with_a_warm_connection": {
        "smtplib": "is the bare connection, which belongs to one process, as the standard module's does",
    },
    "test_s21_several_threads": {
        "Client": "is for one thread at a time, and says so: threads share a Pool",
        "asyncio.Client": _TASKS,
        "asyncio.Pool": "lives in the loop of one thread: test_s21_several_tasks",
        "smtplib": "is for one thread at a time, as the standard module is",
    },
    "test_s21_several_tasks": {
        "asyncio.Client": _TASKS,
        **dict.fromkeys(("Client", "Pool", "smtplib"), "is not for asyncio"),
        **dict.fromkeys((*_DJANGO, "Flask"), "is for threads: test_s21_several_threads"),
    },
    "test_s22_bcc": {"send_mail": _NO_BCC},
    "test_s22_a_field_of_ones_own": {"send_mail": _NO_BCC},
    "test_s23_what_looks_like_a_file": {"send_mail": "takes no attachments: test_s23_what_looks_like_a_url has it"},
}


def row_of(test: str) -> str:
    """The row that a test is named after."""
    found = re.match(r"test_s(\d\d)_", test)
    assert found, f"{test} does not say its row"
    return f"S{int(found[1])}"


def table(cases: dict[tuple[str, str], int], faces: list[str]) -> list[str]:
    """The matrix: how many cases each face has in each row."""
    head = f"{'':32}" + "".join(f"{face:>15}" for face in faces)
    lines = [head]
    for row, title in ROWS.items():
        counts = "".join(f"{cases.get((row, face), 0) or '-':>15}" for face in faces)
        lines.append(f"{row:>4}  {title[:26]:26}{counts}")
    return lines


def reasons(faces: list[str]) -> list[str]:
    """Each combination that cannot be, and why: one line for the faces that share a reason."""
    lines = []
    for test, without in CANNOT.items():
        for why in dict.fromkeys(without.values()):
            those = [face for face in faces if without.get(face) == why]
            lines += [f"{test}: {', '.join(those)} {why}"] if those else []
    return lines
