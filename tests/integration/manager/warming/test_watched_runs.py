"""Runs of warmers on Celery workers that a command watches: tended, limited, and with the worker's own words."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.apps import apps
from django.core.cache import cache
from django.test import override_settings
from django.utils.timezone import now

from dcache_manager.cli.actions.warming import drive, follow_all
from dcache_manager.cli.exit_codes import Exit
from dcache_manager.cli.options import Choices
from dcache_manager.cli.runner_options import RunnerOptions
from dcache_manager.errors import NotFound, TimedOut
from dcache_manager.jobs import owner
from dcache_manager.models import Job
from dcache_manager.warming import find, registry, runs, service
from dcache_manager.warming.registry import warmer

pytestmark = pytest.mark.usefixtures("nodes")


def items() -> Iterator[Any]:
    yield "a", lambda: 1


def eager() -> None:
    Celery("tests", set_as_current=True).conf.update(task_always_eager=True, task_eager_propagates=True)


def test_a_run_whose_worker_died() -> None:
    """A run whose worker was killed whole is sent for again by what watches it, with no beat; one that lives is left
    alone."""
    eager()
    warmer("test")(items)
    job = runs.begin(find("test"))
    Job.objects.update(holder=owner.new())
    job.refresh_from_db()
    service.tend(job)
    assert cache.get("a") is None
    Job.objects.update(heard=now() - timedelta(minutes=1))
    job.refresh_from_db()
    service.tend(job)
    job.refresh_from_db()
    assert job.state == "done" and cache.get("a") == 1


def test_there_is_no_worker() -> None:
    """Where no worker comes, waiting ends at its limit, and the job continues."""
    warmer("test")(items)
    job, began = runs.begin(find("test")), time.monotonic()
    with pytest.raises(TimedOut, match=job.name):
        follow_all(Choices(), [job], 0.5)
    assert time.monotonic() - began < 20 and Job.objects.get().state == "running"


def test_the_workers_error(capsys: Any) -> None:
    """What failed in the worker is told by the command that waited for it, as its own failure."""
    eager()

    def failing() -> Iterator[Any]:
        yield "a", lambda: 1
        raise LookupError("no such table")

    warmer("test")(failing)
    code = drive(Choices(), [lambda: runs.begin(find("test"))], "default", RunnerOptions(True))
    assert code == Exit.FAILED and "LookupError: no such table" in capsys.readouterr().err


def test_one_broken_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warmers.py that can't be imported is named, with its error, where its warmer is asked for; the warmers of other
    apps work all the same."""
    for app, source in (("broken_app", "1 / 0"), ("whole_app", WHOLE)):
        (tmp_path / app).mkdir()
        (tmp_path / app / "__init__.py").touch()
        (tmp_path / app / "warmers.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    installed = [*(config.name for config in apps.get_app_configs()), "broken_app", "whole_app"]
    with override_settings(INSTALLED_APPS=installed):
        assert [found.name for found in registry.warmers()] == ["whole"]
        with pytest.raises(NotFound, match="no warmer 'lost'; broken_app.warmers can't be imported: ZeroDivisionError"):
            find("lost")


WHOLE = """
from dcache_manager.warming import warmer

@warmer("whole")
def whole():
    yield "a", 1
"""
