"""Making of a fleet what a source says it should be, step by step (discovery/rules.py decides which)."""

from collections.abc import Callable, Collection
from datetime import datetime, time

from django_dcache.errors import InvalidTopology
from django_dcache.model.topology import Layout, Node
from django_dcache.runtime.fleet import Fleet

from ..discovery import rules
from ..discovery.watch import SourceWatch
from ..discovery.window import Window
from .plan import Plan


class Reconciler:
    """Reads a source at each `look`, and says which layout the fleet should get next, if another than it has."""

    def __init__(
        self,
        watch: SourceWatch,
        terms: rules.Rules = rules.Rules(),
        window: Window | None = None,
        now: Callable[[], time] = lambda: datetime.now().time(),
    ):
        self._watch, self._rules, self._window, self._now = watch, terms, window, now

    def look(
        self, fleet: Fleet, ejected: Collection[str], answers: Callable[[Fleet, Node], bool]
    ) -> tuple[Layout | None, list[str]]:
        """The next layout, with the changes to it as sentences; or None, with what it waits for.

        `ejected`: nodes that are out of service, and not because an operator wished so.
        """
        said, running = self._watch.look(), fleet.view.state.topology.layout
        if not self._watch.good:
            return None, said
        try:
            goal = rules.wanted(running, self._watch.good, ejected)
            silent = {node.name for node in rules.strangers(running, goal) if not answers(fleet, node)}
            layout, waits = rules.decide(running, goal, self._rules, silent, self._only_repairs())
        except InvalidTopology as error:
            return None, [*said, f"the source names no layout that this fleet can have: {error}"]
        if layout is None:
            return None, said + waits
        return layout, Plan(fleet.view.epoch, running, layout).changes

    def _only_repairs(self) -> str:
        if not self._watch.heard:
            return "waits for the source: its last good answer is of an earlier run"
        if self._window and not self._window.holds(self._now()):
            return f"waits for the window {self._window}"
        return ""
