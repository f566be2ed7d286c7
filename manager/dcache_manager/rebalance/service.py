"""From a wish to a fleet that has it: plan, ask, then conduct here or in the background. What `rebalance run` and the
`node` commands are thin shells over."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from ..cli.exit_codes import Exit, NotConfirmed
from ..cli.options import Choices

if TYPE_CHECKING:
    from ..inspection.fleet_report import Sighting
    from ..inspection.target import Target
    from ..jobs.progress import Progress
    from .layout_change import Edits
    from .plan import Plan


@dataclass(frozen=True, slots=True)
class Terms:
    """How a resize is to be done."""

    dry_run: bool = False
    max_rate: float | None = None
    wait: bool = True
    wait_timeout: float | None = None
    expect_epoch: int | None = None
    runner: str = "inline"


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of whatever starts a resize; the command gets them as `terms`."""

    @click.option("--dry-run", is_flag=True, help="Show the plan, and do nothing.")
    @click.option("--max-rate", type=click.FloatRange(1), metavar="KEYS_PER_S", help="Move no more keys a second.")
    @click.option("--wait/--no-wait", default=True, help="Return when it is done (default), or once it has begun.")
    @click.option("--wait-timeout", type=float, metavar="SECONDS", help="Wait no longer; the job goes on (exit 124).")
    @click.option("--expect-epoch", type=int, metavar="N", help="Refuse if the fleet has moved on (exit 5).")
    @click.option(
        "--runner",
        type=click.Choice(["inline", "celery"]),
        default="inline",
        show_default=True,
        help="Who does it: this command, or Celery workers.",
    )
    @wraps(command)
    def wrapped(
        *arguments: Any,
        dry_run: bool,
        max_rate: float | None,
        wait: bool,
        wait_timeout: float | None,
        expect_epoch: int | None,
        runner: str,
        **rest: Any,
    ) -> Any:
        terms = Terms(dry_run, max_rate, wait, wait_timeout, expect_epoch, runner)
        return command(*arguments, terms=terms, **rest)

    return wrapped


def resize(choices: Choices, edits: "Edits", terms: Terms) -> int:
    """Make it so, and answer with what was done. Raises what the conductor raises."""
    from django_dcache.errors import Conflict

    from ..inspection.fleet_report import look
    from ..inspection.target import find
    from . import detached as background
    from .layout_change import wanted
    from .plan import plan

    target = find(choices)
    target.fleet()  # Before anything else: without a project there is nothing to be done.
    sighting = look(target, choices.timeout)
    topology = sighting.topology
    made = plan(topology, wanted(target, topology, edits, choices.note))
    if edits.answering:
        _all_answer(sighting, made)
    if terms.dry_run:
        return show_plan(choices, sighting, made)
    confirmed = background.confirmed_epoch()
    for expected in (terms.expect_epoch, confirmed):
        if expected is not None and expected != topology.epoch:
            raise Conflict(f"expected epoch {expected}", epoch=topology.epoch)
    if made.empty and topology.target is None:
        choices.note("Nothing to do: the fleet is as it should be.")
        return _answer(choices, sighting, made, None)
    if confirmed is None:
        confirm(choices, summary(sighting, made))
        if terms.runner == "celery":
            return _have_it_done(choices, target, sighting, made, terms)
        if not terms.wait or terms.wait_timeout:
            job = background.start(choices, topology.epoch, target.configuration.fleet)
            background.follow(job, choices, target, terms.wait_timeout if terms.wait else 0.0)
            return _answer(choices, look(target, choices.timeout), made, None, state="running", **job.to_json())
    progress = conduct(choices, target, lambda conductor: conductor.run(made.desired), terms.max_rate, topology.epoch)
    return _answer(choices, sighting, made, progress)


def _have_it_done(choices: Choices, target: "Target", sighting: "Sighting", made: "Plan", terms: Terms) -> int:
    """Let Celery workers do it, and wait for them."""
    from .distributed import job as rebalance_job

    job = rebalance_job.start(choices, target, made, terms.max_rate)
    more = {"job": job.name, "runner": "celery"}
    if not terms.wait:
        return _answer(choices, sighting, made, None, state="running", **more)
    try:
        progress = rebalance_job.follow(job, choices, terms.wait_timeout)
    except KeyboardInterrupt:
        choices.note(f"The job goes on: `jobs watch {job.name}`, `rebalance cancel`.")
        raise
    for text in progress.notes:
        choices.note(text)
    return _answer(choices, sighting, made, progress, **more, steps=job.steps.count())


