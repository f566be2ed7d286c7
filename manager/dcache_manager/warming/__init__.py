"""Filling a cache before anybody asks: what an application's `warmers.py` needs."""

from .items import Entry
from .pages import Fragment, View
from .registry import warmer

__all__ = ["Entry", "Fragment", "View", "warmer"]
