"""Runs of warmers on Celery: each message is a slice of one, and sends the next."""

from contextlib import suppress

from kombu.exceptions import OperationalError

from django_dcache.errors import DCacheError

from ..jobs.row_lease import PATIENCE
from ..settings import own_queue
from . import registry
from .runs import SLICE, begin, due, work
from .worker_turn import BUSY


class BrokerAway(DCacheError):
    """The broker could not be told."""


def send(name: str, job: str, countdown: float | None = None) -> None:
    """Have a worker of this region go on with a run. Raises BrokerAway."""
    from ..tasks import warm

    try:
        warm.apply_async((name, job), queue=own_queue(), countdown=countdown)
    except OperationalError as error:
        raise BrokerAway(str(error)) from error


def run_slice(name: str, job: str | None, seconds: float | None = SLICE) -> None:
    """Do a slice of run `job`, or of the one that is under way or begins now, and send the rest."""
    again = job is not None
    job = job or begin(registry.find(name)).name
    while (state := work(job, seconds)) == "running":
        # Without a broker there is nobody to hand over to.
        with suppress(BrokerAway):
            return send(name, job)
    if state == BUSY and again and seconds is not None:
        # A message that came twice, or the first one after its worker died elsewhere: nobody can tell yet.
        send(name, job, PATIENCE.total_seconds())


def send_due() -> None:
    """Send what is due. Raises BrokerAway."""
    for job in due():
        send(job.terms["warmer"], job.name)
