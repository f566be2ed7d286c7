"""How far a resize has come, as the terminal, the journal, and `rebalance status` on other machines see it."""

import builtins
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(slots=True)
class Progress:
    """Counts of one job. Times are Unix seconds."""

    job: str
    owner: str
    state: str = "running"
    """running, paused, waiting, cancelling, done, cancelled, interrupted or failed"""
    phase: str = "stable"
    epoch: int = 0
    what: str = ""
    """What is to be changed, for people."""
    doing: str = ""
    """The present step, for people."""
    listed: int = 0
    """Keys that have to be looked at in this pass, as far as is known."""
    done: int = 0
    """Of those, looked at."""
    moved: int = 0
    bytes: int = 0
    gone: int = 0
    failed: int = 0
    """Keys that the present pass could not move, or the last one left: what was lost, once it is over. Without those
    that another process fills or has just written."""
    swept: int = 0
    """Copies deleted from nodes that do not own them."""
    moving_seconds: float = 0.0
    """By the clock, pauses for --max-rate included."""
    pass_seconds: float = 0.0
    """Of those, in the present pass."""
    started: float = 0.0
    updated: float = 0.0
    notes: list[str] = field(default_factory=list)
    """What the operator should know: nodes that refused to list their keys, …"""

    @property
    def rate(self) -> float:
        """Keys moved a second, while moving."""
        return self.moved / self.moving_seconds if self.moving_seconds else 0.0

    def note(self, text: str) -> None:
        """Add to `notes` what is not there yet."""
        if text not in self.notes:
            self.notes.append(text)

    @property
    def eta(self) -> float | None:
        """Seconds until this pass is done; None while there is nothing to tell it by."""
        if not self.done or not self.pass_seconds:
            return None
        return max(0.0, (self.listed - self.done) * self.pass_seconds / self.done)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"rate": round(self.rate, 1), "eta": self.eta}

    def encode(self) -> builtins.bytes:
        return json.dumps(self.to_json()).encode()

    @classmethod
    def decode(cls, data: builtins.bytes) -> "Progress | None":
        """A report found on a keeper; None if it makes no sense."""
        try:
            return cls.from_json(json.loads(data))
        except (ValueError, RecursionError):
            return None

    @classmethod
    def from_json(cls, document: Any) -> "Progress | None":
        """What `to_json` made; None if it makes no sense."""
        try:
            found = cls(**{name: value for name, value in document.items() if name not in ("rate", "eta")})
        except (TypeError, AttributeError):
            return None
        return found if all(_fits(getattr(found, item.name), item.type) for item in fields(cls)) else None


def _fits(value: Any, kind: Any) -> bool:
    if kind is float:
        return type(value) in (int, float) and abs(value) < 2**53  # a NaN is not below anything
    if kind is int:
        return type(value) is int and 0 <= value < 2**63
    return type(value) is kind if kind is str else type(value) is list and all(type(text) is str for text in value)
