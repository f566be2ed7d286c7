"""For how long a process was kept waiting for a core: what a busy machine takes from it is no fault of its own."""

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
