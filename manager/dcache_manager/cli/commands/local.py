"""dcache-admin local: real nodes on this machine."""

import click

from ..exit_codes import Exit
from ..options import Choices, Noun, pass_choices


@click.group("local", cls=Noun)
def command() -> None:
    """Start and stop servers on this machine, for trying things.

    They listen on loopback, on ports that the kernel picks, and run until `local down`.
    """


@command.command("up")
@click.option(
    "-n", "count", type=click.IntRange(1, 64), default=3, show_default=True, metavar="N", help="How many should run."
)
@click.option(
    "-m", "--memory", type=click.IntRange(1), default=64, show_default=True, metavar="MB", help="For each node."
)
@click.option(
    "--engine",
    type=click.Choice(["memcached", "redis", "valkey", "ignite"]),
    default="memcached",
    show_default=True,
    help="Which server to start.",
)
@pass_choices
def up(choices: Choices, count: int, memory: int, engine: str) -> int:
    """Start nodes until N run.

    Prints what a shell needs to find them: eval "$(dcache-admin local up)".
    """
    from ... import local_nodes  # Late: help must not wait for it.
    from ..output import Answer, write

    nodes = local_nodes.up(count, memory, engine)
    if choices.json:
        write(Answer("local", nodes), [], choices)
        return Exit.OK
    for node in nodes:
        choices.note(f"{node['address']}, pid {node['pid']}")
    click.echo(f"export DCACHE_NODES={','.join(node['address'] for node in nodes)}")
    return Exit.OK


@command.command("down")
@pass_choices
def down(choices: Choices) -> int:
    """End the nodes that `local up` started, and no other process."""
    from ... import local_nodes  # Late, as above.
    from ..output import Answer, Column, write

    ended = local_nodes.down()
    write(Answer("local", ended), [Column("address", "ADDRESS"), Column("outcome", "OUTCOME")], choices)
    if not ended:
        choices.note("None were running.")
    return Exit.OK
