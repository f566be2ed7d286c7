"""dcache-admin completion"""

import click
from click.shell_completion import get_completion_class

from ..options import Verb

FILES = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/completions/dcache-admin.fish"}

WHOLE_ADDRESSES = "COMP_WORDBREAKS=${COMP_WORDBREAKS//:}"
"""Else bash cuts an address in two at its colon, and completes the port alone."""


@click.command("completion", cls=Verb)
@click.argument("shell", type=click.Choice(list(FILES)))
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print the completion script for SHELL.

    For instance: eval "$(dcache-admin completion bash)" in ~/.bashrc.
    """
    complete = get_completion_class(shell)
    assert complete
    root = context.find_root()
    if shell == "bash":
        click.echo(WHOLE_ADDRESSES)
    click.echo(complete(root.command, {}, "dcache-admin", "_DCACHE_ADMIN_COMPLETE").source())
    return 0
