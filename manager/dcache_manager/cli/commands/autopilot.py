"""dcache-admin autopilot: look after the nodes without an operator."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...formatting import printable
from ..exit_codes import Exit
from ..options import Choices, Verb, pass_choices
from ..project import find

if TYPE_CHECKING:
    from ...rebalance.reconcile import Reconciler


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
@click.option(
    "--discover",
    envvar="DCACHE_DISCOVER",
    metavar="SOURCE",
    help="Make the fleet what a source says: file:PATH, dns:NAME, srv:NAME, elasticache:HOST, or your own.",
)
@click.option(
    "--reads",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    metavar="N",
    help="How many reads of the source in a row must be equal before they count.",
)
@click.option(
    "--at-most",
    type=click.FloatRange(0, 1),
    default=0.25,
    show_default=True,
    metavar="PART",
    help="The part of the nodes that may leave or move at once; one always may.",
)
@click.option("--window", metavar="HH:MM-HH:MM", help="When the layout may change; dead nodes that moved don't wait.")
@click.option(
    "--keep",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the source's last good answer is kept; default: beside the journal, by the fleet's name.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done and why it waits, and change nothing.")
@pass_choices
def command(
    choices: Choices,
    /,
    eject_after: float,
    replace_after: float,
    every: float,
    looks: int | None,
    dry_run: bool,
    **source: Any,
) -> int:
    """Heal the fleet, give each key its copies again, and make it what a source says.

    Probes every node, for ever. A node that stays away is taken out and let in again, as the site's processes do by
    themselves (eject_after in OPTIONS). With two copies and more, a node that stays away for longer leaves the
    fleet, and joins again when it is back. What an operator took out stays out.

    With --discover, nodes join, move and leave as the source says, a resize at a time. An empty answer changes nothing.
    """
    target = find(choices)
    from ...jobs.journal import journal  # Late: help must not wait for it.
    from ...rebalance import service
    from ...rebalance.autopilot import Autopilot
    from ...rebalance.conductor import Conductor

    reconciler = _reconciler(target.name, **source)
    with target.connected() as fleet:
        autopilot = Autopilot(
            *(fleet, eject_after, replace_after),
            conductor=lambda fleet: Conductor(fleet, journal(fleet)),
            reconciler=reconciler,
            dry_run=dry_run,
            led=lambda: service.status(target).conductor,
        )
        before: Sequence[str] = ()
        while True:
            said = autopilot.look()
            for line in said:
                if line not in before:  # What it waits for is said once.
                    click.echo(printable(line))
            before = said
            if looks is not None:
                looks -= 1
                if not looks:
                    return Exit.OK
            time.sleep(every)


def _reconciler(
    fleet: str, discover: str | None, reads: int, at_most: float, window: str | None, keep: Path | None
) -> "Reconciler | None":
    """What the options say of a source."""
    if discover is None:
        return None
    from ...discovery.rules import Rules  # Late, as above.
    from ...discovery.source import source
    from ...discovery.watch import SourceWatch
    from ...discovery.window import Window
    from ...jobs.state_folder import state_folder
    from ...rebalance.reconcile import Reconciler

    rules = Rules(reads, at_most)
    watch = SourceWatch(source(discover), rules, keep or state_folder() / f"{fleet}.nodes.json")
    return Reconciler(watch, rules, Window.parse(window) if window else None)
