"""A resize in a process of its own, which goes on when the terminal is gone: the same command line, started again."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cli.exit_codes import JobFailed, NothingReachable, TimedOut
from ..cli.options import Choices
from ..cli.progress_bar import reporter
from ..inspection.fleet_report import look
from ..inspection.target import Target
from ..runtime import folder

CONFIRMED = "DCACHE_CONFIRMED_EPOCH"
"""In the environment of such a process: the epoch for which its plan was confirmed."""
PAUSE = 0.25
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class Job:
    process: subprocess.Popen[bytes]
    log: Path

    def to_json(self) -> dict[str, Any]:
        return {"pid": self.process.pid, "log": str(self.log)}


def confirmed_epoch() -> int | None:
    """In a background job, the epoch for which its plan was confirmed."""
    return int(os.environ[CONFIRMED]) if CONFIRMED in os.environ else None


def start(choices: Choices, epoch: int, fleet: str) -> Job:
    """Run this command line again, detached. What it says goes to a file."""
    environment = os.environ | {
        CONFIRMED: str(epoch),
        "DJANGO_SETTINGS_MODULE": choices.settings or "",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    log = folder() / f"rebalance-{fleet}.log"
    with log.open("w") as said:
        command = [sys.executable, "-m", "dcache_manager", *choices.arguments]
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
    return Job(process, log)


def follow(job: Job, choices: Choices, target: Target, seconds: float | None) -> None:
    """Until the job is done; but from when it leads the fleet, no longer than `seconds`.

    Raises JobFailed with the job's last words, and TimedOut if it goes on after more than 0 seconds.
    """
    until = None
    with reporter(choices) as report:
        while job.process.poll() is None:
            try:
                sighting = look(target, choices.timeout, resize=True)
            except NothingReachable:
                time.sleep(PAUSE)
                continue
            leads = f"/{job.process.pid}/" in (sighting.conductor or "")
            if leads and until is None and seconds is not None:
                until = time.monotonic() + seconds
            if leads and sighting.progress:
                report(sighting.progress)
            if until is not None and time.monotonic() >= until:
                if seconds:
                    raise TimedOut(f"pid {job.process.pid}, {job.log}")
                return
            time.sleep(PAUSE)
    if job.process.returncode:
        words = job.log.read_text(errors="replace").strip().splitlines() or ["no word from it"]
        raise JobFailed(words[-1].removeprefix("Error: "), max(1, job.process.returncode))
