"""The setting DCACHE, parsed once: which region this process runs in, and which regions there are.

    DCACHE = {"REGION": "eu", "REGIONS": ["eu", "us"]}

A region is one fleet with its sites and workers. Without DCACHE nothing is logged, and no other region is told. EDGES
are what is purged by tag (docs/howto/edge.md); those of all regions, in the settings of each.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

from django_dcache.errors import ConfigurationError

from . import edges
from .edges import Edge
from .spelling import meant

_known = ("REGION", "REGIONS", "EDGES")
_legal = re.compile(r"[A-Za-z0-9_-]{1,60}").fullmatch


@dataclass(frozen=True, slots=True)
class Regions:
    here: str
    everywhere: tuple[str, ...]
    edges: tuple[Edge, ...] = ()

    def expected(self, kind: str) -> tuple[str, ...]:
        """Who acknowledges an entry of this kind."""
        return (*self.everywhere, *(edge.region for edge in self.edges)) if kind == "tags" else self.everywhere

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(region for region in self.everywhere if region != self.here)


def queue(region: str) -> str:
    """The name of the one queue of a region."""
    return f"dcache.{region}"


def own_queue() -> str:
    """The queue of this project's own workers: `dcache`, or that of its region."""
    known = regions()
    return queue(known.here) if known else "dcache"


def parse(entry: Any) -> Regions | None:
    """The regions in DCACHE; None if it names none. Raises ConfigurationError."""
    if entry is None or entry == {}:
        return None
    if not isinstance(entry, dict):
        raise ConfigurationError(f"DCACHE is {type(entry).__name__}, want a dict")
    for name in entry:
        if name not in _known:
            raise ConfigurationError(f"DCACHE has no {name!r}; {meant(str(name).upper(), _known)}")
    if "REGION" not in entry:
        raise ConfigurationError("DCACHE has no REGION: the one this process runs in")
    here, everywhere = entry["REGION"], entry.get("REGIONS", [entry["REGION"]])
    if not isinstance(everywhere, (list, tuple)):
        raise ConfigurationError(f"DCACHE['REGIONS'] is {everywhere!r}, want a list of names")
    for region in (here, *everywhere):
        if not isinstance(region, str) or not _legal(region):
            raise ConfigurationError(f"DCACHE: region {region!r}: letters, digits, - and _ only, at most 60")
    if here not in everywhere:
        raise ConfigurationError(f"DCACHE['REGIONS'] lacks {here!r}, the REGION of this process")
    if len(set(everywhere)) < len(everywhere):
        raise ConfigurationError("DCACHE['REGIONS'] names a region twice")
    return Regions(here, tuple(everywhere), edges.parse(entry.get("EDGES", {})))


@cache
def regions() -> Regions | None:
    """Those of this project. Raises ConfigurationError."""
    return parse(getattr(settings, "DCACHE", None))


@receiver(setting_changed, dispatch_uid="dcache_manager.settings")
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "DCACHE":
        regions.cache_clear()
