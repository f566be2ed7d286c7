"""Which map of the fleet a state is. One that the keepers lost is planted anew, and what is left of it must not return
(docs/adr/0044)."""

from collections.abc import Mapping

from .generations import NONE, WHOLE_NODE, Generations

MAP = "~"
"""What the names begin with under which this is kept among the generations."""
PLANTED_SLOT = (f"{MAP}planted", WHOLE_NODE)
"""When the map was planted, in tens of seconds since 2025: by it maps are told apart, and which is the later one."""
GIVEN_UP_SLOT = (f"{MAP}given up", WHOLE_NODE)
"""When the last map was planted that was lost, and that a process remembered, which gave up what both maps hold."""


def planted(generations: Mapping[str, Generations]) -> int:
    """When the map was planted that these are of; 0: a release that did not say so planted it."""
    return generations.get(PLANTED_SLOT[0], NONE).floor
