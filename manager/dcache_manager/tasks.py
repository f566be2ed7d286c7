"""The Celery tasks `dcache.<verb>`. Each is harmless when it runs twice, late or never: the database counts."""

from typing import Any

from celery import shared_task

from django_dcache.errors import ConfigurationError

from . import metrics
from .doctor import broker_check
from .edge import purging
from .invalidation import log
from .messaging import arguments, renewals
from .rebalance.distributed import leader
from .settings import Regions, regions
from .warming import distributed as warming
from .warming.runs import TURN_SECONDS


def _task(verb: str, **options: Any) -> Any:
    return shared_task(name=f"dcache.{verb}", acks_late=True, reject_on_worker_lost=True, ignore_result=True, **options)


@_task("invalidate")
@arguments.checked(number=arguments.number)
def invalidate(number: int) -> None:
    """Apply one entry of the log to this region's fleet."""
    log.apply(number, _here())


@_task("purge")
@arguments.checked(number=arguments.number)
def purge(number: int) -> None:
    """Purge the edges of the tags in one entry of the log."""
    purging.purge([number], _here())


@_task("renew")
@arguments.checked(function=arguments.name, args=arguments.plain_list, kwargs=arguments.plain_dict)
def renew(function: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Load anew what a cached function has returned for these arguments, if it is stale."""
    renewals.renew(function, args, kwargs)


@_task("catch_up")
def catch_up() -> None:
    """Apply what this region has missed."""
    log.catch_up(_here())


@_task("sample")
def sample() -> None:
    """Write down what the nodes say of themselves."""
    metrics.take()


@_task("expire")
def expire() -> None:
    """Drop old samples, jobs and invalidations."""
    metrics.expire()


@_task("ping")
@arguments.checked(answer_to=arguments.answer_queue, asked=arguments.known_queue)
def ping(answer_to: str, asked: str) -> None:
    """Tell `doctor` that it has arrived."""
    broker_check.answer(answer_to, asked)


@_task("warm", bind=True)
@arguments.checked(name=arguments.name, job=arguments.name_or_none)
def warm(self: Any, name: str, job: str | None = None) -> None:
    """Run warmer `name`, a turn at a time; with `job` continue that run."""
    warming.run_turn(name, job, None if self.request.is_eager else TURN_SECONDS)


@_task("warm_due")
def warm_due() -> None:
    """Begin the runs of warmers that are due by their `every`, and those that lost their worker."""
    warming.send_due()


@_task("rebalance")
@arguments.checked(job=arguments.name, retries=arguments.up_to(leader.MAX_RETRIES))
def rebalance(job: str, retries: int = 0) -> None:
    """Lead a rebalance for a turn, and send for the next one."""
    leader.lead(job, retries)


@_task("move")
@arguments.checked(job=arguments.name)
def move(job: str) -> None:
    """Do steps of a rebalance for a while."""
    leader.help_out(job)


@_task("tend")
def tend() -> None:
    """Send for workers for jobs that no worker is at."""
    leader.tend()


def _here() -> Regions:
    known = regions()
    if known is None:
        raise ConfigurationError("this worker's settings have no DCACHE, so it has no region")
    return known
