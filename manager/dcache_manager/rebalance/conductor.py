"""Leading a fleet through the phases of a resize, one conductor at a time.

Everything that matters is in the fleet state: a conductor killed at any moment is continued by the next run, which
finds the phase there, repeats its (repeatable) work and goes on.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from django_dcache.errors import Conflict, DCacheError, InvalidTopology, NodeFailure, NoMajority
from django_dcache.flows import resize as move
from django_dcache.model.topology import Layout, Node, Phase, Topology
from django_dcache.runtime.fleet import Fleet

from ..jobs import owner
from ..jobs.journal import Journal, Nowhere
from ..jobs.progress import Progress
from .key_filter import Wanted, joins, leaves
from .passes import Mover, Passes, pace
from .preflight import Unanswered, greet, silent

BEAT = 2.0
"""Seconds between renewals of the lease."""
REPORT = 1.0
"""Seconds between reports."""
PATIENCE = 30.0
"""Seconds a joining node, or a majority of keepers, may be away before the run gives up (to be resumed)."""
GRACE = 3.0
"""Seconds for which keys that can't be moved hold up all others: a node that dies in a resize costs more the longer it
takes."""
PASSES = 20
SWEEPS = 5
PAUSE = 1.0
"""Seconds between two tries of what did not work yet."""


class Cancelled(DCacheError):
    """The resize was cancelled; the fleet is as it was before."""


class Adjourned(Exception):
    """This conductor's time is over, and another one goes on: nothing has ended, and nothing has failed."""


