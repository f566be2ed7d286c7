"""A rebalance as a job for Celery workers: started, and steered from outside."""

import secrets
import time
from collections.abc import Callable
from typing import Any

from celery import current_app
from django.db import router, transaction
from django.utils.timezone import now

from django_dcache.errors import Conflict
from django_dcache.model.topology import Layout, Topology
from django_dcache.runtime.fleet import Fleet

from ...errors import NotPossible
from ...inspection.target import Target
from ...jobs.progress import Progress
from ...jobs.row_lease import TAKEOVER, claim
from ...models import Job
from ...settings import own_queue
from ..leadership import ask
from ..plan import Plan
from .leader import KIND, OVER, send, to_json

_NO_BROKER = "The broker does not answer; job {} begins when a worker tends to it (dcache.tend)."


def start(
    target: Target,
    made: Plan,
    max_rate: float | None,
    notify: Callable[[str], None],
    back: Layout | None = None,
) -> Job:
    """Write down what is to be done, and send for a worker. Raises ConfigurationError, Conflict.

    `back`: what the fleet is to be led back to, from the resize that is under way.
    """
    _require_celery()
    fleet = target.name
    if other := leading(fleet):
        raise Conflict(f"job {other.name} is leading this fleet; `jobs watch` shows it", epoch=made.epoch)
    terms = {
        "alias": target.alias,
        "queue": own_queue(),
        "desired": to_json(made.desired),
        "epoch": made.epoch,
        "max_rate": max_rate,
    }
    name, progress = secrets.token_hex(4), {}
    if back:
        terms["back"] = to_json(back)
        progress = Progress(name, f"job/{name}", "cancelling", started=time.time()).to_json()
    job: Job = Job.objects.create(
        name=name, kind=KIND, fleet=fleet, state="waiting", progress=progress, terms=terms, heard=now()
    )
    if not send(job):
        notify(_NO_BROKER.format(job.name))
    return job


def take_over(target: Target, topology: Topology, back: bool, notify: Callable[[str], None]) -> Job:
    """Finish the resize that is under way, or lead the fleet back from it. Raises as `start`."""
    made = Plan(topology.epoch, topology.layout, topology.layouts[-1])
    return start(target, made, None, notify, topology.layout if back else None)


def leading(fleet: str) -> Job | None:
    """The job that leads this fleet, or will, though no worker may be at it at this moment."""
    lately = now() - TAKEOVER
    # What a command leads is in the table too, and says by its lease whether it lives.
    ours = Job.objects.filter(kind=KIND, fleet=fleet, heard__gt=lately, terms__has_key="queue")
    found: Job | None = ours.exclude(state__in=OVER).first()
    return found


def limit(job: Job, max_rate: float) -> None:
    """Let its workers move at most `max_rate` keys a second from now on."""
    with transaction.atomic(using=router.db_for_write(Job)):
        terms = Job.objects.select_for_update().values_list("terms", flat=True).get(pk=job.pk)
        Job.objects.filter(pk=job.pk).update(terms=terms | {"max_rate": max_rate})


def nudge(job: Job) -> None:
    """Have a worker look at it now. If one is at it, nothing happens."""
    send(job, 0)


def cancel(job: Job, fleet: Fleet, notify: Callable[[str], None]) -> None:
    """Ask the worker that leads it to go back; a job that has not begun ends at once. Raises ConfigurationError."""
    if job.state in OVER:
        raise NotPossible(f"job {job.name} is over: {job.state}")
    if not job.progress and (held := claim(job)):
        held.leave(state="cancelled", progress=_never_begun(job).to_json())
        return
    ask(fleet, "cancel")
    nudge(job)
    notify(f"Job {job.name} was asked to go back.")


def retry(job: Job, notify: Callable[[str], None]) -> None:
    """Send for workers again, from where it failed or was cancelled. Raises ConfigurationError, Conflict."""
    _require_celery()
    if "queue" not in job.terms:
        raise NotPossible(f"job {job.name} was led by a command; `rebalance resume` finishes it")
    if job.state not in OVER or job.state == "done":
        raise NotPossible(f"job {job.name} is {job.state}; only a failed or cancelled job can be retried")
    if other := leading(job.fleet):
        raise Conflict(f"job {other.name} is leading this fleet; `jobs watch` shows it")
    held = claim(job)
    if held is None:
        raise Conflict(f"job {job.name} is being run by another worker")
    terms: dict[str, Any] = {name: value for name, value in job.terms.items() if name != "back"}
    job.steps.all().delete()
    held.leave(state="waiting", progress={}, terms=terms | {"epoch": None})
    if not send(job):
        notify(_NO_BROKER.format(job.name))


def _require_celery() -> None:
    if not (current_app.conf.broker_url or current_app.conf.task_always_eager):
        raise NotPossible(
            "no Celery application with a broker; import the project's own in the package of its settings"
        )


def _never_begun(job: Job) -> Progress:
    return Progress(job.name, "", "cancelled", started=job.created.timestamp(), updated=time.time())
