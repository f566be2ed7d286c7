"""dcache-admin drill"""

from pathlib import Path

import click

from dcache_manager.cli.options import Choices, Verb, pass_choices


@click.command("drill", cls=Verb)
@click.option("--minutes", type=click.FloatRange(0.1, 24 * 60), default=1.0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="What is broken when, and by whom.")
@click.option(
    "--replicas", type=click.IntRange(1, 9), default=None, help="Copies of each key.  [default: OPTIONS, or 1]"
)
@click.option("--faults", default="", metavar="NAME,…", help="Only these.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where histories and the report go.")
@pass_choices
def command(choices: Choices, minutes: float, seed: int, replicas: int | None, faults: str, folder: Path | None) -> int:
    """Break networks, processes and nodes, and check every answer.

    On nodes of its own, unless a fleet is named: then networks and processes only, under the prefix and the fleet name
    "dcache-drill", which is all that it touches there. Exit 1 if a promise was broken.
    """
    from . import staging

    return staging.drill(choices, minutes * 60, seed, replicas, tuple(filter(None, faults.split(","))), folder)