class Conductor:
    """One run of a resize, or a slice of one. Waits, chance and output are arguments."""

    def __init__(
        self,
        fleet: Fleet,
        journal: Journal | None = None,
        *,
        max_rate: float | None = None,
        lazy_seconds: float = 60.0,
        report: Callable[[Progress], None] = lambda progress: None,
        sleep: Callable[[float], None] = time.sleep,
        progress: Progress | None = None,
        passes: Callable[..., Passes] = Mover,
        rest: Callable[[], None] = lambda: None,
    ):
        """`max_rate`: keys a second. `lazy_seconds`: how long readers have to move what nodes do not list.

        For a run in slices: `progress`, which names the run and says how far it has come; `rest`, called wherever the
        next slice could go on, raises Adjourned when it should.
        """
        self._fleet, self._journal, self._report, self._sleep = fleet, journal or Nowhere(), report, sleep
        self._lazy_seconds, self._clock = lazy_seconds, fleet.clock
        self._pace, self._passes, self._rest = pace(fleet, max_rate, sleep), passes, rest
        self.progress = progress or Progress(secrets.token_hex(4), owner.new(), started=time.time())
        self.owner = self.progress.owner
        self._fence = 0
        self._leased_at = self._beat_at = self._report_at = float("-inf")
        self._heeding = True
        self.before: Layout | None = None
        """The layout before the resize that this run made or continued."""

    def run(self, desired: Layout) -> Progress:
        """Make `desired` the fleet's layout, finishing what is under way first.

        Raises Conflict (another conductor is alive), NoMajority, NodeFailure (a new node is unusable: nothing was
        changed), Cancelled.
        """
        with _Closing(self):
            self._claim("run")
            self._make(desired)
        return self.progress

    def go_on(self, desired: Layout, back: Layout | None = None) -> Progress:
        """As `run`, for the next slice of it; what the operator asked meanwhile still holds.

        `back`: the layout to which the slice before this one was going back.
        """
        with _Closing(self):
            self._claim()
            self.before = back
            self._make(desired)
        return self.progress

    def _make(self, desired: Layout) -> None:
        try:
            if self.before is not None:
                raise _CancelAsked
            self._tick()  # A pause may be over.
            self._lead_to(desired)
            self._tick()  # The last chance to be asked to go back.
        except _CancelAsked:
            self._go_back()
            raise Cancelled(epoch=self._topology.epoch) from None
        self.progress.state = "done"

    def cancel(self) -> Progress:
        """Go back to the layout before the resize that is under way, if there is one."""
        with _Closing(self):
            self._claim("cancel")
            self._go_back()
            self.progress.state = "cancelled"
        return self.progress

    def take_out(self, name: str) -> Progress:
        """Take a node that stays away out of service, at once: its share is served by the remaining replicas.

        Raises Conflict while keys are moving (the resize ends first), InvalidTopology for the last node in service.
        """
        with _Closing(self):
            self._claim("run")
            topology = self._topology
            if topology.phase is not Phase.STABLE:
                raise Conflict("keys are moving; the resize ends first", epoch=topology.epoch)
            self._barrier("the epoch before this one")
            self._publish(topology.served_by(with_out(topology.layout, name, True), self._fence))
            self.progress.state = "done"
        return self.progress

    def bring_back(self, name: str) -> Progress:
        """Let a node that was out join again: everything it holds is forgotten, then it is filled, then it is read."""
        return self.run(with_out(self._topology.layout, name, False))

    # The phases

    @property
    def _topology(self) -> Topology:
        return self._fleet.view.state.topology

    def _lead_to(self, desired: Layout) -> None:
        if self._topology.target not in (None, desired):
            self.progress.notes.append("finishing the resize that was under way first")
        while self._topology.phase is not Phase.STABLE or self._topology.layout != desired:
            self._rest()
            if self._topology.phase is Phase.STABLE:
                self._begin(desired)
            else:
                self._advance()

    def _begin(self, desired: Layout) -> None:
        newcomers = greet(_newcomers(self._topology, desired), self._fleet.transport.limits)
        self._excuse(desired)
        self._barrier("the epoch before this resize")
        # Whatever a new node holds already was never ours to serve: its slots are new from the first moment. A node
        # that was here before may yet execute commands it was sent then, even if it looks empty.
        dirty = [newcomer.name for newcomer in newcomers if newcomer.items or self._topology.layout.node(newcomer.name)]
        self._publish(self._topology.begin(desired, self._fence), dirty)

    def _excuse(self, desired: Layout) -> None:
        """Take nodes that are to leave and do not answer out of service at once.

        While keys move, each write that a source does not answer costs the joining nodes a slot: a dead
        node that took part in a resize would empty all others. Raises Unanswered for one that is to stay.
        """
        topology = self._topology
        dead = silent((node for node in topology.layout.nodes if not node.out), self._fleet.transport.limits)
        for name in dead:
            staying = desired.node(name)
            if staying and not staying.out:
                raise Unanswered(node=name, epoch=topology.epoch)
        if dead:
            self.progress.notes += [f"{name} does not answer: what only it holds is lost" for name in dead]
            layout = topology.layout
            for name in dead:
                layout = with_out(layout, name, True)
            self._barrier("the epoch before this one")
            self._publish(topology.served_by(layout, self._fence))

    def _advance(self) -> None:
        phase, topology = self._topology.phase, self._topology
        if self._heeding or self.before is None:
            self.before = topology.layout
        self._barrier(f"phase {phase}")
        mover = self._mover()
        old = [node.name for node in topology.layout.nodes if not node.out]
        new = [node.name for node in topology.layouts[-1].nodes if not node.out]
        if phase is Phase.PREPARE:
            self._sweep(mover, [name for name in new if name in old], joins)
            # A node of which nobody knows what lies on it must not be read where it joins.
            suspects = sorted(mover.refused | mover.away)
            self.progress.notes += [f"{name} forgets all its keys: it can't tell which are old" for name in suspects]
            self._publish(topology.step(Phase.COPY, self._fence), suspects)
        elif phase is Phase.COPY:
            self._copy(mover, old)
            self._publish(topology.step(Phase.FLIP, self._fence))
        elif phase is Phase.FLIP:
            self._finish_copying(mover, old)
            self._publish(topology.step(Phase.SETTLE, self._fence))
        else:
            mover.sweep(old, leaves)
            # What stays behind is never read again: the next resize looks for it before it could be.
            mover.sweep(sorted(mover.away), leaves)
            self._publish(topology.step(Phase.STABLE, self._fence))

    def _mover(self) -> Passes:
        return self._passes(self._fleet, self._pace, self.progress, self._tick, self._beat)

    def _sweep(self, mover: Passes, nodes: Sequence[str], wanted: Wanted) -> None:
        """Delete what is wanted; again, where a node did not answer."""
        mover.sweep(nodes, wanted)
        for _ in range(SWEEPS):
            if not mover.away:
                break
            self._wait(PAUSE, f"{', '.join(sorted(mover.away))} did not answer yet")
            mover.sweep(sorted(mover.away), wanted)

    def _copy(self, mover: Passes, sources: Sequence[str]) -> None:
        moved = mover.copy(sources)
        failing_since = self._clock()
        # What somebody else fills or writes is not waited for: flip looks at it again.
        while moved.failed > moved.busy:
            waited = self._clock() - failing_since
            if waited > PATIENCE or (waited > GRACE and not self._joining_away()):
                break
            self._wait(PAUSE, f"{moved.failed - moved.busy} keys could not be moved yet")
            moved = mover.copy(sources)
        if moved.failed > moved.busy and self._joining_away():
            names = ", ".join(self._joining_away())
            raise NodeFailure(
                f"{names} joins the fleet and does not answer; `rebalance run` resumes, `rebalance cancel` goes back",
                epoch=self._topology.epoch,
            )
        if mover.refused:
            self._wait(self._lazy_seconds, f"{', '.join(sorted(mover.refused))} list no keys: waiting for readers")

    def _finish_copying(self, mover: Passes, sources: Sequence[str]) -> None:
        """Passes until one finds nothing to move, or nothing that can be moved."""
        failing_since, busy = self._clock(), 0
        for _ in range(PASSES):
            # Whoever held a lease before the pause and still does is dead: an operation does not last that long.
            moved = mover.copy(sources, retire=True, share=busy > 0)
            busy = moved.busy
            if moved.filled or busy:
                failing_since = self._clock()
            elif moved.complete or self._clock() - failing_since > GRACE:
                break
            if not moved.complete:
                self._wait(max(PAUSE, self._fleet.options.operation), f"{moved.failed} keys could not be moved yet")

    def _joining_away(self) -> list[str]:
        old = {node.name for node in self._topology.layout.nodes}
        return [
            name
            for name in self._topology.nodes
            if name not in old and (pool := self._fleet.transport.pool(name)) and pool.breaker.state != "up"
        ]

    def _go_back(self) -> None:
        """Before flip the new ring is dropped, phase by phase; after it the same resize is made the other way."""
        self._heeding = False
        self.progress.state = "cancelling"
        topology = self._topology
        before = self.before or topology.layout
        # What leads to the layout before is the way back already: an earlier slice has begun it.
        if topology.phase not in (Phase.PREPARE, Phase.COPY) or topology.target == before:
            self._lead_to(before)
            return
        if topology.phase is Phase.COPY:
            self._barrier("phase copy")
            # Back through prepare: a process still reading joining nodes must not meet one that no longer purges them.
            self._publish(topology.step(Phase.PREPARE, self._fence))
        if self._topology.phase is Phase.PREPARE:
            self._barrier("phase prepare")
            names = [node.name for node in self._topology.layouts[-1].nodes if not node.out]
            self._sweep(self._mover(), names, joins)
            self._publish(self._topology.step(Phase.STABLE, self._fence))

    # Keeping the lease, publishing, waiting

    def _claim(self, wish: str = "") -> None:
        """The lease, once a dead conductor's has run out; and a fence that shuts out whoever held it.

        `wish`: what a run that begins here takes back whatever was asked of the one before with.
        """
        patience, state = self._clock() + move.LEASE_TTL + 2, self.progress.state
        self._fleet.proven_view()
        while (other := self._fleet.run(move.hold_lease, self.owner.encode())) is not None:
            text = other.decode("ascii", "replace")
            if self._clock() > patience or owner.alive_here(text):
                raise Conflict(f"{text} is leading this fleet", epoch=self._topology.epoch)
            self.progress.state = "waiting"
            self.progress.doing = f"waiting for the lease of {text} to run out"
            self._report(self.progress)
            self._sleep(0.5)
        self.progress.state = state
        self._leased_at = self._clock()
        self._beat_at = self._clock() + BEAT
        self._fence = self._fleet.run(move.new_fence)
        if wish:
            self._fleet.run(move.ask, wish)
            self._journal.record("began", self.progress, wish=wish)

    def _publish(self, topology: Topology, bump: Iterable[str] = ()) -> None:
        give_up = self._clock() + PATIENCE
        while True:
            self._tick()
            try:
                self._fleet.run(move.publish, topology, self._fence, tuple(bump))
                break
            except NoMajority:
                if self._clock() > give_up:
                    raise
                self._sleep(0.5)
        self.progress.phase, self.progress.epoch = str(topology.phase), topology.epoch
        self._journal.record("published", self.progress)

    def _barrier(self, what: str) -> None:
        """Until nobody can be in the epoch before the present one any more."""
        self._wait(self._fleet.view.hold, f"until every process is in {what}")

    def _wait(self, seconds: float, why: str) -> None:
        until = self._clock() + seconds
        self.progress.doing = why
        while (left := until - self._clock()) > 0:
            self._tick()
            self._sleep(min(left, 0.25))

    def _beat(self) -> None:
        """All the time: renew the lease, and report."""
        now = self._clock()
        if now >= self._beat_at:
            other = self._fleet.run(move.hold_lease, self.owner.encode())
            if other is None:
                self._leased_at = now
            elif now - self._leased_at > PATIENCE:
                raise NoMajority("the conductor's lease could not be renewed", epoch=self._topology.epoch)
            elif b"/" in other:
                raise Conflict(f"{other.decode('ascii', 'replace')} took over", epoch=self._topology.epoch)
            self._beat_at = now + BEAT
        if now >= self._report_at:
            self._report_at = now + REPORT
            self._tell()

    def _tick(self) -> None:
        """Between any two things: beat, and heed what the operator asked."""
        self._beat()
        wish = self._fleet.view.state.control.wish
        # From flip on, back is the same way as forward: first finish, then return.
        if wish == "cancel" and self._heeding and self._topology.phase not in (Phase.FLIP, Phase.SETTLE):
            raise _CancelAsked
        if wish == "pause":
            self._pause()
        elif self.progress.state == "paused":
            self.progress.state = "running"

    def _pause(self) -> None:
        self.progress.state = "paused"
        while self._fleet.view.state.control.wish == "pause":
            self._beat()
            self._rest()
            self._sleep(0.25)
            self._fleet.proven_view()
        self.progress.state = "running" if self._heeding else "cancelling"

    def _tell(self) -> None:
        self._fleet.proven_view()
        self.progress.updated = time.time()
        self.progress.phase, self.progress.epoch = str(self._topology.phase), self._topology.epoch
        self._fleet.run(move.leave_report, self.progress.encode())
        self._report(self.progress)

    def close(self, error: BaseException | None) -> None:
        """Say how it ended, and let the next one begin at once. Adjourned, it keeps the lease for the next slice."""
        if isinstance(error, Adjourned):
            self._tell()
            return
        if isinstance(error, Cancelled):
            self.progress.state = "cancelled"
        elif error is not None:
            self.progress.state = "failed"
            self.progress.doing = f"{type(error).__name__}: {error}"
        self._journal.record(self.progress.state, self.progress)
        if self._fence:
            self._fence = 0
            self._tell()
            self._fleet.run(move.drop_lease, self.owner.encode())


