"""What can be done with a job from outside, by its kind."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from django_dcache.errors import ConfigurationError

from ..cli.options import Choices

if TYPE_CHECKING:
    from ..inspection.target import Target
    from ..models import Job

KINDS = {"rebalance": "rebalance.distributed.job", "warm": "warming.verbs"}
"""The module for each kind of job."""


class Verbs(Protocol):
    def follow(self, job: "Job", choices: Choices, seconds: float | None) -> Any:
        """Show how it goes on until it is over. Raises what `rebalance_job.follow` raises."""

    def cancel(self, job: "Job", choices: Choices, target: "Target") -> None:
        """Let it end early."""

    def retry(self, job: "Job", choices: Choices, target: "Target") -> None:
        """Begin again what did not succeed."""


def verbs(job: "Job") -> Verbs:
    """Raises ConfigurationError for a job that nothing can be done with."""
    if job.kind not in KINDS or not job.terms:
        raise ConfigurationError(
            f"job {job.name} is led by a command; `rebalance` and `warm` say how theirs are steered"
        )
    found: Any = import_module(f"dcache_manager.{KINDS[job.kind]}")
    return found
