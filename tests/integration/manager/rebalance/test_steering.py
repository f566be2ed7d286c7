"""A rebalance from Python, without a command line: planned, run, started, paused, resumed, cancelled and retried."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from django.core.cache import caches
from django.test import override_settings

from dcache_manager.cli.actions.rebalance import follow_job
from dcache_manager.cli.options import Choices
from dcache_manager.errors import Cancelled
from dcache_manager.inspection.target import Target, of_alias
from dcache_manager.jobs import history
from dcache_manager.jobs.progress import Progress
from dcache_manager.messaging import publisher
from dcache_manager.models import Job
from dcache_manager.rebalance import service
from dcache_manager.rebalance.layout_change import LayoutChange
from dcache_manager.rebalance.leadership import ask
from django_dcache.errors import ConfigurationError, Conflict, NodeFailure
from django_dcache.testing import LocalFleet
from support.waiting import until

KEYS = {f"k{number}": number for number in range(300)}
OPTIONS: dict[str, Any] = {"freshness": 0.1, "timeout": 1.0}


@pytest.fixture
def site(tables: None, fleet: Callable[..., LocalFleet]) -> Iterator[tuple[Target, LocalFleet]]:
    """The fleet of a site on three nodes with 300 keys, and a fourth node that is to join; Celery tasks are eager."""
    nodes = fleet(3)
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": nodes.addresses, "OPTIONS": OPTIONS}
    nodes.add()
    Celery("tests", set_as_current=True).conf.update(task_always_eager=True, task_eager_propagates=True)
    with override_settings(CACHES={"default": entry}):
        caches["default"].set_many(KEYS)
        yield of_alias("default"), nodes


def joining(nodes: LocalFleet) -> LayoutChange:
    return LayoutChange(add=[nodes.addresses[3]])


def nodes_of(target: Target) -> set[str]:
    return set(service.status(target).topology.nodes)


def test_here(site: tuple[Target, LocalFleet]) -> None:
    """A plan is carried out by the process that runs it; every key is there afterwards, and reports came meanwhile."""
    target, nodes = site
    plan, reports = service.plan(target, joining(nodes)), []
    assert plan.changes and service.status(target).state == "idle"
    progress = service.run(target, plan, report=lambda progress: reports.append(progress.state))
    assert progress.state == "done" and progress.moved > 0 and "running" in reports
    assert nodes_of(target) == set(nodes.addresses)
    assert caches["default"].get_many(KEYS) == KEYS
    with pytest.raises(Conflict, match="the plan was for epoch 1"):
        service.run(target, plan)


def test_by_workers(site: tuple[Target, LocalFleet]) -> None:
    """A plan is carried out by Celery workers; its job and the status tell that it is done."""
    target, nodes = site
    job = service.start(target, service.plan(target, joining(nodes)))
    job.refresh_from_db()
    assert job.state == "done" and service.status(target).state == "done"
    assert [row["state"] for row in history.jobs(target.name)] == ["done"]
    assert caches["default"].get_many(KEYS) == KEYS
    with pytest.raises(ConfigurationError, match="only a failed or cancelled job"):
        service.retry(job)


def test_paused_and_resumed(site: tuple[Target, LocalFleet]) -> None:
    """A view that asks to pause sees the conductor of another thread paused, until it asks to resume; a rate that this
    conductor can't take is refused before it is asked."""
    target, nodes = site
    plan = service.plan(target, joining(nodes))
    begun, notes, done = threading.Event(), list[str](), list[Progress]()

    def conduct() -> None:
        done.append(service.run(target, plan, report=lambda progress: begun.set()))

    thread = threading.Thread(target=conduct)
    thread.start()
    assert begun.wait(60)
    assert service.pause(target, notify=notes.append).conductor
    assert until(lambda: service.status(target).state == "paused")
    with pytest.raises(Conflict, match="keeps the rate it was begun with"):
        service.resume(target, max_rate=10)
    assert service.status(target).state == "paused"
    service.resume(target, notify=notes.append)
    thread.join(60)
    assert done[0].state == "done" and nodes_of(target) == set(nodes.addresses)


