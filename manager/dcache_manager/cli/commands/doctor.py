"""dcache-admin doctor"""

import click

from ..options import Choices, Verb, pass_choices
from ..project import find


@click.command("doctor", cls=Verb)
@click.option("--problems", is_flag=True, help="Show warnings and failures only.")
@click.option(
    "--without",
    multiple=True,
    metavar="CHECK",
    help="Leave out a check, with - for a space: one whose risk is accepted. Repeatable.",
)
@pass_choices
def command(choices: Choices, problems: bool, without: tuple[str, ...]) -> int:
    """Check the fleet, its nodes and the broker for problems.

    Stores, reads and deletes one small item of its own on every node, and sends a task that does nothing to the workers
    of each region, if there is a broker. Exit 3 if a check failed; warnings alone are exit 0.
    """
    target = find(choices)
    from ..actions import looking  # Late: see actions.

    return looking.doctor(choices, target, problems, without)
