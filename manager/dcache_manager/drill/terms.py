"""What a drill is made of."""

from dataclasses import dataclass
from typing import Any

ALIAS = "drill"
PREFIX = "dcache-drill"


@dataclass(frozen=True)
class Terms:
    """What a drill is made of; with its seed, all that is needed to have it again."""

    seed: int = 1
    seconds: float = 60.0
    replicas: int = 1
    location: tuple[str, ...] = ()
    """Addresses of nodes that are not ours: then only networks and processes are broken. None: nodes of our own."""
    nodes: int = 4
    spares: int = 2
    """Nodes that are running and not in the fleet yet."""
    workers: int = 5
    rate: float = 500.0
    """Operations a second that each worker tries for."""
    freshness: float = 0.5
    timeout: float = 0.2
    on_unproven: str = "serve"
    memory: int = 64
    """MB of each node."""
    faults: tuple[str, ...] = ()
    """Only these; none named: all there are. "one+other" is both at once."""
    calm: float = 2.5
    """Seconds between two faults, and three times as long at the end."""
    slow_loader: float = 1.5
    """Seconds that the slowest of a thousand loaders takes."""
    zipf: float = 0.9
    """How much hotter the hottest keys are."""
    bug: str = ""
    """A tooth to plant (teeth.py)."""

    @property
    def options(self) -> dict[str, Any]:
        times = {"freshness": self.freshness, "timeout": self.timeout, "connect_timeout": self.timeout}
        return {"replicas": self.replicas, "fleet": ALIAS, "on_unproven": self.on_unproven, **times}

    @property
    def hold(self) -> float:
        """Seconds after which nobody can act by an older state: `View.hold`."""
        return self.freshness + 2 * self.timeout
