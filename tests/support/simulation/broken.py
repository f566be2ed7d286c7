"""The rules of the protocol, each broken on purpose by a wrapper around the real flows."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django_dcache.commands import Answer, Arithmetic, Command, Get, Store, Token, Value
from django_dcache.flows import Flow, Learn, Owe, Urgent, lost
from django_dcache.flows.consensus import bump
from django_dcache.flows.fill import fill
from django_dcache.flows.healing import heal
from django_dcache.flows.read import Found
from django_dcache.model.keys import RESERVED
from django_dcache.model.placement import Round, Route
from django_dcache.model.state import WHOLE_NODE, Note, settled_slot
from django_dcache.model.topology import Phase, server_of
from django_dcache.model.view import Place, Slot, Standing, View

from .process import HOLD
from .roles import Flows, Operation


@dataclass(frozen=True)
class Rule:
    """The protocol as designed, but for what is replaced; and the case and the faults that bring it to light."""

    says: str
    case: str = ""
    faults: str = ""
    flows: Flows = Flows()
    view_class: type[View] = View
    heal: Callable[..., Flow[None]] = heal
    hold: float = HOLD
    skip: tuple[Phase, ...] = ()
    tokens_travel: bool = False
    never_again: bool = False
    """The view is proven once and then for ever."""


# Wrappers around flows


def altered(flow: Operation, change: Callable[[Command], Command]) -> Operation:
    """`flow` with each of its commands changed."""

    def run(view: View, *arguments: object) -> Flow[object]:
        steps, answer = flow(view, *arguments), None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as stop:
                return stop.value
            if isinstance(step, dict):
                step = type(step)({node: [change(command) for command in batch] for node, batch in step.items()})
            answer = yield step

    return run


def _forget_token(command: Command) -> Command:
    return command._replace(token=None) if type(command) is Store and not command.name.startswith(RESERVED) else command


def without_bump(flow: Operation) -> Operation:
    """`flow`, made believe that its bumps succeed."""

    def run(view: View, *arguments: object) -> Flow[object]:
        steps, answer = flow(view, *arguments), None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as stop:
                return stop.value
            if isinstance(step, Urgent):
                here = Value(view.state.encode(), token=Token(1, 0))
                answer = {n: [here if type(c) is Get else Answer.DONE for c in batch] for n, batch in step.items()}
            elif isinstance(step, Learn | Owe):
                answer = None
            else:
                answer = yield step

    return run


def seen_by(view_class: type[View], flow: Operation) -> Operation:
    """`flow` under another kind of view."""

    def run(view: View, *arguments: object) -> Flow[object]:
        fields = {name: getattr(view, name) for name, field in View.__dataclass_fields__.items() if field.init}
        return (yield from flow(view_class(**fields), *arguments))

    return run


def repairing(view: View, names: Iterable[bytes]) -> Flow[Found]:
    """Reads that copy what they find to replicas that lack it."""
    found = Found()
    for name in names:
        route, slot = view.place(name)
        order = route.read if int(view.clock() * 1000) % 2 else route.read[::-1]
        for target in order:
            sources = tuple(node for node in order if node != target)
            found |= yield from fill(view, {name: Place(route._replace(fill=sources), slot)}, target)
            if name in found:
                break
    return found


def counting_side_by_side(view: View, name: bytes, delta: int) -> Flow[int | None]:
    """Each copy counts, and the first one that answers gives the number."""
    route, slot = view.place(name)
    if route.truth:
        return (yield from _flows.count(view, name, delta))
    asks = {
        node: [Arithmetic(name, view.generation(node, slot), delta)]
        for node in route.write
        if view.standing(node, slot) is Standing.OPEN
    }
    replies = (yield asks) if asks else {}
    silent = {(node, slot) for node, (reply,) in replies.items() if lost(asks[node][0], reply)}
    if silent and not (yield from bump(view, silent)):
        return None
    numbers = (replies[node][0] for node in asks if isinstance(replies[node][0], Value))
    return next((int(number.data) for number in numbers), None)


# Views with another idea of where things are


class _Elsewhere(View):
    __slots__ = ()

    def place(self, name: bytes) -> Place:
        route, slot = View.place(self, name)
        return Place(self._alter(route), slot)

    def _alter(self, route: Route) -> Route:
        raise NotImplementedError


def routed(alter: Callable[[Route], Route]) -> type[View]:
    """A view whose routes are altered."""
    return type("Routed", (_Elsewhere,), {"__slots__": (), "_alter": lambda self, route: alter(route)})


def _together(route: Route) -> Route:
    if not (route.first.purge or (route.fill and route.second.write)):
        return route
    return route._replace(first=Round((), route.first.purge), second=Round(route.write))


def _parallel(route: Route) -> Route:
    return route._replace(first=Round(route.write, route.purge), second=Round())


class _NeverClosed(View):
    __slots__ = ()

    def standing(self, node: str, slot: int) -> Standing:
        found = View.standing(self, node, slot)
        return found if found is Standing.OWED else Standing.OPEN


class _LeftAlone(View):
    __slots__ = ()

    def standing(self, node: str, slot: int) -> Standing:
        found = View.standing(self, node, slot)
        return Standing.EMPTY if found is Standing.CLOSED else found


class _EmptyAtOnce(View):
    __slots__ = ()

    def standing(self, node: str, slot: int) -> Standing:
        bumps = (self.bumps.get((node, slot)), self.bumps.get((node, WHOLE_NODE)))
        if any(bump and self.clock() < bump.empty_until for bump in bumps) and (node, slot) not in self.debts:
            return Standing.EMPTY
        return View.standing(self, node, slot)


class _AlwaysProven(View):
    __slots__ = ()

    @property
    def proven(self) -> bool:
        return True


class _Hasty(View):
    __slots__ = ()

    @property
    def decided_after(self) -> float:
        return 0.0


class _Unmarked(View):
    __slots__ = ()

    def generation(self, node: str, slot: int) -> int:
        return View.generation(self, server_of(node), slot)


class _Unbumped(View):
    __slots__ = ()

    def generation(self, node: str, slot: int) -> int:
        found = View.generation(self, node, slot)
        return found - 1 if found and found == self.state.note(node, Note.OUT) else found


class _NeverSettles(View):
    __slots__ = ()

    def ripe(self) -> dict[Slot, int]:
        return {}


class _SettlesAtOnce(View):
    __slots__ = ()

    def ripe(self) -> dict[Slot, int]:
        return {settled_slot(*slot): self.generation(*slot) for slot in self.state.unsettled()}


_flows = Flows()
_WRITES = ("write", "count", "add", "touch")
_narrow = routed(lambda route: route._replace(joining=()))

RULES = {
    "ok": Rule("the protocol as designed"),
    "read-repair": Rule(
        "a reader copies a value from one replica to another, under a lease on the target",
        "stable2",
        "calm",
        _flows._replace(fetch=repairing),
    ),
    "unleased": Rule(
        "fills do not use their lease token",
        "move",
        "calm",
        _flows._replace(fetch=altered(_flows.fetch, _forget_token), carry=altered(_flows.carry, _forget_token)),
    ),
    "unleased-mover": Rule(
        "readers do, the mover doesn't", "move", "calm", _flows._replace(carry=altered(_flows.carry, _forget_token))
    ),
    "unleased-load": Rule(
        "get_or_set stores without its token",
        "stable1",
        "calm",
        _flows._replace(fetch_or_load=altered(_flows.fetch_or_load, _forget_token)),
    ),
    "new-first": Rule(
        "the new side is written before the old side",
        "move",
        "calm",
        view_class=routed(lambda route: route._replace(first=route.second, second=route.first)),
    ),
    "parallel": Rule("old and new side are written in one round", "r2add", "calm", view_class=routed(_parallel)),
    "flip-together": Rule(
        "in flip, the staying replicas are written together with the joining ones",
        "r2add",
        "calm",
        view_class=routed(_together),
    ),
    "no-settle": Rule(
        "readers still fill joining nodes while others already write all replicas in one round",
        "r2add",
        "calm",
        skip=(Phase.SETTLE,),
    ),
    "no-purge": Rule(
        "before flip, writers leave the joining nodes alone",
        "move",
        "calm",
        view_class=routed(lambda route: route._replace(second=Round(route.second.write))),
    ),
    "new-owner-only": Rule(
        "in flip, writers leave the old nodes alone",
        "move",
        "evict",
        view_class=routed(lambda route: route._replace(first=Round(route.first.write))),
    ),
    "hasty": Rule("the next phase is published before everybody knows of the one before", "move", "calm", hold=0.05),
    "no-bump": Rule(
        "a lost reply bumps nothing",
        "stable1",
        "lossy",
        Flows(*(without_bump(flow) for flow in _flows)),
    ),
    "bump-narrow": Rule(
        "during a migration a lost reply bumps the silent node only, not the joining nodes too",
        "move",
        "hang",
        _flows._replace(**{name: seen_by(_narrow, getattr(_flows, name)) for name in _WRITES}),
    ),
    "no-quarantine": Rule(
        "a new generation is written to at once, before everybody has seen it",
        "stable1",
        "lossy",
        view_class=_NeverClosed,
    ),
    "left-alone": Rule(
        "who learns of a bump late leaves the slot alone as long as who made it",
        "stable1",
        "lossy",
        view_class=_LeftAlone,
    ),
    "empty-at-once": Rule(
        "a slot is left alone after a bump that no majority holds", "stable2", "split", view_class=_EmptyAtOnce
    ),
    "unproven-fill": Rule(
        "a process fills joining nodes although its view is not proven", "drain", "lossy", view_class=_AlwaysProven
    ),
    "one-vote": Rule(
        "one process that can't reach a node takes it out, before others could say that they can",
        "stable1",
        "cut",
        view_class=_Hasty,
    ),
    "unmarked": Rule(
        "what a node holds for another that is out is not told apart from the time before",
        "stable1",
        "gone",
        view_class=_Unmarked,
    ),
    "unbumped": Rule("a node is taken out and taken back with what it held", "stable1", "gone", view_class=_Unbumped),
    "unsettled": Rule(
        "no bump ever settles: to a process that starts each one is new", "stable1", "lossy", view_class=_NeverSettles
    ),
    "settled-at-once": Rule(
        "a bump has settled as soon as a majority of keepers holds it", "stable1", "lossy", view_class=_SettlesAtOnce
    ),
    "side-by-side": Rule(
        "each copy counts, and the first one that answers gives the number",
        "stable2",
        "hang",
        _flows._replace(count=counting_side_by_side),
    ),
    "cached-for-ever": Rule("the state is asked for once", "move", "calm", never_again=True),
    "token-travels": Rule(
        "a lease token is used on another connection than the one that issued it", "move", "restart", tokens_travel=True
    ),
    "count-anywhere": Rule(
        "until flip each copy counts, and any of them gives the number",
        "r2both",
        "calm",
        view_class=routed(lambda route: route._replace(truth="", gate="") if route.second.purge else route),
    ),
    "no-gate": Rule(
        "add is decided by the old ring and by the new one side by side",
        "move",
        "calm",
        view_class=routed(lambda route: route._replace(gate="")),
    ),
}
