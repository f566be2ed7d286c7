"""One process's part in taking nodes out and taking them back: when it looks at them, and what it remembers
(flows/healing.py)."""

from ..conf import Options
from ..flows import Flow
from ..flows.healing import Rules, Watch, heal
from ..model.topology import Phase
from ..model.view import View
from ..transport.nodes import Transport

SOON = 0.1
"""Seconds between two looks at the keepers while it is being decided whether a node is taken out."""


class Healer:
    def __init__(self, options: Options, transport: Transport):
        self.rules, self._watch = Rules(options.eject_after, options.max_ejected), Watch()
        self._transport = transport

    def needed(self, view: View) -> bool:
        """Whether a node needs a look: it is silent, accused, shunned, out, joining again, or back with all it held."""
        topology = view.state.topology
        moving = topology.phase is not Phase.STABLE
        ill = self._transport.silent_nodes() or self._transport.returned_nodes()
        # One that another process has cleared, and that answers this one too, is still shunned until a look ends that.
        return bool(moving or topology.layout.out or view.state.accused or view.shunned or ill)

    def look(self, view: View) -> Flow[None]:
        """For a view that has just been proven."""
        watch, transport = self._watch, self._transport
        transport.awaited |= watch.stay_in_use(view, self.rules)
        transport.ask_anew(watch.to_be_asked(view, self.rules))
        yield from heal(view, watch, self.rules, transport.silent_nodes(), transport.returned_nodes())
        while watch.marked:
            if pool := transport.pool(watch.marked.pop()):
                pool.returned = ""

    def next_look(self, view: View, usual: float, now: float) -> float:
        """When to look again (monotonic); as `usual` where nothing is wrong."""
        if view.state.accused:
            return now + SOON
        ill = self._transport.silent_nodes() or self._transport.returned_nodes()
        return min(usual, now + 2 * SOON) if ill else usual
