"""Carries a schedule of faults out on a testbed."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from random import Random

from .faults import FAULTS
from .schedule import Episode, Phase
from .testbed import Testbed


class FaultInjector:
    """`run()` fills `phases`. `tell` gets each phase when it is over."""

    def __init__(self, testbed: Testbed, tell: Callable[[Phase], None]):
        self._testbed, self._tell = testbed, tell
        self.phases: list[Phase] = []

    def run(self, episodes: Sequence[Episode], until: float) -> None:
        """Until a moment (monotonic); an episode that has begun is brought to its end."""
        self.calm(self._testbed.plan.calm)
        for episode in episodes:
            if time.monotonic() > until:
                break
            self._phase(partial(self._inject, episode))
            self.calm(self._testbed.plan.calm)
        self.calm(3 * self._testbed.plan.calm)

    def calm(self, seconds: float) -> None:
        def wait() -> str:
            time.sleep(seconds)
            return "calm"

        self._phase(wait)

    def _phase(self, action: Callable[[], str]) -> None:
        testbed, began = self._testbed, time.monotonic()
        testbed.excused, testbed.ill = False, set()
        name = action()
        phase = Phase(len(self.phases), name, began, time.monotonic(), testbed.excused, tuple(sorted(testbed.ill)))
        self.phases.append(phase)
        self._tell(phase)

    def _inject(self, episode: Episode) -> str:
        chance, words = Random(episode.seed), []
        with ExitStack() as broken:
            for name in episode.faults:
                word = broken.enter_context(FAULTS[name](self._testbed, chance))
                words.append(f"{name} {word}".strip())
                time.sleep(chance.uniform(0, 0.3))
            time.sleep(episode.seconds)
        return " + ".join(words)
