"""dcache-admin state: what the keepers hold of the fleet."""

import click

from .. import completion
from ..options import Choices, Noun, pass_choices
from ..project import find


@click.group("state", cls=Noun)
def command() -> None:
    """Mend keepers whose copy of the fleet's state is not to be believed."""


@command.command("repair")
@click.argument("node", shell_complete=completion.nodes)
@pass_choices
def repair(choices: Choices, node: str) -> int:
    """Remove what NODE holds as the fleet's state, where another project, a newer release or an attacker put it there.

    The state of the other keepers takes its place. `status` and `doctor` name such nodes.
    """
    target = find(choices)
    from ..actions import looking  # Late: see actions.

    return looking.repair(choices, target, node)
