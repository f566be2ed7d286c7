"""dcache-admin local: real nodes on this machine."""

import click

from ..exit_codes import Exit
from ..options import Choices, Noun, pass_choices


@click.group("local", cls=Noun)
def command() -> None:
    """Real memcached processes on this machine, for trying things.

    They listen on loopback, on ports that the kernel picks, and go on until `local down`.
    """


@command.command("up")
@click.option("-n", "count", type=click.IntRange(1, 64), default=3, show_default=True, metavar="N", help="How many.")
@click.option(
    "-m", "--memory", type=click.IntRange(1), default=64, show_default=True, metavar="MB", help="For each node."
)
@pass_choices
def up(choices: Choices, count: int, memory: int) -> int:
    """Start nodes until there are so many."""
    from ... import local_nodes as local
    from ..output import Answer, Column, write

    nodes = local.up(count, memory)
    write(Answer("local", nodes), [Column("address", "ADDRESS"), Column("pid", "PID", right=True)], choices)
    choices.note(f"export DCACHE_NODES={','.join(node['address'] for node in nodes)}")
    return Exit.OK


@command.command("down")
@pass_choices
def down(choices: Choices) -> int:
    """End the nodes that `local up` started, and nothing else."""
    from ... import local_nodes as local
    from ..output import Answer, Column, write

    ended = local.down()
    write(Answer("local", ended), [Column("address", "ADDRESS"), Column("outcome", "OUTCOME")], choices)
    if not ended:
        choices.note("There are none.")
    return Exit.OK
