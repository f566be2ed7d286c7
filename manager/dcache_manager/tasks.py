"""The Celery tasks `dcache.<verb>`. Each is harmless when it runs twice, or late, or never: the database counts."""

from typing import Any

from celery import shared_task

from django_dcache.errors import ConfigurationError

from .settings import Regions, regions

_terms: dict[str, Any] = {"acks_late": True, "reject_on_worker_lost": True, "ignore_result": True}


@shared_task(name="dcache.invalidate", **_terms)
def invalidate(number: int) -> None:
    """Apply one entry of the log to this region's fleet."""
    from .invalidation.log import apply

    apply(number, _here())


@shared_task(name="dcache.catch_up", **_terms)
def catch_up() -> None:
    """Apply whatever this region has missed."""
    from .invalidation.log import catch_up

    catch_up(_here())


@shared_task(name="dcache.sample", **_terms)
def sample() -> None:
    """Write down what the nodes say of themselves."""
    from .metrics import take

    take()


@shared_task(name="dcache.expire", **_terms)
def expire() -> None:
    """Drop old samples, jobs and invalidations."""
    from .metrics import expire

    expire()


@shared_task(name="dcache.ping", **_terms)
def ping(answer_to: str, asked: str) -> None:
    """Tell `doctor` that it has arrived."""
    from .messaging.broker_check import answer

    answer(answer_to, asked)


@shared_task(name="dcache.warm", bind=True, **_terms)
def warm(self: Any, name: str, job: str | None = None) -> None:
    """Run warmer `name`, a slice at a time; with `job` go on with that run."""
    from .warming.distributed import SLICE, run_slice

    run_slice(name, job, None if self.request.is_eager else SLICE)


@shared_task(name="dcache.warm_due", **_terms)
def warm_due() -> None:
    """Begin the runs of warmers that are due by their `every`, and those that lost their worker."""
    from .warming.distributed import send_due

    send_due()


@shared_task(name="dcache.rebalance", **_terms)
def rebalance(job: str, tries: int = 0) -> None:
    """Lead a rebalance for a while, and send for whoever goes on."""
    from .rebalance.distributed.leader import lead

    lead(job, tries)


@shared_task(name="dcache.move", **_terms)
def move(job: str) -> None:
    """Do steps of a rebalance for a while."""
    from .rebalance.distributed.leader import help_out

    help_out(job)


@shared_task(name="dcache.tend", **_terms)
def tend() -> None:
    """Send for workers for jobs that nobody is at."""
    from .rebalance.distributed.leader import tend

    tend()


def _here() -> Regions:
    known = regions()
    if known is None:
        raise ConfigurationError("this worker's settings have no DCACHE, so it has no region")
    return known
