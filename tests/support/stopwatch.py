"""Seconds, without those for which this machine kept the test waiting."""

import threading
import time

LOOK = 0.005
"""Seconds between two looks at the clock by a thread that does nothing else."""
TOLERATED = 0.015
"""A look that is later than this found the process stopped: on a machine with nothing else to do none is."""


class Stopwatch:
    """Measures a `with` block. `seconds`: by the clock; `own`: without what a thread that only sleeps overslept."""

    def __enter__(self) -> "Stopwatch":
        self._over, self._overslept, self.seconds = threading.Event(), 0.0, 0.0
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began
        self._over.set()
        self._watcher.join()

    @property
    def own(self) -> float:
        return self.seconds - self._overslept

    def __repr__(self) -> str:
        return f"{self.seconds:.3f} s, {self._overslept:.3f} s of them overslept"

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._over.wait(LOOK):
            now = time.monotonic()
            if now - before > TOLERATED:
                self._overslept += now - before - LOOK
            before = now
