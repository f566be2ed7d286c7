"""Filling a cache before visitors ask: what an application's `warmers.py` and its tests need."""

from .items import Entry
from .pages import Fragment, View
from .registry import find, warmer

__all__ = ["Entry", "Fragment", "View", "find", "warmer"]
