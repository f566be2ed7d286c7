"""dcache-admin rebalance: changing the fleet while it serves."""

import click

from ..layout_options import LayoutOptions, RunOptions, layout_options, run_options
from ..options import Choices, Noun, pass_choices
from ..project import find


@click.group("rebalance", cls=Noun, default="run")
def command() -> None:
    """Change the fleet and move its keys while it serves.

    Without a command: run.
    """


@command.command("plan")
@layout_options
@click.option("--exit-code", is_flag=True, help="Exit 10 if there is something to do.")
@pass_choices
def plan(choices: Choices, layout: LayoutOptions, exit_code: bool) -> int:
    """Show what a rebalance would do. Changes nothing."""
    target = find(choices)
    from ..actions import rebalance  # Late: see actions.

    return rebalance.plan(choices, target, rebalance.change_of(layout), exit_code)


@command.command("run")
@layout_options
@run_options
@pass_choices
def run(choices: Choices, layout: LayoutOptions, options: RunOptions) -> int:
    """Make the fleet what LOCATION says, or what the options say.

    Resumes a run that was interrupted. Returns when the new topology is stable.
    """
    target = find(choices)
    from ..actions import rebalance  # Late: see actions.

    return rebalance.run(choices, target, rebalance.change_of(layout), options)


@command.command("status")
@pass_choices
def status(choices: Choices) -> int:
    """Show how far the resize under way is, or how the last one ended.

    Exit 3 if one was interrupted and no conductor leads it.
    """
    target = find(choices)
    from ..actions import rebalance  # Late: see actions.

    return rebalance.show(choices, target)


@command.command("watch")
@pass_choices
def watch(choices: Choices) -> int:
    """Follow the resize under way until it is over, whichever process leads it.

    Exit 3 if it was interrupted and no conductor leads it.
    """
    target = find(choices)
    from ..actions import rebalance  # Late: see actions.

    return rebalance.watch(choices, target)


@command.command("pause")
@pass_choices
def pause(choices: Choices) -> int:
    """Ask the conductor to pause until `resume`, `cancel` or the next `run`."""
    target = find(choices)
    from ..actions import rebalance  # Late: see actions.

    return rebalance.pause(choices, target)


@command.command("resume")
@click.option(
    "--max-rate", type=click.FloatRange(1), metavar="KEYS_PER_S", help="Move at most this many keys a second."
)
@pass_choices
def resume(choices: Choices, max_rate: float | None) -> int:
    """Ask the conductor to continue; if it is gone, lead the resize to its end from here.

    --max-rate counts for a resize that is led from here, and for a job of Celery workers, which may be running.
    """
    target = find(choices)
    from ..actions import rebalance  # Late: see actions.

    return rebalance.resume(choices, target, max_rate)


@command.command("cancel")
@pass_choices
def cancel(choices: Choices) -> int:
    """Go back to the layout before the resize under way.

    Past the phase copy the conductor finishes first: the way back is another resize.
    """
    target = find(choices)
    from ..actions import rebalance  # Late: see actions.

    return rebalance.cancel(choices, target)
