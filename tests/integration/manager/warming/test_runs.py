"""Runs of warmers on real nodes: retried, one at a time, without a broker."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from django.core.cache import cache
from django.utils.timezone import now

from dcache_manager.errors import BrokerAway
from dcache_manager.jobs import owner
from dcache_manager.jobs.row_lease import TAKEOVER
from dcache_manager.models import Job
from dcache_manager.tasks import warm, warm_due
from dcache_manager.warming import runs as jobs
from dcache_manager.warming.distributed import run_turn, send
from dcache_manager.warming.registry import find
from dcache_manager.warming.worker_turn import BUSY
from support.warmer_runs import again, counts, registered, run

pytestmark = pytest.mark.usefixtures("nodes")


def test_retry_touches_only_the_failed() -> None:
    """Failures are listed with reasons; a retry runs these loaders and no others, and lists what fails again."""
    rows = {number: number for number in range(20) if number not in (4, 11)}
    loads: list[int] = []

    def load(number: int) -> int:
        loads.append(number)
        return rows[number]

    job = run(lambda: [(f"k{number}", lambda number=number: load(number)) for number in range(20)])
    assert counts(job) == ("partial", 18, 0, 2)
    assert jobs.failures(job) == {":1:k4": "KeyError: 4", ":1:k11": "KeyError: 11"}
    rows[4] = 4
    cache.delete("k7")
    loads.clear()
    retried = jobs.retry(job)
    jobs.work(retried.name)
    assert sorted(loads) == [4, 11] and cache.get("k4") == 4 and cache.get("k7") is None
    assert counts(retried) == ("partial", 1, 0, 1) and list(jobs.failures(retried)) == [":1:k11"]


def test_a_slice_at_a_time() -> None:
    """A run that is out of time goes on from its position; the items before are not asked for again."""
    asked: Counter[int] = Counter()

    def ask(number: int) -> int:
        asked[number] += 1
        return number

    held = jobs.begin(registered(lambda: [(f"k{number}", lambda number=number: ask(number)) for number in range(50)]))
    states = [jobs.work(held.name, 0.0)]
    while states[-1] == "running":
        states.append(jobs.work(held.name, 0.02))
    assert states[:1] == ["running"] and states[-1] == "done" and set(asked.values()) == {1}
    assert counts(held) == ("done", 50, 0, 0)


def test_without_an_order() -> None:
    """A warmer without an order starts again, so that nothing is left out."""
    keys = [f"k{number}" for number in range(10)]

    def items() -> Iterator[Any]:
        yield from [(key, lambda: 1) for key in keys]

    held = jobs.begin(registered(items, ordered=False))
    Job.objects.update(progress={"position": 5, "loaded": 5})
    keys.reverse()
    assert jobs.work(held.name) == "done" and len(cache.get_many(keys)) == 10


def test_one_run_at_a_time() -> None:
    """While somebody alive is at a run nobody joins in, and no second one begins; a cancelled run stops."""
    held = jobs.begin(registered(lambda: [("a", lambda: 1)]))
    Job.objects.update(holder=owner.new())
    assert jobs.work(held.name) == BUSY and jobs.begin(find("test")).pk == held.pk
    jobs.cancel(again(held))
    assert again(held).state == "cancelling"
    Job.objects.update(heard=now() - TAKEOVER)
    assert jobs.work(held.name) == "cancelled" and cache.get("a") is None


def test_a_warmer_that_fails() -> None:
    """A generator that raises is a failed run, which says so; the next one begins anew."""

    def items() -> Iterator[Any]:
        yield "a", lambda: 1
        raise LookupError("no such table")

    job = run(items)
    assert job.state == "failed" and "LookupError: no such table" in job.progress["notes"][0]
    assert jobs.begin(find("test")).pk != job.pk


def test_due() -> None:
    """A warmer is due once its `every` has passed since the last run began; a run left alone is gone on with."""
    found = registered(lambda: [("a", lambda: 1)], every=60)
    (first,) = jobs.due()
    assert jobs.due() == []
    later = now() + timedelta(seconds=61)
    assert jobs.due(lambda: later) == [first]
    jobs.work(first.name)
    assert jobs.due() == []
    (second,) = jobs.due(lambda: later)
    assert second.pk != first.pk and jobs.last(found) == second


def test_eager() -> None:
    """Without a broker tasks run where they are sent, to the end: the one for a name, and the one for what is due."""
    Celery("tests", set_as_current=True).conf.update(task_always_eager=True, task_eager_propagates=True)
    registered(lambda: [("a", lambda: 1)], every=60)
    warm.delay("test")
    assert cache.get("a") == 1 and counts(Job.objects.get()) == ("done", 1, 0, 0)
    cache.delete("a")
    warm_due.delay()
    assert cache.get("a") is None
    Job.objects.update(created=now() - timedelta(hours=1))
    warm_due.delay()
    assert cache.get("a") == 1


def test_the_broker_is_gone() -> None:
    """A worker that can't send the rest of a run to others does it itself."""
    app = Celery("tests", broker="redis://127.0.0.1:9", set_as_current=True)
    app.conf.update(task_publish_retry=False, broker_transport_options={"max_retries": 0})
    registered(lambda: [(f"k{number}", lambda: 1) for number in range(20)], rate=100.0)
    with pytest.raises(BrokerAway):
        send("test", "a")
    run_turn("test", None, seconds=0.05)
    assert counts(Job.objects.get()) == ("done", 20, 0, 0)
