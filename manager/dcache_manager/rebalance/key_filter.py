"""Which of a node's keys a pass is about. Pure; every key there is goes through it."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

from django_dcache.engines.inspection import Raw
from django_dcache.flows.resize import Key
from django_dcache.model.keys import RESERVED, SLOTS, parse_wire_key
from django_dcache.model.placement import Route
from django_dcache.model.topology import server_of
from django_dcache.model.view import View

Wanted = Callable[[Route, str], bool]
"""Whether a pass is about keys with this route that are found on this node."""
ALL_SLOTS = range(SLOTS)


def fills(route: Route, node: str) -> bool:
    """Joining copies are filled from here."""
    return node in route.fill


def joins(route: Route, node: str) -> bool:
    """What lies here already is older than the resize."""
    return node in route.joining


def leaves(route: Route, node: str) -> bool:
    """No reader asks for this copy any more."""
    return node in route.first.purge


BY_NAME: dict[str, Wanted] = {wanted.__name__: wanted for wanted in (fills, joins, leaves)}
"""As a step of a job names them."""


class KeyFilter:
    """Answers from a table: `wanted` is asked once for each part of the ring, not for each key."""

    def __init__(self, view: View, node: str, wanted: Wanted, slots: range = ALL_SLOTS):
        self._view, self._node, self._slots = view, node, slots
        self._cuts = view.placement.cuts
        routes = [view.placement.route(cut) for cut in self._cuts]
        self._routes = [self._wanted(route, wanted) for route in (*routes, routes[0])]

    def _wanted(self, route: Route, wanted: Wanted) -> tuple[Route, str] | None:
        """The route, if it is wanted, and the name under which its keys lie here: the node may stand in for another."""
        names = {*route.read, *route.write, *route.purge, *route.fill}
        here = sorted(name for name in names if server_of(name) == self._node and wanted(route, name))
        return (route, here[0]) if here else None

    @property
    def empty(self) -> bool:
        """Whether nothing on this node can be wanted: it need not even be asked."""
        return not any(self._routes)

    def select(self, items: Iterable[Raw]) -> Iterator[tuple[Key, bytes]]:
        """The wanted keys among `items`, each with what its node says of it.

        Without those of an older generation, which are as good as gone, those of other software, and the fleet's own.
        """
        cuts, routes, slots, view = self._cuts, self._routes, self._slots, self._view
        locate, hash_tags = view.placement.locate, view.hash_tags
        for wire_key, said in items:
            parsed = parse_wire_key(wire_key)
            if parsed is None:
                continue
            name, generation = parsed
            point, slot = locate(name, hash_tags)
            found = routes[bisect_left(cuts, point)]
            if not found or slot not in slots or name.startswith(RESERVED):
                continue
            route, here = found
            if generation == view.generation(here, slot):
                yield Key(name, slot, route), said
