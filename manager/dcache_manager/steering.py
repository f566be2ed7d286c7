"""Jobs of Celery workers, whatever their kind: stopped, and done again."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from .inspection.target import Target
from .rebalance import service

if TYPE_CHECKING:
    from .models import Job


def cancel(target: Target, job: "Job", notify: Callable[[str], None]) -> None:
    """Have its workers stop: at the next item, or after the way back. Raises NotPossible if it is over."""
    if job.kind == "warm":
        from .warming import service as warming  # Late: only once a job was found there surely are models to import.

        warming.cancel(job)
    else:
        service.cancel_job(target, job, notify)


def retry(job: "Job", notify: Callable[[str], None]) -> None:
    """Have workers do what failed. Raises ConfigurationError, Conflict, BrokerAway."""
    if job.kind == "warm":
        from .warming import service as warming  # Late, as above.

        again = warming.retry(job)
        if again.pk != job.pk:
            notify(f"Job {again.name} retries what failed in {job.name}.")
    else:
        service.retry(job, notify)
