"""The mistakes by name, and the drill that shows each. What each leads to, and how soon: docs/explanation/proof.md."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dcache_drill.plan import WEIGHTS, Plan

HOT = {"zipf": 1.15}
IN_BULK = {"zipf": 0.5, "weights": {"get_many": 60, "delete_many": 8, "set_many": 10}}
"""Many keys at once: more than networks in trouble would let through one by one."""
WATCHED = {"zipf": 0.3, "weights": {"delete_many": 40, "set_many": 40}, "workers": 12, "readers": 2}
"""Most write many keys at once; two read, over no network."""
ROWS = {"weights": dict.fromkeys(WEIGHTS, 0) | {"load": 12, "get": 80, "commit": 2}}
SOON = {"freshness": 0.2, "timeout": 0.1, "calm": 0.3}
"""What is rare comes more often, and what is stale is seen before it is written anew."""


@dataclass(frozen=True)
class Mistake:
    plant: Callable[[], None]
    """Its docstring says which rule is broken; called in each process before it uses the product."""
    faults: tuple[str, ...]
    """Under which it shows."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """What is different from a plan as usual."""


MISTAKES: dict[str, Mistake] = {}


def mistake(*faults: str, **plan: Any) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Registers the decorated function under its name."""

    def register(plant: Callable[[], None]) -> Callable[[], None]:
        MISTAKES[plant.__name__.replace("_", "-")] = Mistake(plant, faults, plan)
        return plant

    return register


def plan(name: str, **others: Any) -> Plan:
    """A drill that shows the mistake."""
    found = MISTAKES[name]
    given = {"faults": found.faults, "calm": 1.0, **found.plan, **others}
    return Plan(**given, plugin=f"{found.plant.__module__}:{found.plant.__name__}")