class _CancelAsked(Exception):
    """The operator asked to go back, and that is still the short way."""


class _Closing:
    """`with _Closing(conductor)`: closes it, with the error that ended it."""

    def __init__(self, conductor: Conductor):
        self._conductor = conductor

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._conductor.close(error)


def _newcomers(topology: Topology, desired: Layout) -> list[Node]:
    known = {node.name for node in topology.layout.nodes if not node.out}
    return [node for node in desired.nodes if node.name not in known and not node.out]


def with_out(layout: Layout, name: str, out: bool) -> Layout:
    """`layout` with one node in or out of service. Raises InvalidTopology."""
    if layout.node(name) is None:
        raise InvalidTopology(f"there is no node {name!r}; there are {', '.join(node.name for node in layout.nodes)}")
    nodes = tuple(replace(node, out=out) if node.name == name else node for node in layout.nodes)
    if all(node.out for node in nodes):
        raise InvalidTopology(f"{name!r} is the last node in service")
    return replace(layout, nodes=nodes)


def control(fleet: Fleet, wish: str) -> None:
    """Ask whoever leads `fleet` to "run", "pause" or "cancel". Raises NoMajority."""
    fleet.proven_view()
    fleet.run(move.ask, wish)


def progress(fleet: Fleet) -> Progress | None:
    """The last report of the present or last resize, if there was one within the hour."""
    reports = [Progress.decode(data) for data in fleet.run(move.read_reports)]
    return max((report for report in reports if report), key=lambda report: report.updated, default=None)
