"""dcache-admin verify: do the copies agree?"""

import click

from ..options import Choices, Verb, pass_choices
from ..project import find


@click.command("verify", cls=Verb)
@click.option("--repair", is_flag=True, help="Delete copies that differ and copies where they do not belong.")
@click.option("--sample", type=click.IntRange(1), default=1, metavar="N", help="Look at one key in N (by its hash).")
@pass_choices
def command(choices: Choices, repair: bool, sample: int) -> int:
    """Compare what the replicas of each key hold.

    Exit 3 if something is wrong and was not repaired.
    """
    target = find(choices)
    from ..actions import looking  # Late: see actions.

    return looking.verify(choices, target, repair, sample)
