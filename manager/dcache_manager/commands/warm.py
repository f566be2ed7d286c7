"""dcache-admin warm: filling a cold cache."""

from pathlib import Path

import click

from ..options import Choices, Noun, pass_choices

rate_option = click.option("--max-rate", type=click.FloatRange(min=1), metavar="KEYS", help="At most so many a second.")


@click.group("warm", cls=Noun)
def command() -> None:
    """Fill a cold cache."""


@command.command("dump")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path), metavar="FILE")
@click.option("--prefix", default="", metavar="PREFIX", help="Only keys that begin so, as the application names them.")
@rate_option
@pass_choices
def dump(choices: Choices, file: Path, prefix: str, max_rate: float | None) -> int:
    """Write what the fleet holds into FILE, a snapshot for `warm load`.

    Exit 3 if a node could not be asked for all of its keys.
    """
    from ..snapshot.console import dump

    return dump(choices, file, prefix, max_rate)


@command.command("load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@rate_option
@click.option("--restart", is_flag=True, help="From the beginning, although an earlier load was killed on its way.")
@pass_choices
def load(choices: Choices, file: Path, max_rate: float | None, restart: bool) -> int:
    """Store what FILE, a snapshot by `warm dump`, holds and the fleet lacks.

    Goes on where a killed load left off. What is there already stays, and so does what expires when. Exit 3 if
    something could not be stored; the next load tries that again.
    """
    from ..snapshot.console import load

    return load(choices, file, max_rate, restart)
