"""`{% load mailbridge_log %}`: the chart's bars, in the admin and on a page of a site's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import template

from .. import chart

register = template.Library()


@register.inclusion_tag("mailbridge_log/bars.html")
def delivery_bars(bars: Sequence[chart.Bar], heading: str, column: str) -> dict[str, Any]:
    """A table whose rows have a bar each.

    Args:
        bars: What `counts.per_day` or `counts.per_domain` found.
        heading: The table's caption.
        column: What its rows are, above their names.
    """
    return {"bars": bars, "heading": heading, "column": column, "states": chart.LEGEND, "width": chart.WIDTH}
