"""Mistakes in what an operation does: what a reader stores, where a write goes, what counts as a reply."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django_dcache.commands import Get, Store, Value
from django_dcache.flows import Flow
from django_dcache.model.placement import Round, Route
from django_dcache.model.topology import Phase
from django_dcache.model.view import View

from . import careless_sockets
from .registry import ROWS, SOON, WATCHED, mistake
from .seams import Operation, altered, replace, without_token

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


@mistake("straggling+rebalance", replicas=2, **WATCHED)
def no_settle() -> None:
    """The last phase is left out: half of the processes still fill joining nodes while the others write all at once."""
    fills = os.getpid() % 2

    def without(phase: Phase, route: Route) -> Route:
        if phase is not Phase.SETTLE or not route.joining:
            return route
        if fills:
            return route._replace(fill=route.first.write + route.first.purge)
        return route._replace(first=Round(route.write), second=Round())

    _routed(without)


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
