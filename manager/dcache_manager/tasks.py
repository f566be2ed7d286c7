"""The Celery tasks `dcache.<verb>`. Each is harmless when it runs twice, or late, or never: the database counts."""

from typing import Any

from celery import shared_task

from django_dcache.errors import ConfigurationError

from .regions import Regions, regions

_terms: dict[str, Any] = {"acks_late": True, "reject_on_worker_lost": True, "ignore_result": True}


@shared_task(name="dcache.invalidate", **_terms)
def invalidate(number: int) -> None:
    """Apply one entry of the log to this region's fleet."""
    from .invalidation import apply

    apply(number, _here())


@shared_task(name="dcache.catch_up", **_terms)
def catch_up() -> None:
    """Apply whatever this region has missed."""
    from .invalidation import catch_up

    catch_up(_here())


@shared_task(name="dcache.rebalance", **_terms)
def rebalance(job: str, tries: int = 0) -> None:
    """Lead a rebalance for a while, and send for whoever goes on."""
    from .slices import lead

    lead(job, tries)


@shared_task(name="dcache.move", **_terms)
def move(job: str) -> None:
    """Do steps of a rebalance for a while."""
    from .slices import help_out

    help_out(job)


@shared_task(name="dcache.tend", **_terms)
def tend() -> None:
    """Send for workers for jobs that nobody is at."""
    from .slices import tend

    tend()


def _here() -> Regions:
    known = regions()
    if known is None:
        raise ConfigurationError("this worker's settings have no DCACHE, so it has no region")
    return known
