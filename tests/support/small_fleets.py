"""Views of fleets of two and three nodes, and names that lie on known ones: for flows that are played by hand."""

from django_dcache.commands import Store
from django_dcache.flows import Item
from django_dcache.model.topology import Phase
from support.played_flows import name_for, topology, view_of

ONE = view_of(topology("abc"))
TWO = view_of(topology("abc", replicas=2))
K = name_for(ONE, read=("a",))
K2 = name_for(TWO, read=("a", "b"))

MOVES = {phase: view_of(topology("ab", "abc", phase)) for phase in Phase if phase is not Phase.STABLE}
"""By phase: c joins a and b."""
MOVER = name_for(MOVES[Phase.PREPARE], read=("a",), joining=("c",))
MOVES2 = {phase: view_of(topology("ab", "abc", phase, replicas=2)) for phase in MOVES}
STAYER = name_for(MOVES2[Phase.PREPARE], read=("a", "b"), joining=("c",))
"""Of its two copies one moves to c."""
STAYS = tuple(node for node in "ab" if node in MOVES2[Phase.SETTLE].place(STAYER).route.read)[0]
LEAVES = ({"a", "b"} - {STAYS}).pop()

ITEM = Item(16, b"new", 60)


def store(name=K, generation=0, token=None):
    """ITEM as it is stored."""
    return Store(name, generation, b"new", 16, 60, token=token)


def slot_of(view, name):
    return view.place(name).slot


def outcome(play, name=K):
    """What a write of several names came to for this one."""
    return play.result[name]
