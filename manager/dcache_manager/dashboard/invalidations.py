"""What was invalidated, and which regions have yet to apply it."""

from typing import Any

from django.http import HttpRequest

from django_dcache.errors import ConfigurationError

from ..formatting import age, names, printable
from ..inspection.target import Target
from ..invalidation.history import entries

SHOWN = 50
SHOWN_KEYS = 5
"""Of one entry."""


def page(request: HttpRequest, target: Target) -> dict[str, Any]:
    try:
        found = entries(target.alias, SHOWN)
    except ConfigurationError as error:
        return {"problem": str(error)}
    return {"entries": [_entry(item) for item in found]}


def _entry(item: dict[str, Any]) -> dict[str, Any]:
    made = [printable(key) for key in item["made"]]
    return item | {
        "age": age(item["created"]),
        "made": made[:SHOWN_KEYS],
        "more": max(0, len(made) - SHOWN_KEYS),
        "missing": names(item["missing"]),
    }
