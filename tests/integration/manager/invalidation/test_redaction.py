"""With `redact_keys` no key is read in logs, in the admin or in lists of commands."""

import logging
from typing import Any

import pytest
from django.test import override_settings

from dcache_manager.invalidation import log
from dcache_manager.invalidation.history import entries
from dcache_manager.invalidation.redaction import shown
from dcache_manager.models import Invalidation
from django_dcache.conf import parse
from django_dcache.invalidation import of_prefix

pytestmark = pytest.mark.usefixtures("tables")
KEY, REGIONS = ":1:patient:4711", {"REGION": "eu", "REGIONS": ["eu"]}


def entry(redact: bool, **options: Any) -> dict[str, Any]:
    options |= {"redact_keys": redact, "timeout": 0.05, "connect_timeout": 0.05, "eject_after": 0.0}
    return {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": ["127.0.0.1:9"], "OPTIONS": options}


@pytest.mark.parametrize("redact", [True, False])
def test_lists(redact: bool) -> None:
    """The list of invalidations shows a mark, the same for the same key, or the key."""
    with override_settings(CACHES={"default": entry(redact)}, DCACHE=REGIONS):
        Invalidation.objects.create(region="eu", alias="default", kind="keys", made=[KEY, KEY + "1"])
        ((first, second),) = [item["made"] for item in entries("default", 9)]
        assert ("4711" in first + second) is not redact
        assert first != second and first == shown("default", KEY)


def test_an_alias_that_is_gone() -> None:
    """The keys of an alias that the settings have no more are hidden if another one hides its own."""
    with override_settings(CACHES={"default": entry(True)}, DCACHE=REGIONS):
        assert "4711" not in shown("gone", KEY)


@pytest.mark.parametrize("prefixes", [[], ["patient:"]])
def test_logs(caplog: pytest.LogCaptureFixture, prefixes: list[str]) -> None:
    """A prefix that could not be invalidated is logged by its mark."""
    with override_settings(CACHES={"default": entry(True, prefixes=prefixes)}, DCACHE=REGIONS):
        with caplog.at_level(logging.DEBUG):
            log.carry_out(of_prefix("default", "patient:"))
    assert "key-" in caplog.text and "patient" not in caplog.text


def test_marks() -> None:
    """A mark can't be found by trying keys without the secret."""
    marks = {parse("a", "n", {"redact_keys": True, "secret": secret}).shown(KEY) for secret in ("one", "other")}
    assert len(marks) == 2 and all(mark.startswith("key-") and len(mark) == 16 for mark in marks)
