"""The mistakes, a function each. What each leads to, and how soon, is written in docs/explanation/proof.md."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as changed
from typing import Any

from dcache_drill.plan import WEIGHTS, Plan
from django_dcache.commands import Get, Store, Value
from django_dcache.flows import Flow, Learn
from django_dcache.model.placement import Round, Route
from django_dcache.model.state import settled_slot
from django_dcache.model.topology import Phase
from django_dcache.model.view import Slot, View

from . import careless_sockets
from .seams import Operation, altered, replace, without_token

HOT = {"zipf": 1.15}
IN_BULK = {"zipf": 0.5, "weights": {"get_many": 60, "delete_many": 8, "set_many": 10}}
"""Many keys at once: more than networks in trouble would let through one by one."""
WATCHED = {"zipf": 0.3, "weights": {"delete_many": 40, "set_many": 40}, "workers": 12, "readers": 2}
"""Most write many keys at once; two read, over no network."""
ROWS = {"weights": dict.fromkeys(WEIGHTS, 0) | {"load": 12, "get": 80, "commit": 2}}
SOON = {"freshness": 0.2, "timeout": 0.1, "calm": 0.3}
"""What is rare comes more often, and what is stale is seen before it is written anew."""


@dataclass(frozen=True)
class Mistake:
    plant: Callable[[], None]
    """Its docstring says which rule is broken; called in each process before it uses the product."""
    faults: tuple[str, ...]
    """Under which it shows."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """What is different from a plan as usual."""


MISTAKES: dict[str, Mistake] = {}


def mistake(*faults: str, **plan: Any) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Registers the decorated function under its name."""

    def register(plant: Callable[[], None]) -> Callable[[], None]:
        MISTAKES[plant.__name__.replace("_", "-")] = Mistake(plant, faults, plan)
        return plant

    return register


def plan(name: str, **others: Any) -> Plan:
    """A drill that shows the mistake."""
    found = MISTAKES[name]
    given = {"faults": found.faults, "calm": 1.0, **found.plan, **others}
    return Plan(**given, plugin=f"{__name__}:{found.plant.__name__}")


# What a reader may store


@mistake("slow")
def no_lease() -> None:
    """A loader stores what it loaded, whatever was written meanwhile."""
    replace("django_dcache.flows.load:fetch_or_load", altered(without_token))


@mistake("conductor-far+rebalance", zipf=0.3, rate=150.0)
def unleased_mover() -> None:
    """What is copied is stored whatever was written meanwhile."""
    replace("django_dcache.flows.fill:fill", altered(without_token))


@mistake("slow", "late", "late-commands", replicas=2)
def read_repair() -> None:
    """A reader copies what it found to the replica that lacked it, under a lease."""

    def repairing(fetch: Operation) -> Operation:
        def run(view: View, names: Iterable[bytes], *arguments: Any) -> Flow[Any]:
            found = yield from fetch(view, names, *arguments)
            for name, value in list(found.items()):
                route, slot = view.place(name)
                for node in () if value.data is None or route.joining else route.read:
                    generation = view.generation(node, slot)
                    (had,) = (yield {node: [Get(name, generation, lease=True)]})[node]
                    if isinstance(had, Value) and had.won:
                        yield {node: [Store(name, generation, value.data, value.flags, 0, token=had.token)]}
            return found

        return run

    replace("django_dcache.flows.read:fetch", repairing)


@mistake("slow")
def stub_is_a_value() -> None:
    """The place that a loader has reserved reads as an empty value."""
    replace("django_dcache.commands:Value.stub", lambda _: property(lambda value: False))


@mistake("restarts", slow_loader=16.0, slow_loads=0.1, workers=32, **SOON, **ROWS)
def token_travels() -> None:
    """A lease is used on another connection than the one it was given on, after a restart that counts leases anew."""

    class Any_(int):
        __hash__ = int.__hash__

        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

    replace("django_dcache.commands:Token.connection", lambda _: property(lambda token: Any_()))


# Where writes go while keys move


def _routed(alter: Callable[[Phase, Route], Route]) -> None:
    def routing(route: Callable[..., Route]) -> Callable[..., Route]:
        return lambda placement, point: alter(placement.topology.phase, route(placement, point))

    replace("django_dcache.model.placement:Placement.route", routing)


@mistake("straggling+rebalance", **WATCHED)
def flip_in_one_round() -> None:
    """After the flip joining nodes are written in the same round in which leaving ones are purged."""
    after = (Phase.FLIP, Phase.SETTLE)
    _routed(
        lambda phase, route: (
            route._replace(first=Round(route.write, route.first.purge), second=Round()) if phase in after else route
        )
    )


