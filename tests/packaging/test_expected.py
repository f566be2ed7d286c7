"""The page on what is expected names commands that exist."""

import re

import click
import pytest

from dcache_manager.cli.main import root
from support.checkout import CHECKOUT

PAGE = (CHECKOUT / "docs/reference/expected.md").read_text()


def test_there_are_twenty_one():
    """Each row has a number, what is expected, and where it is: a command, a page or an option."""
    rows = re.findall(r"^\| (\d+) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 22))
    assert all(re.search(r"`|\]\(|admin", where) for _, _, where in rows)


@pytest.mark.parametrize("line", sorted(set(re.findall(r"`dcache-admin ([^`]+)`", PAGE))))
def test_commands_exist(line):
    """Every command of the page is one."""
    command: click.Command | None = root
    for word in line.split():
        if word.startswith("-"):
            assert any(word in parameter.opts for parameter in command.params)
            break
        command = command.get_command(click.Context(command), word)
        assert command, line
