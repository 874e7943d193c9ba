"""The history in the admin: list, filters, search and chart, and nothing that writes."""

import datetime
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from mailbridge_django.log import chart
from mailbridge_django.log.models import Delivery

pytestmark = pytest.mark.django_db

LIST = "/admin/mailbridge_log/delivery/"
CHART = f"{LIST}chart/"


@pytest.fixture(autouse=True)
def deliveries() -> None:
    for days, recipient, state, code in (
        (0, "ann@example.org", "accepted", 250),
        (0, "bob@example.org", "rejected", 550),
        (1, "eve@example.net", "deferred", 450),
        (10, "<i>@example.com", "not_sent", None),
    ):
        when, domain = timezone.now() - datetime.timedelta(days=days), recipient.partition("@")[2]
        Delivery.objects.create(when=when, recipient=recipient, domain=domain, state=state, code=code)


def page(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def recipients(text: str) -> list[str]:
    return re.findall(r'field-recipient">([^<]*)', text)


def figures(text: str) -> dict[str, list[str]]:
    """The rows of both tables: their names, and the counts that they show."""
    found = re.findall(r'<th scope="row" class="nowrap">(.*?)</th>.*?</svg></td>(.*?)</tr>', text, re.DOTALL)
    return {name: re.findall(r"<td>(.*?)</td>", rest) for name, rest in found}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["ann@example.org", "bob@example.org", "eve@example.net", "&lt;i&gt;@example.com"]),
        ("?state__exact=rejected", ["bob@example.org"]),
        ("?code=450", ["eve@example.net"]),
        ("?q=example.org", ["ann@example.org", "bob@example.org"]),
        ("?q=eve@", ["eve@example.net"]),
    ],
)
def test_the_list(query: str, expected: list[str], admin_client: Client) -> None:
    """It can be filtered, and searched by recipient; what others chose is escaped."""
    assert sorted(recipients(page(admin_client, LIST + query))) == sorted(expected)


def test_nothing_can_be_written(admin_client: Client) -> None:
    """Nobody adds a row or changes one; a row is shown."""
    [row] = Delivery.objects.filter(recipient="bob@example.org")
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{row.pk}/change/", {"state": "accepted"}).status_code == 403
    shown = page(admin_client, f"{LIST}{row.pk}/change/")
    assert ("bob@example.org" in shown, 'name="_save"' in shown) == (True, False)


def test_the_chart_is_linked(admin_client: Client) -> None:
    """The list leads to it."""
    assert f'href="{CHART}"' in page(admin_client, LIST)


def test_the_chart(admin_client: Client) -> None:
    """It counts by day and by domain, and gives the days without mail as well."""
    shown = figures(page(admin_client, CHART))
    assert shown["example.org"] == ["1", "0", "1", "0", "0", "2"]
    assert shown["example.net"] == ["0", "1", "0", "0", "0", "1"]
    days = [counts for name, counts in shown.items() if "example" not in name]
    assert len(days) == 30
    assert [days[ago] for ago in (0, 1, 10)] == [
        ["1", "0", "1", "0", "0", "2"],
        ["0", "1", "0", "0", "0", "1"],
        ["0", "0", "0", "1", "0", "1"],
    ]
    assert {count for counts in days[2:10] for count in counts} == {"0"}


def test_a_shorter_chart(admin_client: Client) -> None:
    """A week knows nothing of what was before it; a period that is not offered is the usual one."""
    assert "example.com" not in figures(page(admin_client, f"{CHART}?days=7"))
    assert len(figures(page(admin_client, f"{CHART}?days=7"))) == 7 + 2
    assert len(figures(page(admin_client, f"{CHART}?days=99999999999"))) == 30 + 3


def test_a_chart_needs_nothing_else(admin_client: Client) -> None:
    """Its bars are part of the page, with numbers that no locale changes."""
    text = page(admin_client, CHART)
    bars = re.findall(r'<rect x="(\d+)" width="(\d+)" height="10" fill="(#\w+)">', text)
    assert bars[:2] == [("0", "500", "#2e9e5b"), ("500", "500", "#d64545")]
    assert "style=" not in text.partition('id="content-main"')[2].partition("</table>")[0]


def test_sites_without_time_zones(admin_client: Client, settings: Any) -> None:
    """Their days are those of the local clock."""
    settings.USE_TZ = False
    Delivery.objects.create(when=timezone.now(), recipient="ann@example.org", domain="example.edu", state="accepted")
    assert figures(page(admin_client, CHART))["example.edu"][0] == "1"


@pytest.mark.parametrize("url", [LIST, CHART])
def test_staff_without_the_permission(url: str, client: Client) -> None:
    """They see neither list nor chart."""
    client.force_login(User.objects.create_user("sam", is_staff=True))
    assert client.get(url).status_code == 403


def test_a_stranger(client: Client) -> None:
    """The chart asks who is there."""
    assert client.get(CHART).headers["Location"].startswith("/admin/login/")


def test_a_small_count_is_seen() -> None:
    """One refusal beside a million has a bar, and all bars fit the drawing."""
    [bar] = chart.bars([("a day", {"accepted": 1_000_000, "rejected": 1})])
    assert [part.length for part in bar.segments if part.count] == [1_000, chart.SHORTEST]
    assert sum(part.length for part in bar.segments) <= chart.WIDTH


def test_the_way_back(admin_client: Client) -> None:
    """The chart has Django's breadcrumbs, in whichever element this Django's style expects them."""
    of_django, ours = (re.findall(r'<(\w+) class="breadcrumbs"', page(admin_client, url)) for url in (LIST, CHART))
    assert ours == of_django != []
