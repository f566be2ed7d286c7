"""Looking after the nodes: one that stays away is taken out of service, one that is back is let in again.

Run regularly: by `dcache-admin watch`, or a periodic task. The decision is an epoch like any other, so several
watchdogs agree: the second finds the node out already.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from django_dcache.errors import Conflict, DCacheError
from django_dcache.model.topology import Node, Phase
from django_dcache.runtime.fleet import Fleet

from .conductor import Conductor
from .preflight import greet

FULL_WINDOW_RATIO = 0.8
"""The part of a window that probes must span to count as all of it."""


@dataclass(slots=True)
class ProbeHistory:
    """What the last probes of one node gave; `since` is when it was last seen the other way (monotonic)."""

    answers: deque[tuple[float, bool]] = field(default_factory=deque)

    def add(self, now: float, answered: bool, window: float) -> None:
        self.answers.append((now, answered))
        while self.answers and self.answers[0][0] < now - window:
            self.answers.popleft()

    def settled(self, now: float, window: float, answered: bool) -> bool:
        """Whether most probes of a whole window say the same, the newest among them."""
        if not self.answers or self.answers[-1][1] is not answered:
            return False
        votes = sum(answer is answered for _, answer in self.answers)
        return now - self.answers[0][0] >= window * FULL_WINDOW_RATIO and votes * 2 > len(self.answers)


class Watchdog:
    """Probes every node at each `look`, and acts once most probes of `eject_after` seconds agree."""

    def __init__(
        self,
        fleet: Fleet,
        eject_after: float = 60.0,
        probe: Callable[[Fleet, Node], bool] | None = None,
        conductor: Callable[[Fleet], Conductor] = Conductor,
    ):
        self._fleet, self._window, self._probe, self._conductor = fleet, eject_after, probe or answers, conductor
        self._histories: dict[str, ProbeHistory] = {}

    def look(self) -> list[str]:
        """Probe once; what was done about it, a sentence each."""
        topology, now = self._fleet.proven_view().state.topology, self._fleet.clock()
        done: list[str] = []
        up = {}
        for node in topology.layout.nodes:
            up[node.name] = self._probe(self._fleet, node)
            self._histories.setdefault(node.name, ProbeHistory()).add(now, up[node.name], self._window)
        if topology.phase is not Phase.STABLE:
            return done
        for node in topology.layout.nodes:
            history = self._histories[node.name]
            try:
                # With most of a fleet away it is rather we who are cut off: then nothing is decided here.
                if not node.out and sum(up.values()) * 2 > len(up) and history.settled(now, self._window, False):
                    self._conductor(self._fleet).take_out(node.name)
                    done.append(f"{node.name} has been away for {self._window:g} s: taken out of service")
                elif node.out and history.settled(now, self._window, True):
                    self._conductor(self._fleet).bring_back(node.name)
                    done.append(f"{node.name} is back: filled, and in service again")
            except Conflict:
                continue  # Another conductor is at work on this fleet.
            except DCacheError as error:
                done.append(f"{node.name}: {error}")
        return done


def answers(fleet: Fleet, node: Node) -> bool:
    """Whether a node tells its version within a second."""
    try:
        return bool(greet([node], fleet.transport.limits))
    except DCacheError:
        return False