@mistake("rebalance", zipf=0.3, weights={"get_many": 60}, workers=6, readers=2, **SOON)
def no_settle() -> None:
    """The last phase is left out: some still fill joining nodes from leaving ones that others purge no more."""
    _routed(
        lambda phase, route: (
            route._replace(first=Round(route.write), second=Round()) if phase is Phase.SETTLE else route
        )
    )


@mistake("far+rebalance", zipf=0.7)
def new_owner_only() -> None:
    """While keys move, only the joining nodes are told of a write."""
    _routed(
        lambda phase, route: (
            route._replace(first=Round(route.read), second=Round()) if phase is Phase.COPY and route.joining else route
        )
    )


@mistake("straggling+rebalance", **WATCHED)
def new_first() -> None:
    """Targets are written before their sources."""
    _routed(lambda phase, route: route._replace(first=route.second, second=route.first))


# What a lost write must lead to


@mistake("late", "late-commands", "zombies", "flap", **HOT)
def no_bump() -> None:
    """A write whose reply is lost disowns nothing."""

    def nothing(bump: Operation) -> Operation:
        def run(view: View, lost: Iterable[Slot], *arguments: Any, **options: Any) -> Flow[bool]:
            return True
            yield

        return run

    replace("django_dcache.flows.consensus:bump", nothing)


@mistake("rebalance-while-cut-off", **IN_BULK)
def narrow_bump() -> None:
    """A write lost while keys move disowns the silent node only, not those that may be filled from it."""

    def narrow(bump: Operation) -> Operation:
        def run(view: View, lost: Iterable[Slot], *arguments: Any, **options: Any) -> Flow[bool]:
            old, new = view.state.topology.layouts[0], view.state.topology.layouts[-1]
            joining = {node.name for node in new.nodes} - {node.name for node in old.nodes}
            return (yield from bump(view, {slot for slot in lost if slot[0] not in joining}, *arguments, **options))

        return run

    replace("django_dcache.flows.consensus:bump", narrow)


@mistake("cut-anywhere", "resets", "garbage", **IN_BULK | {"rate": 150.0, "drift": 0.3, "zipf": 1.0})
def no_quarantine() -> None:
    """A new generation is written at once, while others still read and write the old one."""

    def learning(learn: Callable[..., View]) -> Callable[..., View]:
        return lambda view, *arguments: changed(learn(view, *arguments), bumps={})

    replace("django_dcache.model.view:View.learn", learning)


@mistake("cut-anywhere", "resets", "garbage", **IN_BULK | {"rate": 150.0, "drift": 0.3, "zipf": 1.0})
def settled_at_once() -> None:
    """A bump counts as settled as soon as a majority of keepers holds it."""
    replace(
        "django_dcache.model.view:View.ripe",
        lambda _: lambda view: {settled_slot(*slot): view.generation(*slot) for slot in view.state.unsettled()},
    )


@mistake("freeze", "short-lived", seed=7)
def never_settled() -> None:
    """To a process that starts every bump is new, however long ago it was made."""
    replace("django_dcache.model.view:View.ripe", lambda _: lambda view: {})


# What a process must ask again


@mistake("raw-forks")
def no_pid_check() -> None:
    """A process takes what it inherited for its own, when Python did not make the fork."""
    number = os.getpid()
    for path in ("os:getpid", "django_dcache.transport.forks:getpid"):
        replace(path, lambda _: lambda: number)


@mistake("rebalance")
def topology_for_ever() -> None:
    """Every other process keeps the topology that it saw first."""

    def learning(learn: Callable[..., View]) -> Callable[..., View]:
        def run(view: View, news: Any, *arguments: Any) -> View:
            if os.getpid() % 2 and view.epoch:
                news = changed(news, topology=view.state.topology)
            return learn(view, news, *arguments)

        return run

    replace("django_dcache.model.view:View.learn", learning)


@mistake("late", "late-commands", "zombies", "flap", **HOT)
def proof_for_ever() -> None:
    """A process that has seen the fleet's state once never asks again."""

    def proving(prove: Operation) -> Operation:
        def run(view: View) -> Flow[bool]:
            if not view.epoch:
                return (yield from prove(view))
            yield Learn(view.state, view.clock())
            return True

        return run

    replace("django_dcache.flows.consensus:prove", proving)


# What a reply must be


@mistake("interrupts")
def interrupted_connection() -> None:
    """A call that is broken off gives its connection back, and the next one takes its reply for its own."""
    careless_sockets.returned_connections()


@mistake("cut-in-value", "cut-anywhere")
def short_read() -> None:
    """A reply that ends early is a short value."""
    careless_sockets.short_values()


@mistake("duplicates")
def unchecked_reply() -> None:
    """The next reply is the reply, whatever it answers."""
    careless_sockets.any_reply()
