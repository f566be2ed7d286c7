"""Carrying keys from node to node, and deleting copies from nodes that should not hold them.

Every pass can be repeated, broken off or run twice at once: a key that has arrived is seen to be there and left alone.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from django_dcache.engines import introspection_of
from django_dcache.errors import NodeFailure
from django_dcache.flows.resize import Key, Moved, carry, discard
from django_dcache.runtime.fleet import Fleet
from django_dcache.transport.key_listing import ListingRefused, pages

from ..jobs.progress import Progress
from ..throttle import Throttle
from .key_filter import ALL_SLOTS, KeyFilter, Wanted, fills

BATCH_SECONDS = 0.015
"""How long a batch should take: a touch, an add or a count of a key in it waits 0.04 s for its lease at most."""
BATCH_BYTES = 2 * 2**20


class Listed(NamedTuple):
    """A key that a pass is about. `accessed`: Unix time by the node's clock, 0 if it was never read."""

    accessed: int
    size: int
    key: Key


class Passes(Protocol):
    """What a conductor has done under each epoch: in this process, or by many workers."""

    refused: set[str]
    """Nodes that did not list their keys."""
    away: set[str]
    """Nodes that did not answer in the last pass."""

    def copy(self, sources: Sequence[str], retire: bool = False, share: bool = False) -> Moved:
        """Fill every joining copy from `sources`, with `share` also under leases whose holders seem to be dead.

        With `retire` (flip), what has arrived is deleted where it leaves.
        """

    def sweep(self, nodes: Sequence[str], wanted: Wanted) -> None:
        """Delete from `nodes` the keys that are `wanted`."""


class LocalPasses:
    """Passes over the nodes of a fleet under its present epoch.

    `beat` is called all the time, also while a node is listed; `tick` only between batches: it may take its time.
    Of the keys found on a node only those in `slots` count, and of these only what `keep` leaves over; it is told how
    many keys were seen there in all.
    """

    def __init__(
        self,
        fleet: Fleet,
        throttle: Throttle,
        progress: Progress,
        tick: Callable[[], None],
        beat: Callable[[], None],
        slots: range = ALL_SLOTS,
        keep: Callable[[list[Listed], int], list[Listed]] = lambda found, seen: found,
    ):
        self._slots, self._keep = slots, keep
        self._fleet, self._throttle, self._progress, self._tick, self._beat = fleet, throttle, progress, tick, beat
        self._epoch = fleet.view.epoch
        self.refused: set[str] = set()
        self.away: set[str] = set()

    def copy(self, sources: Sequence[str], retire: bool = False, share: bool = False) -> Moved:
        total = Moved()
        self._progress.failed, self._counted_at = 0, self._fleet.clock()  # What a pass leaves, the next one may move.
        self._progress.pass_seconds = 0.0
        for source, batch in self._batches(sources, fills):
            began = self._fleet.clock()
            moved = self._fleet.run(carry, self._epoch, batch, share)
            seconds = self._fleet.clock() - began
            total += moved
            if retire and moved.complete:
                leaving = [key for key in batch if source in key.route.first.purge]
                self._progress.swept += self._discard(source, leaving)
            self._throttle.took(len(batch), seconds)
            self._count(moved)
        return total

    def sweep(self, nodes: Sequence[str], wanted: Wanted) -> None:
        for node, batch in self._batches(nodes, wanted):
            began = self._fleet.clock()
            self._progress.swept += self._discard(node, batch)
            self._throttle.took(len(batch), self._fleet.clock() - began)

    def _discard(self, node: str, keys: Sequence[Key]) -> int:
        try:
            return self._fleet.run(discard, self._epoch, node, keys)
        except NodeFailure:
            self.away.add(node)
            return 0

    def _count(self, moved: Moved) -> None:
        """By the clock: what the throttle waits, and nodes take to be listed, is time too."""
        progress, now = self._progress, self._fleet.clock()
        seconds, self._counted_at = now - self._counted_at, now
        progress.moved += moved.filled
        progress.bytes += moved.bytes
        progress.gone += moved.gone
        progress.failed += moved.failed - moved.busy
        progress.moving_seconds += seconds
        progress.pass_seconds += seconds

    def _batches(self, nodes: Sequence[str], wanted: Wanted) -> Iterator[tuple[str, list[Key]]]:
        """The wanted keys of each node, hot ones first, in batches that are small in number and in bytes."""
        progress = self._progress
        progress.done = progress.listed = 0
        self.away.clear()
        for number, node in enumerate(nodes):
            progress.doing = f"listing the keys of {node}"
            self._tick()
            keys = self._list(node, wanted)
            progress.listed = progress.done + len(keys) * (len(nodes) - number)
            progress.doing = f"{node}: {len(keys)} keys"
            batch: list[Key] = []
            size = 0
            for listed in keys:
                batch.append(listed.key)
                size += listed.size
                if len(batch) >= self._throttle.batch or size >= BATCH_BYTES:
                    yield node, self._counted(batch)
                    batch, size = [], 0
            if batch:
                yield node, self._counted(batch)

    def _counted(self, batch: list[Key]) -> list[Key]:
        self._tick()
        self._throttle.spend(len(batch))
        self._progress.done += len(batch)
        return batch

    def _list(self, name: str, wanted: Wanted) -> list[Listed]:
        """Each wanted key on a node, hot ones first."""
        view, progress = self._fleet.view, self._progress
        keys = KeyFilter(view, name, wanted, self._slots)
        node = view.state.topology.nodes[name]
        item_facts = introspection_of(node).facts
        found: list[Listed] = []
        seen = 0
        if keys.empty:
            return found
        try:
            for page in pages(node, self._fleet.transport.limits):
                seen += len(page)
                for key, said in keys.select(page):
                    accessed, fetched, size = item_facts(said)
                    found.append(Listed(accessed if fetched else 0, size, key))
                self._beat()
        except ListingRefused as refusal:
            if name not in self.refused:
                self.refused.add(name)
                progress.notes.append(f"{name} does not list its keys ({refusal}); they move when clients read them")
        except NodeFailure as failure:
            self.away.add(name)
            progress.note(f"{name} could not be asked for its keys: {failure}")
        found = self._keep(found, seen)
        found.sort(key=lambda listed: listed.accessed, reverse=True)
        return found


def moving_throttle(fleet: Fleet, rate: float | None = None, sleep: Callable[[float], None] = time.sleep) -> Throttle:
    """The one for moving keys, at most `rate` a second."""
    return Throttle(rate, min(BATCH_SECONDS, fleet.options.timeout / 5), fleet.clock, sleep)
