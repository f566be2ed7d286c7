"""Looking after a fleet without an operator: nodes that stay away are taken out and let in again, and where one stays
away for long its copies are made anew on the others, until it is back. With a source, the fleet is also made what that
says (reconcile.py).

The processes of the site take dead nodes out and back by themselves (docs/adr/0020). This does it for a site that
turned that off, and adds what they can't do: moving keys. Run by `dcache-admin autopilot`, or a periodic task. What it
decides is an epoch like any other, so several of them agree: the second finds that it is done.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from django_dcache.errors import Conflict, DCacheError
from django_dcache.model.state import FleetState
from django_dcache.model.topology import Layout, Node, Phase
from django_dcache.runtime.fleet import Fleet

from .conductor import Conductor
from .preflight import greet
from .reconcile import Reconciler

INTERRUPTED_SECONDS = 60.0
"""For which a resize has no conductor before it is finished here: an operator may want to go back instead."""
FULL_WINDOW_RATIO = 0.8
"""The part of a window that probes must span to count as all of it."""


@dataclass(slots=True)
class ProbeHistory:
    """When one node was probed (monotonic), and whether it answered."""

    answers: deque[tuple[float, bool]] = field(default_factory=deque)

    def add(self, now: float, answered: bool, seconds: float) -> None:
        """Remember this, and forget what is older than `seconds`."""
        self.answers.append((now, answered))
        while self.answers[0][0] < now - seconds:
            self.answers.popleft()

    def settled(self, now: float, window: float, answered: bool) -> bool:
        """Whether most probes of a whole window say the same, the newest among them."""
        recent = [(at, said) for at, said in self.answers if at >= now - window]
        if not recent or recent[-1][1] is not answered:
            return False
        votes = sum(said is answered for _, said in recent)
        return now - recent[0][0] >= window * FULL_WINDOW_RATIO and votes * 2 > len(recent)


class Autopilot:
    """Probes every node at each `look`, and acts once most probes of `eject_after` or `replace_after` seconds agree."""

    def __init__(
        self,
        fleet: Fleet,
        eject_after: float = 60.0,
        replace_after: float = 600.0,
        probe: Callable[[Fleet, Node], bool] | None = None,
        conductor: Callable[[Fleet], Conductor] = Conductor,
        reconciler: Reconciler | None = None,
        dry_run: bool = False,
        led: Callable[[], object] = lambda: None,
    ):
        """Times in seconds. With `dry_run` it says what it would do, and does nothing. `led`: whether a conductor or a
        job leads the fleet at the moment."""
        self._fleet, self._window, self._patience = fleet, eject_after, max(eject_after, replace_after)
        self._probe, self._conductor = probe or answers, conductor
        self._reconciler, self._dry_run, self._led = reconciler, dry_run, led
        self._moving: tuple[int, float] = (-1, 0.0)
        """The epoch of a resize, and when it was seen first."""
        self._histories: dict[str, ProbeHistory] = {}
        self._taken_out: set[str] = set()
        self._replaced: dict[str, Node] = {}
        """Nodes whose copies were made anew, and which are no part of the fleet until they are back."""

    def look(self) -> list[str]:
        """Probe once; what was done about it, or what it waits for, a sentence each."""
        state, now = self._fleet.proven_view().state, self._fleet.clock()
        layout = state.topology.layout
        self._replaced = {name: node for name, node in self._replaced.items() if layout.node(name) is None}
        self._taken_out &= layout.out  # Should an operator take out one of them later, it is to stay out.
        up = {}
        for node in {node.name: node for node in (*self._replaced.values(), *layout.nodes)}.values():
            up[node.name] = self._probe(self._fleet, node)
            self._histories.setdefault(node.name, ProbeHistory()).add(now, up[node.name], self._patience)
        if state.topology.phase is not Phase.STABLE:
            return self._finish(state, now)
        done: list[str] = []
        # With most of a fleet away it is rather we who are cut off: then no node is taken out for it.
        if sum(up.values()) * 2 > len(up):
            done = [line for node in layout.nodes for line in self._attend(state, node, now)]
            done = done or self._keep_copies(layout, now)
        return done or self._reconcile(state)

    def _finish(self, state: FleetState, now: float) -> list[str]:
        """Finish a resize that a conductor began and none leads, unless an operator asked for a pause or to go back."""
        topology = state.topology
        if self._moving[0] != topology.epoch:
            self._moving = topology.epoch, now
        left = topology.target if topology.fence and state.control.wish == "run" else None
        try:
            if left is None or now - self._moving[1] < INTERRUPTED_SECONDS or self._led():
                return []
        except DCacheError as error:
            return [str(error)]
        said = f"a resize that was interrupted in epoch {topology.epoch}, phase {topology.phase}: finished"
        return self._act("the resize", said, lambda conductor: conductor.run(left))

    def _attend(self, state: FleetState, node: Node, now: float) -> list[str]:
        """Take a node out, or let one in again that no operator took out."""
        if not node.out and self._says(node, now, self._window, False):
            self._taken_out.add(node.name)
            said = f"{node.name} has been away for {self._window:g} s: taken out of service"
            return self._act(node.name, said, lambda conductor: conductor.take_out(node.name))
        ours = node.name in self._taken_out or state.ejected(node.name)
        if node.out and ours and self._says(node, now, self._window, True):
            said = f"{node.name} is back: filled, and in service again"
            done = self._act(node.name, said, lambda conductor: conductor.bring_back(node.name))
            self._taken_out -= {node.name} if done == [said] else set()
            return done
        return []

    def _keep_copies(self, layout: Layout, now: float) -> list[str]:
        """Give each key its copies again where a node stays away for long, and that node its place when it is back."""
        away = [node for node in layout.nodes if node.out and self._says(node, now, self._patience, False)]
        left = [node for node in layout.nodes if node not in away]
        if away and 1 < layout.replicas <= len([node for node in left if not node.out]):
            names = ", ".join(node.name for node in away)
            said = f"{names} stays away: its copies are made anew, and it joins again when it is back"
            done = self._act(names, said, lambda conductor: conductor.run(replace(layout, nodes=tuple(left))))
            self._replaced |= {node.name: replace(node, out=False) for node in away} if done == [said] else {}
            return done
        back = [node for node in self._replaced.values() if self._says(node, now, self._window, True)]
        if back:
            names = ", ".join(node.name for node in back)
            said = f"{names} is back: it has joined again"
            done = self._act(
                names, said, lambda conductor: conductor.run(replace(layout, nodes=(*layout.nodes, *back)))
            )
            for node in back if done == [said] else ():
                del self._replaced[node.name]
            return done
        return []

    def _reconcile(self, state: FleetState) -> list[str]:
        """One step towards what the source says."""
        if self._reconciler is None:
            return []
        ejected = self._taken_out | set(filter(state.ejected, state.topology.layout.out))
        layout, said = self._reconciler.look(self._fleet, ejected, self._probe)
        if layout is None:
            return said
        return self._act("the layout", "; ".join(said), lambda conductor: conductor.run(layout))

    def _says(self, node: Node, now: float, window: float, answered: bool) -> bool:
        return self._histories[node.name].settled(now, window, answered)

    def _act(self, names: str, said: str, act: Callable[[Conductor], object]) -> list[str]:
        """What there is to say of it."""
        if self._dry_run:
            return [f"would do: {said}"]
        try:
            act(self._conductor(self._fleet))
        except Conflict:
            return []  # Another conductor is at work on this fleet.
        except DCacheError as error:
            return [f"{names}: {error}"]
        return [said]


def answers(fleet: Fleet, node: Node) -> bool:
    """Whether a node tells its version within a second."""
    try:
        return bool(greet([node], fleet.transport.limits))
    except DCacheError:
        return False
