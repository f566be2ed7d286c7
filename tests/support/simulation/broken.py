"""The rules of the protocol, each broken on purpose, and what brings that to light."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django_dcache.flows import Flow
from django_dcache.flows.healing import heal
from django_dcache.flows.lateness import confirmed
from django_dcache.model.placement import Round
from django_dcache.model.topology import Phase
from django_dcache.model.view import View

from .broken_flows import altered, counting_side_by_side, forget_token, losing_late, repairing, seen_by, without_bump
from .broken_views import (
    AlwaysProven,
    EmptyAtOnce,
    Hasty,
    LeftAlone,
    NeverClosed,
    NeverSettles,
    SettlesAtOnce,
    Unbumped,
    Unmarked,
    parallel,
    routed,
    together,
)
from .process import HOLD
from .roles import Flows


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
    confirmed: Callable[..., Flow[Any]] = confirmed
    tokens_travel: bool = False
    forks_unseen: bool = False
    maps_alike: bool = False
    never_again: bool = False
    """The view is proven once and then for ever."""


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
        _flows._replace(fetch=altered(_flows.fetch, forget_token), carry=altered(_flows.carry, forget_token)),
    ),
    "unleased-mover": Rule(
        "readers do, the mover doesn't", "move", "calm", _flows._replace(carry=altered(_flows.carry, forget_token))
    ),
    "unleased-load": Rule(
        "get_or_set stores without its token",
        "stable1",
        "calm",
        _flows._replace(fetch_or_load=altered(_flows.fetch_or_load, forget_token)),
    ),
    "unchecked-swap": Rule(
        "a swap stores whatever was written since it looked",
        "stable1",
        "calm",
        _flows._replace(swap=altered(_flows.swap, forget_token)),
    ),
    "new-first": Rule(
        "the new side is written before the old side",
        "move",
        "calm",
        view_class=routed(lambda route: route._replace(first=route.second, second=route.first)),
    ),
    "parallel": Rule("old and new side are written in one round", "r2add", "calm", view_class=routed(parallel)),
    "flip-together": Rule(
        "in flip, the staying replicas are written together with the joining ones",
        "r2add",
        "calm",
        view_class=routed(together),
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
    "clear-spares": Rule(
        "clear() leaves nodes as they are that hold what others keep",
        "stable1",
        "calm",
        _flows._replace(clear=without_bump(_flows.clear)),
    ),
    "no-quarantine": Rule(
        "a new generation is written to at once, before everybody has seen it",
        "stable1",
        "lossy",
        view_class=NeverClosed,
    ),
    "left-alone": Rule(
        "who learns of a bump late leaves the slot alone as long as who made it",
        "stable1",
        "lossy",
        view_class=LeftAlone,
    ),
    "empty-at-once": Rule(
        "a slot is left alone after a bump that no majority holds", "stable2", "split", view_class=EmptyAtOnce
    ),
    "unproven-fill": Rule(
        "a process fills joining nodes although its view is not proven", "drain", "lossy", view_class=AlwaysProven
    ),
    "one-vote": Rule(
        "one process that can't reach a node takes it out, before others could say that they can",
        "stable1",
        "cut",
        view_class=Hasty,
    ),
    "unmarked": Rule(
        "what a node holds for another that is out is not told apart from the time before",
        "stable1",
        "gone",
        view_class=Unmarked,
    ),
    "unbumped": Rule("a node is taken out and taken back with what it held", "stable1", "gone", view_class=Unbumped),
    "unsettled": Rule(
        "no bump ever settles: to a process that starts each one is new", "stable1", "lossy", view_class=NeverSettles
    ),
    "settled-at-once": Rule(
        "a bump has settled as soon as a majority of keepers holds it", "stable1", "lossy", view_class=SettlesAtOnce
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
    "no-pid-check": Rule(
        "a child uses the connections of its parent, and reads its replies", "stable1", "calm", forks_unseen=True
    ),
    "one-map": Rule(
        "a map that was lost counts, where a node still holds it, and the higher epoch wins",
        "move",
        "leftover",
        maps_alike=True,
    ),
    "lost-by-lateness": Rule(
        "what is answered while a process stands still counts as lost", "stable1", "late", confirmed=losing_late
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
