"""What is broken when: a schedule drawn from a seed, and carried out."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from random import Random
from typing import NamedTuple

from .arena import Arena
from .faults import FAULTS
from .phase import Phase
from .truth import PHASE


class Episode(NamedTuple):
    """Faults that begin together, and for how many seconds they last at least."""

    faults: tuple[str, ...]
    seconds: float
    seed: int


SHORT, LONG = (0.3, 1.5), (3.0, 10.0)


def schedule(seed: int, names: Sequence[str], seconds: float, calm: float) -> list[Episode]:
    """Episodes for so many seconds: every fault once before any comes again, sometimes two at a time."""
    chance, episodes, left = Random(seed), [], seconds
    bag: list[str] = []
    while left > 0:
        faults = []
        for _ in range(1 if chance.random() < 0.7 else 2):
            bag = bag or chance.sample(list(names), len(names))
            faults += bag.pop().split("+")
        length = chance.uniform(*(SHORT if chance.random() < 0.6 else LONG))
        # Resizes come one at a time.
        resizes = [name for name in faults if name.startswith("rebalance")]
        faults = [name for name in faults if name not in resizes or name == resizes[0]]
        episodes.append(Episode(tuple(dict.fromkeys(faults)), min(length, seconds / 4), chance.randrange(2**32)))
        left -= length + calm
    return episodes


class Nemesis:
    """Carries a schedule out on an arena. `tell` gets each phase when it is over."""

    def __init__(self, arena: Arena, tell: Callable[[Phase], None]):
        self._arena, self._tell = arena, tell
        self.phases: list[Phase] = []

    def run(self, episodes: Sequence[Episode], until: float) -> None:
        """Until a moment (monotonic); an episode that has begun is brought to its end."""
        self.calm(self._arena.terms.calm)
        for episode in episodes:
            if time.monotonic() > until:
                break
            self._phase(partial(self._suffer, episode))
            self.calm(self._arena.terms.calm)
        self.calm(3 * self._arena.terms.calm)

    def calm(self, seconds: float) -> None:
        def wait() -> str:
            time.sleep(seconds)
            return "calm"

        self._phase(wait)

    def _phase(self, action: Callable[[], str]) -> None:
        began = time.monotonic()
        name = action()
        phase = Phase(len(self.phases), name, began, time.monotonic())
        self.phases.append(phase)
        self._arena.truth.cells[PHASE] = phase.number
        self._tell(phase)

    def _suffer(self, episode: Episode) -> str:
        chance, words = Random(episode.seed), []
        with ExitStack() as broken:
            for name in episode.faults:
                word = broken.enter_context(FAULTS[name](self._arena, chance))
                words.append(f"{name} {word}".strip())
                time.sleep(chance.uniform(0, 0.3))
            time.sleep(episode.seconds)
        return " + ".join(words)
