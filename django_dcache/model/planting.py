"""Which map of the fleet a state is. One that the keepers lost is planted anew, and what is left of it must not return
(docs/adr/0044)."""

from .generations import WHOLE_NODE

MAP = "~"
"""What the names begin with under which this is kept among the generations."""
PLANTED_SLOT = (f"{MAP}planted", WHOLE_NODE)
"""When the map was planted, in tens of seconds since 2025: by it maps are told apart, and which is the later one. 0: a
release planted it that did not say so."""
GIVEN_UP_SLOT = (f"{MAP}given up", WHOLE_NODE)
"""When the last map was planted that was lost, and that a process remembered, which gave up what both maps hold."""
