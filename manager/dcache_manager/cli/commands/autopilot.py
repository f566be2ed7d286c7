"""dcache-admin autopilot: look after the nodes without an operator."""

import time

import click

from ...formatting import printable
from ..exit_codes import Exit
from ..options import Choices, Verb, pass_choices
from ..project import find


@click.command("autopilot", cls=Verb)
@click.option(
    "--eject-after",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="For how long most probes of a node have to fail before it is taken out of service.",
)
@click.option(
    "--replace-after",
    type=click.FloatRange(1),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="For how long, before its copies are made anew on the others.",
)
@click.option(
    "--every",
    type=click.FloatRange(0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="The time between two probes.",
)
@click.option("--looks", type=click.IntRange(1), metavar="N", help="Stop after N probes of each node; default: never.")
@pass_choices
def command(choices: Choices, eject_after: float, replace_after: float, every: float, looks: int | None) -> int:
    """Heal the fleet, give each key its copies again, and keep the layout.

    Probes every node, for ever. A node that stays away is taken out and let in again, as the site's processes do by
    themselves (eject_after in OPTIONS). With two copies and more, a node that stays away for longer leaves the
    fleet, and joins again when it is back. What an operator took out stays out.
    """
    target = find(choices)
    from ...rebalance.autopilot import Autopilot  # Late: help must not wait for it.

    with target.connected() as fleet:
        autopilot = Autopilot(fleet, eject_after, replace_after)
        while True:
            for line in autopilot.look():
                click.echo(printable(line))
            if looks is not None:
                looks -= 1
                if not looks:
                    return Exit.OK
            time.sleep(every)
