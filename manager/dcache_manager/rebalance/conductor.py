"""Leading a fleet through the phases of a resize, one conductor at a time (docs/explanation/rebalance.md).

Everything that matters is in the fleet state: a conductor killed at any moment is continued by the next run, which
finds the phase there, repeats its (repeatable) work and continues.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from django_dcache.errors import Conflict, NodeFailure
from django_dcache.model.topology import Layout, Phase, Topology
from django_dcache.runtime.fleet import Fleet

from ..errors import Cancelled
from ..jobs.journal import Journal
from ..jobs.progress import Progress
from .key_filter import Wanted, joins, leaves
from .leadership import OUTAGE_SECONDS, CancelAsked, Leadership
from .passes import LocalPasses, Passes, moving_throttle
from .plan import changes_in_short, with_out
from .preflight import Unanswered, greet, newcomers, silent, try_out

UNMOVABLE_SECONDS = 3.0
"""For which keys that can't be moved hold up all others: the longer a resize takes, the more a node that dies costs."""
LAZY_SECONDS = 60.0
"""How long readers have to move what nodes do not list."""
MAX_COPY_PASSES = 20
MAX_SWEEPS = 5
RETRY_SECONDS = 1.0
"""Between two tries of what did not work yet."""


class Conductor:
    """One run of a resize, or a turn of one. Waits, chance and output are arguments."""

    def __init__(
        self,
        fleet: Fleet,
        journal: Journal | None = None,
        *,
        max_rate: float | None = None,
        lazy_seconds: float = LAZY_SECONDS,
        report: Callable[[Progress], None] = lambda progress: None,
        sleep: Callable[[float], None] = time.sleep,
        progress: Progress | None = None,
        passes: Callable[..., Passes] = LocalPasses,
        rest: Callable[[], None] = lambda: None,
    ):
        """`max_rate`: keys a second. `lazy_seconds`: how long readers have to move what nodes do not list.

        For a run in turns: `progress`, which names the run and says how far it has come; `rest`, called wherever the
        next turn could continue, raises Adjourned when it should.
        """
        self._fleet, self._lazy_seconds, self._clock = fleet, lazy_seconds, fleet.clock
        self._throttle, self._passes, self._rest = moving_throttle(fleet, max_rate, sleep), passes, rest
        self._lead = Leadership(fleet, journal, report=report, sleep=sleep, progress=progress, rest=rest)
        self.progress = self._lead.progress
        self.before: Layout | None = None
        """The layout before the resize that this run made or continued."""

    def run(self, desired: Layout) -> Progress:
        """Make `desired` the fleet's layout, finishing what is under way first.

        Raises Conflict (another conductor is alive), NoMajority, NodeFailure (a new node is unusable: nothing was
        changed), Cancelled.
        """
        with self._lead:
            self._lead.claim("run")
            self._make(desired)
        return self.progress

    def proceed(self, desired: Layout, back: Layout | None = None) -> Progress:
        """As `run`, for the next turn of it; what the operator asked meanwhile still holds.

        `back`: the layout to which the turn before this one was going back.
        """
        with self._lead:
            self._lead.claim()
            self.before = back
            self._make(desired)
        return self.progress

    def refuse(self, error: BaseException) -> None:
        """Say in the journal that this run ended before it began."""
        self._lead.close(error)

    def cancel(self) -> Progress:
        """Go back to the layout before the resize that is under way, if there is one."""
        with self._lead:
            self._lead.claim("cancel")
            self._go_back()
            self.progress.state = "cancelled"
        return self.progress

    def take_out(self, name: str) -> Progress:
        """Take a node that stays away out of service, at once: its share is served by the remaining replicas.

        Raises Conflict while keys are moving (the resize ends first), InvalidTopology for the last node in service.
        """
        with self._lead:
            self._lead.claim("run")
            self.progress.what = f"take {name} out of service"
            while self.progress.state != "done":
                with self._lead.giving_way():
                    self._publish_without([name])
                    self.progress.state = "done"
        return self.progress

    def bring_back(self, name: str) -> Progress:
        """Let a node that was out join again: everything it holds is forgotten, then it is filled, then it is read."""
        return self.run(with_out(self._topology.layout, name, False))

    @property
    def _topology(self) -> Topology:
        return self._lead.topology

    def _make(self, desired: Layout) -> None:
        try:
            if self.before is not None:
                raise CancelAsked
            self._lead.tick()  # A pause may be over.
            self._lead_to(desired)
            self._lead.tick()  # The last chance to be asked to go back.
        except CancelAsked:
            self._go_back()
            raise Cancelled(epoch=self._topology.epoch) from None
        self.progress.state = "done"

    def _lead_to(self, desired: Layout) -> None:
        if self._topology.target not in (None, desired):
            self.progress.notes.append("finishing the resize that was under way first")
        self.progress.what = changes_in_short(self._topology, desired)
        while self._topology.phase is not Phase.STABLE or self._topology.layout != desired:
            self._rest()
            with self._lead.giving_way():
                if self._topology.phase is Phase.STABLE:
                    self._begin(desired)
                else:
                    self._advance()

    def _begin(self, desired: Layout) -> None:
        topology, limits = self._topology, self._fleet.transport.limits
        joining = newcomers(topology, desired)
        greeted = greet(joining, limits)
        try_out(joining, limits)
        if dead := self._dead_leavers(topology, desired):
            self.progress.notes += [f"{name} does not answer: what only it holds is lost" for name in dead]
            self._publish_without(dead)
            return
        self._lead.barrier("the epoch before this resize")
        # Whatever a new node holds already was never ours to serve: its slots are new from the first moment. A node
        # that was here before may yet execute commands it was sent then, even if it looks empty.
        dirty = [newcomer.name for newcomer in greeted if newcomer.items or topology.layout.node(newcomer.name)]
        self._lead.publish(topology.begin(desired, self._lead.fence), dirty)

    def _dead_leavers(self, topology: Topology, desired: Layout) -> list[str]:
        """Nodes that are to leave and do not answer, to be taken out of service at once.

        While keys move, each write that a source does not answer costs the joining nodes a slot: a dead node that took
        part in a resize would empty all others. Raises Unanswered for one that is to stay.
        """
        moved = {node.name for node in topology.moved(desired)}  # Out of service with the next epoch, dead or not.
        asked = [node for node in topology.layout.nodes if not node.out and node.name not in moved]
        dead = silent(asked, self._fleet.transport.limits)
        for name in dead:
            if (staying := desired.node(name)) and not staying.out:
                raise Unanswered(node=name, epoch=topology.epoch)
        return dead

    def _publish_without(self, names: Iterable[str]) -> None:
        """Raises Conflict while keys are moving."""
        topology = self._topology
        if topology.phase is not Phase.STABLE:
            raise Conflict("keys are moving; repeat this once the resize has ended", epoch=topology.epoch)
        layout = topology.layout
        for name in names:
            layout = with_out(layout, name, True)
        self._lead.barrier("the epoch before this one")
        self._lead.publish(topology.served_by(layout, self._lead.fence))

    def _advance(self) -> None:
        phase, topology, fence = self._topology.phase, self._topology, self._lead.fence
        if self._lead.heeding or self.before is None:
            self.before = topology.layout
        self._lead.barrier(f"phase {phase}")
        passes = self._new_passes()
        old = [node.name for node in topology.layout.nodes if not node.out]
        new = [node.name for node in topology.layouts[-1].nodes if not node.out]
        if phase is Phase.PREPARE:
            self._sweep(passes, [name for name in new if name in old], joins)
            # A node that could not say what lies on it must not be read where it joins.
            suspects = sorted(passes.refused | passes.away)
            self.progress.notes += [f"{name} forgets all its keys: it can't tell which are old" for name in suspects]
            self._lead.publish(topology.step(Phase.COPY, fence), suspects)
        elif phase is Phase.COPY:
            self._copy(passes, old)
            self._lead.publish(topology.step(Phase.FLIP, fence))
        elif phase is Phase.FLIP:
            self._finish_copying(passes, old)
            self._lead.publish(topology.step(Phase.SETTLE, fence))
        else:
            passes.sweep(old, leaves)
            # What stays behind is never read again: the next resize looks for it before it could be.
            passes.sweep(sorted(passes.away), leaves)
            self._end(topology)

    def _end(self, topology: Topology) -> None:
        """Stable, and a node that has left may be switched off: no process uses it any more."""
        self._lead.publish(topology.step(Phase.STABLE, self._lead.fence))
        if topology.nodes.keys() - self._topology.nodes.keys():
            self._lead.barrier("phase stable")

    def _new_passes(self) -> Passes:
        return self._passes(self._fleet, self._throttle, self.progress, self._lead.tick, self._lead.beat)

    def _sweep(self, passes: Passes, nodes: Sequence[str], wanted: Wanted) -> None:
        """Delete what is wanted; again, where a node did not answer."""
        passes.sweep(nodes, wanted)
        for _ in range(MAX_SWEEPS):
            if not passes.away:
                break
            self._lead.wait(RETRY_SECONDS, f"{', '.join(sorted(passes.away))} did not answer yet")
            passes.sweep(sorted(passes.away), wanted)

    def _copy(self, passes: Passes, sources: Sequence[str]) -> None:
        moved = passes.copy(sources)
        failing_since = self._clock()
        # What another client fills or writes is not waited for: flip looks at it again.
        while moved.failed > moved.busy or self._unheard(passes):
            waited, unheard = self._clock() - failing_since, self._unheard(passes)
            if waited > OUTAGE_SECONDS or (waited > UNMOVABLE_SECONDS and not (unheard or self._joining_away())):
                break
            stuck = f"{moved.failed - moved.busy} keys can't be moved"
            self._lead.wait(RETRY_SECONDS, f"{', '.join(unheard)} can't be asked yet" if unheard else f"{stuck} yet")
            moved = passes.copy(sources)
        if self._lead.heeding and (unheard := self._unheard(passes)):
            self.progress.notes.append(
                f"{', '.join(unheard)} could not be asked for {OUTAGE_SECONDS:g} s which keys it holds; going back, so"
                " that none is lost. Run it again once the node answers"
            )
            raise CancelAsked
        if moved.failed > moved.busy and (away := ", ".join(self._joining_away())):
            raise NodeFailure(
                f"{away} joins and does not answer; `rebalance resume` finishes it, `rebalance cancel` goes back",
                epoch=self._topology.epoch,
            )
        if passes.refused:
            names = ", ".join(sorted(passes.refused))
            self._lead.wait(self._lazy_seconds, f"{names} list no keys: waiting for readers")

    def _unheard(self, passes: Passes) -> list[str]:
        """Sources that did not answer in the last pass, if some keys may have no other copy."""
        away = sorted(passes.away)
        return away if len(away) >= self._topology.layout.replicas else []

    def _finish_copying(self, passes: Passes, sources: Sequence[str]) -> None:
        """Passes until one finds nothing to move, or nothing that can be moved."""
        failing_since: float | None = None
        busy = 0
        for _ in range(MAX_COPY_PASSES):
            # A client that held a lease before the wait and still does is dead: an operation does not last that long.
            moved = passes.copy(sources, retire=True, share=busy > 0)
            busy, left = moved.busy, moved.failed or self._unheard(passes)
            if not left and not moved.filled:
                break
            if busy or moved.filled:
                failing_since = None
            elif failing_since is None:
                failing_since = self._clock()  # Not when the pass began: with --max-rate one may take minutes.
            elif self._clock() - failing_since > UNMOVABLE_SECONDS:
                break
            if left:
                seconds = max(RETRY_SECONDS, self._fleet.options.operation)
                self._lead.wait(seconds, f"{moved.failed} keys could not be moved yet")

    def _joining_away(self) -> list[str]:
        old, pool = {node.name for node in self._topology.layout.nodes}, self._fleet.transport.pool
        joining = [name for name in self._topology.nodes if name not in old]
        return [name for name in joining if (found := pool(name)) and found.breaker.state != "up"]

    def _go_back(self) -> None:
        """Before flip the new ring is dropped, phase by phase; after it the same resize is made the other way."""
        self._lead.heeding = False
        self.progress.state, self.progress.failed = "cancelling", 0  # What did not move is where it was.
        topology = self._topology
        before = self.before or topology.layout
        # What leads to the layout before is the way back already: an earlier turn has begun it.
        if topology.phase not in (Phase.PREPARE, Phase.COPY) or topology.target == before:
            self._lead_to(before)
            return
        if topology.phase is Phase.COPY:
            self._lead.barrier("phase copy")
            # Back through prepare: a process still reading joining nodes must not meet one that no longer purges them.
            self._lead.publish(topology.step(Phase.PREPARE, self._lead.fence))
            topology = self._topology
        self._lead.barrier("phase prepare")
        names = [node.name for node in topology.layouts[-1].nodes if not node.out]
        self._sweep(self._new_passes(), names, joins)
        self._end(topology)
