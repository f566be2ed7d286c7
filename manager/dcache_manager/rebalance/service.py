"""A rebalance from Python: plan it, run it here or have Celery workers do it, steer it, and ask how far it is.

    from dcache_manager.inspection.target import of_alias
    from dcache_manager.rebalance import service
    from dcache_manager.rebalance.layout_change import LayoutChange

    fleet = of_alias("default")
    plan = service.plan(fleet, LayoutChange(add=["10.0.0.4"]))
    progress = service.run(fleet, plan)     # here, until it is done; or
    job = service.start(fleet, plan)        # Celery workers do it
    service.pause(fleet), service.resume(fleet), service.cancel(fleet), service.status(fleet), service.retry(job)

A resize has one leader. `pause`, `resume` and `cancel` ask it, whichever process it is; a resize whose leader is gone
is led to its end, or back, by the process that calls `resume` or `cancel`. `notify` gets remarks for people, a sentence
each; `report` gets a Progress about once a second. Both are called in the thread that called.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from django_dcache.errors import Conflict

from ..errors import NotPossible
from ..inspection.fleet_report import FleetReport, look
from ..inspection.target import Target
from ..jobs.journal import installed, journal
from ..jobs.progress import Progress
from . import leadership
from .conductor import Conductor
from .layout_change import LayoutChange, plan_change
from .plan import Plan, with_out
from .status import Status, judge

if TYPE_CHECKING:
    from ..models import Job

Notify = Callable[[str], None]
Report = Callable[[Progress], None]

LOOK_SECONDS = 2.0
"""How long nodes have to answer when the fleet is looked at."""
_asked = {"run": "continue", "cancel": "go back", "pause": "pause"}


def ignore(what: object) -> None:
    """For callers who need no remarks or no reports."""


def plan(
    target: Target, change: LayoutChange = LayoutChange(), seen: FleetReport | None = None, notify: Notify = ignore
) -> Plan:
    """What a rebalance to `change` (by default: to LOCATION) would do. `seen`: a look at the fleet that was just had.

    Raises ConfigurationError or InvalidTopology for a change that makes no sense, NothingReachable.
    """
    seen = seen or look(target, LOOK_SECONDS)
    made = plan_change(target, seen.topology, change, notify)
    if change.answering:
        _all_answer(seen, made)
    return made


def plan_service(target: Target, node: str, out: bool, seen: FleetReport | None = None) -> Plan:
    """What taking a node out of service would do, or letting it in again. Raises InvalidTopology, NothingReachable."""
    seen = seen or look(target, LOOK_SECONDS)
    layout = seen.topology.layout
    return Plan(seen.topology.epoch, layout, with_out(layout, node, out))


def run(
    target: Target, made: Plan, max_rate: float | None = None, report: Report = ignore, notify: Notify = ignore
) -> Progress:
    """Carry out a plan in this process, and return when it is done. `max_rate`: keys a second.

    Raises Conflict (another conductor is alive, or the fleet has moved on since the plan was made), NoMajority,
    NodeFailure, Cancelled.
    """

    def act(conductor: Conductor) -> Progress:
        return conductor.run(made.desired)

    return _conduct(target, act, max_rate, made.epoch, report, notify)


def start(target: Target, made: Plan, max_rate: float | None = None, notify: Notify = ignore) -> "Job":
    """Have Celery workers carry out a plan; the job, which has yet to begin. Raises ConfigurationError, Conflict."""
    target.require_project()
    _require_tables()
    from .distributed import job as jobs  # Late: only a project with dcache_manager installed can import its models.

    return jobs.start(target, made, max_rate, notify)


def ask(target: Target, wish: str, seen: FleetReport, notify: Notify = ignore) -> None:
    """As `pause`, `resume` ("run") and `cancel`, for a caller that can't wait for the end of a resize: asks whichever
    process leads it, and has workers take over where none does. `seen`: as `look_closely` makes it.

    Raises ConfigurationError, Conflict, NoMajority.
    """
    now = status(target, seen)
    if now.job:
        _steer_job(target, now.job, wish, notify)
    elif now.conductor:
        _ask(target, wish)
        notify(f"{now.conductor} leads this resize, and was asked to {_asked[wish]}.")
    elif wish == "pause" or seen.topology.target is None:
        raise Conflict("no conductor moves keys: there is nothing to steer", epoch=seen.topology.epoch)
    else:
        _require_tables()
        from .distributed import job as jobs  # Late, as above.

        _ask(target, wish)  # In place of what the last conductor was asked.
        job = jobs.take_over(target, seen.topology, wish == "cancel", notify)
        notify(f"No conductor leads this resize: job {job.name} was asked to {_asked[wish]}.")


def retry(job: "Job", notify: Notify = ignore) -> None:
    """Have workers continue a job that failed or was cancelled. Raises ConfigurationError, Conflict."""
    from .distributed import job as jobs  # Late, as above.

    jobs.retry(job, notify)


def tend() -> None:
    """Send for workers for jobs that lost theirs, or whose message was lost: what beat does, for a project without."""
    from .distributed import leader  # Late: only a project with dcache_manager installed can import its models.

    leader.tend()


def cancel_job(target: Target, job: "Job", notify: Notify = ignore) -> None:
    """Ask the workers at a job to go back; one that has not begun ends at once. Raises ConfigurationError if over."""
    from .distributed import job as jobs  # Late, as above.

    with target.connected() as fleet:
        jobs.cancel(job, fleet, notify)


def take_out(target: Target, node: str, report: Report = ignore, notify: Notify = ignore) -> Progress:
    """Take a node that stays away out of service, at once. Raises as `run`."""
    return _conduct(target, lambda conductor: conductor.take_out(node), None, None, report, notify)


def bring_back(
    target: Target, node: str, max_rate: float | None = None, report: Report = ignore, notify: Notify = ignore
) -> Progress:
    """Let a node that was out join again; returns when it is filled. Raises as `run`."""
    return _conduct(target, lambda conductor: conductor.bring_back(node), max_rate, None, report, notify)


def status(target: Target, seen: FleetReport | None = None, seconds: float = LOOK_SECONDS) -> Status:
    """How far the resize under way is, or how the last one ended. `seen`: a look that was had with `resize=True`."""
    seen = seen or look(target, seconds, resize=True)
    return judge(seen, leading_job(target))


def pause(target: Target, report: Report = ignore, notify: Notify = ignore) -> Status:
    """Ask the conductor to pause until `resume` or `cancel`."""
    return _steer(target, "pause", report, notify)


def resume(target: Target, report: Report = ignore, notify: Notify = ignore, max_rate: float | None = None) -> Status:
    """Ask the conductor to continue; if there is none, lead the resize to its end from here, at no more than `max_rate`
    keys a second. A job takes the new rate too; a living conductor of another process keeps its own.

    Raises as `run`; Conflict if such a conductor was to take another rate: nothing was asked of it.
    """
    return _steer(target, "run", report, notify, max_rate)


def cancel(target: Target, report: Report = ignore, notify: Notify = ignore) -> Status:
    """Ask the conductor to go back; if there is none, lead the fleet back from here. Raises as `run`."""
    return _steer(target, "cancel", report, notify)


def leading_job(target: Target) -> "Job | None":
    """The job for Celery workers that leads this fleet, also while no worker is at it."""
    if target.wanted is None or not installed():
        return None
    from .distributed import job as jobs  # Late, as above.

    return jobs.leading(target.name)


def _require_tables() -> None:
    if not installed():
        raise NotPossible(
            "a job for Celery is kept in the project's database: add dcache_manager to INSTALLED_APPS, and run migrate"
        )


def _all_answer(seen: FleetReport, made: Plan) -> None:
    """Raises NodeFailure for a leaving node that can't tell what it holds."""
    for node in made.current.nodes:
        failure = seen.of(node).failure
        if failure and made.desired.node(node.name) is None:
            raise type(failure)("`node remove` removes it without its keys", node=node.name)


