"""What one process says in its log about its fleet: what changes, once; what repeats, at most once a minute.

docs/reference/logging.md lists the actions. No line holds a key: keys may name visitors.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ..conf import Configuration
from ..errors import NodeFailure, UnknownFormat, UnreadableValue
from ..model.topology import Node
from ..transport.observer import Observer

log = logging.getLogger("django_dcache")
QUIET_SECONDS = 60.0
"""Between two lines about what repeats."""


class Reports(Observer):
    """Safe under threads; `after_fork` in a child."""

    def __init__(
        self,
        configuration: Configuration,
        counters: Counter[str],
        clock: Callable[[], float],
        node_fails: Callable[[], object] = bool,
    ):
        self._options, self._fleet = configuration.options, configuration.fleet
        self._replicas = configuration.layout.replicas
        self._counters, self._clock, self._node_fails = counters, clock, node_fails
        self._failed_before: dict[str, int] = {}
        """How many operations had failed when a node went down."""
        self._unproven_since: float | None = None
        self._quiet: dict[str, tuple[float, int]] = {}
        """By action: until when it is only counted, and how often it has happened since its last line."""
        self.after_fork()

    def after_fork(self) -> None:
        self._lock = threading.Lock()  # protects _quiet

    def _due(self, action: str) -> int:
        """0 while the action is only counted; else how often it happened since its last line."""
        with self._lock:
            now = self._clock()
            until, count = self._quiet.get(action, (now, 0))
            due = now >= until
            self._quiet[action] = (now + QUIET_SECONDS, 0) if due else (until, count + 1)
            return count + 1 if due else 0

    # Nodes

    def node_fails(self) -> None:
        self._node_fails()

    def node_down(self, node: Node, failure: NodeFailure) -> None:
        self._counters["nodes_lost"] += 1
        self._failed_before[node.name] = self._counters["failures"]
        extra = {"action": "node_down", "fleet": self._fleet, "node": node.name, "cause": failure.cause}
        words = "Node %s (%s) of fleet %r is down: %s. %s"
        log.warning(words, node.name, node.address, self._fleet, failure.cause, self._cost(), extra=extra)

    def _cost(self) -> str:
        if self._replicas > 1:
            return "Other copies of its keys are used."
        if self._options.eject_after:
            return f"Its keys are misses until it is taken out, in about {self._options.eject_after + 1:.0f} s."
        return "Its keys are misses until it is back, or taken out by `dcache-admin node down`."

    def node_up(self, node: Node, seconds: float) -> None:
        failed = self._counters["failures"]
        failed -= self._failed_before.pop(node.name, failed)
        extra = {"action": "node_up", "fleet": self._fleet, "node": node.name, "seconds": seconds, "failed": failed}
        words = "Node %s (%s) of fleet %r is up again after %.1f s, in which %d operations of this process failed."
        log.warning(words, node.name, node.address, self._fleet, seconds, failed, extra=extra)

    def node_unresolved(self, node: Node, failure: NodeFailure) -> None:
        if count := self._due("node_unresolved"):
            extra = {"action": "node_unresolved", "fleet": self._fleet, "node": node.name, "count": count}
            words = "The name of node %s (%s) of fleet %r has no address: %s (%s)"
            log.warning(words, node.name, node.address, self._fleet, failure.detail, _times(count), extra=extra)

    # Values

    def value_too_large(self, value: object) -> None:
        self._counters["too_large"] += 1
        if count := self._due("value_too_large"):
            kind, most = type(value).__name__, self._options.max_value
            extra = {"action": "value_too_large", "fleet": self._fleet, "type": kind, "count": count}
            log.warning(
                "A value (%s) is larger than %d bytes, and not stored (%s)", kind, most, _times(count), extra=extra
            )

    def values_refused(self, sizes: Sequence[int]) -> None:
        """Nodes took none of these values; `sizes` in bytes."""
        self._counters["refused"] += len(sizes)
        if count := self._due("value_refused"):
            extra = {"action": "value_refused", "fleet": self._fleet, "bytes": max(sizes), "count": count}
            log.warning(
                "A node refused a value of %d bytes, so it is not stored (%s)", max(sizes), _times(count), extra=extra
            )

    def value_unreadable(self, error: UnreadableValue) -> None:
        self._counters["unreadable"] += 1
        if count := self._due("value_unreadable"):
            extra = {"action": "value_unreadable", "fleet": self._fleet, "count": count}
            log.warning(
                "A stored value can't be read, and is a miss: %s (%s)", error.detail, _times(count), extra=extra
            )

    # The fleet's state

    def unproven(self, epoch: int, silent: Mapping[str, str]) -> None:
        """Too few keepers answered. `silent`: by keeper, what this process knows of it."""
        if self._unproven_since is None:
            self._unproven_since = self._clock()
        if count := self._due("state_unproven"):
            named = (
                ", ".join(f"{name}: {cause}" for name, cause in sorted(silent.items()))
                or "each was late, or counts as silent"
            )
            known = sorted(silent)
            extra = {"action": "state_unproven", "fleet": self._fleet, "epoch": epoch, "keepers": known, "count": count}
            words = "Too few keepers of fleet %r answered to prove its state (%s); on_unproven=%r, epoch %d (%s)"
            log.warning(words, self._fleet, named, self._options.on_unproven, epoch, _times(count), extra=extra)

    def state_refused(self, keeper: str, error: UnknownFormat) -> None:
        """What a keeper holds is not used."""
        self._counters["refused_states"] += 1
        if count := self._due(f"state_refused by {keeper}"):
            extra = {"action": "state_refused", "fleet": self._fleet, "node": keeper, "count": count}
            log.error("Keeper %s counts as silent: %s (%s)", keeper, error, _times(count), extra=extra)

    @property
    def unproven_seconds(self) -> float:
        """For how long too few keepers have answered; 0 while a majority does, as far as this process has asked."""
        since = self._unproven_since
        return 0.0 if since is None else max(0.0, self._clock() - since)

    def proven(self) -> None:
        since, self._unproven_since = self._unproven_since, None
        if since is not None:
            seconds = self._clock() - since
            self._quiet.pop("state_unproven", None)
            extra = {"action": "state_proven", "fleet": self._fleet, "seconds": seconds}
            log.warning("The state of fleet %r is proven again after %.1f s.", self._fleet, seconds, extra=extra)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
