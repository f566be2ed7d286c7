"""What has become of a warmer's items: counts, and the reasons of failures."""

from dataclasses import asdict, dataclass, field
from typing import Any

from .items import Outcome

MAX_FAILURES = 10_000
"""That are kept with their reasons; those beyond are only counted."""
MAX_REASON_CHARACTERS = 300
"""Characters of a reason."""


@dataclass(slots=True)
class ItemCounts:
    """What has become of a warmer's items so far."""

    loaded: int = 0
    present: int = 0
    failed: int = 0
    position: int = 0
    """All items before this one are dealt with."""
    seconds: float = 0.0
    """How long it took."""
    notes: list[str] = field(default_factory=list)
    """What the operator should know."""
    failures: dict[str, str] = field(default_factory=dict)
    """The reasons, by the names of the items."""

    @property
    def rate(self) -> float:
        """Items a second."""
        return (self.loaded + self.present + self.failed) / self.seconds if self.seconds else 0.0

    def count(self, name: str, outcome: Outcome | BaseException) -> None:
        if outcome is Outcome.LOADED:
            self.loaded += 1
        elif outcome is Outcome.PRESENT:
            self.present += 1
        else:
            self.failed += 1
            if self.failed <= MAX_FAILURES:
                self.failures[name] = reason(outcome)

    def to_json(self) -> dict[str, Any]:
        """Everything but the failures."""
        said = asdict(self) | {"seconds": round(self.seconds, 3), "rate": round(self.rate, 1)}
        del said["failures"]
        return said


def reason(error: Any) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_REASON_CHARACTERS]
