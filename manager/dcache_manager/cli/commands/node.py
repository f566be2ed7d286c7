"""dcache-admin node: the nodes of the fleet. Every change is a rebalance with a changed layout."""

from collections.abc import Sequence
from typing import Any

import click

from .. import completion
from ..layout_options import RunOptions, run_options
from ..options import Choices, Noun, pass_choices
from ..project import find


@click.group("node", cls=Noun)
def command() -> None:
    """List, add, remove, drain, weigh and readdress nodes, and take them out of service."""


@command.command("list")
@pass_choices
def list_nodes(choices: Choices) -> int:
    """List the nodes, and whether they answer."""
    target = find(choices)
    from ..actions import looking  # Late: see actions.

    return looking.list_nodes(choices, target)


@command.command("add")
@click.argument("addresses", metavar="[NAME=]HOST:PORT…", nargs=-1, required=True)
@click.option("--weight", type=click.IntRange(1, 100), default=1, show_default=True, metavar="W", help="Their weight.")
@click.option("--zone", default="", metavar="NAME", help="Their zone.")
@run_options
@pass_choices
def add(choices: Choices, addresses: Sequence[str], weight: int, zone: str, options: RunOptions) -> int:
    """Let nodes join, and move their share of the keys to them."""
    return _run(choices, options, add=addresses, weight=weight, zone=zone)


@command.command("remove")
@click.argument("leaving", metavar="NODE…", nargs=-1, required=True, shell_complete=completion.nodes)
@run_options
@pass_choices
def remove(choices: Choices, leaving: Sequence[str], options: RunOptions) -> int:
    """Let nodes leave. What only a dead node held is lost."""
    return _run(choices, options, remove=leaving, strict=True)


@command.command("drain")
@click.argument("leaving", metavar="NODE…", nargs=-1, required=True, shell_complete=completion.nodes)
@run_options
@pass_choices
def drain(choices: Choices, leaving: Sequence[str], options: RunOptions) -> int:
    """Move all keys away from nodes, so that they can be switched off. They must answer."""
    return _run(choices, options, remove=leaving, strict=True, answering=True)


@command.command("weight")
@click.argument("node", shell_complete=completion.nodes)
@click.argument("weight", type=click.IntRange(1, 100))
@run_options
@pass_choices
def weigh(choices: Choices, node: str, weight: int, options: RunOptions) -> int:
    """Give a node another weight, from 1 to 100."""
    return _run(choices, options, weights={node: weight})


@command.command("address")
@click.argument("node", shell_complete=completion.nodes)
@click.argument("address", metavar="HOST:PORT")
@run_options
@pass_choices
def readdress(choices: Choices, node: str, address: str, options: RunOptions) -> int:
    """Give a node another address, also while the old one is dead.

    It is out of service at the old address from that moment on, joins at the new one, and keeps its share. What only
    the old address holds is lost.
    """
    return _run(choices, options, addresses={node: address})


@command.command("down")
@click.argument("node", shell_complete=completion.nodes)
@pass_choices
def take_out(choices: Choices, node: str) -> int:
    """Take a node out of service, until `node up`.

    The other replicas serve its share; with one copy of each key the next nodes do, from empty.
    """
    target = find(choices)
    from ..actions import rebalance  # Late: see actions.

    return rebalance.set_service(choices, target, node, out=True)


@command.command("up")
@click.argument("node", shell_complete=completion.nodes)
@click.option(
    "--max-rate", type=click.FloatRange(1), metavar="KEYS_PER_S", help="Fill it with at most this many keys a second."
)
@pass_choices
def bring_back(choices: Choices, node: str, max_rate: float | None) -> int:
    """Let a node that was out of service join again.

    It is emptied, filled from the other replicas or from the nodes that served its share, and then read.
    """
    target = find(choices)
    from ..actions import rebalance  # Late: see actions.

    return rebalance.set_service(choices, target, node, out=False, max_rate=max_rate)


def _run(choices: Choices, options: RunOptions, **change: Any) -> int:
    target = find(choices)
    from ...rebalance.layout_change import LayoutChange  # Late: see actions.
    from ..actions import rebalance

    return rebalance.run(choices, target, LayoutChange(**change), options)
