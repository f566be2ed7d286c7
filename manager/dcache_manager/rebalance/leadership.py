"""Being the one conductor of a fleet: the lease, the fence, the operator's wishes, and reports of how far it is."""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType

from django_dcache.errors import Conflict, NoMajority
from django_dcache.flows import resize
from django_dcache.model.topology import Phase, Topology
from django_dcache.runtime.fleet import Fleet

from ..errors import Adjourned, Cancelled
from ..jobs import owner
from ..jobs.journal import Journal, NoJournal
from ..jobs.progress import Progress

RENEWAL_SECONDS = 2.0
"""Between renewals of the lease."""
REPORT_SECONDS = 1.0
"""Between reports."""
OUTAGE_SECONDS = 30.0
"""For which a joining node, or a majority of keepers, may be away before a run gives up (to be resumed)."""
RETRY_SECONDS = 0.5
"""Between two tries to claim or to publish."""
POLL_SECONDS = 0.25
"""Between two looks at the operator's wishes, while there is nothing else to do."""


class CancelAsked(Exception):
    """The operator asked to go back, and that is still the short way."""


class Leadership:
    """Of one run, or one turn of it. At the end of its block the journal says how it ended, and the lease is free."""

    def __init__(
        self,
        fleet: Fleet,
        journal: Journal | None = None,
        *,
        report: Callable[[Progress], None] = lambda progress: None,
        sleep: Callable[[float], None] = time.sleep,
        progress: Progress | None = None,
        rest: Callable[[], None] = lambda: None,
    ):
        self._fleet, self._journal, self._report, self._sleep = fleet, journal or NoJournal(), report, sleep
        self._clock, self.rest = fleet.clock, rest
        self.progress = progress or Progress(secrets.token_hex(4), owner.new(), started=time.time())
        self.heeding = True
        """Whether a wish to cancel still counts: not once the way back has begun."""
        self.fence = 0
        self._leased_at = self._renew_at = self._report_at = float("-inf")

    @property
    def topology(self) -> Topology:
        return self._fleet.view.state.topology

    def claim(self, wish: str = "") -> None:
        """The lease, once a dead conductor's has run out; and a fence that shuts out every earlier conductor.

        `wish`: with which a run that begins here replaces what was asked of the one before. Raises Conflict.
        """
        patience, state = self._clock() + resize.LEASE_TTL + 2, self.progress.state
        self._fleet.proven_view()
        while (other := self._fleet.run(resize.hold_lease, self._owner)) is not None:
            text = other.decode("ascii", "replace")
            if self._clock() > patience or owner.alive_here(text):
                raise Conflict(f"{text} is leading this fleet", epoch=self.topology.epoch)
            self.progress.state = "waiting"
            self.progress.doing = f"waiting for the lease of {text} to run out"
            self._report(self.progress)
            self._sleep(RETRY_SECONDS)
        self.progress.state = state
        self._leased_at = self._clock()
        self._renew_at = self._clock() + RENEWAL_SECONDS
        self.fence = self._fleet.run(resize.new_fence)
        if wish:
            self._fleet.run(resize.ask, wish)
            self._journal.record("began", self.progress, wish=wish)

    def publish(self, topology: Topology, bump: Iterable[str] = ()) -> None:
        """Make `topology` the fleet's, with the slots of the nodes in `bump` emptied. Raises NoMajority."""
        give_up = self._clock() + OUTAGE_SECONDS
        while True:
            self.tick()
            try:
                self._fleet.run(resize.publish, topology, self.fence, tuple(bump))
                break
            except NoMajority:
                if self._clock() > give_up:
                    raise
                self._sleep(RETRY_SECONDS)
        self.progress.phase, self.progress.epoch = str(topology.phase), topology.epoch
        self._journal.record("published", self.progress)

    @contextmanager
    def giving_way(self) -> Iterator[None]:
        """Processes that take a node out, or back, have no fence and may be first: then the block ends, to be repeated
        from what they left. Raises Conflict if another conductor was."""
        epoch = self.topology.epoch
        try:
            yield
        except Conflict:
            if self.topology.epoch == epoch or self._fleet.view.state.fence > self.fence:
                raise

    def barrier(self, what: str) -> None:
        """Wait until no process can be in the epoch before the present one."""
        self.wait(self._fleet.view.hold, f"until every process is in {what}")

    def wait(self, seconds: float, why: str) -> None:
        until = self._clock() + seconds
        self.progress.doing = why
        while (left := until - self._clock()) > 0:
            self.tick()
            self._sleep(min(left, POLL_SECONDS))

    def beat(self) -> None:
        """To be called all the time: renews the lease, and reports. Raises Conflict, NoMajority."""
        now = self._clock()
        if now >= self._renew_at:
            other = self._fleet.run(resize.hold_lease, self._owner)
            if other is None:
                self._leased_at = now
            elif now - self._leased_at > OUTAGE_SECONDS:
                raise NoMajority("the conductor's lease could not be renewed", epoch=self.topology.epoch)
            elif b"/" in other:
                raise Conflict(f"{other.decode('ascii', 'replace')} took over the lead", epoch=self.topology.epoch)
            self._renew_at = now + RENEWAL_SECONDS
        if now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            self._tell()

    def tick(self) -> None:
        """Between any two things: beat, and heed what the operator asked. Raises CancelAsked."""
        self.beat()
        wish = self._fleet.view.state.control.wish
        # From flip on, back is the same way as forward: first finish, then return.
        if wish == "cancel" and self.heeding and self.topology.phase not in (Phase.FLIP, Phase.SETTLE):
            raise CancelAsked
        if wish == "pause":
            self._pause()
        elif self.progress.state == "paused":
            self.progress.state = "running"

    def _pause(self) -> None:
        self.progress.state = "paused"
        while self._fleet.view.state.control.wish == "pause":
            self.beat()
            self.rest()
            self._sleep(POLL_SECONDS)
            self._fleet.proven_view()
        self.progress.state = "running" if self.heeding else "cancelling"

    def _tell(self) -> None:
        self._fleet.proven_view()
        self.progress.updated = time.time()
        self.progress.phase, self.progress.epoch = str(self.topology.phase), self.topology.epoch
        self._fleet.run(resize.leave_report, self.progress.encode())
        self._report(self.progress)

    def __enter__(self) -> "Leadership":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(error)

    def close(self, error: BaseException | None) -> None:
        """Say how it ended, and let the next one begin at once. Adjourned, it keeps the lease for the next turn."""
        if isinstance(error, Adjourned):
            self._tell()
            return
        if isinstance(error, Cancelled):
            self.progress.state = "cancelled"
        elif isinstance(error, KeyboardInterrupt):
            self.progress.state, self.progress.doing = "interrupted", "`rebalance resume` finishes it"
        elif error is not None:
            self.progress.state = "failed"
            self.progress.doing = f"{type(error).__name__}: {error}"
        self._journal.record(self.progress.state, self.progress)
        if self.fence:
            self.fence = 0
            self._tell()
            self._fleet.run(resize.drop_lease, self._owner)

    @property
    def _owner(self) -> bytes:
        return self.progress.owner.encode()


def ask(fleet: Fleet, wish: str) -> None:
    """Ask the conductor of `fleet` to "run", "pause" or "cancel". Raises NoMajority."""
    fleet.proven_view()
    fleet.run(resize.ask, wish)


def require_epoch(planned: int | None, found: int) -> None:
    """Raises Conflict if a plan was made for another epoch."""
    # The first process that comes plants LOCATION as epoch 1: that changes nothing.
    if planned is not None and found != max(planned, 1):
        raise Conflict(f"the plan was for epoch {planned}; plan again", epoch=found)
