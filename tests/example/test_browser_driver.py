"""The demo as a person sees it, in a real browser."""

from urllib.request import urlopen

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

PATIENCE = 10  # seconds


def wait_until(browser: Chrome, script: str, *arguments: object) -> None:
    """Until a script of the page says yes; while one page takes the place of another, there may be none to ask."""
    waiting = WebDriverWait(browser, PATIENCE, ignored_exceptions=[WebDriverException])
    waiting.until(lambda _: browser.execute_script(script, *arguments))


def click(browser: Chrome, element: WebElement) -> None:
    """Click on what leads to another page, and wait until that is there."""
    browser.execute_script("window.isLeft = true")
    element.click()
    wait_until(browser, "return !window.isLeft && document.readyState === 'complete'")


def fill(browser: Chrome, **fields: str) -> None:
    """Write into the fields of a page's first form, and press its button."""
    for name, text in fields.items():
        field = browser.find_element(By.NAME, name)
        field.clear()
        field.send_keys(text)
    click(browser, browser.find_element(By.CSS_SELECTOR, "form button"))


def rows(browser: Chrome, table: str) -> list[list[str]]:
    """What stands in a table's rows, all at one moment."""
    cells = "[...row.querySelectorAll('th, td')].map(cell => cell.innerText.trim())"
    script = f"return [...document.querySelectorAll('#{table} tbody tr')].map(row => {cells})"
    found: list[list[str]] = browser.execute_script(script)
    return found


def wait_for(browser: Chrome, part: str, text: str) -> None:
    """Until the page's own script has brought a text into a part of it."""
    wait_until(browser, "return document.getElementById(arguments[0]).innerText.includes(arguments[1])", part, text)


def test_an_invitation_to_many(browser: Chrome, url: str) -> None:
    """The page says of each recipient what became of the mail, and the refusal appears beside it."""
    browser.get(f"{url}invite/")
    fill(browser, to="zoe@example.org\ngone@example.org\nfull@example.org", subject="From the form", body="Hello!")

    (zoe, accepted, _), *refused = rows(browser, "receipt")
    assert (zoe, accepted) == ("zoe@example.org", "accepted")
    assert refused == [
        ["gone@example.org", "rejected", "550 no such user"],
        ["full@example.org", "deferred", "451 mailbox full, try again later"],
    ]
    wait_for(browser, "refusals", "Django: From the form")
    wait_for(browser, "refusals", "gone@example.org rejected\n550 5.1.1 no such user")


def test_what_happens_elsewhere_appears(browser: Chrome, url: str) -> None:
    """A page that nobody touches shows the refusals and the mail of somebody else, as they come."""
    browser.get(f"{url}inbox/")
    assert "News from the shop" not in browser.find_element(By.TAG_NAME, "body").text
    with urlopen(f"{url}shop/news", b"", timeout=PATIENCE) as answer:
        assert answer.status == 200

    wait_for(browser, "messages", "News from the shop")
    wait_for(browser, "refusals", "Flask: News from the shop")


def test_sign_up(browser: Chrome, url: str) -> None:
    """The mail that asks to confirm is in the inbox once the member is saved, and its link confirms."""
    browser.get(url)
    fill(browser, email="mia@example.org")
    assert rows(browser, "receipt")[0][:2] == ["mia@example.org", "accepted"]
    assert rows(browser, "members")[0] == ["mia@example.org", "no", "yes"]

    browser.get(f"{url}inbox/")
    browser.find_element(By.TAG_NAME, "summary").click()
    click(browser, browser.find_element(By.CSS_SELECTOR, "#messages pre a"))
    assert rows(browser, "members")[0] == ["mia@example.org", "yes", "yes"]


def test_a_refused_member_gets_no_more_mail(browser: Chrome, url: str) -> None:
    """The receiver deactivated whom the server refused for good, and nobody else."""
    browser.get(url)

    members = {address: gets_mail for address, _, gets_mail in rows(browser, "members")}
    assert members["gone@example.org"] == "refused"
    assert (members["full@example.org"], members["carol@example.org"]) == ("yes", "yes")


def test_the_chart(browser: Chrome, url: str) -> None:
    """A bar for today, a segment for each state that there was, and the same in figures."""
    browser.get(f"{url}chart/")
    table = browser.find_element(By.CSS_SELECTOR, "section table")
    bar, *empty = table.find_elements(By.CSS_SELECTOR, "tbody svg")
    accepted, deferred, rejected, *none, total = (
        int(cell.text) for cell in table.find_elements(By.CSS_SELECTOR, "tbody tr:first-child td:not([aria-hidden])")
    )

    widths = [segment.size["width"] for segment in bar.find_elements(By.TAG_NAME, "rect")]
    assert len(widths) == 3
    assert widths[0] / sum(widths) == pytest.approx(accepted / total, abs=0.05)
    assert (none, total) == ([0, 0], accepted + deferred + rejected)
    assert [svg.find_elements(By.TAG_NAME, "rect") for svg in empty] == [[]] * 6


def test_the_shop(browser: Chrome, url: str) -> None:
    """The Flask app's sign-up: the refusal is on the page, and the customer gets no more mail."""
    browser.get(f"{url}shop/")
    fill(browser, email="nell@example.org")
    assert rows(browser, "receipt")[0][:2] == ["nell@example.org", "accepted"]
    assert rows(browser, "customers")[0] == ["nell@example.org", "no", "yes"]

    fill(browser, email="gone@example.org")
    assert rows(browser, "receipt") == [["gone@example.org", "rejected", "550 no such user"]]
    assert ["gone@example.org", "no", "refused"] in rows(browser, "customers")


@pytest.fixture
def phone(browser: Chrome) -> Chrome:
    """A small screen, at night."""
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    night = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", night)
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("page", ["", "invite/", "inbox/", "chart/", "shop/"])
def test_on_a_phone_at_night(phone: Chrome, url: str, page: str) -> None:
    """No page is wider than the screen, and light letters stand on dark ground."""
    phone.get(url + page)
    light = "const c = getComputedStyle(document.body)[arguments[0]]; return c.match(/\\d+/g).slice(0, 3).map(Number)"

    assert phone.execute_script("return document.documentElement.scrollWidth") == 360
    assert max(phone.execute_script(light, "backgroundColor")) < 64
    assert min(phone.execute_script(light, "color")) > 192


def test_the_chart_on_a_phone(phone: Chrome, url: str) -> None:
    """Its bars do not vanish beside the figures."""
    phone.get(f"{url}chart/")
    bar = phone.find_element(By.CSS_SELECTOR, "tbody svg")
    assert bar.size["width"] >= 100
