"""A site whose tests run side by side: by Django's own runner, and by pytest-xdist."""

import os
import subprocess
import sys
from pathlib import Path

SETTINGS = """
SECRET_KEY = "tests"
EMAIL_BACKEND = "mailbridge_django.Backend"
INSTALLED_APPS = ["mailbridge_django", "shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
"""
CASES = """
from django.core import mail
from django.test import SimpleTestCase
from mailbridge_django.testing import MailServerMixin


class Case(MailServerMixin, SimpleTestCase):
    def test_a_refusal(self):
        self.mail_server.refuse(self.who)
        message = mail.EmailMessage("Hello", "Text", "ann@example.com", [self.who, "eve@example.org"])
        message.send()
        self.assertRefused(message, self.who, 550)
        self.assertAccepted(message, "eve@example.org")
        assert len(self.mail_server.messages) == 1


class Outbox(SimpleTestCase):
    def test_mail_is_kept(self):
        mail.send_mail("Hello", "Text", "ann@example.com", ["bob@example.org"])
        assert len(mail.outbox) == 1


for number in range(6):
    globals()[f"Case{number}"] = type(f"Case{number}", (Case,), {"who": f"{number}@example.org"})
del Case
"""
FUNCTIONS = """
import pytest
from django.core import mail
from mailbridge_django.testing import assert_refused


@pytest.mark.parametrize("number", range(6))
def test_a_refusal(number, mail_server):
    mail_server.refuse(f"{number}@example.org")
    message = mail.EmailMessage("Hello", "Text", "ann@example.com", [f"{number}@example.org", "eve@example.org"])
    message.send()
    assert_refused(message, f"{number}@example.org", 550)
    assert len(mail_server.messages) == 1
"""


def run(folder: Path, *arguments: str) -> str:
    """Run the tests of the site; they pass."""
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    (folder / "site_of_test.py").write_text(SETTINGS)
    (folder / "conftest.py").write_text('pytest_plugins = ["mailbridge_django.testing"]\n')
    (folder / "shop" / "tests.py").write_text(CASES)
    (folder / "test_functions.py").write_text(FUNCTIONS)
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "site_of_test"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_djangos_runner(tmp_path: Path) -> None:
    """Each of its processes has servers of its own, and `mail.outbox` stays what it is."""
    assert "Ran 7 tests" in run(tmp_path, "django", "test", "shop", "--parallel=2")


def test_xdist(tmp_path: Path) -> None:
    """So has each worker of pytest-xdist."""
    said = run(tmp_path, "pytest", "-q", "-n2", "-p", "no:cacheprovider", "test_functions.py", "shop/tests.py")
    assert "13 passed" in said
