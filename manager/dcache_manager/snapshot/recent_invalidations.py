"""What was invalidated since a snapshot was begun: it must not come back with the snapshot.

Its entries are in the log (invalidation/log.py), by the time at which this region applied them: a transaction may have
written its entry long before the dump and committed it after. Entries of every alias of the fleet count.
"""

import time
from datetime import timedelta

from django.core.cache import caches
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.timezone import now

from django_dcache.backend import DistributedCache
from django_dcache.invalidation import SINGLE, Order, made_keys
from django_dcache.model.keys import name

from ..invalidation import log as invalidation
from ..invalidation import this_region
from ..models import Acknowledgement, Invalidation
from ..settings import Regions

BATCH_ENTRIES = 500
SKEW = timedelta(minutes=1)
"""By how much the clocks of the machines that write the log may differ from that of the one that dumped."""


class RecentInvalidations:
    """Follows the log while a snapshot is loaded."""

    def __init__(self, fleet: str, began: float, known: Regions):
        """`began`: the dump, in Unix seconds."""
        self._aliases = aliases(fleet)
        self._since = now() - timedelta(seconds=time.time() - began) - SKEW
        self._here = known.here
        self._seen: set[int] = set()
        self._names: set[bytes] = set()
        self._prefixes: tuple[bytes, ...] = ()
        self.incomplete = 0
        """Orders of which something may still be read."""

    @property
    def reaches(self) -> bool:
        """Whether the log still holds everything since then."""
        return bool(self._since > now() - invalidation.KEPT)

    @property
    def entries(self) -> int:
        """How many orders were heeded."""
        return len(self._seen)

    def covers(self, found: bytes) -> bool:
        """Whether an item with this name must not be stored."""
        return found in self._names or found.startswith(self._prefixes)

    def look(self, carry_out: bool) -> None:
        """Take in what is new in the log; with `carry_out`, delete again what may have been loaded before it came."""
        new = sorted({*self._logged().values_list("pk", flat=True)} - self._seen)
        for start in range(0, len(new), BATCH_ENTRIES):
            for entry in Invalidation.objects.filter(pk__in=new[start : start + BATCH_ENTRIES]).order_by("pk"):
                self._take(Order(entry.alias, entry.kind, entry.made), carry_out)
        self._seen.update(new)

    def _take(self, order: Order, carry_out: bool) -> None:
        if order.kind in SINGLE:
            options = caches[order.alias].fleet.configuration.options
            self._names.update(name(key, hash_tags=options.hash_tags) for key in made_keys(order))
        else:
            # The name of a very long key can't be told by its beginning: it may be one of these (prefix_sweep.py).
            self._prefixes = (*{*self._prefixes, b"\xff", *(made.encode() for made in order.made)},)
        if carry_out and not this_region.carry_out(order):
            self.incomplete += 1

    def _logged(self) -> "QuerySet[Invalidation]":
        done = Acknowledgement.objects.filter(invalidation=OuterRef("pk"), region=self._here, applied__lt=self._since)
        return Invalidation.objects.filter(~Exists(done), alias__in=self._aliases)


def aliases(fleet: str) -> list[str]:
    """The aliases of this project that are on the fleet of this name."""
    ours = [(alias, caches[alias]) for alias in caches]
    return [
        alias
        for alias, cache in ours
        if isinstance(cache, DistributedCache) and cache.fleet.configuration.fleet == fleet
    ]
