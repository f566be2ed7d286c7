"""For how long a process was kept waiting for a core: what a busy machine takes from it is no fault of its own."""

import os
from pathlib import Path


def waited_for_core(process: int) -> float:
    """Seconds for which the one of its present threads that waited longest could have run and did not, by the kernel's
    books; 0 where it keeps none."""
    longest = 0.0
    for folder in Path(f"/proc/{process}/task").glob("*"):
        try:
            longest = max(longest, int((folder / "schedstat").read_text().split()[1]) / 1e9)
        except (OSError, IndexError):
            continue  # It has ended meanwhile, or the kernel counts nothing.
    return longest


class CoreTime:
    """The kernel's book of the thread that made this, which is cheap enough to be looked into at each call."""

    def __init__(self) -> None:
        try:
            self._book = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        except OSError:
            self._book = -1

    def waited(self) -> float:
        """Seconds for which it could have run, and had no core; 0 where the kernel keeps no books."""
        return int(os.pread(self._book, 100, 0).split()[1]) / 1e9 if self._book >= 0 else 0.0
