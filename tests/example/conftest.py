"""The demo left running, and a real browser to look at it."""

import os
import shutil
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from .serving import served

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    # Nothing but the demo is called, not even by the browser itself.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    # Containers are short of shared memory, and root has no sandbox.
    "--disable-dev-shm-usage",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
)


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Where the demo runs."""
    with served() as url:
        yield url


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chrome]:
    if not (CHROMIUM and DRIVER):
        missing = "Debian's packages chromium and chromium-driver are not installed"
        if os.environ.get("MAILBRIDGE_BROWSER") == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    # With its path given, selenium looks for no driver and downloads none.
    browser = Chrome(options, Service(DRIVER))
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium: Chrome) -> Iterator[Chrome]:
    """Debian's Chromium; it had nothing to complain about at the end of the test."""
    yield chromium
    assert chromium.get_log("browser") == []
