"""What the processes of a load found."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from support.load.bumps import Bumps


@dataclass
class Findings:
    """What the processes of a load found."""

    events: Counter[str] = field(default_factory=Counter)
    reads: Counter[int] = field(default_factory=Counter)
    """Gets of keys that must be there, by bucket of time; `lost` of them found nothing."""
    lost: Counter[int] = field(default_factory=Counter)
    worst_lag: float = 0.0
    counter_lag: float = 0.0
    """Seconds for which a counter that was behind went on being it, at worst."""
    wrong: list[str] = field(default_factory=list)
    """Examples: exceptions, stale reads, values that nobody wrote."""
    numbers: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """What each counter handed out."""
    bumps: Bumps = field(default_factory=Bumps)

    def note(self, event: str, detail: str) -> None:
        self.events[event] += 1
        if self.events[event] <= 5:
            self.wrong.append(f"{event}: {detail}")

    def merge(self, other: "Findings") -> None:
        self.events += other.events
        self.reads += other.reads
        self.lost += other.lost
        self.worst_lag = max(self.worst_lag, other.worst_lag)
        self.counter_lag = max(self.counter_lag, other.counter_lag)
        self.wrong += other.wrong
        self.bumps.merge(other.bumps)
        for counter, numbers in other.numbers.items():
            self.numbers[counter] += numbers

    @property
    def worst_miss_ratio(self) -> float:
        """The largest part of the reads of any bucket that found nothing where something had to be."""
        full = [bucket for bucket, reads in self.reads.items() if reads >= 100]
        return max((self.lost[bucket] / self.reads[bucket] for bucket in full), default=0.0)

    @property
    def repeated_numbers(self) -> int:
        return sum(len(numbers) - len(set(numbers)) for numbers in self.numbers.values())
