"""Runs of warmers on Celery: each message is one turn of a run, and sends for the next."""

from contextlib import suppress

from ..errors import BrokerAway
from ..jobs.row_lease import TAKEOVER
from ..messaging import publisher
from ..settings import own_queue
from . import registry
from .runs import TURN_SECONDS as TURN_SECONDS
from .runs import begin, due, work
from .worker_turn import BUSY


def send(name: str, job: str, countdown: float | None = None) -> None:
    """Have a worker of this region continue a run. Raises BrokerAway."""
    if not publisher.send("dcache.warm", name, job, queue=own_queue(), countdown=countdown):
        raise BrokerAway(f"run {job} of {name} continues when a worker tends to it (dcache.warm_due)")


def run_turn(name: str, job: str | None, seconds: float | None = TURN_SECONDS) -> None:
    """Do a turn of run `job`, or of the one that is under way or begins now, and send the rest."""
    again = job is not None
    job = job or begin(registry.find(name)).name
    while (state := work(job, seconds)) == "running":
        # Without a broker there is no worker to hand over to.
        with suppress(BrokerAway):
            return send(name, job)
    if state == BUSY and again and seconds is not None:
        # A message that came twice, or the first one after its worker died elsewhere: that can't be told yet.
        send(name, job, TAKEOVER.total_seconds())


def send_due() -> None:
    """Send what is due. Raises BrokerAway."""
    for job in due():
        send(job.terms["warmer"], job.name)
