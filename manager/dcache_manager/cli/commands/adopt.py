"""dcache-admin adopt: from another backend to this one, on the same nodes."""

import click

from ..options import Choices, Noun, pass_choices
from ..project import alias_in_project, find_in_project


@click.group("adopt", cls=Noun)
def command() -> None:
    """Take over the nodes of another backend while the site runs.

    `plan` says what to write. Deploy that, process by process: old and new ones share every key. Then `finish`.
    """


@command.command("plan")
@pass_choices
def plan(choices: Choices) -> int:
    """Show what to write in place of the old CACHES entry, and what becomes of its options.

    Reads the settings of the project alone. Exit 3 if old and new processes would not share everything.
    """
    alias = alias_in_project(choices)
    from ..actions import adoption  # Late: see actions.

    return adoption.plan(choices, alias)


@command.command("status")
@pass_choices
def status(choices: Choices) -> int:
    """Show whether processes of the old backend may still use the nodes."""
    target = find_in_project(choices)
    from ..actions import adoption  # Late: see actions.

    return adoption.status(choices, target)


@command.command("finish")
@pass_choices
def finish(choices: Choices) -> int:
    """Say that the last process with the old backend is gone: from then on everything is as this backend promises."""
    target = find_in_project(choices)
    from ..actions import adoption  # Late: see actions.

    return adoption.finish(choices, target)
