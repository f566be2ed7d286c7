"""dcache-admin watch: take nodes that stay away out of service, and let them in again when they are back."""

import time

import click

from ..exit_codes import Exit
from ..options import Choices, Verb, pass_choices
from ..project import find


@click.command("watch", cls=Verb)
@click.option(
    "--eject-after",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="For how long most probes of a node have to fail.",
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
def command(choices: Choices, eject_after: float, every: float, looks: int | None) -> int:
    """Take nodes that stay away out of service, and let them in again.

    Probes every node, for ever, and acts when most probes of --eject-after agree.
    """
    target = find(choices)
    from ...rebalance.watchdog import Watchdog  # Late: help must not wait for it.

    with target.connected() as fleet:
        watchdog = Watchdog(fleet, eject_after)
        while True:
            for line in watchdog.look():
                click.echo(line)
            if looks is not None:
                looks -= 1
                if not looks:
                    return Exit.OK
            time.sleep(every)
