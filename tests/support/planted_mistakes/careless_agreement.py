"""Mistakes in what processes know of each other: lost writes, bumps, nodes that leave and return, proofs."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace as changed
from typing import Any

from dcache_drill.plan import WEIGHTS
from django_dcache.flows import Flow, Learn
from django_dcache.model.state import settled_slot
from django_dcache.model.topology import server_of
from django_dcache.model.view import Slot, View

from .registry import HOT, IN_BULK, mistake
from .seams import Operation, replace

SET_AND_READ = {"weights": dict.fromkeys(WEIGHTS, 0) | {"set_many": 1}, "workers": 6, "readers": 2, "rate": 60.0}
"""Most do nothing but set many keys at once, each of which others set anew within a second; two only read them. So of
what arrives late, and is not disowned, something is read before it is written over, each time."""

# What a lost write must lead to


@mistake("zombies", **SET_AND_READ, calm=0.3, eject_after=0.0)
def no_bump() -> None:
    """A write whose reply is lost disowns nothing."""
    # While an accusation of the node is news, as it always is without bumps, what is read may lag: so there is none.

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


@mistake("worker-stutters", rate=5000.0, weights={"set_many": 200})
def lost_by_lateness() -> None:
    """What a process finds answered after it stood still counts as lost."""

    def never(holds: Operation) -> Operation:
        def run(view: View) -> Flow[bool]:
            return False
            yield

        return run

    replace("django_dcache.flows.lateness:holds", never)


# When a node is taken out, and taken back


@mistake("partition", "one-way", "half-open", **HOT)
def one_vote() -> None:
    """One process that can't reach a node takes it out, before others could say that they can."""
    replace("django_dcache.model.view:View.decided_after", lambda _: property(lambda view: 0.0))


@mistake("dead-in-turn", "node-away", zipf=0.3, nodes=3)
def unmarked_stand_in() -> None:
    """What a node holds for another that is out is not told apart from what it held for it the time before."""
    replace(
        "django_dcache.model.view:View.generation",
        lambda generation: lambda view, node, slot: generation(view, server_of(node), slot),
    )


@mistake("long-freeze", zipf=0.3)
def unbumped_return() -> None:
    """A node is taken out and taken back with what it held."""
    replace("django_dcache.model.state:FleetState.taken_out", lambda _: lambda state, node: state)
    replace(
        "django_dcache.model.state:FleetState.ejected",
        lambda _: lambda state, node: any(node in layout.out for layout in state.topology.layouts),
    )


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
