"""Django is set up once, before any test module is imported. Shared fixtures live here too."""

import gc
import os
import weakref
from collections.abc import Iterator
from typing import Any

import django
import pytest

os.environ["DJANGO_SETTINGS_MODULE"] = "support.settings"
django.setup()

from django_dcache.runtime import registry  # noqa: E402

MOST_FLEETS = 50


@pytest.fixture(autouse=True)
def _forgotten_fleets() -> Iterator[None]:
    """A process keeps each of its fleets, half a megabyte, until it ends; a test's goes once no test can use it."""
    yield
    if len(registry._fleets) <= MOST_FLEETS:
        return
    fleets = {configuration: weakref.ref(fleet) for configuration, fleet in registry._fleets.items()}
    while registry._fleets:
        registry._fleets.popitem()[1].close()
    gc.collect()
    registry._fleets.update({configuration: found for configuration, ref in fleets.items() if (found := ref())})


def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    """What measures time is counted apart: on a busy machine it says less."""
    if report.when == "call" and report.passed and "timing" in report.keywords and not hasattr(report, "wasxfail"):
        return "timed", ".", "TIMED"
    return None
