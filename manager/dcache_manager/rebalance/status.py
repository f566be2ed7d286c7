"""How far a resize is, and which process leads it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django_dcache.model.topology import Topology

from ..inspection.fleet_report import FleetReport
from ..jobs.progress import Progress

if TYPE_CHECKING:
    from ..models import Job


@dataclass(frozen=True, slots=True)
class Status:
    """How far a resize is, as far as it is true: what a conductor that was killed said last is not."""

    state: str
    """idle, waiting, running, paused, cancelling, interrupted (no conductor leads it), done, cancelled or failed"""
    topology: Topology
    progress: Progress | None
    """The last report there is."""
    conductor: str | None
    """Who leads it: HOST/PID/RANDOM, or job/NAME."""
    job: "Job | None"
    """The job for Celery workers that leads it."""

    def to_json(self) -> dict[str, Any]:
        item = self.progress.to_json() if self.progress else {}
        return item | {"state": self.state, "phase": str(self.topology.phase), "conductor": self.conductor}


def judge(seen: FleetReport, job: "Job | None") -> Status:
    """What a look at the fleet, had with `resize=True`, and the job that leads it say together."""
    progress = (Progress.from_json(job.progress) if job else None) or seen.progress
    moving = seen.topology.target is not None
    conductor = f"job/{job.name}" if job else seen.conductor
    said = progress.state if progress else "idle"
    if job:
        said = job.state
    elif moving and not conductor:
        said = "interrupted"
    elif moving and said in ("idle", "done", "cancelled", "interrupted", "failed"):
        said = "running"
    elif not moving and not conductor and said not in ("done", "cancelled", "failed"):
        said = "idle"
    return Status(said, seen.topology, progress, conductor, job)
