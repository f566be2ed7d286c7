"""The road of every flow in threads: `Fleet.run` proves the view, gives the flow its deadline, carries its rounds, and
decides what becomes of its connections. `aio_flow.py` is its twin for event loops.
"""

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

from ..conf import Configuration
from ..flows import Flow, Learn, Load, Owe, Pause, Result, Shun, Wait
from ..flows.count import broken_off
from ..flows.lateness import Late, confirmed
from ..flows.stamps import stamped
from ..model.view import View
from ..transport import forks
from ..transport.batch import Sent
from ..transport.sync import Session
from ..values import codec_for
from .deadline import LEAST, Deadline, spend
from .knowledge import Knowledge
from .near import Near

TAG_VERSIONS_BYTES = 8_000_000
"""Room for the versions of some twenty thousand tags."""


class Carried(NamedTuple):
    """What the short cut has carried of a flow, which continues from there."""

    view: View
    """What it was decided by: the flow would ask others by what the process has learned meanwhile."""
    began: float
    """When the operation did."""
    rounds: Sequence[Mapping[str, Any]]
    """The first rounds of the flow, by node: what was sent, or on event loops what came back."""


class Fleet(Knowledge):
    """A fleet as one process sees it. Safe under threads and forks; one per alias (`registry.fleet`)."""

    def __init__(
        self,
        configuration: Configuration,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ):
        super().__init__(configuration, clock, wall_clock)
        options = configuration.options
        self.codec = codec_for(options, configuration.fleet, lambda: options.secrets, lambda: self.view.coexists)
        spare, least = options.request_budget - options.timeout, options.request_budget / LEAST
        self.spare_seconds = max(spare, least) if spare >= 0 else spare
        """What a request may have spent before the time of its operations gets shorter, and each of them looks at the
        clock. A timeout that is as long as the budget must not make all calls but the first slow."""
        self.near = Near(options.near, options.freshness, clock) if options.near else None
        self.tag_versions = Near(TAG_VERSIONS_BYTES, options.freshness, clock)
        """The versions of tags that this process has read within `freshness`, by made key of the tag."""
        self.claims: dict[str, float] = {}
        """By made key: until when no other caller of this process asks for the right to load a stale value anew."""
        self.heads: set[str] = set()
        """What the made keys of the caches that this process has had on it begin with."""
        self._proving = threading.Lock()  # held by the one caller that asks the keepers
        _fleets.add(self)

    def run(
        self,
        flow: Callable[..., Flow[Result]],
        *arguments: Any,
        carried: Carried | None = None,
    ) -> Result:
        """The result of `flow(view, *arguments)`, of which this much was `carried` already. Raises what the flow
        raises; node failures are its replies."""
        if carried is None:
            began = self.begin()
            carried = Carried(self.view, began, ())
        elif not carried.view.proven:
            self.proven_view()
        view = self.still(carried.view)
        return self._drive(confirmed(view, stamped(view, flow(view, *arguments))), carried.began, carried.rounds)

    def begin(self) -> float:
        """The moment from which an operation has its time: before its view is taken, so that a process that stands
        still in between has no time left to act by what others have stopped counting on."""
        forks.look()
        began = self.clock()
        for _ in range(3):  # Again, if this process stood still while it asked.
            if began < self.renew_at:
                break
            self.proven_view()
            began = self.clock()
        return began

    def deadline(self, began: float) -> Deadline:
        """That of an operation."""
        return Deadline(self.clock, began, self.options.timeout, self.options.request_budget)

    def proven_view(self) -> View:
        """The view, proven within `freshness` if a majority of keepers can be asked.

        A proof older than half of that is renewed by one caller while the others go on; one too old is waited for.
        """
        if self.proven and self._proving.locked():
            return self.view
        # By `with` alone: an interrupt between an acquire() and its try would leave the lock shut for good.
        with self._proving:
            if self.clock() >= self.renew_at and self._drive(self.attempt(), self.clock()):
                self._drive(self.look(), self.clock())
        return self.view

    def _drive(
        self,
        flow: Generator[Any, Any, Result],
        began: float,
        rounds: Sequence[Mapping[str, Sent]] = (),
    ) -> Result:
        session, deadline = Session(self.transport), self.deadline(began)
        carried = deque(rounds)
        advance: Callable[[Any], Any] = flow.send
        step: Any = None
        answer: Any = None
        raised: BaseException | None = None
        try:
            while True:
                step = advance(answer)
                advance, answer = flow.send, None
                if isinstance(step, dict):
                    sent = carried.popleft() if carried else None
                    at = min(batch.at for batch in sent.values()) if sent else None
                    answer = session.carry(step, deadline.of(step, at), sent)
                    # What the short cut has carried is judged as a whole: its next round comes next.
                    if not carried and deadline.carried(session.answered_at):
                        answer = Late(answer)
                elif isinstance(step, Learn | Owe | Shun):
                    self.note(step)
                elif isinstance(step, Pause):
                    time.sleep(step.seconds)
                    deadline.carried()
                elif isinstance(step, Wait):
                    spend(self.clock() - began)
                    began = self.clock()
                    if deadline.left_of_request() > 0:
                        session.release()
                        time.sleep(step.seconds)
                        spend(self.clock() - began)
                        began = self.begin()
                        answer = self.view
                    deadline.restart(began)
                elif isinstance(step, Load):
                    spend(self.clock() - began)
                    try:
                        loaded = step.call()
                    except BaseException as error:
                        advance, answer = flow.throw, error
                        raised = error
                        began = self.clock()
                    else:
                        began = self.begin()
                        answer = loaded, self.view
                    deadline.restart(began)
        except StopIteration as stop:
            session.release()
            result: Result = stop.value
            return result
        except BaseException as error:
            # An interrupt may come at any point (signal handler, greenlet timeout) and leave replies under way. What
            # the application's own loader raised comes after the last of them.
            if error is raised:
                session.release()
            else:
                session.abandon()
                if owed := broken_off(self.view, step):
                    self.note(owed)
                    self.doubt()
            raise
        finally:
            spend(self.clock() - began)

    def close(self) -> None:
        """Close the idle connections. A fleet stays usable: the next operation connects again."""
        for pool in self.transport.pools().values():
            pool.clear()

    def after_fork(self) -> None:
        """In a child: the parent's sockets and locks are not ours; what was learned stays, its proof too."""
        self._learning, self._proving = threading.Lock(), threading.Lock()
        self.transport.forget()
        if self.near:
            self.near.after_fork()
        self.tag_versions.after_fork()
        self.reports.after_fork()


_fleets: "weakref.WeakSet[Fleet]" = weakref.WeakSet()


@forks.in_child
def _after_fork() -> None:
    for fleet in list(_fleets):
        fleet.after_fork()
