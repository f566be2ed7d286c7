"""What the documentation and the help say of dcache-admin."""

import subprocess
import sys

import click
import pytest

from dcache_manager.cli.main import COMMANDS, root
from support.checkout import CHECKOUT


def test_reference_is_the_code():
    """docs/reference/cli.md is what script/cli-reference makes of the code; run it again after a change."""
    made = subprocess.run(
        [sys.executable, CHECKOUT / "script" / "cli-reference"], capture_output=True, text=True, check=True
    )
    assert (CHECKOUT / "docs" / "reference" / "cli.md").read_text() == made.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_summaries(name):
    """The list of commands says of each what its own help begins with."""
    command = root.get_command(click.Context(root), name)
    assert command.name == name
    assert command.help.splitlines()[0] == COMMANDS[name]
