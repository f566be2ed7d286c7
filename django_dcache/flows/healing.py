"""Taking a node out that answers no process, and taking it back: decided by the processes themselves, on the keepers.

    accuse    a process that a node has not answered for a while says so in the fleet state
    refute    a process that learns of it, and finds that the node answers, says that: then nothing happens
    shun      one that finds the same leaves the node alone from now on
    eject     an accusation that was known to every process for long enough, and that none refuted, takes the node out

By then every process whose view counts has either refuted or shuns the node: nothing more is acknowledged that only
this node knows of. So those that stand in for it can serve its share at once (docs/adr/0020).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from ..commands import Get
from ..errors import NodeFailure, UnknownFormat
from ..model.generations import WHOLE_NODE
from ..model.moments import minutes
from ..model.state import FleetState, Note, Slot, note_slot, settled_slot, state_key
from ..model.topology import Layout, Phase, Topology
from ..model.view import View
from . import Brief, Flow, Shun
from .consensus import agree
from .returned import renew

QUIET_SECONDS = 5.0
"""How long a node has to answer before it is taken back; twice as long each time it was taken out again soon after."""
LONGEST_QUIET = 600.0
SERIES_MINUTES = 15
"""A node that was in service for longer begins a new series."""
FIRST_PATIENCE, LAST_PATIENCE = 2.0, 600.0
"""Seconds until a process accuses a node again that answered others, and the most it comes to by doubling."""
FORGIVEN_SECONDS = 60.0
"""After that a process accuses as if it were for the first time."""
LAZY_SECONDS = 20.0
"""How long readers fill a node that is back from those that stood in for it, when no conductor moves the keys."""
NONE: Mapping[str, str] = {}
_NEXT = dict(zip(Phase, (*tuple(Phase)[1:], Phase.STABLE), strict=True))


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site has chosen."""

    seconds: float = 0.0
    """Of silence until a node is taken out; 0: never."""
    part: float = 0.5
    """Of the nodes that may be out at most."""
    quiet: float = QUIET_SECONDS
    lazily: float = LAZY_SECONDS

    @property
    def accused_after(self) -> float:
        """Seconds of silence."""
        return self.seconds / 8


