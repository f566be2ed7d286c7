"""dcache-admin node: the nodes of the fleet. Every change is a rebalance with a changed layout."""

from collections.abc import Sequence

import click

from ...rebalance.layout_change import Edits
from ...rebalance.service import Terms, run_options
from ..exit_codes import Exit
from ..options import Choices, Noun, pass_choices


@click.group("node", cls=Noun)
def command() -> None:
    """The nodes of the fleet: list, add, remove, drain, weight, down, up."""


@command.command("list")
@pass_choices
def list_nodes(choices: Choices) -> int:
    """The nodes, and whether they answer."""
    from ...inspection.fleet_report import look
    from ...inspection.target import find
    from ..output import Answer, Column, share, write

    sighting = look(find(choices), choices.timeout)
    wanted = ("name", "address", "zone", "weight", "state", "owns", "version")
    answer = Answer.about(sighting, "nodes", [{name: row[name] for name in wanted} for row in sighting.rows()])
    columns = [
        Column("name", "NAME"),
        Column("address", "ADDRESS"),
        Column("zone", "ZONE"),
        Column("weight", "WEIGHT", right=True),
        Column("state", "STATE"),
        Column("owns", "OWNS", share, right=True),
        Column("version", "VERSION"),
    ]
    write(answer, columns, choices)
    return Exit.PARTIAL if answer.errors else Exit.OK


@command.command("add")
@click.argument("addresses", metavar="[NAME=]HOST:PORT…", nargs=-1, required=True)
@click.option("--weight", type=click.IntRange(1, 100), default=1, show_default=True, metavar="W", help="Their weight.")
@click.option("--zone", default="", metavar="NAME", help="Their zone.")
@run_options
@pass_choices
def add(choices: Choices, addresses: Sequence[str], weight: int, zone: str, terms: Terms) -> int:
    """Let nodes join, and move their share of the keys to them."""
    from ...rebalance.service import resize

    return resize(choices, Edits(add=addresses, weight=weight, zone=zone), terms)


@command.command("remove")
@click.argument("leaving", metavar="NODE…", nargs=-1, required=True)
@run_options
@pass_choices
def remove(choices: Choices, leaving: Sequence[str], terms: Terms) -> int:
    """Let nodes leave, also dead ones: what only they hold is lost then."""
    from ...rebalance.service import resize

    return resize(choices, Edits(remove=leaving, strict=True), terms)


@command.command("drain")
@click.argument("leaving", metavar="NODE…", nargs=-1, required=True)
@run_options
@pass_choices
def drain(choices: Choices, leaving: Sequence[str], terms: Terms) -> int:
    """Move all keys away from nodes, so that they can be switched off. They must answer."""
    from ...rebalance.service import resize

    return resize(choices, Edits(remove=leaving, strict=True, answering=True), terms)


@command.command("weight")
@click.argument("node")
@click.argument("weight", type=click.IntRange(1, 100))
@run_options
@pass_choices
def weigh(choices: Choices, node: str, weight: int, terms: Terms) -> int:
    """Give a node another weight, from 1 to 100."""
    from ...rebalance.service import resize

    return resize(choices, Edits(weights=[f"{node}={weight}"]), terms)


@command.command("down")
@click.argument("node")
@pass_choices
def take_out(choices: Choices, node: str) -> int:
    """Take a node that stays away out of service: the other replicas serve its share."""
    from ...rebalance.service import serve

    return serve(choices, node, out=True)


@command.command("up")
@click.argument("node")
@click.option("--max-rate", type=click.FloatRange(1), metavar="KEYS_PER_S", help="Fill it with no more keys a second.")
@pass_choices
def bring_back(choices: Choices, node: str, max_rate: float | None) -> int:
    """Let a node that was out join again: empty at first, filled from the other replicas, then read."""
    from ...rebalance.service import serve

    return serve(choices, node, out=False, max_rate=max_rate)
