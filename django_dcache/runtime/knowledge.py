"""What one process knows of its fleet: the view, the plans that follow from it, and when it is to be proven again."""

import logging
import threading
from collections import Counter
from collections.abc import Callable

from ..conf import Configuration
from ..engines import engine_of
from ..flows import Flow, Learn, Owe, Shun
from ..flows.consensus import prove
from ..model.placement import Placement
from ..model.state import FleetState
from ..model.topology import Topology
from ..model.view import View
from ..transport.limits import Limits
from ..transport.nodes import Transport
from ..values import READ_BYTES
from ..values.signature import TAG_BYTES
from .healing import Healer
from .plans import Plans
from .reports import Reports
from .speed import shortcut_of

log = logging.getLogger("django_dcache")


class Knowledge:
    """Begins with what the settings say. `attempt` and `look` are flows, for threads and event loops to carry."""

    def __init__(self, configuration: Configuration, clock: Callable[[], float], wall_clock: Callable[[], float]):
        self.configuration, self.clock = configuration, clock
        options = self.options = configuration.options
        limits = Limits(
            *(options.timeout, options.connect_timeout, options.idle_connections, options.tls, options.address_remap),
            options.max_connections,
            max(options.max_value + TAG_BYTES, READ_BYTES),
            fleet=configuration.fleet,
            logins=configuration.logins,
            common_login=options.login,
        )
        self.counters: Counter[str] = Counter()
        """What happened in this process, for metrics: unproven, failures, …"""
        self.reports = Reports(configuration, self.counters, clock, self._node_fails)
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
            owner=configuration.owner,
            documents=configuration.documents(),
            hash_tags=options.hash_tags,
            coexist=bool(options.coexist),
        )
        self.transport.serve(seed.nodes)
        self.plans = Plans(self.view, self.transport)
        self.hot = shortcut_of(engine_of(configuration.layout.nodes[0]))
        """The bytes of the short cut."""
        self.renew_at = self.plain_until = self.proven_until = float("-inf")
        """When the view is to be proven again; until when the short cut may go by it, and the near cache."""
        self.healer = Healer(options, self.transport)
        self._learning = threading.Lock()  # protects the exchange of `view`

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

    # Asking the keepers

    def attempt(self) -> Flow[bool]:
        """Prove the view. Whether a node needs a look (`look`) after that."""
        began = self.clock()
        try:
            proven = yield from prove(self.view)
        except Exception:  # An attempt that was broken off has failed at nothing: the next caller tries again.
            self.tried_to_prove(False, began)
            raise
        self.tried_to_prove(proven, began)
        return proven and self.healer.needed(self.view)

    def tried_to_prove(self, proven: bool, began: float) -> None:
        """What came of an attempt. Told after it: a caller that comes meanwhile finds its view too old, and waits."""
        if proven:
            # Only here: a process that bumps all the time has a proof all the time, and must look at its nodes too.
            self._renew(self.view.proven_at + self.options.freshness / 2, True)
            self.transport.awaited = frozenset()
            self.plans.recent.clear()
            self.reports.proven()
            return
        # A failed attempt must not be repeated by every call either, unless it failed because this process stood still.
        # One that has never proven anything has nothing to go by, and tries again soon.
        # While the last proof is good, there is time for another attempt before operations fail.
        pause = self.options.timeout if self.proven else max(self.options.freshness / 2, 2 * self.options.timeout)
        self._renew(began + pause if self.view.epoch else self.clock() + self.options.timeout / 5, False)
        self.counters["unproven"] += 1
        keepers = self.transport.awaited = self.view.state.topology.all_keepers
        if self.counters["unproven"] == 1 or not self.proven:
            failures = self.transport.failures()
            self.reports.unproven(self.view.epoch, {k: failures[k].cause for k in keepers & failures.keys()})

    def look(self) -> Flow[None]:
        """See to the nodes that need it; while something is about to be decided the next proof comes soon."""
        yield from self.healer.look(self.view)
        self._renew(self.healer.next_look(self.view, self.renew_at, self.clock()), True)

    def _node_fails(self) -> None:
        """A node that had answered has failed: prove the view, and look at the node, as soon as it may be accused."""
        if self.options.eject_after:
            at = self.clock() + self.healer.rules.accused_after
            self.renew_at, self.plain_until = min(self.renew_at, at), min(self.plain_until, at)
            self.proven_until = min(self.proven_until, at)

    def doubt(self) -> None:
        """Prove the view before the next operation."""
        self._renew(float("-inf"), False)

    def _renew(self, at: float, proven: bool) -> None:
        self.renew_at = at
        self.proven_until = at if proven else float("-inf")
        self.plain_until = at if self.options.on_unproven == "serve" else self.proven_until

    def still(self, view: View) -> View:
        """This view with the last proof there is, as long as it places keys as the present one does."""
        return self.view if self.view.places_as(view) else view

    # Learning

    def note(self, step: Learn | Owe | Shun) -> None:
        """Take over what a flow found out."""
        if isinstance(step, Learn):
            self.learn(step)
            return
        with self._learning:
            if isinstance(step, Owe):
                self.counters["bumps_owed"] += len(step.wanted)
                self._take(self.view.owing(step.wanted))
            else:
                self._take(self.view.shunning(step.nodes))

    def learn(self, step: Learn) -> None:
        """Take over a state, and the proof that comes with it."""
        with self._learning:
            before = self.view
            view = before.learn(step.state, step.proven_at, step.held)
            if view.state.topology != before.state.topology:
                self.transport.serve(view.state.topology.nodes)
                # Else this process, whose next probe of the node is not due, would lose each write there for seconds.
                self.transport.vouched(_out(before) - _out(view))
            if view.state.topology.layout.replicas > 1:
                view = view.avoiding(self.transport.slow_nodes())
            self._take(view)
        for keeper, error in step.refused.items():
            self.reports.state_refused(keeper, error)
        if view.state.accused and view.state is not before.state:
            self.doubt()  # This process has to refute it, or to stop counting on that node.
        if view.epoch != before.epoch:
            log.info(
                "Fleet %r is at epoch %d (%s).",
                self.configuration.fleet,
                view.epoch,
                view.state.topology.phase,
                extra={"action": "epoch_learned", "fleet": self.configuration.fleet, "epoch": view.epoch},
            )

    def _take(self, view: View) -> None:
        """From now on operations run by this view."""
        before, self.view = self.view, view
        if view.places_as(before):
            self.plans.view = view
        else:
            self.plans = Plans(view, self.transport)


def _out(view: View) -> frozenset[str]:
    return view.state.topology.layouts[-1].out
