"""A resize in a process of its own, which continues when the terminal is gone: the same command line, started again."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NothingReachable, TimedOut
from ..inspection.fleet_report import look
from ..inspection.target import Target
from ..jobs.progress import Progress
from ..local_nodes import runtime_folder
from .exit_codes import CommandFailed
from .options import Choices
from .watching import follow

CONFIRMED = "DCACHE_CONFIRMED_EPOCH"
"""In the environment of such a process: the epoch for which its plan was confirmed."""


@dataclass(frozen=True, slots=True)
class BackgroundRun:
    process: subprocess.Popen[bytes]
    log: Path

    def to_json(self) -> dict[str, Any]:
        return {"pid": self.process.pid, "log": str(self.log)}


def confirmed_epoch() -> int | None:
    """In a background run, the epoch for which its plan was confirmed."""
    return int(os.environ[CONFIRMED]) if CONFIRMED in os.environ else None


def start(choices: Choices, epoch: int, fleet: str) -> BackgroundRun:
    """Run this command line again, detached. What it says goes to a file."""
    environment = os.environ | {
        CONFIRMED: str(epoch),
        "DJANGO_SETTINGS_MODULE": choices.settings or "",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    log = runtime_folder() / f"rebalance-{fleet}.log"
    with log.open("w") as said:
        command = [sys.executable, "-m", "dcache_manager", *choices.arguments]
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
    return BackgroundRun(process, log)


def wait(
    run: BackgroundRun, choices: Choices, target: Target, seconds: float | None, report: Callable[[Progress], None]
) -> None:
    """Until the run is over; but from when it leads the fleet, no longer than `seconds`.

    Raises CommandFailed with the run's last words, and TimedOut if it continues after more than 0 seconds.
    """

    def leads() -> Progress | None:
        try:
            seen = look(target, choices.timeout, resize=True)
        except NothingReachable:
            return None
        if f"/{run.process.pid}/" not in (seen.conductor or ""):
            return None
        return seen.progress or Progress("", seen.conductor or "")

    try:
        follow(leads, lambda: run.process.poll() is not None, report, seconds, f"pid {run.process.pid}, {run.log}")
    except TimedOut:
        if seconds:
            raise
        return
    if run.process.returncode:
        words = run.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        raise CommandFailed(words[-1].removeprefix("Error: "), max(1, run.process.returncode))
