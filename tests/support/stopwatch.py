"""Seconds, without those for which this machine kept the test waiting: so a bound says the same on a busy machine."""

import threading
import time
from pathlib import Path

LOOK = 0.005
"""Seconds between two looks at the clock by a thread that does nothing else."""
TOLERATED = 0.015
"""A look that is later than this found the process stopped: on a machine with nothing else to do none is."""


class Stopwatch:
    """Measures a `with` block. `seconds`: by the clock; `own`: without those in which this process was kept waiting:
    what its threads waited for a core, by the kernel's books (Linux), and what a thread that only sleeps overslept."""

    def __enter__(self) -> "Stopwatch":
        self._over, self._overslept, self._waited, self.seconds = threading.Event(), 0.0, 0.0, 0.0
        self.longest = 0.0
        """Seconds of the longest time for which all of this process stood still."""
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        self._waits = _waits()
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began
        waits = _waits()
        self._waited = sum(waits[thread] - self._waits.get(thread, 0.0) for thread in waits)
        self._over.set()
        self._watcher.join()

    @property
    def own(self) -> float:
        return self.seconds - self._overslept - self._waited

    def __repr__(self) -> str:
        return f"{self.seconds:.3f} s, {self._overslept:.3f} s of them overslept, {self._waited:.3f} s without a core"

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._over.wait(LOOK):
            now = time.monotonic()
            if now - before > TOLERATED:
                self._overslept += now - before - LOOK
                self.longest = max(self.longest, now - before - LOOK)
            before = now


def _waits() -> dict[str, float]:
    """For how many seconds each thread of this process has waited for a core, by its number."""
    waits = {}
    for folder in Path("/proc/self/task").glob("*"):
        try:
            waits[folder.name] = int((folder / "schedstat").read_text().split()[1]) / 1e9
        except OSError:
            continue  # It has ended meanwhile.
    return waits
