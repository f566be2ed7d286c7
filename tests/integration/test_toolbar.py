"""The panel of Django Debug Toolbar."""

from pathlib import Path

import pytest

from support.admin_project import told

CODE = """
import asyncio, json
import project
project.INSTALLED_APPS += ["debug_toolbar"]
project.DEBUG_TOOLBAR_PANELS = ["django_dcache.toolbar.CachePanel"]
import django; django.setup()
from debug_toolbar.toolbar import DebugToolbar
from django.core.cache import cache

(panel,) = (kind(None, None) for kind in DebugToolbar.get_panel_classes())

async def page():
    await cache.aget("a")
    await asyncio.gather(cache.aset("b", 1), cache.aget_many(["c", "d"]))

def seen():
    return [[call["name"], call["backend"]] for call in panel.calls]

cache.get("first")  # Before anything is shown.
panel.enable_instrumentation()
cache.get("a")
asyncio.run(page())
panel.disable_instrumentation()
shown = seen()
asyncio.run(page())
print(json.dumps([shown, seen(), panel.misses]))
"""


def test_calls_of_both_kinds(tmp_path: Path) -> None:
    """It shows synchronous and asynchronous calls, with the alias, and none once it is switched off."""
    pytest.importorskip("debug_toolbar")
    shown, later, misses = told(tmp_path, CODE)
    assert sorted(name for name, _ in shown) == ["get", "get", "get_many", "set"]
    assert {backend for _, backend in shown} == {"default (DistributedCache)"}
    assert later == shown and misses == 4
