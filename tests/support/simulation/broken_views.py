"""Rules that are broken by a view with another idea of where things are, or of what may be done there."""

from collections.abc import Callable

from django_dcache.model.generations import WHOLE_NODE
from django_dcache.model.placement import Round, Route
from django_dcache.model.state import Note, settled_slot
from django_dcache.model.topology import server_of
from django_dcache.model.view import Place, Slot, Standing, View


class Elsewhere(View):
    __slots__ = ()

    def place(self, name: bytes) -> Place:
        route, slot = View.place(self, name)
        return Place(self._alter(route), slot)

    def _alter(self, route: Route) -> Route:
        raise NotImplementedError


def routed(alter: Callable[[Route], Route]) -> type[View]:
    """A view whose routes are altered."""
    return type("Routed", (Elsewhere,), {"__slots__": (), "_alter": lambda self, route: alter(route)})


def together(route: Route) -> Route:
    if not (route.first.purge or (route.fill and route.second.write)):
        return route
    return route._replace(first=Round((), route.first.purge), second=Round(route.write))


def parallel(route: Route) -> Route:
    return route._replace(first=Round(route.write, route.purge), second=Round())


class NeverClosed(View):
    __slots__ = ()

    def standing(self, node: str, slot: int) -> Standing:
        found = View.standing(self, node, slot)
        return found if found is Standing.OWED else Standing.OPEN


class LeftAlone(View):
    __slots__ = ()

    def standing(self, node: str, slot: int) -> Standing:
        found = View.standing(self, node, slot)
        return Standing.EMPTY if found is Standing.CLOSED else found


class EmptyAtOnce(View):
    __slots__ = ()

    def standing(self, node: str, slot: int) -> Standing:
        bumps = (self.bumps.get((node, slot)), self.bumps.get((node, WHOLE_NODE)))
        if any(bump and self.clock() < bump.empty_until for bump in bumps) and (node, slot) not in self.debts:
            return Standing.EMPTY
        return View.standing(self, node, slot)


class AlwaysProven(View):
    __slots__ = ()

    @property
    def proven(self) -> bool:
        return True


class Hasty(View):
    __slots__ = ()

    @property
    def decided_after(self) -> float:
        return 0.0


class Unmarked(View):
    __slots__ = ()

    def generation(self, node: str, slot: int) -> int:
        return View.generation(self, server_of(node), slot)


class Unbumped(View):
    __slots__ = ()

    def generation(self, node: str, slot: int) -> int:
        found = View.generation(self, node, slot)
        return found - 1 if found and found == self.state.note(node, Note.OUT) else found


class NeverSettles(View):
    __slots__ = ()

    def ripe(self) -> dict[Slot, int]:
        return {}


class SettlesAtOnce(View):
    __slots__ = ()

    def ripe(self) -> dict[Slot, int]:
        return {settled_slot(*slot): self.generation(*slot) for slot in self.state.unsettled()}
