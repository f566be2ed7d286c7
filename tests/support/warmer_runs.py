"""Warmers that are registered for a test, and their runs."""

from collections.abc import Callable, Iterable
from typing import Any

from dcache_manager.models import Job
from dcache_manager.warming import registry
from dcache_manager.warming import runs as jobs
from dcache_manager.warming.registry import Warmer, find, warmer


def registered(function: Callable[[], Iterable[Any]], **terms: Any) -> Warmer:
    """A warmer "test"."""
    registry._warmers.clear()
    warmer("test", **terms)(function)
    return find("test")


def run(function: Callable[[], Iterable[Any]], **terms: Any) -> Job:
    """The job of a whole run of such a warmer."""
    job = jobs.begin(registered(function, **terms))
    jobs.work(job.name, retry_seconds=0.0)
    return again(job)


def again(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def counts(job: Job) -> tuple[str, int, int, int]:
    job = again(job)
    return (job.state, *(job.progress[name] for name in ("loaded", "present", "failed")))
