"""dcache-admin rebalance: changing the fleet while it serves."""

import click

from ...rebalance.layout_change import Edits, layout_options
from ...rebalance.service import Terms, run_options
from ..options import Choices, Noun, pass_choices


@click.group("rebalance", cls=Noun, default="run")
def command() -> None:
    """Change the fleet and move its keys while it serves.

    Without a command: run.
    """


@command.command("plan")
@layout_options
@click.option("--exit-code", is_flag=True, help="Exit 10 if there is something to do.")
@pass_choices
def plan(choices: Choices, edits: Edits, exit_code: bool) -> int:
    """What a rebalance would do. Changes nothing."""
    from ...inspection.fleet_report import look
    from ...inspection.target import find
    from ...rebalance.layout_change import planned
    from ...rebalance.service import show_plan

    target = find(choices)
    sighting = look(target, choices.timeout)
    return show_plan(choices, sighting, planned(target, sighting.topology, edits, choices.note), exit_code)


@command.command("run")
@layout_options
@run_options
@pass_choices
def run(choices: Choices, edits: Edits, terms: Terms) -> int:
    """Make the fleet what LOCATION says, or what the options say.

    Goes on where an interrupted run left off. Returns when the new topology is stable.
    """
    from ...rebalance.service import resize

    return resize(choices, edits, terms)


@command.command("status")
@pass_choices
def status(choices: Choices) -> int:
    """How far the resize under way has come, or how the last one ended.

    Exit 3 if one was interrupted and nobody leads it.
    """
    from ...inspection.fleet_report import look
    from ...inspection.target import find
    from ...rebalance.control import show

    return show(choices, look(find(choices), choices.timeout, resize=True))


@command.command("watch")
@pass_choices
def watch(choices: Choices) -> int:
    """Show how the resize under way goes on, whoever leads it, until it is over.

    Exit 3 if it was interrupted and nobody leads it.
    """
    from ...rebalance.control import watch

    return watch(choices)


@command.command("pause")
@pass_choices
def pause(choices: Choices) -> int:
    """Let the conductor stand still until `resume`, `cancel` or the next `run`."""
    from ...rebalance.control import steer

    return steer(choices, "pause")


@command.command("resume")
@pass_choices
def resume(choices: Choices) -> int:
    """Let the conductor go on; if it is gone, lead the resize to its end from here."""
    from ...rebalance.control import steer

    return steer(choices, "run")


@command.command("cancel")
@pass_choices
def cancel(choices: Choices) -> int:
    """Go back to the layout before the resize under way.

    Past the phase copy the conductor finishes first: the way back is another resize.
    """
    from ...rebalance.control import steer

    return steer(choices, "cancel")