def test_cancelled(site: tuple[Target, LocalFleet]) -> None:
    """A resize that is cancelled from elsewhere raises Cancelled where it runs, and the fleet is as before."""
    target, nodes = site
    plan, before = service.plan(target, joining(nodes)), nodes_of(target)

    def report(progress: Progress) -> None:
        if progress.phase == "prepare":
            with target.connected() as fleet:
                ask(fleet, "cancel")

    with pytest.raises(Cancelled):
        service.run(target, plan, report=report)
    status = service.status(target)
    assert status.state == "cancelled" and set(status.topology.nodes) == before


def test_conductor_that_is_gone(site: tuple[Target, LocalFleet]) -> None:
    """A resize whose conductor was lost is interrupted; resume leads it to its end, in the process that asks."""
    target, nodes = site
    plan = service.plan(target, joining(nodes))

    interrupts = [KeyboardInterrupt]

    def report(progress: Progress) -> None:
        if progress.phase == "copy" and interrupts:
            raise interrupts.pop()

    with pytest.raises(KeyboardInterrupt):
        service.run(target, plan, report=report)
    assert service.status(target).state == "interrupted"
    assert service.resume(target).state == "done"
    assert nodes_of(target) == set(nodes.addresses)


def test_job_that_failed(site: tuple[Target, LocalFleet]) -> None:
    """A job fails in the worker and not where it was started; retried, it ends well."""
    target, nodes = site
    plan = service.plan(target, joining(nodes))
    nodes.nodes[3].stop()
    job = service.start(target, plan)
    job.refresh_from_db()
    assert job.state == "failed" and "Unsuitable" in job.progress["doing"]
    nodes.nodes[3].start()
    service.retry(job)
    job.refresh_from_db()
    assert job.state == "done" and nodes_of(target) == set(nodes.addresses)


def test_job_that_has_not_begun(site: tuple[Target, LocalFleet]) -> None:
    """A job that no worker has begun leads the fleet all the same, and is cancelled at once."""
    target, nodes = site
    plan, notes = service.plan(target, joining(nodes)), list[str]()
    Celery("tests", broker="redis://127.0.0.1:9", set_as_current=True).conf.update(task_publish_retry=False)
    job = service.start(target, plan, notify=notes.append)
    assert "broker does not answer" in notes[0]
    with pytest.raises(Conflict, match=job.name):
        service.run(target, plan)
    assert service.status(target).conductor == f"job/{job.name}"
    service.cancel(target)
    assert Job.objects.get().state == "cancelled"


def test_nodes_that_must_answer(site: tuple[Target, LocalFleet]) -> None:
    """A node that is to be drained and does not answer is refused while planning."""
    target, nodes = site
    nodes.nodes[2].stop()
    with pytest.raises(NodeFailure, match="node remove"):
        service.plan(target, LayoutChange(remove=[nodes.addresses[2]], answering=True))


def test_out_of_service(site: tuple[Target, LocalFleet]) -> None:
    """A node is taken out of service and brought back by two calls."""
    target, nodes = site
    name = nodes.addresses[0]
    assert service.plan_service(target, name, out=True).changes
    service.take_out(target, name)
    assert service.status(target).topology.nodes[name].out
    service.bring_back(target, name)
    assert not service.status(target).topology.nodes[name].out


def test_a_job_that_is_watched_is_tended(site: tuple[Target, LocalFleet], capsys: Any) -> None:
    """A job whose message was lost is sent for again by the command that watches it, with no beat."""
    target, nodes = site
    Celery("tests", broker="redis://127.0.0.1:9", set_as_current=True).conf.update(task_publish_retry=False)
    job = service.start(target, service.plan(target, joining(nodes)))
    assert job.state == "waiting"
    Celery("tests", set_as_current=True).conf.update(task_always_eager=True, task_eager_propagates=True)
    progress = follow_job(Choices(quiet=True), job, 60.0)
    assert progress.state == "done" and nodes_of(target) == set(nodes.addresses)


def test_the_application_by_name(site: tuple[Target, LocalFleet]) -> None:
    """An application that is not there is an error that names it."""
    with pytest.raises(ConfigurationError, match="-A no.such: there is no Celery application"):
        publisher.use_app("no.such")
