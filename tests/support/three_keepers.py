"""Keepers a, b and c, and what they may hold."""

import json

from django_dcache.model.topology import Topology
from support.played_flows import Keepers, layout, topology, view_of

ABC = view_of(topology("abc"))
SLOT = ("a", 7)
BUMPED = ABC.state.bumped({SLOT: 1})
FRESH = view_of(Topology(0, layout("a", "b", "c")), proven_at=float("-inf"))
FUTURE = json.dumps({"format": 4}).encode()


def holding(state, *, silent=(), **others):
    """Keepers a, b and c hold `state`, or what is said of each."""
    documents = dict.fromkeys("abc", state.encode()) | others
    return Keepers(ABC, silent=silent, documents=documents)
