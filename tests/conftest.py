"""Django is set up once, before any test module is imported. Shared fixtures live here too."""

import os
from typing import Any

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "support.settings"
django.setup()


def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    """What measures time is counted apart: on a busy machine it says less."""
    if report.when == "call" and report.passed and "timing" in report.keywords and not hasattr(report, "wasxfail"):
        return "timed", ".", "TIMED"
    return None
