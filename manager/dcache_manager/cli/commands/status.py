"""dcache-admin status"""

import click

from ..options import Choices, Verb, pass_choices
from ..project import find


@click.command("status", cls=Verb)
@click.option("--watch", is_flag=True, help="Repeat until interrupted.")
@click.option(
    "--every",
    type=click.FloatRange(0.05),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks.",
)
@pass_choices
def command(choices: Choices, watch: bool, every: float) -> int:
    """Show one row per node: state, share, memory, hits.

    A node is up, joining, leaving or out; suspect if it answered only in part, down if not at all. With --watch and
    --json there is one object a line.
    """
    target = find(choices)
    from ..actions import looking  # Late: see actions.

    return looking.watch_status(choices, target, every) if watch else looking.status(choices, target)
