"""Runs the interpreter's own tests of `smtplib` against our module: `python -m tests.classic.cpython_suite`.

It is a program of its own, because those tests count threads and replace modules. It prints one JSON object:
how many tests ran, and which of them failed with what.
"""

import json
import sys
import unittest

from mailbridge import smtplib


def run() -> dict[str, object]:
    """Put our module in the standard one's place, then load and run the tests."""
    sys.modules["smtplib"] = smtplib
    from test import test_smtplib

    assert test_smtplib.smtplib is smtplib
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromModule(test_smtplib).run(result)
    return {
        "ran": result.testsRun,
        "skipped": {case.id(): why for case, why in result.skipped},
        "failed": {case.id(): text for case, text in [*result.failures, *result.errors]},
    }


if __name__ == "__main__":
    json.dump(run(), sys.stdout)
