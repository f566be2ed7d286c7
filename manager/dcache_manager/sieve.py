"""Which of a node's keys are the business of a pass. Pure; every key there is goes through it."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

from django_dcache.flows.move import Key
from django_dcache.keys import RESERVED, digest, parse_wire_key, point_and_slot
from django_dcache.placement import Route
from django_dcache.view import View

from .dump import Raw

Wanted = Callable[[Route, str], bool]
"""Whether a key with this route, found on this node, is the business of a pass."""


class Sieve:
    """Answers from a table: `wanted` is asked once for each part of the ring, not for each key."""

    def __init__(self, view: View, node: str, wanted: Wanted):
        self._view, self._node = view, node
        self._cuts = view.placement.cuts
        routes = [view.placement.route(cut) for cut in self._cuts]
        self._routes = [route if wanted(route, node) else None for route in (*routes, routes[0])]

    @property
    def closed(self) -> bool:
        """Whether nothing on this node can be wanted: it need not even be asked."""
        return not any(self._routes)

    def sift(self, items: Iterable[Raw]) -> Iterator[tuple[Key, bytes]]:
        """The wanted keys among `items`, each with what its node says of it.

        Without those of an older generation, which are as good as gone, and without the fleet's own.
        """
        cuts, routes, view, hash_tags = self._cuts, self._routes, self._view, self._view.hash_tags
        for wire_key, said in items:
            name, generation = parse_wire_key(wire_key)
            point, slot = point_and_slot(digest(name, hash_tags))
            route = routes[bisect_left(cuts, point)]
            if route and generation == view.generation(self._node, slot) and not name.startswith(RESERVED):
                yield Key(name, slot, route), said
