"""Planting a fleet's map where there is none, and telling maps apart that were planted one after the other.

The rules: docs/explanation/protocol.md#maps-that-were-lost.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..commands import Get, Value
from ..errors import InvalidTopology, NodeFailure, NotOurs
from ..model.documents import TRACE
from ..model.generations import WHOLE_NODE
from ..model.moments import minutes, tens_of_seconds
from ..model.planting import GIVEN_UP_SLOT, PLANTED_SLOT
from ..model.state import DROPPED_SLOT, FleetState, state_key, trace_key
from ..model.view import View
from . import Brief, Flow, Learn
from .majorities import majority, witnessed

Held = Mapping[str, FleetState | None]
"""What the keepers that answered hold, by name; None: nothing that counts."""


def plant(view: View, state: FleetState) -> Flow[FleetState | None]:
    """Nothing known anywhere: what the settings say becomes epoch 1. Where a node remembers that there was a map, which
    was evicted since, its names begin where no old one reaches (docs/adr/0022). None: too few keepers said what they
    remember."""
    now = max(1, tens_of_seconds(view.wall_clock()))
    planted = replace(state, topology=replace(state.topology, epoch=1)).bumped({PLANTED_SLOT: now})
    keys = [trace_key(view.fleet), *map(state_key, view.owner.names)]
    replies = yield Brief({name: list(map(Get, keys)) for name in planted.topology.nodes})
    for node, (_, *others) in replies.items():
        if former := [name for name, reply in zip(view.owner.names, others, strict=True) if _ours(view, name, reply)]:
            error = NotOurs(
                f"they hold it under the name {former[0]!r}, by which it was known before another alias was put on "
                f'them. Set OPTIONS["fleet"] = {former[0]!r} in each of these aliases',
                node=node,
            )
            yield Learn(state, held=False, refused={node: error})
            raise error
    said = {node for node, held in replies.items() if not any(isinstance(reply, NodeFailure) for reply in held)}
    if not majority(planted.topology, said):
        return None
    traces = [reply.data for reply, *_ in replies.values() if isinstance(reply, Value) and reply.data]
    if not traces:
        return planted
    proven = [view.documents.unseal(TRACE, trace) or b"" for trace in traces]
    highest = max((int(trace) for trace in proven if trace.isdigit() and len(trace) < 9), default=0)
    floor = max(highest + 1, minutes(view.wall_clock()))  # What grows while there is no map to keep a number.
    return planted.bumped({DROPPED_SLOT: floor, **{(node, WHOLE_NODE): floor for node in planted.topology.nodes}})


def highest_ever(state: FleetState) -> int:
    """The highest generation that names have had, on nodes that left as well."""
    return max(state.highest(node) for node in (*state.topology.nodes, DROPPED_SLOT[0]))


def merged_with(view: View, state: FleetState, believed: Held) -> tuple[Held, FleetState]:
    """What counts of what keepers hold, and `state` merged with it."""
    held = _of_one_map(view, state, believed)
    merged = state
    for document in filter(None, held.values()):
        merged = merged.merge(document)
    return held, _beyond_other_maps(_without_what_was_lost(view, held, merged), believed, held)


def most_held(documents: Iterable[FleetState], default: int = 0) -> int:
    """When the map was planted that most of the documents are of; of as many the later one."""
    counts = Counter(document.planted for document in documents)
    return max(counts, key=lambda planted: (counts[planted], planted), default=default)


def _of_one_map(view: View, state: FleetState, held: Held) -> dict[str, FleetState | None]:
    """`held` without the documents of other maps than the one that counts: what a keeper has of those is as good as
    nothing, and gets replaced.

    A map that was lost may lie on a node that was away, or no keeper, when another one was planted, and it may have the
    higher epoch. The map that counts is that of this process, unless a majority of its keepers holds another one; to a
    process that has proven none, the one that most of the nodes hold that it asked.
    """
    maps: defaultdict[int, set[str]] = defaultdict(set)
    for name, document in held.items():
        if document:
            maps[document.planted].add(name)
    counts = state.planted
    if not view.held_epoch:
        counts = most_held(filter(None, held.values()), counts)
    elif not witnessed(state.topology, maps[counts]):
        counts = next((planted for planted, names in maps.items() if witnessed(state.topology, names)), counts)
    return {name: document if document and document.planted == counts else None for name, document in held.items()}


def _beyond_other_maps(merged: FleetState, held: Held, counting: Held) -> FleetState:
    """`merged`, in which no name comes again that the documents gave which do not count. What a node holds beside such
    a document is of that map, and is given up."""
    for node, document in held.items():
        if document and not counting[node]:
            if highest := highest_ever(document):
                merged = merged.bumped({DROPPED_SLOT: highest})
            if node in merged.topology.nodes and merged.generation(node, WHOLE_NODE) <= document.highest(node):
                merged = merged.bumped_whole(node)
    return merged


def _without_what_was_lost(view: View, held: Held, merged: FleetState) -> FleetState:
    """`merged`, with every slot of every node new where a majority of the keepers holds another map than this process
    has proven, or less than it was told: the map was planted anew behind its back, and what either side holds may be
    behind the other.

    Once for each map that was lost: with what the first process held that remembers it, what the others held was given
    up.
    """
    behind = {
        name
        for name, document in held.items()
        if document and (document.planted != view.state.planted or document.topology.epoch < view.held_epoch)
    }
    lost = view.state.planted
    if not view.held_epoch or not witnessed(view.state.topology, behind):
        return merged
    if lost and merged.generation(*GIVEN_UP_SLOT) == lost:
        return merged
    for node in merged.topology.nodes:
        merged = merged.bumped_whole(node)
    return merged.bumped({GIVEN_UP_SLOT: lost}) if lost else merged


def _ours(view: View, name: str, reply: object) -> bool:
    """Whether it is the document of a fleet of this project that is known by another name."""
    if not isinstance(reply, Value) or not reply.data:
        return False
    try:
        return not view.owner.strange(view.documents.of(name).read(reply.data).state.marks, name)
    except InvalidTopology:
        return False
