"""What a process of a site does with rows that are cached with tags: several have one, and change at once.

A change is committed, and then its tag is invalidated. What was loaded before must not be read any more `freshness`
later, and not at all by the process that invalidated it; nor must it come back because the tag is lost.
"""

from functools import partial
from random import Random
from typing import Any

from django_dcache import invalidation
from django_dcache.backend import DistributedCache
from django_dcache.commands import Remove
from django_dcache.flows import Flow
from django_dcache.model.keys import name as stored_name
from django_dcache.model.view import View

from .client import MISSING, Client
from .ground_truth import Family, GroundTruth, key_name, rows_of_its_tag, tag_of
from .history import Outcome
from .plan import ALIAS


class TagActions:
    """Actions of a workload on rows with tags."""

    _client: Client
    _cache: DistributedCache
    _truth: GroundTruth
    _chance: Random

    def _key(self, family: Family) -> tuple[int, int]:
        raise NotImplementedError

    def _load_row(self, key: int, cell: int, **conditions: Any) -> None:
        raise NotImplementedError

    def _load_tagged(self) -> None:
        key, cell = self._key(Family.TAGGED)
        self._load_row(key, cell, tags=[tag_of(key)])

    def _store_tagged(self) -> None:
        """As a warmer does: versions first, then the rows, then all of them are stored."""
        key, cell = self._key(Family.TAGGED)
        versions = self._client.call(self._cache.tag_versions, [tag_of(key)])
        self._client.tried()
        if versions is not MISSING:
            version = self._truth.cells[cell]
            values = {key_name(row): self._client.value(row, version) for row in rows_of_its_tag(key)}
            self._client.call(partial(self._cache.set_many, tags=versions), values)
            self._client.tried()

    def _change_tagged(self) -> None:
        key, cell = self._key(Family.TAGGED)
        version = self._truth.issue(cell)
        done = self._client.call(invalidation.carry_out, invalidation.of_tags(ALIAS, [tag_of(key)]))
        if done is False:
            self._client.outcome = max(self._client.outcome, Outcome.UNKNOWN)
        for row in rows_of_its_tag(key):
            self._client.removed(row, version)

    def _evict_tag(self) -> None:
        """One copy of a tag is gone, as if other items had pushed it out."""
        key, _ = self._key(Family.TAGGED)
        made_tag = self._cache.made_tag(tag_of(key))
        self._client.call(self._cache.fleet.run, _lose_a_copy, stored_name(made_tag), self._chance)
        self._client.tried()


def _lose_a_copy(view: View, name: bytes, chance: Random) -> Flow[None]:
    route, slot = view.place(name)
    node = chance.choice(route.read)
    yield {node: [Remove(name, view.generation(node, slot))]}
