"""Resizes from a terminal: plan, confirm, then conduct here, in the background, or by Celery workers."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from django_dcache.errors import Conflict
from django_dcache.flows.resize import LEASE_TTL

from ...errors import Cancelled, JobFailed
from ...formatting import printable, share
from ...inspection.fleet_report import FleetReport, look
from ...inspection.target import Target
from ...jobs.progress import Progress
from ...messaging import publisher
from ...rebalance import service
from ...rebalance.estimate import estimate, lost, pending
from ...rebalance.layout_change import LayoutChange as LayoutChange
from ...rebalance.plan import Plan
from ...rebalance.status import Status
from .. import background
from ..exit_codes import Exit
from ..layout_options import LayoutOptions, RunOptions
from ..options import Choices
from ..output import Answer, Column, write
from ..progress_bar import describe, reporter
from ..watching import NO_WORKER_SECONDS, TEND_SECONDS, follow

if TYPE_CHECKING:
    from ...models import Job

Result = TypeVar("Result")


def change_of(options: LayoutOptions) -> LayoutChange:
    return LayoutChange(options.add, options.remove, options.weights, options.replicas, ring=options.ring)


# Planning


def plan(choices: Choices, target: Target, change: LayoutChange, exit_code: bool = False) -> int:
    """Answer with what a change would do."""
    seen = look(target, choices.timeout)
    return show_plan(choices, seen, service.plan(target, change, seen, choices.note), exit_code)


def show_plan(
    choices: Choices, seen: FleetReport, made: Plan, exit_code: bool = False, max_rate: float | None = None
) -> int:
    """Answer with the plan: one item a node, and the changes as sentences."""
    items = [entry | {"change": round(entry["owns_after"] - entry["owns_before"], 6)} for entry in made.per_node]
    expected = estimate(seen, made, max_rate)
    lines = [*pending(seen), *(made.changes or ["no changes"]), str(expected)]
    answer = Answer.about(seen, "plan", items, "\n".join(lines))
    answer.more = {"changes": made.changes, "moved_share": made.moved_share, "target": made.to_json()["target"]}
    answer.more |= {"pending": bool(seen.topology.target), "estimate": expected.to_json()}
    columns = [
        Column("name", "NAME"),
        Column("owns_before", "OWNS", share, right=True),
        Column("owns_after", "WILL OWN", share, right=True),
        Column("change", "CHANGE", lambda value: f"{value:+.1%}", right=True),
    ]
    write(answer, columns, choices)
    if exit_code and not made.empty:
        return Exit.CHANGES
    return Exit.PARTIAL if answer.errors else Exit.OK


def summary(seen: FleetReport, made: Plan, max_rate: float | None = None) -> str:
    """A plan in a few lines, for the question whether to go ahead."""
    topology = seen.topology
    lines = [f"{seen.alias}: epoch {topology.epoch}, {topology.phase}"]
    lines += [
        f"  {line}" for line in (*pending(seen), *made.changes, str(estimate(seen, made, max_rate)), *lost(seen, made))
    ]
    return "\n".join(map(printable, lines))


# Doing


def run(choices: Choices, target: Target, change: LayoutChange, options: RunOptions) -> int:
    """Make it so, and answer with what was done."""
    target.require_project()
    seen = look(target, choices.timeout)
    topology = seen.topology
    made = service.plan(target, change, seen, choices.note)
    if options.dry_run:
        return show_plan(choices, seen, made, max_rate=options.max_rate)
    confirmed = background.confirmed_epoch()
    for expected in (options.expect_epoch, confirmed):
        if expected is not None and expected != topology.epoch:
            raise Conflict(f"the fleet is not in the expected epoch {expected}", epoch=topology.epoch)
    if made.empty and topology.target is None:
        choices.note("Nothing to do: the fleet is as it should be.")
        return _answer(choices, seen, made, None)
    if confirmed is None:
        choices.confirm(summary(seen, made, options.max_rate))
        if options.runner == "celery":
            return _by_workers(choices, target, seen, made, options)
        if not options.wait or options.wait_timeout:
            return _in_background(choices, target, made, options)
    rate = options.max_rate
    progress = _here(choices, lambda report: service.run(target, made, rate, report, choices.note), rate)
    return _answer(choices, seen, made, progress)


def set_service(choices: Choices, target: Target, node: str, out: bool, max_rate: float | None = None) -> int:
    """Take a node out of service, or let it join again, and answer with what was done."""
    target.require_project()
    seen = look(target, choices.timeout)
    made = service.plan_service(target, node, out, seen)
    if made.empty:
        choices.note(f"{node} is {'out of' if out else 'in'} service already.")
        return _answer(choices, seen, made, None)
    if out:
        share = "the other replicas" if made.current.replicas > 1 else "the next nodes on the ring, from empty"
        choices.confirm(f"Take {node} out of service? While it is out, its share is served by {share}.")
        progress = _here(choices, lambda report: service.take_out(target, node, report, choices.note))
        choices.note(f"{node} is out until `node up {node}`. Its share is served by {share}.")
    else:
        sources = "the other replicas" if made.current.replicas > 1 else "the nodes that served its share"
        choices.confirm(f"Let {node} join again? What it holds is forgotten, then it is filled from {sources}.")
        progress = _here(
            choices, lambda report: service.bring_back(target, node, max_rate, report, choices.note), max_rate
        )
        choices.note(f"{node} is in service again, filled from {sources}.")
    return _answer(choices, seen, made, progress)


def _here(
    choices: Choices, act: Callable[[Callable[[Progress], None]], Result], max_rate: float | None = None
) -> Result:
    with reporter(choices) as report:
        try:
            return act(report)
        except KeyboardInterrupt:
            rate = f" --max-rate {max_rate:g}" if max_rate else ""
            choices.note(f"Interrupted. `rebalance resume{rate}` finishes it, `rebalance cancel` goes back.")
            raise


def _in_background(choices: Choices, target: Target, made: Plan, options: RunOptions) -> int:
    begun = background.start(choices, made.epoch, target.name)
    with reporter(choices) as report:
        background.wait(begun, choices, target, options.wait_timeout if options.wait else 0.0, report)
    return _answer(choices, look(target, choices.timeout), made, None, state="running", **begun.to_json())


def _by_workers(choices: Choices, target: Target, seen: FleetReport, made: Plan, options: RunOptions) -> int:
    """Let Celery workers do it, and wait for them."""
    if options.app:
        publisher.use_app(options.app)
    job = service.start(target, made, options.max_rate, choices.note)
    more = {"job": job.name, "runner": "celery"}
    if not options.wait:
        return _answer(choices, seen, made, None, state="running", **more)
    try:
        progress = follow_job(choices, job, options.wait_timeout)
    except KeyboardInterrupt:
        choices.note(f"The job continues: `jobs watch {job.name}` shows it, `rebalance cancel` stops it.")
        raise
    for text in progress.notes:
        choices.note(text)
    return _answer(choices, seen, made, progress, **more, steps=job.steps.count())


def follow_job(choices: Choices, job: "Job", seconds: float | None) -> Progress:
    """Show a job of Celery workers until it is over; its last report. Raises Cancelled, JobFailed, TimedOut."""
    began, told, tended_at = time.monotonic(), False, time.monotonic()

    def said() -> Progress:
        nonlocal told, tended_at
        if time.monotonic() - tended_at > TEND_SECONDS:  # As beat would: its worker may have been killed.
            tended_at = time.monotonic()
            service.tend()
        job.refresh_from_db()
        if job.state == "waiting" and time.monotonic() - began > NO_WORKER_SECONDS and not told:
            told = True
            choices.note(f"No worker has begun yet; is there one for the queue {job.terms['queue']}?")
        return Progress.from_json(job.progress) or Progress(job.name, "", "waiting")

    with reporter(choices) as report:
        follow(said, lambda: job.state in ("done", "cancelled", "failed"), report, seconds, f"job {job.name}")
    progress = said()
    if job.state == "cancelled":
        raise Cancelled(epoch=progress.epoch)
    if job.state == "failed":
        raise JobFailed(progress.doing, progress.doing.partition(":")[0])
    return progress


def _answer(choices: Choices, seen: FleetReport, made: Plan, progress: Progress | None, **more: Any) -> int:
    """Answer with what was done."""
    item = (progress.to_json() if progress else {"state": "done"}) | {"changes": made.changes} | more
    answer = Answer("rebalance", [item], [], seen.alias, seen.topology.epoch, str(seen.topology.phase))
    if progress:
        answer.epoch, answer.phase = progress.epoch, progress.phase
        answer.title = describe(progress)
    write(answer, [], choices)
    return Exit.OK


# Looking, and steering


def show(choices: Choices, target: Target) -> int:
    """Answer with how far the resize has come. Exit 3 if it was interrupted and no conductor leads it."""
    seen = look(target, choices.timeout, resize=True)
    status = service.status(target, seen)
    answer = Answer.about(seen, "rebalance", [status.to_json()])
    if status.progress:
        answer.title = describe(replace(status.progress, state=status.state))
    else:
        answer.title = f"{status.state}: epoch {answer.epoch}, {answer.phase}"
    write(answer, [], choices)
    return Exit.PARTIAL if answer.errors or status.state == "interrupted" else Exit.OK


def watch(choices: Choices, target: Target) -> int:
    """Show how the resize continues, whichever process leads it, until none does; then answer as `show`."""
    deserted: float | None = None
    over = False

    def said() -> Progress | None:
        nonlocal deserted, over
        status = service.status(target, seconds=choices.timeout)
        if status.conductor:
            deserted = None
        elif status.topology.target is None:
            over = True
        else:
            # The next conductor, or the next turn, may be on its way.
            deserted = deserted or time.monotonic()
            over = time.monotonic() - deserted > LEASE_TTL
        return status.progress

    with reporter(choices) as report:
        follow(said, lambda: over, report)
    return show(choices, target)


def pause(choices: Choices, target: Target) -> int:
    return _steer(choices, target, service.pause)


def resume(choices: Choices, target: Target, max_rate: float | None = None) -> int:
    return _steer(choices, target, partial(service.resume, max_rate=max_rate), max_rate)


def cancel(choices: Choices, target: Target) -> int:
    return _steer(choices, target, service.cancel)


def _steer(choices: Choices, target: Target, steer: Callable[..., Status], max_rate: float | None = None) -> int:
    _here(choices, lambda report: steer(target, report, choices.note), max_rate)
    return show(choices, target)
