"""Everything that can be broken: a fault is a context in which it is."""

from . import networks, nodes, processes, resizes
from .fault import FAULTS

HARMLESS = tuple(
    name for name in FAULTS if name.replace("-", "_") in vars(networks) or name.replace("-", "_") in vars(processes)
)
"""Those that break only what is the drill's own: its networks and its processes."""

__all__ = ["FAULTS", "HARMLESS", "networks", "nodes", "processes", "resizes"]
