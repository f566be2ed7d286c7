"""The one door: every operation of a process on its fleet passes `Fleet.run`.

It proves the view, gives the flow its deadline, carries its rounds, remembers what it learned, and decides what
becomes of its connections.
"""

import logging
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from ..commands import Arithmetic
from ..conf import Configuration
from ..flows import Flow, Learn, Load, Owe, Pause, Result, Shun, Wait
from ..flows.consensus import prove
from ..flows.healing import Rules, Watch, heal
from ..flows.lateness import Late, confirmed
from ..flows.stamps import stamped
from ..model.placement import Placement
from ..model.state import FleetState
from ..model.topology import Phase, Topology
from ..model.view import View
from ..transport import forks
from ..transport.batch import Sent
from ..transport.limits import Limits
from ..transport.sync import Session, Transport
from ..values import READ_BYTES, codec_for
from ..values.signature import TAG_BYTES
from .deadline import Deadline, spend
from .plans import Plans
from .reports import Reports

log = logging.getLogger("django_dcache")
SOON = 0.1
"""Seconds between two looks at the keepers while it is being decided whether a node is taken out."""


class Fleet:
    """A fleet as one process sees it. Safe under threads and forks; one per alias (`registry.fleet`)."""

    def __init__(
        self,
        configuration: Configuration,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ):
        self.configuration, self.clock = configuration, clock
        options = self.options = configuration.options
        self.codec = codec_for(options, configuration.fleet, lambda: options.secrets)
        limits = Limits(
            *(options.timeout, options.connect_timeout, options.idle_connections, options.tls, options.address_remap),
            options.max_connections,
            max(options.max_value + TAG_BYTES, READ_BYTES),
        )
        self.counters: Counter[str] = Counter()
        """What happened in this process, for metrics: unproven, failures, …"""
        self.reports = Reports(configuration, self.counters, clock)
        self.transport = Transport(limits, clock, self.reports)
        seed = Topology(0, configuration.layout)
        self.view = View(
            configuration.fleet,
            FleetState(seed),
            Placement(seed, options.zone),
            clock,
            wall_clock,
            options.freshness + options.operation,
            freshness=options.freshness,
            serves=options.on_unproven == "serve",
            owners=configuration.owners,
            documents=configuration.documents(),
            hash_tags=options.hash_tags,
        )
        self.transport.serve(seed.nodes)
        self.rules, self.watch = Rules(options.eject_after, options.max_ejected), Watch()
        self.plans = Plans(self.view, self.transport)
        self.spare_seconds = options.request_budget - options.timeout
        """What a request may have spent before the time of its operations gets shorter."""
        self.renew_at = self.plain_until = float("-inf")
        """When the view is to be proven again, and until when the short cut may go by it (monotonic)."""
        self._learning = threading.Lock()  # protects the exchange of `view`
        self._proving = threading.Lock()  # held by the one caller that asks the keepers
        _fleets.add(self)

    def run(
        self,
        flow: Callable[..., Flow[Result]],
        *arguments: Any,
        began: float | None = None,
        rounds: Sequence[Mapping[str, Sent]] = (),
    ) -> Result:
        """The result of `flow(view, *arguments)`. Raises what the flow raises; node failures are its replies.

        `began` and `rounds` are of an operation whose first rounds were carried already, by the short cut.
        """
        if began is None or (not rounds and self.clock() >= self.renew_at):
            began = self.begin()
        view = self.view
        return self._drive(confirmed(view, stamped(view, flow(view, *arguments))), began, rounds)

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

    @property
    def proven(self) -> bool:
        """Whether the view was proven within `freshness`."""
        return self.clock() - self.view.proven_at < self.options.freshness

    def staleness_bound(self) -> float:
        """Seconds by which what is read now may lag an acknowledged write, at most, as far as this process can prove.

        At most `freshness` and one timeout while a majority of keepers answers; growing while none does (then
        `on_unproven` decides); infinite before the first answer. Without failing nodes or moving keys the lag is none.
        """
        return self.clock() - self.view.proven_at + self.options.timeout

    def proven_view(self) -> View:
        """The view, proven within `freshness` if a majority of keepers can be asked.

        A proof older than half of that is renewed by one caller while the others go on; one too old is waited for.
        """
        if self.proven and self._proving.locked():
            return self.view
        # By `with` alone: an interrupt between an acquire() and its try would leave the lock shut for good.
        with self._proving:
            if self.clock() >= self.renew_at:
                began = self.clock()
                try:
                    proven = self._drive(prove(self.view), began)
                    self.tried_to_prove(proven, began)
                    if proven and self.has_patients:
                        self._drive(self.healing(), self.clock())
                        self.healed()
                except Exception:  # One that was broken off has failed at nothing: the next caller tries again.
                    self.tried_to_prove(False, began)
                    raise
        return self.view

    @property
    def has_patients(self) -> bool:
        """Whether a node needs a look: it is silent, accused, out, or joining again."""
        state = self.view.state
        moving = state.topology.phase is not Phase.STABLE
        return bool(moving or state.topology.layout.out or state.accused or self.transport.silent_nodes())

    def healing(self) -> Flow[None]:
        """The look, for a driver to carry out after a proof."""
        return heal(self.view, self.watch, self.rules, self.transport.silent_nodes())

    def healed(self) -> None:
        """After it: while something is about to be decided the next look comes soon."""
        if self.view.state.accused:
            self._renew(self.clock() + SOON, True)
        elif self.transport.silent_nodes():
            self._renew(min(self.renew_at, self.clock() + 2 * SOON), True)

    def tried_to_prove(self, proven: bool, began: float) -> None:
        """What came of an attempt. Said after it: whoever comes meanwhile has to find its view too old, and to wait."""
        if proven:
            # Only here: a process that bumps all the time has a proof all the time, and must look at its nodes too.
            self._renew(self.view.proven_at + self.options.freshness / 2, True)
            self.reports.proven()
            return
        # A failed attempt must not be repeated by every call either, unless it failed because this process stood still.
        # One that has never proven anything has nothing to go by, and tries again soon.
        pause = max(self.options.freshness / 2, 2 * self.options.timeout)
        self._renew(began + pause if self.view.epoch else self.clock() + self.options.timeout / 5, False)
        self.counters["unproven"] += 1
        if self.counters["unproven"] == 1 or not self.proven:
            keepers = {keeper for group in self.view.state.topology.keepers for keeper in group}
            failures = self.transport.failures()
            self.reports.unproven(self.view.epoch, {k: failures[k].cause for k in keepers & failures.keys()})

    def _drive(
        self,
        flow: Generator[Any, Any, Result],
        began: float,
        rounds: Sequence[Mapping[str, Sent]] = (),
    ) -> Result:
        session, deadline = Session(self.transport), self.deadline(began)
        carried = iter(rounds)
        advance: Callable[[Any], Any] = flow.send
        step: Any = None
        answer: Any = None
        raised: BaseException | None = None
        try:
            while True:
                step = advance(answer)
                advance, answer = flow.send, None
                if isinstance(step, dict):
                    sent = next(carried, None)
                    at = min(batch.at for batch in sent.values()) if sent else None
                    answer = session.carry(step, deadline.of(step, at), sent)
                    if deadline.carried(session.late):
                        answer = Late(answer)
                elif isinstance(step, Learn):
                    self.learn(step)
                elif isinstance(step, Owe):
                    self.owe(step)
                elif isinstance(step, Shun):
                    self.shun(step)
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
                self._broken_off(step)
            raise
        finally:
            spend(self.clock() - began)

    def learn(self, step: Learn) -> None:
        """Take over a state, and the proof that comes with it."""
        with self._learning:
            before = self.view
            view = before.learn(step.state, step.proven_at, step.held)
            if view.state.topology != before.state.topology:
                self.transport.serve(view.state.topology.nodes)
            if view.state.topology.layout.replicas > 1:
                view = view.avoiding(self.transport.slow_nodes())
            self._take(view)
        for keeper, error in step.refused.items():
            self.reports.state_refused(keeper, error)
        if view.state.accused and view.state is not before.state:
            self._renew(float("-inf"), False)  # This process has to refute it, or to stop counting on that node.
        if view.epoch != before.epoch:
            log.info(
                "Fleet %r is at epoch %d (%s).",
                self.configuration.fleet,
                view.epoch,
                view.state.topology.phase,
                extra={"action": "epoch_learned", "fleet": self.configuration.fleet, "epoch": view.epoch},
            )

    def owe(self, step: Owe) -> None:
        with self._learning:
            self._take(self.view.owing(step.wanted))
        self.counters["bumps_owed"] += len(step.wanted)

    def shun(self, step: Shun) -> None:
        with self._learning:
            self._take(self.view.shunning(step.nodes))

    def _broken_off(self, step: Any) -> None:
        for commands in step.values() if isinstance(step, dict) else ():
            for command in commands:
                if type(command) is Arithmetic:
                    route, slot = self.view.place(command.name)
                    self.miscounted(route.first.write, slot)

    def miscounted(self, copies: Sequence[str], slot: int) -> None:
        """A count was broken off: it may be done on one copy and not on another, and when the first is lost the others
        would hand out numbers once more. So they are disowned, by whatever this process does next."""
        if copies[1:]:
            self.owe(Owe({(node, slot): self.view.generation(node, slot) + 1 for node in copies[1:]}))
            self.doubt()

    def _take(self, view: View) -> None:
        """From now on operations run by this view."""
        before, self.view = self.view, view
        if view.places_as(before):
            self.plans.view = view
        else:
            self.plans = Plans(view, self.transport)

    def doubt(self) -> None:
        """Prove the view before the next operation."""
        self._renew(float("-inf"), False)

    def _renew(self, at: float, proven: bool) -> None:
        self.renew_at = at
        self.plain_until = at if proven or self.options.on_unproven == "serve" else float("-inf")

    def close(self) -> None:
        """Close the idle connections. A fleet stays usable: the next operation connects again."""
        for pool in self.transport.pools().values():
            pool.clear()

    def after_fork(self) -> None:
        """In a child: the parent's sockets and locks are not ours; what was learned stays, its proof too."""
        self._learning, self._proving = threading.Lock(), threading.Lock()
        self.transport.forget()
        self.reports.after_fork()


_fleets: "weakref.WeakSet[Fleet]" = weakref.WeakSet()


@forks.in_child
def _after_fork() -> None:
    for fleet in list(_fleets):
        fleet.after_fork()
