"""A process that stands still in the middle of a write must not acknowledge what it sends by an outdated view, and
may acknowledge what it had sent before, however late it reads of it."""

from itertools import count
from time import monotonic

import pytest
from django_dcache.runtime.plan import TakeFlow

from django_dcache.conf import parse
from django_dcache.flows import Item
from django_dcache.flows.write import write
from django_dcache.model import keys
from django_dcache.runtime import shortcut as one
from django_dcache.runtime import shortcut_many as many
from django_dcache.runtime.fleet import Fleet

NAME = keys.name("key")
WRITES = {
    "set": lambda fleet: one.store(fleet, "key", 0, b"value", 0),
    "delete": lambda fleet: one.remove(fleet, "key")[1],
    "set_many": lambda fleet: many.store_many(fleet, {"key": (0, b"value")}, 0) == (set(), []),
    "the flow": lambda fleet: fleet.run(write, {NAME: Item(0, b"value")})[NAME].successful,
}


class Sleeper:
    """A monotonic clock of a process that is stopped for a minute right before the clock is read for the nth time.
    `held` is what the node held meanwhile."""

    def __init__(self, ask):
        self.left, self.slept, self.held = -1, 0.0, b""
        self._ask = ask

    def __call__(self):
        self.left -= 1
        if self.left == 0:
            self.slept += 60.0
            self.held = self._ask()
        return monotonic() + self.slept


@pytest.mark.parametrize("kind", WRITES)
def test_nothing_sent_too_late_is_acknowledged(fleet, kind):
    """Wherever between two looks at the clock a process stands still: sent before, not done, or its slot disowned."""
    nodes = fleet(1)
    clock = Sleeper(lambda: nodes.nodes[0].ask(b"mg %b v\r\n" % keys.wire_key(NAME, generation)))
    sleeper = Fleet(parse("default", nodes.addresses), clock)
    place = sleeper.proven_view().place(NAME)
    node, slot = place.route.read[0], place.slot
    for reading in count(1):
        sleeper.view = sleeper.view.learn(sleeper.view.state)
        sleeper.run(write, {NAME: Item(0, b"before")})
        sleeper.proven_view()
        generation, proven_at = sleeper.view.generation(node, slot), sleeper.view.proven_at
        clock.left = reading
        try:
            done = WRITES[kind](sleeper)
        except TakeFlow:
            done = False
        if clock.left > 0:
            break
        disowned = sleeper.view.generation(node, slot) > generation
        in_time = b"before" not in clock.held
        assert not done or in_time or disowned or sleeper.view.proven_at > proven_at + 60, reading
    assert reading > 2
    sleeper.close()