def _conduct(
    target: Target,
    act: Callable[[Conductor], Progress],
    max_rate: float | None,
    epoch: int | None,
    report: Report,
    notify: Notify,
) -> Progress:
    """Let a conductor act, here. With `epoch`, only if the fleet is still there."""
    with target.connected() as fleet:
        found = fleet.proven_view().epoch
        if job := leading_job(target):
            raise Conflict(f"job {job.name} is leading this fleet; `jobs watch` shows it", epoch=found)
        leadership.require_epoch(epoch, found)
        progress = act(Conductor(fleet, journal(fleet), max_rate=max_rate, report=report))
    for text in progress.notes:
        notify(text)
    return progress


def _steer(target: Target, wish: str, report: Report, notify: Notify, max_rate: float | None = None) -> Status:
    seen = look(target, LOOK_SECONDS, resize=True)
    if job := leading_job(target):
        _steer_job(target, job, wish, notify, max_rate)
    elif seen.topology.target is None and not seen.conductor:
        target.require_project()
        notify("No keys are being moved.")
        return judge(seen, None)
    else:
        _steer_conductor(target, seen, wish, report, notify, max_rate)
    return status(target)


def _steer_job(target: Target, job: "Job", wish: str, notify: Notify, max_rate: float | None = None) -> None:
    if wish == "cancel":
        cancel_job(target, job, notify)
        return
    from .distributed import job as jobs  # Late, as above.

    if max_rate:
        jobs.limit(job, max_rate)
    _ask(target, wish)
    jobs.nudge(job)
    rate = f" at no more than {max_rate:g} keys/s" if max_rate else ""
    notify(f"Job {job.name} leads this resize, and was asked to {_asked[wish]}{rate}.")


def _steer_conductor(
    target: Target, seen: FleetReport, wish: str, report: Report, notify: Notify, max_rate: float | None
) -> None:
    layout = seen.topology.target
    if seen.conductor and not max_rate:
        _ask(target, wish)
    if layout is None or wish == "pause":
        _require_no_rate(seen, max_rate)
        return

    def act(conductor: Conductor) -> Progress:
        return conductor.cancel() if wish == "cancel" else conductor.run(layout)

    try:
        # A conductor that was killed may still seem to hold its lease: this waits until it has run out.
        _conduct(target, act, max_rate, None, report, notify)
    except Conflict:
        _require_no_rate(seen, max_rate)
        notify(f"{seen.conductor} leads this resize, and was asked to {_asked[wish]}.")


def _require_no_rate(seen: FleetReport, max_rate: float | None) -> None:
    if max_rate:
        raise Conflict(
            f"{seen.conductor} leads this resize, and keeps the rate it was begun with: `rebalance resume` without"
            " --max-rate lets it continue",
            epoch=seen.topology.epoch,
        )


def _ask(target: Target, wish: str) -> None:
    with target.connected() as fleet:
        leadership.ask(fleet, wish)