@dataclass
class Watch:
    """What one process remembers of its nodes from one look to the next. All times are monotonic."""

    held: dict[tuple[str, int], float] = field(default_factory=dict)
    """Since when an accusation is known to be held by a majority of keepers."""
    quiet: dict[str, float] = field(default_factory=dict)
    """Since when a node that is out answers."""
    patience: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Until when this process accuses a node of nothing, and for how long the next time."""
    renewed: dict[tuple[str, str], float] = field(default_factory=dict)
    """Since when the new slots of a node that has returned are known to be held, by node and incarnation."""
    marked: list[str] = field(default_factory=list)
    """Such nodes that may be used again."""
    epoch: tuple[int, float] = (-1, 0.0)
    """The last one seen, and since when."""

    def stay_in_use(self, view: View, rules: Rules) -> frozenset[str]:
        """The nodes that are not taken out, though this process may not reach them: those that it accused while others
        can, and all where one more would be too many, or while a conductor moves keys."""
        accused, topology = view.state.accused, view.state.topology
        nodes = frozenset(node for node in topology.nodes if _serves(topology, node))
        if _conducted(topology):
            return nodes
        too_many = {node for node in nodes if rules.seconds and not _may_leave(view, node, rules)}
        return nodes & (self.patience.keys() - accused.keys() | too_many)

    def to_be_asked(self, view: View, rules: Rules) -> list[str]:
        """The accused nodes that this process has to ask now, whether or not it would: it has just learned of the
        accusation, or is about to take the node out."""
        asked: list[str] = []
        if _conducted(view.state.topology):
            return asked
        for node, number in view.state.accused.items():
            if (node, number) not in self.held or self.decides(view, rules, node, number):
                asked.append(node)
        return asked

    def decides(self, view: View, rules: Rules, node: str, number: int) -> bool:
        """Whether each process has had its time to refute the accusation, and the node may leave."""
        since = self.held.get((node, number))
        in_time = since is not None and view.clock() - since >= view.decided_after
        return bool(rules.seconds) and in_time and _may_leave(view, node, rules)


def heal(
    view: View, watch: Watch, rules: Rules, silent: Mapping[str, float], returned: Mapping[str, str] = NONE
) -> Flow[None]:
    """One look at the nodes, by a process that has just proven its view. `silent`: for how many seconds nodes did not
    answer it. `returned`: those that have come back with what they held, and in which incarnation."""
    topology = view.state.topology
    if watch.epoch[0] != topology.epoch:
        watch.epoch = topology.epoch, view.clock()
    try:
        if returned:
            watch.marked = yield from renew(view, watch.renewed, returned)
        if view.coexists:
            return  # Classic clients would look for its keys where they were.
        if _conducted(topology):
            watch.held.clear()
            yield Shun(frozenset())  # A conductor moves keys, and wants its nodes to stay.
        elif not (yield from _judge(view, watch, rules)):
            yield from _accuse(view, watch, rules, silent)
            if topology.phase is not Phase.STABLE:
                yield from _step(view, watch, rules)
            elif rules.seconds:
                yield from _take_back(view, watch, rules)
    except UnknownFormat:
        return


def _judge(view: View, watch: Watch, rules: Rules) -> Flow[bool]:
    """Answer to each accusation that is open; whether a node was taken out."""
    shunned: set[str] = set()
    for node, number in view.state.accused.items():
        if not _serves(view.state.topology, node):
            continue
        told = note_slot(node, Note.REFUTED)
        if (yield from _answers(view, node)):
            if (yield from _tell(view, {told: number})):
                continue
        shunned.add(node)
        if (node, number) not in watch.held:
            if (yield from _tell(view, {}, {node})):
                watch.held[node, number] = view.clock()
        elif watch.decides(view, rules, node, number):
            if (yield from _eject(view, node, number)):
                yield Shun(frozenset())
                return True
    # Where there are other copies, a write bumps the slot of this one, and need not wait.
    yield Shun(frozenset(shunned if view.state.topology.layout.replicas == 1 else ()))
    return False


def _accuse(view: View, watch: Watch, rules: Rules, silent: Mapping[str, float]) -> Flow[None]:
    """Say which nodes have not answered for a part of the time that it takes."""
    now, state = view.clock(), view.state
    for node in set(watch.patience) - silent.keys():
        if now - watch.patience[node][0] > FORGIVEN_SECONDS:
            del watch.patience[node]
    for node, seconds in silent.items():
        until, pause = watch.patience.get(node, (0.0, FIRST_PATIENCE))
        due = 0 < rules.accused_after <= seconds and now >= until
        if not due or node in state.accused or not _serves(state.topology, node) or not _may_leave(view, node, rules):
            continue
        watch.patience[node] = now + pause, min(2 * pause, LAST_PATIENCE)
        number = max(state.note(node, Note.ACCUSED), state.note(node, Note.REFUTED)) + 1
        if (yield from _tell(view, {note_slot(node, Note.ACCUSED): number}, {node})):
            watch.held[node, number] = view.clock()


def _eject(view: View, node: str, number: int) -> Flow[bool]:
    """Publish an epoch without the node, all of its slots new. Whether a majority of keepers holds it."""
    before = view.state.topology
    layout = before.layout.without(before.layout.out | {node})
    after = before.served_by(layout)
    minute = minutes(view.wall_clock())

    def change(state: FleetState) -> FleetState:
        if state.topology != before or state.note(node, Note.REFUTED) >= number:
            return state
        # A resize of ours is given up: what lies on its nodes by now is as old as what stood in for them.
        for name in layout.out if before.phase is not Phase.STABLE else {node}:
            ours, state = name == node or state.ejected(name), state.taken_out(name)
            floor = state.generation(name, WHOLE_NODE)
            state = state.bumped({note_slot(name, Note.EJECTED): floor}) if ours else state
        told = {note_slot(node, Note.REFUTED): number, note_slot(node, Note.SERIES): _series(state, node, minute)}
        if layout.replicas == 1:  # Every process shuns it, so none can be heard under an older generation.
            told[settled_slot(node, WHOLE_NODE)] = state.generation(node, WHOLE_NODE)
        return replace(state.bumped(told), topology=after)

    found = yield from agree(view, change, also=after.all_keepers, avoid={node})
    return found.majority and found.state.topology == after


def _series(state: FleetState, node: str, minute: int) -> int:
    """When a node was taken out, and how often in a row."""
    last, count = divmod(state.note(node, Note.SERIES), 16)
    return minute * 16 + (min(count + 1, 15) if minute - last <= SERIES_MINUTES else 1)


def _take_back(view: View, watch: Watch, rules: Rules) -> Flow[None]:
    """Let a node join that was taken out by the processes and has answered for long enough."""
    layout = view.state.topology.layout
    for node in sorted(filter(view.state.ejected, layout.out)):
        if not (yield from _answers(view, node)):
            watch.quiet.pop(node, None)
            continue
        since = watch.quiet.setdefault(node, view.clock())
        times = view.state.note(node, Note.SERIES) % 16
        if view.clock() - since >= min(rules.quiet * 2 ** max(0, times - 1), LONGEST_QUIET):
            del watch.quiet[node]
            yield from _publish(view, view.state.topology.begin(layout.without(layout.out - {node})))
            return


def _step(view: View, watch: Watch, rules: Rules) -> Flow[None]:
    """The next phase of a resize that the processes began, once each of them knows of this one."""
    topology = view.state.topology
    lazily = rules.lazily if topology.phase is Phase.FLIP else 0.0
    if view.clock() - watch.epoch[1] >= view.hold + lazily:
        yield from _publish(view, topology.step(_NEXT[topology.phase]))


def _publish(view: View, after: Topology) -> Flow[None]:
    before = view.state.topology

    def change(state: FleetState) -> FleetState:
        return replace(state, topology=after) if state.topology == before else state

    yield from agree(view, change, also=after.all_keepers)


def _tell(view: View, told: dict[Slot, int], avoid: Collection[str] = ()) -> Flow[bool]:
    return (yield from agree(view, lambda state: state.bumped(told), avoid=avoid)).majority


def _answers(view: View, node: str) -> Flow[bool]:
    (reply,) = (yield Brief({node: [Get(state_key(view.fleet), value=False)]}))[node]
    return not isinstance(reply, NodeFailure)


def _conducted(topology: Topology) -> bool:
    return topology.phase is not Phase.STABLE and bool(topology.fence)


def _serves(topology: Topology, node: str) -> bool:
    return node in topology.nodes and node not in topology.layouts[-1].out


def _may_leave(view: View, node: str, rules: Rules) -> bool:
    layout: Layout = view.state.topology.layout
    return len(layout.out | {node}) <= len(layout.nodes) * rules.part