def conduct(
    choices: Choices,
    target: "Target",
    act: Callable[[Any], "Progress"],
    max_rate: float | None = None,
    epoch: int | None = None,
) -> "Progress":
    """Let a conductor act, here, and show how it goes on. With `epoch`, only if the fleet is still there."""
    from django_dcache.errors import Conflict

    from ..cli.progress_bar import reporter
    from ..jobs.database_journal import journal
    from .conductor import Conductor
    from .distributed.job import leading

    fleet = target.fleet()
    found = fleet.proven_view().epoch
    # Whoever comes first plants LOCATION as epoch 1: that changes nothing.
    if job := leading(target.configuration.fleet):
        raise Conflict(f"job {job.name} is leading this fleet", epoch=found)
    if epoch is not None and found != max(epoch, 1):
        raise Conflict(f"the plan was for epoch {epoch}", epoch=found)
    with reporter(choices) as report:
        conductor = Conductor(fleet, journal(fleet), max_rate=max_rate, report=report)
        try:
            progress = act(conductor)
        except KeyboardInterrupt:
            choices.note("Interrupted. `rebalance run` goes on from here, `rebalance cancel` goes back.")
            raise
    for text in progress.notes:
        choices.note(text)
    return progress


def serve(choices: Choices, node: str, out: bool, max_rate: float | None = None) -> int:
    """Take a node out of service, or let it join again, and answer with what was done."""
    from ..inspection.fleet_report import look
    from ..inspection.target import find
    from .conductor import with_out
    from .plan import Plan

    target = find(choices)
    target.fleet()
    sighting = look(target, choices.timeout)
    layout = sighting.topology.layout
    made = Plan(sighting.topology.epoch, layout, with_out(layout, node, out))
    if made.empty:
        choices.note(f"{node} is {'out of' if out else 'in'} service already.")
        return _answer(choices, sighting, made, None)
    if out:
        lost = "its share is served by the other replicas" if layout.replicas > 1 else "its share is misses"
        confirm(choices, f"Take {node} out of service? While it is out, {lost}.")
        progress = conduct(choices, target, lambda conductor: conductor.take_out(node))
    else:
        confirm(choices, f"Let {node} join again? What it holds is forgotten, then it is filled.")
        progress = conduct(choices, target, lambda conductor: conductor.bring_back(node), max_rate)
    return _answer(choices, sighting, made, progress)


def summary(sighting: "Sighting", made: "Plan") -> str:
    """A plan in a few lines, for the question whether to go ahead."""
    from ..cli.output import printable

    topology = sighting.topology
    lines = [f"{sighting.alias}: epoch {topology.epoch}, {topology.phase}"]
    lines += [f"  {change}" for change in made.changes]
    if topology.target:
        lines.append("  a resize is under way and is finished first")
    lines.append(f"  {made.moved_share:.1%} of all copies move")
    for node in topology.nodes.values():
        if made.desired.node(node.name) is None and sighting.standing(node) == "down":
            lines.append(f"  {node.name} does not answer: what only it holds is lost")
    return "\n".join(map(printable, lines))


def _all_answer(sighting: "Sighting", made: "Plan") -> None:
    """Raises NodeFailure for a leaving node that can't tell what it holds."""
    for node in made.current.nodes:
        failure = sighting.report(node).failure
        if failure and made.desired.node(node.name) is None:
            raise type(failure)("`node remove` removes it without its keys", node=node.name)


def confirm(choices: Choices, question: str) -> None:
    """Ask on a terminal. Raises NotConfirmed, unless --yes."""
    if choices.yes:
        return
    click.echo(question, err=True)
    if not sys.stdin.isatty() or not click.confirm("Go ahead?", err=True):
        raise NotConfirmed


def show_plan(choices: Choices, sighting: "Sighting", made: "Plan", exit_code: bool = False) -> int:
    """Answer with the plan: one item a node, and the changes as sentences."""
    from ..cli.output import Answer, Column, share, write

    items = [entry | {"change": round(entry["owns_after"] - entry["owns_before"], 6)} for entry in made.per_node]
    text = "\n".join(made.changes) or "no changes"
    answer = Answer.about(sighting, "plan", items, f"{text}\n{made.moved_share:.1%} of all copies move")
    answer.more = {"changes": made.changes, "moved_share": made.moved_share, "target": made.to_json()["target"]}
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


def _answer(choices: Choices, sighting: "Sighting", made: "Plan", progress: "Progress | None", **more: Any) -> int:
    """Answer with what was done."""
    from ..cli.output import Answer, write
    from ..cli.progress_bar import describe

    item = (progress.to_json() if progress else {"state": "done"}) | {"changes": made.changes} | more
    answer = Answer("rebalance", [item], [], sighting.alias, sighting.topology.epoch, str(sighting.topology.phase))
    if progress:
        answer.epoch, answer.phase = progress.epoch, progress.phase
        answer.title = describe(progress)
    write(answer, [], choices)
    return Exit.OK
