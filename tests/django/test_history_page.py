"""What docs/history.md shows is true: the chart on a page of one's own."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.shortcuts import render
from django.template import engines
from django.test import RequestFactory

from mailbridge_django.log.models import Delivery

PAGE = (Path(__file__).parents[2] / "docs" / "history.md").read_text(encoding="utf-8")


def shown(word: str) -> str:
    """The one block of code that holds a word."""
    [code] = [code for code in re.findall(r"^```\w+\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) if word in code]
    return code


@pytest.mark.django_db
def test_the_chart_on_a_page_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The view and the template draw a bar for each day and for each domain."""
    for domain in ("example.org", "example.org", "example.net"):
        Delivery.objects.create(recipient=f"ann@{domain}", domain=domain, state="accepted")
    loader = engines["django"].engine.template_loaders[0]
    monkeypatch.setitem(loader.templates_dict, "chart.html", shown("delivery_bars"))
    names: dict[str, Any] = {"render": render}
    exec(shown("def chart"), names)
    page = names["chart"](RequestFactory().get("/")).content.decode()

    assert re.findall(r"<caption>(.*?)</caption>", page) == ["Recipients per day", "Recipients per domain"]
    assert re.findall(r'nowrap">(example\S+)</th>.*?<rect [^>]*width="(\d+)"', page, re.DOTALL) == [
        ("example.org", "1000"),
        ("example.net", "500"),
    ]
    assert page.count('<th scope="row"') == 30 + 2
