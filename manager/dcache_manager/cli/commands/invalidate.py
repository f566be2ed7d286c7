"""dcache-admin invalidate: make values unreadable, in every region; and the log of that."""

import click

from ..options import Choices, Noun, pass_choices
from ..project import find_in_project, find_installed

version_option = click.option("--version", type=int, metavar="N", help="The version of the keys; default: the alias's.")


@click.group("invalidate", cls=Noun)
def command() -> None:
    """Make cached values unreadable, here and in every other region."""


@command.command("key")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@version_option
@pass_choices
def key(choices: Choices, keys: tuple[str, ...], version: int | None) -> int:
    """Invalidate keys, as the application's code names them."""
    alias = find_in_project(choices).alias
    from ..actions import invalidation  # Late: see actions.

    return invalidation.keys(choices, alias, keys, version)


@command.command("tag")
@click.argument("tags", nargs=-1, required=True, metavar="TAG...")
@pass_choices
def tag(choices: Choices, tags: tuple[str, ...]) -> int:
    """Invalidate every value that has one of these tags, of all versions."""
    alias = find_installed(choices).alias
    from ..actions import invalidation  # Late: see actions.

    return invalidation.tags(choices, alias, tags)


@command.command("prefix")
@click.argument("prefix")
@version_option
@pass_choices
def prefix(choices: Choices, prefix: str, version: int | None) -> int:
    """Invalidate every key that begins with PREFIX.

    Lists the keys of all nodes, unless PREFIX is in OPTIONS["prefixes"]. An empty PREFIX means all keys, and asks.
    """
    target = find_in_project(choices)
    from ..actions import invalidation  # Late: see actions.

    return invalidation.prefix(choices, target, prefix, version)


@command.command("all")
@version_option
@pass_choices
def everything(choices: Choices, version: int | None) -> int:
    """Invalidate every key of the alias, of one version.

    What other aliases and sites keep on the same fleet stays.
    """
    target = find_in_project(choices)
    from ..actions import invalidation  # Late: see actions.

    return invalidation.prefix(choices, target, "", version)


@command.command("log")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="The last N entries.")
@pass_choices
def log(choices: Choices, limit: int) -> int:
    """List the last invalidations, and which regions have applied them.

    Exit 3 if one has not reached every region yet.
    """
    alias = find_installed(choices).alias
    from ..actions import invalidation  # Late: see actions.

    return invalidation.show_log(choices, alias, limit)
