"""dcache-admin top: what the fleet does at this moment."""

import click

from ..options import Choices, Verb, pass_choices
from ..project import find


@click.command("top", cls=Verb)
@click.option("--once", is_flag=True, help="Show it once, and end.")
@click.option(
    "--every",
    type=click.FloatRange(0.2, 60),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="The time between two looks, which rates are taken over.",
)
@click.option(
    "--keys",
    type=click.IntRange(0, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="How many of the keys that are asked for most; 0 does not watch the nodes for them.",
)
@pass_choices
def command(choices: Choices, once: bool, every: float, keys: int) -> int:
    """Show what the nodes do now, and the keys that are asked for most.

    Rates are those of the time between two looks, without what the fleet asks of its keepers on memcached. The keys are
    a sample, from the log of lookups (of reads and of writes) that memcached writes while it is watched; that costs a
    node a little. With --json there is one object a line. Ends by Ctrl-C.
    """
    target = find(choices)
    from ..actions import top  # Late: see actions.

    return top.top(choices, target, every, keys, once)
