"""dcache-admin ring: where keys live."""

from collections.abc import Sequence

import click

from ..layout_options import LayoutOptions, layout_options
from ..options import Choices, Noun, pass_choices
from ..project import find


@click.group("ring", cls=Noun)
def command() -> None:
    """Show where keys live, and which node owns how much."""


@command.command("show")
@pass_choices
def show(choices: Choices) -> int:
    """Show each node's share of the hash space, as owner."""
    target = find(choices)
    from ..actions import looking  # Late: see actions.

    return looking.show_ring(choices, target)


@command.command("locate")
@click.argument("keys", metavar="KEY…", nargs=-1, required=True)
@pass_choices
def locate(choices: Choices, keys: Sequence[str]) -> int:
    """Show the nodes that hold each KEY, owner first.

    KEY is what the application passes to Django: KEY_PREFIX, VERSION and KEY_FUNCTION of the alias are applied. Without
    a project it is the whole key as Django makes it.
    """
    target = find(choices)
    from ..actions import looking  # Late: see actions.

    return looking.locate(choices, target, keys)


@command.command("diff")
@layout_options
@pass_choices
def diff(choices: Choices, layout: LayoutOptions) -> int:
    """Show each node's share before and after a change.

    The change is what the options say, else LOCATION, or the resize under way.
    """
    target = find(choices)
    from ..actions import rebalance  # Late: see actions.

    return rebalance.plan(choices, target, rebalance.change_of(layout))
